"""Answer links: known again as they were made, by whoever has the store's secret, until they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sayso.answer_link import AnswerLink, AnswerLinks
from sayso.clock import Clock
from sayso.errors import LinkOver, NotFound
from sayso.signing import signed

NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class _Stopped(Clock):
    def now(self) -> datetime:
        return NOW


def links(secret: bytes = b"s" * 32) -> AnswerLinks:
    async def kept(name: str) -> bytes:
        return name.encode() + secret

    return AnswerLinks(kept, _Stopped())


async def test_a_link_is_known_again_in_every_process_of_its_store() -> None:
    token = await links().made("order-7", "anna@example.com", NOW + HOUR)
    link = await links().read(token)
    assert link == AnswerLink(request_id="order-7", owner="anna@example.com", until=NOW + HOUR)
    assert link.by == "link:anna@example.com"


async def test_one_that_has_ended_is_over() -> None:
    assert await links().read(await links().made("a", "anna", NOW + timedelta(seconds=1)))
    with pytest.raises(LinkOver):
        await links().read(await links().made("a", "anna", NOW))


async def test_nothing_else_is_a_link() -> None:
    token = await links().made("a", "anna", NOW + HOUR)
    link = AnswerLink(request_id="a", owner="anna", until=NOW + HOUR)
    others = {
        "of another store": await links(b"t" * 32).made("a", "anna", NOW + HOUR),
        "signed for another purpose": signed(link, "session", b"answer-link" + b"s" * 32),
        "cut": token[:-1],
        "with another owner": token.replace(token.partition(".")[0], signed(link, "x", b"").partition(".")[0] + "A"),
        "empty": "",
        "no base64": "\ud800.\u00e4",
    }
    for what, other in others.items():
        with pytest.raises(NotFound):
            assert await links().read(other), what
