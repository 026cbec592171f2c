"""A disk that is full: what does not fit is refused, what was acknowledged stays, and everything goes on once there is
space again.

On a small disk of its own where the system lets us mount one, and under a limit on the size of files everywhere.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from sayso.store import Filter
from sayso.store.sqlite import SQLiteStore
from tests.conftest import KEY
from tests.crash.driving import driver

pytestmark = pytest.mark.usefixtures("whole_reads")

MIB = 1024 * 1024
_RIGHT = {"Authorization": f"Bearer {KEY}"}
_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")
_ON_SMALL_DISK = 'disk=$1; shift; mount -t tmpfs -o size=3m,mode=0700 tmpfs "$disk" && exec "$@"'


class Server(NamedTuple):
    """A server whose disk can be filled. `folder`: where its store lies, as it is seen from here."""

    api: httpx.AsyncClient
    process: int
    folder: Path
    fill: Callable[[], object]
    free: Callable[[], object]


@asynccontextmanager
async def on_a_disk(folder: Path, writer: str) -> AsyncIterator[Server]:
    """A disk of 3 MiB: full when a third of it belongs to somebody else."""
    async with driver(folder / "full.db", *_MOUNTS, "sh", "-c", _ON_SMALL_DISK, "sh", str(folder)) as on:
        process = await on.start(writer)
        seen = Path(f"/proc/{process}/root{folder}")
        other = seen / "other"
        async with httpx.AsyncClient(base_url=await on.url(process), headers=_RIGHT, timeout=60) as api:
            yield Server(api, process, seen, lambda: other.write_bytes(b"x" * MIB), other.unlink)


@asynccontextmanager
async def under_a_limit(folder: Path, writer: str) -> AsyncIterator[Server]:
    """No file may grow over 1 MiB."""
    async with driver(folder / "full.db") as on:
        process = await on.start(writer)

        def limit(size: int) -> None:
            _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, most))

        async with httpx.AsyncClient(base_url=await on.url(process), headers=_RIGHT, timeout=60) as api:
            yield Server(api, process, folder, lambda: limit(MIB), lambda: limit(64 * MIB))


def _can_mount() -> bool:
    probe = (*_MOUNTS, "sh", "-c", "mount -t tmpfs tmpfs /mnt")
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, check=False, capture_output=True).returncode == 0
    )


DISKS = [under_a_limit, *([on_a_disk] if _can_mount() else [])]


async def ask(server: Server, request_id: str) -> httpx.Response:
    question = {"request_id": request_id, "execution_id": "run-1", "prompt": "Ship it?", "context": "x" * 60_000}
    return await server.api.post("/requests", json=question)


async def ask_until_refused(server: Server) -> tuple[list[str], str, httpx.Response]:
    """What was acknowledged, what was not, and what was said."""
    acknowledged: list[str] = []
    for _ in range(200):
        request_id = str(uuid.uuid4())
        response = await ask(server, request_id)
        if response.status_code != 201:
            return acknowledged, request_id, response
        acknowledged.append(request_id)
    raise AssertionError("it never was full")


async def answer(server: Server, request_id: str) -> httpx.Response:
    return await server.api.post(f"/requests/{request_id}/answer", json={"human_feedback": "y" * 60_000})


async def listed(server: Server) -> list[dict[str, Any]]:
    """Page by page, as all that was asked is large."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": "0"}
    while page["next"]:
        page = (await server.api.get("/requests", params={"limit": 5, "after": page["next"]})).json()
        found += page["requests"]
    return found


async def left_when_killed(server: Server, folder: Path) -> dict[str, str]:
    """The status of each request that the next process finds."""
    os.kill(server.process, signal.SIGSTOP)  # the small disk goes with its last process
    folder.mkdir()
    for name in ("full.db", "full.db-wal", "full.db.mark"):
        shutil.copy(server.folder / name, folder / name)
    os.kill(server.process, signal.SIGKILL)
    store = SQLiteStore(folder / "full.db")
    await store.open()
    requests = (await store.list(Filter(), limit=1_000)).requests
    await store.close()
    return {one.request_id: one.status for one in requests}


@pytest.mark.promise("DISK-2", "ASK-1", "ANSWER-1")
@pytest.mark.parametrize("disk", DISKS)
async def test_a_full_disk_refuses_what_is_new_keeps_what_is_there_and_goes_on_once_there_is_space(
    tmp_path: Path, disk: Callable[..., Any]
) -> None:
    (tmp_path / "disk").mkdir()
    async with asyncio.timeout(60), disk(tmp_path / "disk", "real") as server:
        server.fill()
        acknowledged, refused, said = await ask_until_refused(server)

        assert (said.status_code, said.json()["type"]) == (503, "urn:sayso:problem:unavailable")
        assert said.headers["retry-after"] == "1"
        if disk is on_a_disk:
            assert "is full" in said.json()["detail"]
        assert (await answer(server, acknowledged[0])).status_code == 503
        assert [one["request_id"] for one in await listed(server)] == acknowledged
        assert {one["status"] for one in await listed(server)} == {"pending"}
        assert (await server.api.get("/health")).status_code == 200
        events = (await server.api.get("/poll/human-input/run-1")).json()["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))

        server.free()
        assert (await ask(server, refused)).status_code == 201
        assert (await answer(server, acknowledged[0])).status_code == 200
        left = await left_when_killed(server, tmp_path / "left")
    assert left == dict.fromkeys([*acknowledged, refused], "pending") | {acknowledged[0]: "answered"}


async def until_ready(server: Server) -> None:
    """A finding counts for a second, so a new one may take as long."""
    while (await server.api.get("/ready")).status_code != 200:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.05)


@pytest.mark.promise("READY-1")
@pytest.mark.parametrize("disk", DISKS)
async def test_a_server_is_not_ready_while_nothing_fits_on_its_disk(tmp_path: Path, disk: Callable[..., Any]) -> None:
    (tmp_path / "disk").mkdir()
    async with asyncio.timeout(60), disk(tmp_path / "disk", "real") as server:
        server.fill()
        await ask_until_refused(server)
        lease = {"holder": "a", "seconds": 60}
        while (await server.api.put("/leases/a", json=lease)).status_code == 204:  # as little as can be written
            pass
        assert (await server.api.get("/ready")).json()["not_ready"] == ["store"]
        server.free()
        await until_ready(server)


@pytest.mark.parametrize("disk", DISKS)
async def test_a_server_that_acknowledges_what_did_not_fit_is_found_out(
    tmp_path: Path, disk: Callable[..., Any]
) -> None:
    """The control: the same disk, another writer."""
    (tmp_path / "disk").mkdir()
    async with asyncio.timeout(60), disk(tmp_path / "disk", "careless") as server:
        server.fill()
        acknowledged = [str(uuid.uuid4()) for _ in range(60)]
        for request_id in acknowledged:
            assert (await ask(server, request_id)).status_code == 201
        found = [one["request_id"] for one in await listed(server)]
    assert found != acknowledged
