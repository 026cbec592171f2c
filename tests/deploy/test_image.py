"""What the Dockerfile does, done without a container: what it runs, in what surroundings, as whom, and its check."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import KEY
from tests.daemons import free_port
from tests.deploy.dockerfile import placed, stages
from tests.deploy.proxies import DEPLOY
from tests.runtime.programs import Program, program

_RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image would hold: /app and /data, below it."""
    root = tmp_path_factory.mktemp("image")
    build, _ = stages()
    source = root / "src"
    source.mkdir()
    for name, target in build.copied:
        found = DEPLOY.parent / name
        if found.is_dir():
            shutil.copytree(found, source / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, source / target)
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in build.run:
        done = subprocess.run(
            ["sh", "-ec", placed(command, root)],
            cwd=source,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    shutil.rmtree(source)  # the image has none of it
    for path in (root / "app").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    return root


def as_its_user(*command: str) -> list[str]:
    """The command, as the image's user: one without a name, who is not root and can do nothing that root can."""
    user, _, group = stages()[-1].user.partition(":")
    return ["unshare", "--user", f"--map-user={user}", f"--map-group={group}", "--", *command]


@asynccontextmanager
async def container(root: Path, **settings: str) -> AsyncIterator[tuple[Program, httpx.AsyncClient, dict[str, str]]]:
    """What would run, a client of it, and its environment."""
    image = stages()[-1]
    port = str(free_port())
    environment = {
        name: placed(value, root).replace("$PATH", os.environ["PATH"]) for name, value in image.environment.items()
    }
    environment |= {"SAYSO_HOST": "127.0.0.1", "SAYSO_PORT": port} | settings
    command = as_its_user(str(root / "app" / "bin" / image.command[0]), *image.command[1:])
    async with program(*command, **environment) as running:
        await running.line("sayso listens on")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=_RIGHT, timeout=30) as api:
            yield running, api, environment


def health(environment: dict[str, str]) -> int:
    """The exit code of the image's check."""
    program, *arguments = stages()[-1].health
    found = shutil.which(program, path=environment["PATH"])
    assert found is not None
    done = subprocess.run(as_its_user(found, *arguments), env=environment, capture_output=True, timeout=30, check=False)
    return done.returncode


def test_the_image_runs_as_a_user_by_number_who_is_not_root() -> None:
    user, _, group = stages()[-1].user.partition(":")
    assert int(user) > 0
    assert int(group) > 0


async def test_what_is_installed_serves_from_a_place_that_it_cannot_change(root: Path) -> None:
    async with asyncio.timeout(60), container(root, SAYSO_API_KEY=KEY) as (running, api, environment):
        status = Path(f"/proc/{running._process.pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert (await api.get("/ready")).status_code == 200
        assert "<html" in (await api.get("/")).text
        assert (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).status_code == 201
        assert health(environment) == 0
        running.send(signal.SIGTERM)
        assert await running.end() == 0
    assert health(environment) != 0
    assert [one.name for one in (root / "data" / "sayso").glob("*.db")] == [f"{environment['SAYSO_PORT']}.db"]


async def test_it_serves_from_postgresql_with_secrets_in_files(root: Path, tmp_path: Path, database: str) -> None:
    secrets = {"SAYSO_API_KEY_FILE": tmp_path / "api-key", "SAYSO_STORE_FILE": tmp_path / "store"}
    secrets["SAYSO_API_KEY_FILE"].write_text(f"{KEY}\n")
    secrets["SAYSO_STORE_FILE"].write_text(f"{database}\n")
    named = {name: str(path) for name, path in secrets.items()}
    async with asyncio.timeout(60), container(root, **named) as (running, api, environment):
        assert (await api.get("/ready")).status_code == 200
        assert (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).status_code == 201
        assert health(environment) == 0
        password = database.partition("@")[0].rpartition(":")[2]
        assert password not in running.output
