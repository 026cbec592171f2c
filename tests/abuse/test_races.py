"""Many clients answer one request at the same moment, again and again: one wins, and all are told which."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.abuse.plain import Line
from tests.nodes.node import nodes

_RACES = int(os.environ.get("SAYSO_ROUNDS", "500"))
_RIVALS = 8
_LANES = 8
"""Races at once."""


@dataclass
class Races:
    """`odd`: those in which not exactly one answer won, or somebody was told of another. `twice`: requests that the log
    says were settled more than once, or never."""

    run: int = 0
    odd: list[Counter[int]] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)


async def _race(url: str, count: int) -> Races:
    races, turns = Races(), iter(range(count))
    async with asyncio.TaskGroup() as lanes:
        for number in range(_LANES):
            lanes.create_task(_lane(url, f"lane-{number}", turns, races))
    return races


async def _lane(url: str, execution_id: str, turns: Iterator[int], races: Races) -> None:
    async with AsyncExitStack() as stack:
        rivals = [await Line.to(url) for _ in range(_RIVALS)]
        for rival in rivals:
            stack.callback(rival.close)
        ended: Counter[str] = Counter()
        for _ in turns:
            status, asked = await rivals[0].call(
                "POST", "/requests", {"execution_id": execution_id, "prompt": "Which?"}
            )
            assert status == 201, asked
            ended[asked["request_id"]] = 0
            answers = [{"answer_id": str(uuid.uuid4()), "text": "this one"} for _ in rivals]
            for rival, answer in zip(rivals, answers, strict=True):
                rival.send("POST", f"/requests/{asked['request_id']}/answer", answer)
            replies = [await rival.reply() for rival in rivals]
            statuses = Counter(status for status, _ in replies)
            won = {answer["answer_id"] for answer, (status, _) in zip(answers, replies, strict=True) if status == 200}
            told = {told.get("request", told)["answer"]["answer_id"] for _, told in replies}
            if statuses != {200: 1, 409: _RIVALS - 1} or told != won:
                races.odd.append(statuses)
            races.run += 1
        await _count_ends(rivals[0], execution_id, ended)
        races.twice += [request_id for request_id, times in ended.items() if times != 1]


async def _count_ends(line: Line, execution_id: str, ended: Counter[str]) -> None:
    query, more = "", True
    while more:
        _, page = await line.call("GET", f"/poll/human-input/{execution_id}{query}")
        ended.update(event["request_id"] for event in page["events"] if event["type"] == "human_input_completed")
        query, more = f"?last_event_id={page['cursor']}", page["more"]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    url: str = request.getfixturevalue("database")
    return url


@pytest.mark.promise("ANSWER-2")
async def test_of_eight_answers_at_the_same_moment_one_wins_in_every_race(store: str, tmp_path: Path) -> None:
    async with asyncio.timeout(60 + _RACES / 10), nodes(store, tmp_path, "") as (server,):
        races = await _race(server.url, _RACES)
    print(f"{races.run:,} races of {_RIVALS}: {len(races.odd)} odd, {len(races.twice)} settled twice or never")

    assert races.run == _RACES
    assert races.odd == []
    assert races.twice == []


async def test_a_store_that_does_not_look_before_it_writes_is_found_out(store: str, tmp_path: Path) -> None:
    """The control: the same without the compare-and-set."""
    async with asyncio.timeout(60), nodes(store, tmp_path, "heedless") as (server,):
        races = await _race(server.url, 10 * _LANES)

    assert races.odd != []
    assert races.twice != []
