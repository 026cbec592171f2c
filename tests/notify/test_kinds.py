"""What every carrier promises, over each kind: a new one is one more row."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from sayso.notify.kinds import KINDS
from sayso.notify.sending import Carrier, NotDelivered
from tests.notify.around import around
from tests.notify.inbox import Got, service
from tests.notify.receiver import SECRET, Receiver, Reply, receiving
from tests.notify.test_webhook import event

_WORD: Final = SECRET.removeprefix("whsec_")


class Row(NamedTuple):
    """`settings` that lead to a receiver; `fail` makes it refuse; `ids`: of the requests that arrived. `target`: such a
    receiver."""

    settings: Callable[[Any], dict[str, Any]]
    fail: Callable[[Any], None]
    ids: Callable[[Any], list[str]]
    target: Callable[[], AbstractContextManager[Any]] = lambda: receiving(is_standard=False)


def _refuse(receiver: Receiver) -> None:
    receiver.reply = lambda event: Reply(500)


def _refuse_all(target: tuple[Got, int]) -> None:
    target[0].refuses = True


def _linked(target: tuple[Got, int]) -> list[str]:
    """Each message has a link to its request."""
    return [re.findall(r"token=(\S+)-anna", got["message"])[0] for got in target[0].all]


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
    "channel": Row(lambda target: {"url_from": "CHANNEL", "owner": "anna"}, _refuse_all, _linked, service),
}


@pytest.fixture(params=ROWS)
async def carrier(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Row, Carrier, Any]]:
    row, kind = ROWS[request.param], KINDS[request.param]
    with row.target() as target:
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        if isinstance(target, tuple):
            monkeypatch.setenv("CHANNEL", f"json://me:{_WORD}@127.0.0.1:{target[1]}/{_WORD}")
        made = kind.make(msgspec.convert(row.settings(target), kind.settings), around(has_any=True))
        yield row, made, target
        await made.close()


def test_every_kind_has_its_row() -> None:
    assert set(ROWS) == set(KINDS)


async def test_what_is_sent_again_comes_again_and_several_go_at_once(
    carrier: tuple[Row, Carrier, Any],
) -> None:
    row, made, target = carrier
    events = [event() for _ in range(5)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(made.send(one) for one in (*events, *events)))
    assert sorted(row.ids(target)) == sorted([one.request_id for one in events] * 2)


async def test_what_did_not_arrive_is_told_without_a_secret(carrier: tuple[Row, Carrier, Any]) -> None:
    row, made, target = carrier
    row.fail(target)
    async with asyncio.timeout(30):
        with pytest.raises(NotDelivered) as told:
            await made.send(event())
    assert row.ids(target) == []
    assert _WORD not in told.value.detail + made.target
