"""The file that says who is told of what: what is wrong with it is said, with the place and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sayso import HumanInputServer
from sayso.errors import Misconfigured
from sayso.notify.file import read
from sayso.notify.rules import Rule
from tests.notify.around import around
from tests.notify.receiver import SECRET

GOOD = (
    '[[notifier]]\nname = "ops"\nkind = "webhook"\nurl = "https://hooks.example/a?key=1"\nsecrets = ["HOOK_SECRET"]\n'
)


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("SHORT_SECRET", "whsec_c2hvcnQ=")


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_toml_and_json_say_the_same(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"notify.{suffix}"
    members = {
        **{"name": "ops", "kind": "webhook", "url": "https://hooks.example/a?key=1", "secrets": ["HOOK_SECRET"]},
        "rules": [{"events": ["human_input_required"], "waiting": 600}],
    }
    rules = 'rules = [{events = ["human_input_required"], waiting = 600}]\n'
    file.write_text(GOOD + rules if suffix == "toml" else json.dumps({"notifier": [members]}))
    (one,) = read(file, around())
    assert (one.name, one.kind, one.carrier.target) == ("ops", "webhook", "https://hooks.example")
    assert one.rules == (Rule(events=("human_input_required",), waiting=600.0),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[notifier]", "is no TOML"),
        ("notifiers = []", r"unknown field `notifiers`.*\[\[notifier\]\]"),
        (GOOD.replace("ops", "o p"), r"notifier 1: .*\$\.name"),
        (GOOD.replace('"webhook"', '"pigeon"'), r"notifier 1 \(ops\): kind: there is no 'pigeon'; known are: webhook"),
        (GOOD + 'secret = "x"\n', "unknown field `secret`"),
        (GOOD + GOOD, "notifier 2: the name 'ops' is taken"),
        (GOOD.replace("HOOK_SECRET", "NO_SECRET"), "environment variable NO_SECRET is not set"),
        (GOOD.replace("HOOK_SECRET", "SHORT_SECRET"), "SHORT_SECRET holds no secret"),
        (GOOD + 'allow = ["10.0.0.1/8"]\n', "'10.0.0.1/8' is no network"),
        (GOOD + 'rules = [{executions = ["a b"]}]\n', r"\$\.rules\[0\]\.executions\[0\]"),
        (GOOD + 'rules = [{priorities = ["top"]}]\n', r"\$\.rules\[0\]\.priorities\[0\]"),
        (GOOD + "rules = [{waiting = 0}]\n", r"\$\.rules\[0\]\.waiting"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "notify.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=why) as told:
        read(file, around())
    assert str(file) in str(told.value)
    assert "c2hvcnQ" not in str(told.value)


def test_a_server_whose_file_is_not_there_does_not_start(tmp_path: Path) -> None:
    server = HumanInputServer(port=0, store=":memory:", notify=tmp_path / "none.toml", quiet=True, adapters=False)
    with pytest.raises(Misconfigured, match="cannot be read"), server:
        pass
    assert not server.is_running
