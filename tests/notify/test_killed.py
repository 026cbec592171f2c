"""Real servers that are killed, a receiver that is away: what is owed arrives, verified by another's code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemons import free_port
from tests.nodes.node import ask, callers, nodes
from tests.notify.receiver import SECRET, Receiver, configuration, receiving

RUNS = [f"run-{number}" for number in range(4)]


async def until(receiver: Receiver, *runs: str, events: int) -> None:
    await asyncio.to_thread(receiver.until, lambda: all(len(receiver.of(run)) == events for run in runs))


def in_order(receiver: Receiver, events: int) -> bool:
    return all(receiver.of(run) == list(range(1, events + 1)) for run in RUNS)


@pytest.mark.promise("NOTIFY-1", "NOTIFY-2", "NOTIFY-3")
async def test_what_was_written_while_the_receiver_was_away_arrives_after_the_server_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    file = configuration(tmp_path / "notify.toml", f"http://127.0.0.1:{port}/hook")
    monkeypatch.setenv("SAYSO_NOTIFY", str(file))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    async with nodes(f"sqlite:///{tmp_path / 'log.db'}", tmp_path, "") as (node,), callers(node.url) as (api,):
        for run in RUNS * 3:
            one = await ask(api, execution_id=run)
            await api.post(f"/requests/{one['request_id']}/answer", json={"human_feedback": "yes"})
        await node.kill()
        await node.start()
        for run in RUNS:
            await ask(api, execution_id=run)
        with receiving(port) as receiver:
            assert (await api.post("/notifiers/hook-0/replay")).status_code == 204
            await until(receiver, *RUNS, events=7)
    assert in_order(receiver, 7)
    assert all(one.id == one.event["event_id"] for one in receiver.got)


@pytest.mark.promise("NOTIFY-4")
async def test_one_node_delivers_and_another_takes_over(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("SAYSO_NOTIFY", str(configuration(tmp_path / "notify.toml", receiver.url)))
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        async with nodes(log, tmp_path, "", "") as both, callers(*(node.url for node in both)) as apis:
            for number, run in enumerate(RUNS * 3):
                await ask(apis[number % 2], execution_id=run)
            await until(receiver, *RUNS, events=3)
            assert len(receiver.got) == 12  # by one of the two, once
            ports = {(await apis[0].get("/notifiers")).json()["notifiers"][0]["owed"]}
            assert ports == {0}
            for gone, left in ((0, 1), (1, 0)):  # whichever delivered
                await both[gone].kill()
                for run in RUNS:
                    await ask(apis[left], execution_id=run)
                await until(receiver, *RUNS, events=4 + gone)
                await both[gone].start()
    assert in_order(receiver, 5)
