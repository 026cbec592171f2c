"""What every carrier promises, over each kind: a new one is one more row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from sayso.notify.kinds import KINDS
from sayso.notify.sending import Carrier, NotDelivered
from tests.notify.around import around
from tests.notify.receiver import SECRET, Receiver, Reply, receiving
from tests.notify.test_webhook import event


class Row(NamedTuple):
    """`settings` that lead to a receiver; `fail` makes it refuse; `ids`: of the requests that arrived."""

    settings: Callable[[Receiver], dict[str, Any]]
    fail: Callable[[Receiver], None]
    ids: Callable[[Receiver], list[str]]


def _refuse(receiver: Receiver) -> None:
    receiver.reply = lambda event: Reply(500)


ROWS: Final = {
    "webhook": Row(
        lambda receiver: {"url": receiver.url, "secrets": ["HOOK_SECRET"], "allow": ["127.0.0.1"]},
        _refuse,
        lambda receiver: [got.event["request_id"] for got in receiver.got],
    ),
    "crewai-flow": Row(
        lambda receiver: {"url": receiver.url, "secret": "HOOK_SECRET", "allow": ["127.0.0.1"]},
        _refuse,
        lambda receiver: [got.event["id"] for got in receiver.got],
    ),
    "crewai-crew": Row(
        lambda receiver: {"url": receiver.url, "token": "HOOK_SECRET", "allow": ["127.0.0.1"]},
        _refuse,
        lambda receiver: [got.event["message"] for got in receiver.got],
    ),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(is_standard=False) as one:
        yield one


@pytest.fixture(params=ROWS)
async def carrier(
    request: pytest.FixtureRequest, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Row, Carrier]]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    row, kind = ROWS[request.param], KINDS[request.param]
    made = kind.make(msgspec.convert(row.settings(receiver), kind.settings), around(has_any=True))
    yield row, made
    await made.close()


def test_every_kind_has_its_row() -> None:
    assert set(ROWS) == set(KINDS)


async def test_what_is_sent_again_comes_again_and_several_go_at_once(
    carrier: tuple[Row, Carrier], receiver: Receiver
) -> None:
    row, made = carrier
    events = [event() for _ in range(5)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(made.send(one) for one in (*events, *events)))
    assert sorted(row.ids(receiver)) == sorted([one.request_id for one in events] * 2)


async def test_what_did_not_arrive_is_told_without_a_secret(carrier: tuple[Row, Carrier], receiver: Receiver) -> None:
    row, made = carrier
    row.fail(receiver)
    async with asyncio.timeout(30):
        with pytest.raises(NotDelivered) as told:
            await made.send(event())
    assert row.ids(receiver) == []
    assert SECRET.removeprefix("whsec_") not in told.value.detail + made.target
