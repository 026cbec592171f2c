"""How a follower decides: where to go on from, when to try again, and when to poll. Nothing is sent here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sayso import wire
from sayso.client import following as following_module
from sayso.client import pauses
from sayso.client.following import POLL, POLLING, SILENCE, Event, Following, Reset
from sayso.errors import Forbidden, Invalid, Misconfigured, NotFound, SaysoError, Unauthorised, Unavailable
from sayso.model import InputCompleted, InputRequired
from sayso.wire import HEARTBEAT, error_of
from tests.builders import answered, asked, completed, request

SSE = "text/event-stream; charset=utf-8"
REQUEST = request()
FACTS: list[Event] = [asked(REQUEST), completed(answered(REQUEST)), asked(request(prompt="Again?"))]
EVENTS = [wire.Event.of(fact, position=seq, seq=seq) for seq, fact in enumerate(FACTS, 1)]
IDS = [event.event_id for event in EVENTS]


@pytest.fixture(autouse=True)
def _without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause is the longest that it may be."""
    monkeypatch.setattr(pauses, "random", SimpleNamespace(uniform=lambda low, high: high))


def begun(execution_id: str | None = "run-1", after: str | None = None) -> Following:
    """A follower whose first stream stands."""
    following = Following(execution_id, after)
    following.opened(200, SSE, b"")
    return following


def polling(after: str | None = None) -> Following:
    """A follower that was told by something else than a stream to poll."""
    following = Following("run-1", after)
    with pytest.raises(SaysoError) as caught:
        following.opened(200, "text/html", b"")
    assert following.broke(caught.value) == 0.0
    following.opened(200, "application/json", b"")
    return following


def page(*events: wire.Event, cursor: str | None = None, more: bool = False, reset: wire.Reset | None = None) -> bytes:
    return wire.events_page(events, cursor=cursor, more=more, reset=reset)


def ids(told: list[Any]) -> list[str]:
    return [one.event_id for one in told]


def test_a_page_that_leads_no_further_is_not_asked_for_without_a_pause() -> None:
    """Whoever says that there is more, and tells nothing, would be asked as often as it can answer."""
    for cursor in (None, "same"):
        following = polling(after="same")
        assert following.page(page(cursor=cursor, more=True)) == []
        assert following.rest([], 0.0) > 0
    honest = polling(after="same")
    honest.page(page(cursor="next", more=True))  # events may be hidden from a key
    assert honest.rest([], 0.0) == 0


# Where it calls


def test_a_follower_of_all_begins_with_a_poll_that_gives_it_a_cursor() -> None:
    following = Following(None, None)
    assert (following.road, following.address, following.query) == ("poll", "/poll/human-input", {"wait": "0"})
    following.opened(200, "application/json", b"")
    assert following.page(page(cursor=IDS[0])) == []
    assert following.rest([], 0.0) == 0.0
    assert (following.road, following.query) == ("sse", {"last_event_id": IDS[0]})


@pytest.mark.parametrize(
    ("execution_id", "after", "address", "query"),
    [
        ("run-1", None, "/events/human-input/run-1", {}),
        ("run-1", IDS[0], "/events/human-input/run-1", {"last_event_id": IDS[0]}),
        (None, IDS[0], "/events/human-input", {"last_event_id": IDS[0]}),
    ],
    ids=["run-from-its-beginning", "run-from-a-cursor", "all-from-a-cursor"],
)
def test_it_begins_with_a_stream_from_its_cursor(
    execution_id: str | None, after: str | None, address: str, query: dict[str, str]
) -> None:
    following = Following(execution_id, after)
    assert (following.road, following.address, following.query) == ("sse", address, query)
    assert following.patience == SILENCE


def test_silence_is_looked_up_when_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following_module, "SILENCE", 0.5)
    assert Following("run-1", None).patience == 0.5


def test_a_poll_is_held_and_may_be_silent_for_longer_than_that() -> None:
    following = polling(IDS[0])
    assert following.address == "/poll/human-input/run-1"
    assert following.query == {"last_event_id": IDS[0], "wait": f"{POLL:.0f}"}
    assert following.patience > POLL


def test_polling_all_executions_has_an_address_of_its_own() -> None:
    following = Following(None, IDS[0])
    with pytest.raises(SaysoError):
        following.opened(200, "text/html", b"")
    assert following.address == "/poll/human-input"


# What a stream tells


def test_events_are_told_as_they_come_and_move_the_cursor() -> None:
    following = begun()
    told = following.feed(HEARTBEAT + EVENTS[0].sse)
    assert [type(one) for one in told] == [InputRequired]
    assert (told[0].event_id, told[0].seq, following.cursor) == (IDS[0], 1, IDS[0])  # type: ignore[union-attr]
    told = following.feed(EVENTS[1].sse + EVENTS[2].sse)
    assert [type(one) for one in told] == [InputCompleted, InputRequired]
    assert (ids(told), following.cursor) == (IDS[1:], IDS[2])
    assert following.query == {"last_event_id": IDS[2]}


def test_a_heartbeat_tells_nothing_and_leaves_the_cursor() -> None:
    following = begun(after=IDS[0])
    assert following.feed(HEARTBEAT) == []
    assert following.cursor == IDS[0]


def test_half_an_event_is_not_told_and_not_mixed_with_the_next_stream() -> None:
    following = begun()
    data = EVENTS[0].sse
    for cut in (len(data) // 2, len(data) - 1):
        assert following.feed(data[:cut]) == []
        assert following.cursor is None
        following.broke(None)
        following.opened(200, SSE, b"")
    assert ids(following.feed(data)) == IDS[:1]


def test_members_of_a_newer_server_are_passed_over() -> None:
    data = EVENTS[0].sse.replace(b'data: {"type"', b'data: {"newer":1,"type"')
    assert ids(begun().feed(data)) == IDS[:1]


def test_a_reset_comes_with_what_is_open_and_moves_the_cursor() -> None:
    following = begun(after="made-up")
    reset = wire.Reset("unknown-cursor", IDS[2], (REQUEST,), more=True)
    told = following.feed(reset.sse)
    assert told == [Reset(reason="unknown-cursor", event_id=IDS[2], requests=(REQUEST,), more=True)]
    assert following.cursor == IDS[2]


def test_a_reset_leaves_nothing_of_the_cursor_that_meant_nothing() -> None:
    following = begun(after="made-up")
    following.feed(wire.Reset("unknown-cursor", "origin", (), more=False).sse)
    assert following.cursor == "origin"
    assert following.query == {"last_event_id": "origin"}


def test_a_follower_of_all_that_begins_before_any_event_keeps_the_cursor_of_its_first_poll() -> None:
    following = Following(None, None)
    following.page(b'{"events":[],"cursor":"origin","more":false}')
    assert (following.road, following.query) == ("sse", {"last_event_id": "origin"})


@pytest.mark.parametrize("data", [b"data: hello\n\n", b"data: {}\n\n", b'data: {"type":"other"}\n\n', b"data\n\n"])
def test_a_stream_of_something_else_ends_it(data: bytes) -> None:
    following = begun()
    with pytest.raises(Misconfigured) as caught:
        following.feed(data)
    with pytest.raises(Misconfigured):
        following.broke(caught.value)


# What a poll tells


def test_a_page_is_told_and_moves_the_cursor() -> None:
    following = polling()
    told = following.page(page(*EVENTS, cursor=IDS[2]))
    assert (ids(told), following.cursor) == (IDS, IDS[2])
    assert following.page(page(cursor=IDS[2])) == []
    assert following.query == {"last_event_id": IDS[2], "wait": f"{POLL:.0f}"}


def test_the_cursor_of_an_empty_page_is_kept() -> None:
    following = polling()
    following.page(page(cursor=IDS[0]))
    assert following.cursor == IDS[0]
    following.page(page(cursor=None))
    assert following.cursor == IDS[0]


def test_while_there_is_more_it_does_not_wait() -> None:
    following = polling()
    told = following.page(page(EVENTS[0], cursor=IDS[0], more=True))
    assert following.query["wait"] == "0"
    assert following.rest(told, 0.0) == 0.0
    following.page(page(EVENTS[1], cursor=IDS[1]))
    assert following.query["wait"] == f"{POLL:.0f}"


def test_a_reset_of_a_poll_comes_before_the_events_of_what_is_open() -> None:
    following = polling("made-up")
    told = following.page(
        page(EVENTS[2], cursor=IDS[2], more=True, reset=wire.Reset("foreign-cursor", None, (), False))
    )
    assert told[0] == Reset(reason="foreign-cursor", event_id=IDS[2], more=True)
    assert ids(told[1:]) == [IDS[2]]
    assert following.cursor == IDS[2]


def test_a_poll_that_is_reset_to_an_empty_store_does_not_ask_from_the_same_cursor_again() -> None:
    following = polling("made-up")
    following.page(page(cursor=None, reset=wire.Reset("unknown-cursor", None, (), False)))
    assert following.cursor is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"events":[{}],"cursor":null,"more":false}'])
def test_a_page_of_something_else_ends_it(body: bytes) -> None:
    with pytest.raises(Misconfigured):
        polling().page(body)


# How long it rests


def test_a_poll_that_was_held_is_followed_by_the_next_at_once() -> None:
    assert polling().rest([], POLL) == 0.0


def test_a_poll_that_brought_something_is_followed_by_the_next_at_once() -> None:
    following = polling()
    assert following.rest(following.page(page(EVENTS[0], cursor=IDS[0])), 0.0) == 0.0


def test_polls_that_nobody_holds_are_made_more_and_more_seldom_until_one_brings_something() -> None:
    following = polling()
    assert [following.rest(following.page(page()), 0.0) for _ in range(3)] == pytest.approx([0.2, 0.4, 0.8])
    following.page(page(EVENTS[0], cursor=IDS[0]))
    assert following.rest(following.page(page(cursor=IDS[0])), 0.0) == pytest.approx(0.2)


def test_pauses_grow_from_break_to_break_and_begin_anew_after_a_byte() -> None:
    following = Following(None, None)
    following.feed(b":")
    assert [following.broke(OSError()) for _ in range(3)] == pytest.approx([0.2, 0.4, 0.8])
    following.opened(200, SSE, b"")
    assert following.broke(None) == pytest.approx(1.6)
    following.opened(200, SSE, b"")
    following.feed(b":")
    assert following.broke(None) == pytest.approx(0.2)


def test_it_waits_for_as_long_as_the_server_says() -> None:
    assert Following(None, None).broke(Unavailable(), "7") == 7.0


# What ends it, and what makes it poll


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        (401, "unauthorised", Unauthorised),
        (403, "forbidden", Forbidden),
        (404, "not-found", NotFound),
        (422, "invalid", Invalid),
    ],
)
def test_what_the_server_refuses_it_with_ends_it(status: int, problem: str, kind: type[SaysoError]) -> None:
    following = Following("run-1", None)
    body = b'{"type":"urn:sayso:problem:%b"}' % problem.encode()
    with pytest.raises(kind) as caught:
        following.opened(status, "application/problem+json", body)
    with pytest.raises(kind):
        following.broke(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_does_not_end_it(status: int) -> None:
    following = Following("run-1", None)
    with pytest.raises(SaysoError) as caught:
        following.opened(status, "text/html", b"<html>")
    assert following.broke(caught.value) > 0
    assert following.road == "sse"


@pytest.mark.parametrize("content_type", ["text/html", "", "application/json"])
def test_what_is_no_stream_makes_it_poll_at_once_from_where_it_is(content_type: str) -> None:
    following = begun()
    following.feed(EVENTS[0].sse)
    following.broke(None)
    with pytest.raises(SaysoError) as caught:
        following.opened(200, content_type, b"")
    assert following.broke(caught.value) == 0.0
    assert (following.road, following.query["last_event_id"]) == ("poll", IDS[0])


def test_two_streams_in_a_row_without_a_byte_make_it_poll_from_where_it_is() -> None:
    following = begun(after=IDS[0])
    following.broke(None)
    assert following.road == "sse"
    following.opened(200, SSE, b"")
    following.broke(TimeoutError())
    assert (following.road, following.query["last_event_id"]) == ("poll", IDS[0])


def test_mute_streams_that_are_not_in_a_row_do_not_make_it_poll() -> None:
    following = begun()
    for _ in range(4):
        following.broke(None)
        following.opened(200, SSE, b"")
        following.feed(b":")
        following.broke(None)
        following.opened(200, SSE, b"")
    assert following.road == "sse"


def test_a_stream_is_not_mute_for_bringing_only_half_a_comment() -> None:
    following = Following("run-1", None)
    for _ in range(3):
        following.opened(200, SSE, b"")
        following.feed(b":")
        following.broke(None)
    assert following.road == "sse"


@pytest.mark.parametrize("error", [error_of(b"", 503), error_of(b'{"type":"urn:sayso:problem:unavailable"}', 503)])
def test_a_server_that_is_not_up_yet_is_no_stream_that_is_held_back(error: Exception) -> None:
    following = Following("run-1", None)
    for _ in range(5):
        following.broke(error)
    assert following.road == "sse"


def test_a_poll_goes_on_as_a_poll_after_a_break() -> None:
    following = polling(IDS[0])
    assert following.broke(OSError()) == pytest.approx(0.2)
    assert (following.road, following.cursor) == ("poll", IDS[0])


def polled_for(following: Following, seconds: float) -> None:
    """Held polls that bring nothing, for so long."""
    for _ in range(int(seconds / POLL)):
        following.rest(following.page(page(cursor=IDS[0])), POLL)


def test_after_a_while_of_polls_a_stream_is_tried_again_and_kept_when_it_comes() -> None:
    following = polling(IDS[0])
    polled_for(following, POLLING - POLL)
    assert following.road == "poll"
    polled_for(following, POLL)
    assert (following.road, following.query["last_event_id"]) == ("sse", IDS[0])
    following.opened(200, SSE, b"")
    following.feed(b":")
    following.broke(None)
    assert following.road == "sse"


@pytest.mark.parametrize("what", ["mute", "no stream"])
def test_a_stream_that_is_tried_again_and_fares_no_better_is_followed_by_as_many_polls(what: str) -> None:
    following = polling(IDS[0])
    for _ in range(3):
        polled_for(following, POLLING - POLL)
        assert following.road == "poll"
        polled_for(following, POLL)
        assert following.road == "sse"
        if what == "mute":
            following.opened(200, SSE, b"")
            following.broke(OSError())
        else:
            with pytest.raises(SaysoError) as caught:
                following.opened(200, "text/html", b"")
            assert following.broke(caught.value) == 0.0
