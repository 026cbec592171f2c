"""Web Push from a real server to a real push service, whose devices read what they get with keys of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.clock import Clock
from sayso.gateway import Gateway
from sayso.notify import push as ours
from sayso.notify import schedule
from sayso.store.sqlite import SQLiteStore
from sayso.subscription import Owner, place_of, unsubscribed
from sayso.wire import decode_subscription
from tests.conftest import KEY
from tests.notify.push_service import Got, Phone, PushService, Reply, pushing
from tests.server.keyholder import Holder, make_key
from tests.server.scraped import samples

Serve = Callable[..., HumanInputServer]
Ask = Callable[..., dict[str, Any]]
Hold = Callable[[str, str], Holder]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pushing(tmp_path) as one:
        yield one
    assert one.faults == []


@pytest.fixture(autouse=True)
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """This machine may be told, and what failed is tried again soon; undone where a test wants it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "Push", partial(ours.Push, allow=["127.0.0.0/8"]))
        patch.setattr(schedule, "_PAUSES", (0.01, 0.05, 0.2))
        patch.setattr(ours, "_LOOK", 0.1)
        yield patch


@pytest.fixture
def hold() -> Iterator[Callable[[str, str], Holder]]:
    """Whoever calls that server with that key."""
    held: list[Holder] = []

    def by_header(url: str, secret: str) -> Holder:
        held.append(Holder.by_header(url, secret) if secret else Holder(url))
        return held[-1]

    yield by_header
    for one in held:
        one.close()


def subscribe(client: httpx.Client, phone: Phone, status: int = 201) -> str:
    response = client.post("/push", json=phone.wanted)
    assert response.status_code == status, response.text
    return str(response.json()["id"])


def rows(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return [value for (value,) in db.execute(statement)]


def until(claim: Callable[[], bool], message: Callable[[], object]) -> None:
    """For what is written down just after somebody else heard of it."""
    passed = threading.Event()
    for _ in range(1_500):
        if claim():
            return
        passed.wait(0.02)
    raise AssertionError(message())


@pytest.mark.promise("PUSH-1", "PUSH-2")
def test_a_device_is_told_the_id_and_the_title_and_nothing_else(
    service: PushService, client: httpx.Client, ask: Ask, serve: Serve
) -> None:
    subscribe(client, service.phone("ada"))
    one = ask(
        **{"title": "Refund \N{EURO SIGN}120?", "prompt": "SECRET prompt", "context": "SECRET draft"},
        **{"kind": "approval", "action": {"name": "refund", "args": {"order": "SECRET"}}, "priority": "high"},
        timeout=3_600,
    )
    service.until(lambda: len(service.got) == 1)
    (got,) = service.got
    assert got.message == {"id": one["request_id"], "title": "Refund \N{EURO SIGN}120?", "open": True}
    assert 3_500 < int(got.headers["ttl"]) <= 3_600
    assert (got.headers["urgency"], len(got.headers["topic"])) == ("high", 32)
    assert got.headers["authorization"].partition(",k=")[2] == client.get("/push").json()["public_key"]
    client.post(f"/requests/{one['request_id']}/answer", json={"decision": "approve"})
    service.until(lambda: len(service.got) == 2)
    end = service.got[1]
    assert end.message == got.message | {"open": False}
    assert (end.headers["topic"], end.headers["urgency"], end.headers["ttl"]) == (
        got.headers["topic"],
        "normal",
        "86400",
    )


def test_what_is_settled_before_it_is_told_is_not_told(service: PushService, client: httpx.Client, ask: Ask) -> None:
    """Nor its end. The device hears of the first only after its second is settled, being told in order."""
    subscribe(client, service.phone("ada"))
    let_go = threading.Event()
    service.reply = lambda got: (let_go.wait(30), Reply())[1]
    first, second = ask(), ask()
    client.post(f"/requests/{second['request_id']}/answer", json={"human_feedback": "yes"})
    let_go.set()
    third = ask()
    service.until(lambda: (third["request_id"], True) in service.of("ada"))
    assert service.of("ada") == [(first["request_id"], True), (third["request_id"], True)]


@pytest.mark.promise("PUSH-3")
@pytest.mark.parametrize("status", [404, 410])
def test_a_device_that_is_gone_is_forgotten_and_others_go_on(
    status: int, service: PushService, client: httpx.Client, ask: Ask, tmp_path: Path
) -> None:
    gone, there = (subscribe(client, service.phone(name)) for name in ("gone", "there"))
    service.reply = lambda got: Reply(status if got.device == "gone" else 201)
    first = ask()
    service.until(lambda: len(service.refused) == 1 and len(service.got) == 1)
    file = tmp_path / "0.db"
    until(
        lambda: (
            rows(file, "SELECT id FROM subscriptions") == [there]
            and rows(file, "SELECT name FROM notifiers") == [f"push:{there}"]
            and rows(file, "SELECT name FROM owed") == []
        ),
        lambda: (gone, there, rows(file, "SELECT name FROM notifiers"), rows(file, "SELECT name FROM owed")),
    )
    second = ask()
    service.until(lambda: len(service.got) == 2)
    assert len(service.refused) == 1
    assert service.of("there") == [(first["request_id"], True), (second["request_id"], True)]


@pytest.mark.promise("PUSH-4")
@pytest.mark.parametrize("reply", [Reply(429, (("retry-after", "0"),)), Reply(500), Reply(503), Reply(302)])
def test_what_fails_is_tried_again_and_whoever_has_it_gets_it_once(
    reply: Reply, service: PushService, client: httpx.Client, ask: Ask
) -> None:
    for name in ("bad", "good"):
        subscribe(client, service.phone(name))

    def say(got: Got) -> Reply:
        is_first = sum(one.device == "bad" for one in service.refused) < 2
        return reply if got.device == "bad" and is_first else Reply()

    service.reply = say
    one = ask()
    service.until(lambda: len(service.got) == 2 and len(service.refused) == 2)
    assert service.of("bad") == service.of("good") == [(one["request_id"], True)]
    assert len({got.headers["topic"] for got in service.got + service.refused}) == 1


@pytest.mark.promise("PUSH-4")
def test_what_was_not_told_before_a_restart_is_told_after_it(
    service: PushService, serve: Serve, tmp_path: Path, hold: Hold
) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    server = serve(store=store)
    holder = hold(server.url, KEY)
    subscribe(holder.http, service.phone("ada"))
    key = holder.http.get("/push").json()["public_key"]
    service.reply = lambda got: Reply(503)
    one = holder.http.post("/requests", json={"execution_id": "run-1", "prompt": "Ship?"}).json()
    service.until(lambda: len(service.refused) >= 1)
    server.stop()
    service.reply = lambda got: Reply()
    again = hold(serve(store=store).url, KEY)
    service.until(lambda: len(service.got) == 1)
    assert service.of("ada") == [(one["request_id"], True)]
    assert again.http.get("/push").json()["public_key"] == key


@pytest.mark.promise("PUSH-4")
def test_a_push_service_that_never_answers_delays_no_question_and_no_other_device(
    service: PushService, client: httpx.Client, ask: Ask
) -> None:
    for name in ("stuck", "good"):
        subscribe(client, service.phone(name))
    let_go = threading.Event()
    service.reply = lambda got: (got.device == "stuck" and let_go.wait(30), Reply())[1]
    asked = [ask(execution_id=f"run-{number}")["request_id"] for number in range(20)]
    service.until(lambda: len(service.of("good")) == 20)
    assert not let_go.is_set() and service.of("stuck") == []
    assert {id for id, _ in service.of("good")} == set(asked)
    let_go.set()
    service.until(lambda: len(service.of("stuck")) == 20)


@pytest.mark.promise("PUSH-5")
def test_a_device_is_told_what_its_key_may_see_and_nothing_once_that_has_ended(
    service: PushService, server: HumanInputServer, client: httpx.Client, ask: Ask, *, tmp_path: Path, hold: Hold
) -> None:
    made = make_key(server.url, "read", executions=["shop-*"])
    subscribe(hold(server.url, made["secret"]).http, service.phone("shop"))
    subscribe(client, service.phone("all"))
    seen = ask(execution_id="shop-1")["request_id"]
    ask(execution_id="bank-1")
    service.until(lambda: len(service.of("all")) == 2 and len(service.of("shop")) == 1)
    assert client.post(f"/keys/{made['key']['id']}/revoke").status_code == 200
    ask(execution_id="shop-2")
    until(lambda: len(rows(tmp_path / "0.db", "SELECT id FROM subscriptions")) == 1, lambda: service.got)
    service.until(lambda: len(service.of("all")) == 3)
    assert service.of("shop") == [(seen, True)]


@pytest.mark.promise("PUSH-5")
@pytest.mark.parametrize(("before", "after"), [(KEY, "another-key-77"), ("", KEY)])
def test_a_device_ends_with_the_key_that_the_server_was_given(
    before: str, after: str, service: PushService, serve: Serve, *, tmp_path: Path, hold: Hold
) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    first = serve(store=store, api_key=before or None)
    subscribe(hold(first.url, before).http, service.phone("old"))
    first.stop()
    second = hold(serve(store=store, api_key=after).url, after)
    subscribe(second.http, service.phone("new"))
    second.http.post("/requests", json={"execution_id": "run-1", "prompt": "Ship?"})
    service.until(lambda: len(service.of("new")) == 1)
    until(lambda: len(rows(tmp_path / "log.db", "SELECT id FROM subscriptions")) == 1, lambda: service.got)
    assert service.of("old") == []


@pytest.mark.promise("PUSH-5")
def test_a_device_is_its_key_s_and_comes_again_under_its_id(
    service: PushService, server: HumanInputServer, client: httpx.Client, hold: Hold
) -> None:
    phone = service.phone("ada")
    id = subscribe(client, phone)
    assert subscribe(client, phone, status=200) == id
    other = hold(server.url, make_key(server.url, "read")["secret"])
    assert other.call("DELETE", f"/push/{id}") == 404
    assert subscribe(other.http, phone, status=200) == id  # the browser was handed to somebody else
    assert client.delete(f"/push/{id}").status_code == 404
    assert other.call("DELETE", f"/push/{id}") == 204
    assert other.call("DELETE", f"/push/{id}") == 404
    assert other.call("DELETE", "/push/never-was") == 404


def test_a_device_that_was_switched_off_is_told_nothing(service: PushService, client: httpx.Client, ask: Ask) -> None:
    id = subscribe(client, service.phone("off"))
    subscribe(client, service.phone("on"))
    assert client.delete(f"/push/{id}").status_code == 204
    ask()
    service.until(lambda: len(service.of("on")) == 1)
    assert service.of("off") == []


@pytest.mark.promise("PUSH-6")
def test_an_endpoint_at_this_machine_or_its_network_gets_nothing(
    service: PushService, allow: pytest.MonkeyPatch, serve: Serve, caplog: pytest.LogCaptureFixture, hold: Hold
) -> None:
    """The control is every other test here: there this machine is allowed."""
    allow.undo()
    holder = hold(serve().url, KEY)
    port = service.url.rpartition(":")[2]
    hosts = (
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::ffff:127.0.0.1]",
    )
    with caplog.at_level(logging.WARNING, "sayso.notify.worker"):
        for number, host in enumerate(hosts):
            phone = Phone(f"https://{host}:{port}", f"phone-{number}")
            subscribe(holder.http, phone)
        holder.http.post("/requests", json={"execution_id": "run-1", "prompt": "Ship?"})

        def refused() -> set[str]:
            found = [one for one in caplog.records if "is no address of the internet" in one.getMessage()]
            return {one.notifier for one in found}  # type: ignore[attr-defined]

        until(lambda: len(refused()) == len(hosts), lambda: caplog.text)
    assert service.got == service.refused == service.faults == []
    assert "/send/" not in caplog.text  # an endpoint is as good as a password


@pytest.mark.promise("PUSH-6")
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/send/1",
        "ftp://push.example/1",
        "HTTPS://push.example/1",
        "https://",
        "push.example",
        "https://user@push.example/1",
        "https://push.example/1#x",
        "https://push.example/\N{FERRY}",
        "https://push.example/a b",
        "https://push.example:0/1",
        "https://[::1/1",
        f"https://push.example/{'x' * 2_048}",
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str, service: PushService, client: httpx.Client) -> None:
    response = client.post("/push", json=service.phone("ada").wanted | {"endpoint": endpoint})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/endpoint"
    assert endpoint not in response.text or endpoint == "https://"


def test_a_session_needs_its_word_to_switch_a_device_on(service: PushService, server: HumanInputServer) -> None:
    holder = Holder.by_session(server.url, KEY)
    subscribe(holder.http, service.phone("ada"))
    del holder.http.headers["x-sayso-csrf"]
    assert holder.call("POST", "/push", json=service.phone("bob").wanted) == 403
    holder.close()


def test_a_server_that_cannot_push_says_why(
    server: HumanInputServer, serve: Serve, monkeypatch: pytest.MonkeyPatch, service: PushService, hold: Hold
) -> None:
    from sayso import compose

    real = compose.find_spec
    monkeypatch.setattr(compose, "find_spec", lambda name: None if name == "cryptography" else real(name))
    holder = hold(serve().url, KEY)
    assert holder.http.get("/push").json() == {
        "public_key": None,
        "why": "this server was installed without push: pip install 'sayso[push]'",
    }
    assert holder.call("POST", "/push", json=service.phone("ada").wanted) == 404
    assert holder.call("DELETE", "/push/any") == 404


_LOADED = """
import json, sys
from sayso import HumanInputServer
with HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False) as server:
    print(json.dumps([name for name in ("cryptography", "httpcore") if name in sys.modules]))
"""


def test_what_push_takes_is_not_loaded_where_no_device_is(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.promise("PUSH-4")
def test_of_several_servers_one_tells_a_device_and_another_goes_on(
    service: PushService, database: str, serve: Serve, hold: Hold
) -> None:
    one, two = (serve(store=database) for _ in range(2))
    holders = [hold(server.url, KEY) for server in (one, two)]
    for number, name in enumerate(("ada", "bob")):  # at a server of its own, and known to the other
        subscribe(holders[number].http, service.phone(name))
        holders[number].http.post("/requests", json={"execution_id": "first", "prompt": "Ship?"})
        service.until(lambda name=name: service.of(name) != [])
    service.until(lambda: len(service.got) == 3)
    service.got.clear()
    assert len({holder.http.get("/push").json()["public_key"] for holder in holders}) == 1
    asked = []
    for number in range(10):
        question = {"execution_id": f"run-{number}", "prompt": "Ship?"}
        asked.append(holders[number % 2].http.post("/requests", json=question).json()["request_id"])
    service.until(lambda: len(service.got) >= 20)
    for name in ("ada", "bob"):
        assert sorted(service.of(name)) == sorted((id, True) for id in asked)
    one.stop()
    last = holders[1].http.post("/requests", json={"execution_id": "run-1", "prompt": "Ship?"}).json()["request_id"]
    service.until(lambda: all((last, True) in service.of(name) for name in ("ada", "bob")))


async def test_nothing_stays_of_a_device_that_went_while_it_was_told(tmp_path: Path) -> None:
    """At another server, as here, or at the end of a key; a worker that is at a step writes its place once more."""
    store = SQLiteStore(tmp_path / "log.db")
    gateway = Gateway(store)
    gateway.push = ours.Push(store, gateway, Clock(), api_key=None)
    async with asyncio.timeout(30), gateway.running():
        wanted = decode_subscription(json.dumps(Phone("https://push.example", "ada").wanted).encode())
        device, _ = await gateway.push.subscribe(wanted, Owner(None, None))
        place = place_of(device.id)
        while f"sayso-{place}" not in [task.get_name() for task in asyncio.all_tasks()]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await store.change_subscriptions(lambda there: unsubscribed(there, device.id))
        await store.begin_notifier(place)
        while rows(tmp_path / "log.db", "SELECT name FROM notifiers") != []:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0)


@pytest.mark.promise("METRIC-1")
def test_what_devices_are_told_is_counted_also_of_those_that_went(
    service: PushService, client: httpx.Client, ask: Ask, server: HumanInputServer
) -> None:
    def told() -> tuple[float, ...]:
        seen = samples(server.url)
        return (
            seen["sayso_push_devices"],
            *(seen[f'sayso_push_deliveries_total{{outcome="{one}"}}'] for one in ("delivered", "failed")),
        )

    assert told() == (0, 0, 0)
    ids = [subscribe(client, service.phone(name)) for name in ("ada", "bob")]
    until(lambda: told() == (2, 0, 0), told)
    ask()
    until(lambda: told() == (2, 2, 0), told)
    assert client.delete(f"/push/{ids[0]}").status_code == 204
    until(lambda: told() == (1, 2, 0), told)
