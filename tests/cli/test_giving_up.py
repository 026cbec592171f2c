"""`sayso ask` that is stopped: a question whose asker went away does not stay open."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sayso import Client, HumanInputServer
from sayso.cli.giving_up import cancelled_on_leaving
from sayso.errors import Forbidden
from tests.builders import question
from tests.cli.conftest import Run, is_waited_for, settings_of
from tests.client.relay import free_port, relayed
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program


@pytest.fixture(autouse=True)
def _may_be_hung_up() -> Iterator[None]:
    """Whoever runs the tests under nohup would have these programs ignore it, too."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


async def _ended(server: HumanInputServer, number: int, *arguments: str) -> tuple[int, str]:
    """How `ask --wait` ends, and what it says, when a signal comes while it waits."""
    async with relayed(server.url) as relay:
        command = (SAYSO, "ask", "Ship it?", "--wait", "--url", relay.url, *arguments)
        async with program(*command, SAYSO_API_KEY=KEY) as running:
            await relay.until(is_waited_for)
            running.send(number)
            return await running.end(), running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["ctrl-c", "term", "hangup"])
async def test_who_stops_waiting_cancels_a_question_that_nobody_else_knows(
    server: HumanInputServer, person: Client, number: int
) -> None:
    assert await _ended(server, number) == (128 + number, "")
    (left,) = person.list()
    assert (left.status, left.reason) == ("cancelled", "asker-gone")


async def test_who_stops_waiting_leaves_a_question_open_that_can_be_asked_again(
    server: HumanInputServer, person: Client
) -> None:
    assert await _ended(server, signal.SIGINT, "--id", "ship") == (130, "")
    assert person.get("ship").is_open


@pytest.mark.parametrize("arguments", [[], ["--wait"]], ids=["ask", "wait"])
async def test_ctrl_c_while_the_question_is_on_its_way_leaves_none_open(
    server: HumanInputServer, person: Client, arguments: list[str]
) -> None:
    async with relayed(server.url) as relay:
        relay.hold = b"POST /requests "
        async with program(SAYSO, "ask", "Ship it?", "--url", relay.url, *arguments, SAYSO_API_KEY=KEY) as running:
            await relay.until(lambda relay: bool(relay.calls))
            running.send(signal.SIGINT)
            assert await running.end() == 130
        relay.release.set()
        async with asyncio.timeout(10):
            await relay.delivered.wait()
    (left,) = await asyncio.to_thread(lambda: [*person.list()])
    assert (left.status, left.reason) == ("cancelled", "asker-gone")


@pytest.mark.usefixtures("impatient")
async def test_a_question_whose_reply_is_lost_is_cancelled(
    server: HumanInputServer, sayso: Run, person: Client
) -> None:
    async with relayed(server.url) as relay:
        relay.lose = 1
        ended = await asyncio.to_thread(sayso, "ask", "Ship it?", "--url", relay.url)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Error: no server answers at" in ended.stderr
    assert [one.status for one in person.list()] == ["cancelled"]


async def test_a_question_whose_id_cannot_be_written_down_is_cancelled(
    server: HumanInputServer, person: Client
) -> None:
    with Path("/dev/full").open("w") as full:
        settings: dict[str, Any] = {"stdout": full, "stderr": subprocess.PIPE, "env": settings_of(server)}
        ended = await asyncio.to_thread(subprocess.run, [SAYSO, "ask", "Ship it?"], timeout=30, **settings)
    assert (ended.returncode, ended.stderr) == (1, b"Error: No space left on device\n")
    assert [one.status for one in person.list()] == ["cancelled"]


def test_what_is_answered_before_it_is_given_up_stays_answered(
    person: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = question(request_id="ship")
    with pytest.raises(KeyboardInterrupt), cancelled_on_leaving(person, asked):
        person.ask(asked)
        person.answer("ship", text="aye")
        raise KeyboardInterrupt
    assert person.get("ship").status == "answered"
    assert capsys.readouterr().err == "key:default was first: respond 'aye'\n"


def test_a_question_that_may_be_left_open_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", patience=0.0)
    with client, pytest.raises(SystemExit), cancelled_on_leaving(client, question(request_id="ship")):
        raise SystemExit(143)
    assert capsys.readouterr().err.startswith("ship may be open, and nobody waits for it: ")


def test_a_question_whose_outcome_is_refused_is_cancelled(person: Client) -> None:
    asked = question(request_id="ship")
    with pytest.raises(Forbidden), cancelled_on_leaving(person, asked) as asking:
        person.ask(asked)
        asking.is_stored = True
        raise Forbidden  # as of a key that was taken back
    assert person.get("ship").status == "cancelled"


def test_a_question_that_is_refused_is_not_asked_again(person: Client) -> None:
    with pytest.raises(Forbidden), cancelled_on_leaving(person, question(request_id="ship")):
        raise Forbidden
    assert [*person.list()] == []


def test_signals_are_as_they_were_when_a_question_is_settled(person: Client) -> None:
    former = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with cancelled_on_leaving(person, question(request_id="ship")):
        assert signal.getsignal(signal.SIGTERM) not in former
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == former


def test_a_hangup_that_is_ignored_stays_ignored(person: Client) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cancelled_on_leaving(person, question(request_id="ship")):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
