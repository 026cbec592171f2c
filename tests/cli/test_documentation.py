"""docs/cli.md and its pictures: complete, and nothing in them calls elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sayso.cli import main

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "cli.md").read_text(encoding="utf-8")
_PICTURES = sorted((_DOCS / "pictures").glob("*.svg"))


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_its_picture(command: str) -> None:
    assert re.search(rf"^## .*\b{command}\b", _PAGE, re.MULTILINE)
    assert f"(pictures/cli-{command}.svg)" in _PAGE


def test_the_page_shows_all_pictures_that_there_are_and_no_others() -> None:
    assert sorted(re.findall(r"\((pictures/[^)]+)\)", _PAGE)) == [f"pictures/{one.name}" for one in _PICTURES]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 124, 130])
def test_every_exit_code_is_explained(code: int) -> None:
    assert f"\n| {code} | " in _PAGE


@pytest.mark.parametrize("picture", _PICTURES, ids=lambda one: one.stem)
def test_a_picture_is_small_and_fetches_nothing(picture: Path) -> None:
    drawn = picture.read_text(encoding="utf-8")
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - it is our own
    assert len(drawn) < 25_000
    left = drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")
    left = re.sub(r"http://(localhost|server)(:\d+)?", "", left)  # as the terminal shows them
    calls = ("http:", "https:", "@import", "@font-face", "<image", "<script", "<use", "href")
    assert [call for call in calls if call in left] == []
    assert re.findall(r"url\((?!#)", left) == []


@pytest.mark.parametrize("picture", _PICTURES, ids=lambda one: one.stem)
def test_a_picture_tells_nothing_of_the_machine_it_was_taken_on(picture: Path) -> None:
    drawn = picture.read_text(encoding="utf-8")
    assert [path for path in (str(Path.home()), str(_DOCS.parent), "/home/", "/usr/", ".venv") if path in drawn] == []
