"""The wheel, made from the source archive: everything is in it, and a server of it runs where nothing else is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.conftest import KEY
from tests.runtime.programs import program

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src"
_LONGEST = 300.0
"""Seconds for pip, on a machine that has much else to do."""


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=_LONGEST, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("built")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ".")
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_all_files_of_the_package_are_in_the_wheel(wheel: Path) -> None:
    there = {
        str(path.relative_to(_SOURCE))
        for path in _SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"sayso/py.typed", "sayso/server/inbox/built/index.html"} <= there
    assert any(name.endswith(".sql") for name in there)
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == there


def test_the_source_archive_holds_what_the_tests_need(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"scripts/test", "constraints.txt", "SECURITY.md", "tests/test_wheel.py", "clients/inbox/build.js"} <= held
    assert not [name for name in held if "node_modules" in name or name.endswith(".db")]


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, its extra `server`, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet")
    _run(*pip, "--disable-pip-version-check", "--constraint", "constraints.txt", f"{wheel}[server]")
    return folder / "bin"


async def test_a_server_of_it_runs_with_nothing_but_what_it_says_it_needs(alone: Path, tmp_path: Path) -> None:
    serve = (str(alone / "sayso"), "serve", "--port", "0", "--json", "--store", f"sqlite:///{tmp_path / 'log.db'}")
    environment = {"SAYSO_API_KEY": KEY, "PATH": os.defpath, "PYTHONPATH": ""}
    async with asyncio.timeout(60), program(*serve, **environment) as running:
        url = json.loads(await running.line("url"))["url"]
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as api:
            page = await api.get("/")
            assert (page.status_code, "sayso-inbox.js" in page.text) == (200, True)
            asked = await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
            answer = f"/requests/{asked.json()['request_id']}/answer"
            assert (await api.post(answer, json={"human_feedback": "yes"})).json()["status"] == "answered"


def test_what_it_is_made_of_is_listed_the_same_each_time_and_says_nothing_of_the_machine(
    alone: Path, wheel: Path, tmp_path: Path
) -> None:
    lists = [tmp_path / "first.json", tmp_path / "second.json"]
    for target in lists:
        _run(sys.executable, "scripts/sbom", alone / "python", wheel, target)

    first, second = (target.read_text() for target in lists)
    assert first == second
    for named in (str(wheel.parent), str(alone), str(_ROOT), "file:"):
        assert named not in first
    listed = json.loads(first)
    packages = {one["purl"].partition("@")[0] for one in listed["components"]}
    assert {"pkg:pypi/starlette", "pkg:pypi/msgspec", "pkg:npm/preact", "pkg:npm/marked"} <= packages
    assert not {"pkg:pypi/pytest", "pkg:npm/esbuild", "pkg:pypi/sayso"} & packages
    assert listed["metadata"]["component"]["purl"].startswith("pkg:pypi/sayso@")
