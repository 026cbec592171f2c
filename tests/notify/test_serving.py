"""Notifiers of a server that runs: what they do not hold up, and what operators see and do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from tests.cli.conftest import Run, lines, runner
from tests.conftest import KEY
from tests.notify.receiver import SECRET, Receiver, Reply, configuration, receiving
from tests.server.scraped import samples

Serve = Callable[..., HumanInputServer]


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.fixture
def bad() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def good() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def server(serve: Serve, bad: Receiver, good: Receiver, tmp_path: Path) -> HumanInputServer:
    return serve(notify=configuration(tmp_path / "notify.toml", bad.url, good.url))


@pytest.fixture
def sayso(server: HumanInputServer) -> Run:
    return runner(SAYSO_URL=server.url, SAYSO_API_KEY=KEY)


def failing(reply: Reply) -> Callable[[dict[str, Any]], Reply]:
    """For whatever is no test."""
    return lambda event: reply if event["type"] != "test" else Reply()


@pytest.mark.promise("NOTIFY-10")
def test_a_target_that_says_500_for_ever_or_nothing_at_all_holds_up_nobody(
    bad: Receiver, good: Receiver, ask: Callable[..., dict[str, Any]]
) -> None:
    """The bad one answers no delivery before all is asked, and delivered to the other."""
    let_go = threading.Event()

    def hold(event: dict[str, Any]) -> Reply:
        let_go.wait(30)
        return Reply(500)

    bad.reply = hold
    asked = [ask(execution_id=f"run-{number}")["request_id"] for number in range(30)]
    good.until(lambda: len(good.got) == 30)
    assert not let_go.is_set() and bad.refused == []
    let_go.set()
    bad.until(lambda: len(bad.refused) >= 1)
    assert {one.event["request_id"] for one in good.got} == set(asked)


@pytest.mark.promise("NOTIFY-8")
def test_what_does_not_arrive_is_seen_and_arrives_after_a_replay(
    sayso: Run, bad: Receiver, good: Receiver, ask: Callable[..., dict[str, Any]]
) -> None:
    bad.reply = failing(Reply(410))
    ask()
    bad.until(lambda: len(bad.refused) == 1)
    good.until(lambda: len(good.got) == 1)
    for _ in range(1_000):  # it is written down just after the receiver has said so
        if (listed := lines(sayso("notify", "list", "--json").stdout))[0]["off"]:
            break
    assert [one["name"] for one in listed] == ["hook-0", "hook-1"]
    assert (listed[0]["owed"], listed[0]["failing"][0]["execution_id"]) == (1, "run-1")
    assert listed[0]["target"] == bad.url.removesuffix("/hook")
    shown = sayso("notify", "list").stdout
    assert "410" in shown and "hook-1" in shown and "HOOK_SECRET" not in shown
    assert "the receiver has it" in sayso("notify", "test", "hook-0").stderr
    bad.reply = lambda event: Reply()
    assert "is at it" in sayso("notify", "replay", "hook-0").stderr
    bad.until(lambda: bad.of("run-1") == [1])


def test_a_test_that_fails_says_why_and_so_does_a_name_that_is_none(sayso: Run, bad: Receiver) -> None:
    bad.reply = lambda event: Reply(302)
    failed = sayso("notify", "test", "hook-0")
    assert failed.exit_code == 1 and "said 302; redirects are not followed" in failed.stderr
    assert sayso("notify", "test", "nobody").exit_code == 1
    assert sayso("notify", "replay", "nobody").exit_code == 1
    assert sayso("notify", "replay", "hook-1", "--after", "never-was").exit_code == 1


def test_a_replay_goes_back_to_an_event(
    client: httpx.Client, good: Receiver, ask: Callable[..., dict[str, Any]]
) -> None:
    first = ask()
    ask()
    good.until(lambda: len(good.got) == 2)
    for _ in range(1_500):  # that it arrived is written down just after
        if client.get("/notifiers").json()["notifiers"][1]["is_up_to_date"]:
            break
        time.sleep(0.02)
    answer = client.post("/notifiers/hook-1/replay", json={"after": first["asked_event_id"]})
    assert answer.status_code == 204
    good.until(lambda: len(good.got) >= 3)
    assert good.got[2].event["seq"] == 2
    assert client.post("/notifiers/hook-1/replay", json={"after": "never"}).status_code == 422


def test_a_server_without_notifiers_has_none(serve: Serve) -> None:
    url = serve().url
    assert "no notifiers" in runner(SAYSO_URL=url, SAYSO_API_KEY=KEY)("notify", "list").stderr


@pytest.mark.promise("METRIC-1")
def test_how_notifiers_get_on_is_counted(
    server: HumanInputServer, sayso: Run, bad: Receiver, good: Receiver, ask: Callable[..., dict[str, Any]]
) -> None:
    def of(metric: str, notifier: str, more: str = "") -> float:
        return samples(server.url)[f'sayso_notifier_{metric}{{notifier="{notifier}"{more}}}']

    def until(metric: str, notifier: str, value: float) -> None:
        deadline = time.monotonic() + 30
        while of(metric, notifier) != value:
            assert time.monotonic() < deadline, (metric, notifier)
            time.sleep(0.02)

    failed, delivered = ',outcome="failed"', ',outcome="delivered"'
    assert [of("deliveries_total", name, one) for name in ("hook-0", "hook-1") for one in (failed, delivered)] == [
        0
    ] * 4
    bad.reply = failing(Reply(500))
    ask(execution_id="one")
    ask(execution_id="two")
    good.until(lambda: len(good.got) == 2)
    until("owed", "hook-0", 2)
    until("lag_seconds", "hook-0", 0)  # what is owed does not count as behind
    assert (of("deliveries_total", "hook-0", failed), of("deliveries_total", "hook-1", delivered)) == (2, 2)
    assert (of("owed", "hook-1"), of("off", "hook-0"), of("off", "hook-1")) == (0, 0, 0)
    bad.reply = failing(Reply(410))
    ask(execution_id="three")
    until("off", "hook-0", 1)
    let_go = threading.Event()

    def hold(event: dict[str, Any]) -> Reply:
        let_go.wait(30)
        return Reply()

    good.reply = hold
    ask(execution_id="four")
    deadline = time.monotonic() + 30
    while not of("lag_seconds", "hook-1") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    let_go.set()
    until("lag_seconds", "hook-1", 0)
