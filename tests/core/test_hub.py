"""Wake-ups: none is lost, news is shared, and nothing is kept for those who left."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from sayso.hub import Hub, News, Topic
from sayso.wire import Event
from tests.builders import asked, request


def event(position: int) -> Event:
    return Event.of(asked(request()), position=position, seq=position)


async def news_of(topic: Topic) -> News:
    async with asyncio.timeout(5):
        news = await topic.news()
    assert news is not None
    return news


async def test_what_is_told_before_the_wait_is_not_lost() -> None:
    hub = Hub()
    topic = hub.topic("run-1")

    hub.tell("run-1")

    assert (await news_of(topic)).events is None


async def test_one_telling_wakes_every_follower_of_the_stream() -> None:
    hub = Hub()
    waiting = [asyncio.ensure_future(hub.topic("run-1").news()) for _ in range(3)]
    other = asyncio.ensure_future(hub.topic("run-2").news())
    await asyncio.sleep(0)

    hub.tell("run-1", (event(1),))

    async with asyncio.timeout(5):
        first, *rest = await asyncio.gather(*waiting)
    assert first is not None
    assert all(news is first for news in rest)
    assert not other.done()
    other.cancel()


async def test_what_is_told_between_two_waits_is_not_lost() -> None:
    hub = Hub()
    topic = hub.topic("run-1")
    hub.tell("run-1", (event(1),))
    next_topic = (await news_of(topic)).topic

    hub.tell("run-1", (event(2),))

    told = (await news_of(next_topic)).events
    assert told is not None
    assert [one.position for one in told] == [2]


async def test_the_topic_after_the_news_is_where_the_stream_goes_on() -> None:
    hub = Hub()
    topic = hub.topic("run-1")
    hub.tell("run-1", (event(4),))

    news = await news_of(topic)

    assert hub.topic("run-1") is news.topic
    assert news.topic.after == 4


async def test_telling_all_wakes_every_stream() -> None:
    hub = Hub()
    topics = [hub.topic(stream) for stream in ("run-1", "run-2", None)]

    hub.tell_all()

    assert [(await news_of(topic)).events for topic in topics] == [None, None, None]


async def test_a_wait_that_runs_out_gives_none_and_takes_nothing_away() -> None:
    hub = Hub()
    topic = hub.topic("run-1")

    assert await topic.news(0.001) is None

    hub.tell("run-1")
    assert await news_of(topic)


async def test_a_cancelled_wait_leaves_the_others_waiting() -> None:
    hub = Hub()
    topic = hub.topic("run-1")
    given_up, kept = asyncio.ensure_future(topic.news()), asyncio.ensure_future(topic.news())
    await asyncio.sleep(0)

    given_up.cancel()
    await asyncio.sleep(0)
    hub.tell("run-1")

    async with asyncio.timeout(5):
        assert await kept is not None
    assert given_up.cancelled()


async def test_a_topic_is_told_once() -> None:
    hub = Hub()
    topic = hub.topic("run-1")
    first = News(None, (event(1),), topic)
    topic.tell(first)

    topic.tell(News(None, None, topic))

    assert await news_of(topic) is first


async def test_news_serves_only_who_is_not_behind_it() -> None:
    topic = Hub().topic("run-1")
    news = News(5, (event(6), event(7)), topic)

    assert news.since(4) is None
    assert [one.position for one in news.since(5) or ()] == [6, 7]
    assert [one.position for one in news.since(6) or ()] == [7]
    assert news.since(7) == []
    assert News(5, None, topic).since(5) is None
    assert News(None, (event(6),), topic).since(5) is None


async def test_a_stream_without_followers_leaves_nothing_behind() -> None:
    hub = Hub()

    for number in range(100):
        hub.topic(f"unknown-{number}")
        hub.tell(f"unknown-{number}")
    gc.collect()

    assert [hub.followed(f"unknown-{number}") for number in range(100)] == [None] * 100


async def test_a_followed_stream_is_kept() -> None:
    hub = Hub()

    topic = hub.topic("run-1")
    gc.collect()

    assert hub.followed("run-1") is topic


async def test_what_was_told_is_let_go_of_once_its_followers_have_it() -> None:
    hub = Hub()
    topic, told = hub.topic("run-1"), []
    for position in range(1, 4):
        hub.tell("run-1", (event(position),))
        told.append(weakref.ref(topic))
        topic = (await news_of(topic)).topic
    gc.collect()

    assert [one() for one in told] == [None] * 3
    assert hub.followed("run-1") is topic


async def test_a_flood_of_streams_is_forgotten() -> None:
    hub = Hub()
    first = hub.topic("first")
    hub.tell("first")
    kept = weakref.ref((await news_of(first)).topic)
    del first

    for number in range(2_000):
        topic = hub.topic(f"run-{number}")
        hub.tell(f"run-{number}")
        del topic
    gc.collect()

    assert kept() is None


@pytest.mark.promise("STREAM-9")
async def test_the_end_wakes_everyone_and_whoever_comes_later() -> None:
    hub = Hub()
    topic = hub.topic("run-1")

    hub.end()

    assert hub.ended
    assert (await news_of(topic)).events is None
    assert (await news_of(hub.topic("run-1"))).events is None
    assert (await news_of(hub.topic("run-2"))).events is None


@pytest.mark.promise("STREAM-9")
async def test_news_after_the_end_does_not_open_a_stream_again() -> None:
    hub = Hub()
    topic = hub.topic("run-1")
    hub.end()

    hub.tell("run-1", (event(1),))

    assert await news_of(topic)
    assert await news_of(hub.topic("run-1"))


async def test_a_look_that_news_have_overtaken_says_nothing() -> None:
    """Whoever read before them would have those after them taken for all that there is since then."""
    hub = Hub()
    topic = hub.heard("run-1")
    topic.listen(lambda news: None)
    told = topic.told
    hub.tell("run-1")
    topic.looked(0, told)
    assert topic.after is None
    told = topic.told
    topic.looked(1, told)
    hub.tell("run-1", (event(2),), after=1)
    topic.looked(1, told)
    assert topic.after == 2
    topic.looked(2, topic.told)
    assert hub.followed("run-1") is topic


async def test_of_two_looks_the_one_that_saw_less_counts() -> None:
    topic = Hub().heard("run-1")
    topic.looked(5, topic.told)
    topic.looked(3, topic.told)
    topic.looked(4, topic.told)
    assert topic.after == 3
