"""`sayso watch`: live, through breaks."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from sayso import Client, HumanInputServer
from tests.builders import question
from tests.cli.conftest import Put, Run, Serve, lines, settings_of
from tests.client.relay import free_port
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program


async def test_watching_a_run_tells_it_from_the_beginning_and_live(
    server: HumanInputServer, put: Put, person: Client
) -> None:
    put(request_id="other", execution_id="two", title="Another run")
    put(request_id="ship-123456", execution_id="one", title="Ship it?")
    async with program(SAYSO, "watch", "one", **settings_of(server)) as running:
        asked = await running.line("asked")
        assert asked.split()[1:] == ["asked", "ship-123456", "Ship", "it?"]
        await asyncio.to_thread(person.answer, "ship-123456", text="aye")
        told = await running.line("answered")
        assert told.split()[1:] == ["answered", "ship-123456", "respond", "by", "key:default:", "aye"]
        assert "Another run" not in running.output
        assert "\x1b" not in running.output


async def test_watching_all_runs_tells_what_is_open_and_what_comes(
    server: HumanInputServer, put: Put, person: Client
) -> None:
    put(request_id="done")
    person.answer("done", text="yes")
    put(request_id="open", execution_id="one")
    async with program(SAYSO, "watch", "--json", **settings_of(server)) as running:
        first = json.loads(await running.line("{"))
        assert (first["type"], first["request_id"]) == ("human_input_required", "open")
        await asyncio.to_thread(put, request_id="next", execution_id="two")
        assert json.loads(await running.line("{"))["request_id"] == "next"
        await asyncio.to_thread(person.cancel, "open", "enough")
        last = json.loads(await running.line("{"))
        assert (last["type"], last["request_id"], last["reason"]) == ("human_input_completed", "open", "enough")


async def test_watching_goes_on_after_an_event(server: HumanInputServer, put: Put) -> None:
    first, second = put(request_id="first"), put(request_id="second")
    async with program(SAYSO, "watch", "--after", first.asked_event_id, "--json", **settings_of(server)) as running:
        assert json.loads(await running.line("{"))["event_id"] == second.asked_event_id


async def test_watching_after_an_unknown_event_tells_what_is_open(server: HumanInputServer, put: Put) -> None:
    put(request_id="first", title="Ship it?")
    gone = "0197a1f4-0000-7000-8000-000000000000"
    async with program(SAYSO, "watch", "run-1", "--after", gone, **settings_of(server)) as running:
        assert "what is open now" in await running.line("---")
        await asyncio.to_thread(put, request_id="second", title="Sink it?")
        await running.line("Sink it?")
        assert "Ship it?" in running.output


async def test_watching_goes_on_through_a_restart_without_a_gap_or_a_repeat(serve: Serve, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    server = await asyncio.to_thread(serve, store=store)
    port, address = server._bound_port, server.url

    def ask(id: str) -> None:
        with Client(address, KEY) as client:
            client.ask(question(request_id=id))

    await asyncio.to_thread(ask, "before")
    async with program(SAYSO, "watch", "--json", **settings_of(server)) as running:
        await running.line('"before"')
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(serve, store=store, port=port)
        await asyncio.to_thread(ask, "after")
        await running.line('"after"')
        assert [one["request_id"] for one in lines(running.output)] == ["before", "after"]


async def test_ctrl_c_ends_watching_with_130(server: HumanInputServer, put: Put) -> None:
    put()
    async with program(SAYSO, "watch", **settings_of(server)) as running:
        await running.line("asked")
        running.send(signal.SIGINT)
        assert await running.end() == 130


async def test_who_watches_for_a_server_to_come_is_told_so_and_misses_nothing(serve: Serve) -> None:
    port = free_port()
    settings = {"SAYSO_URL": f"http://localhost:{port}", "SAYSO_API_KEY": KEY}
    async with program(SAYSO, "watch", **settings) as running:
        assert "trying on" in await running.line("the server cannot be reached")
        await asyncio.to_thread(serve, port=port)
        with Client(settings["SAYSO_URL"], KEY) as client:
            await asyncio.to_thread(client.ask, question(title="Ship it?"))
        await running.line("Ship it?")


async def test_a_key_that_does_not_fit_ends_watching(server: HumanInputServer) -> None:
    async with program(SAYSO, "watch", SAYSO_URL=server.url, SAYSO_API_KEY="another") as running:
        assert await running.end() == 1
        assert running.output == f"Error: {server.url} does not take the key in SAYSO_API_KEY\n"


def test_what_can_be_no_run_is_wrong_usage(alone: Run) -> None:
    ended = alone("watch", "a b")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "'a b' can be no id" in ended.stderr
