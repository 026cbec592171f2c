"""`sayso export`: everything, as lines to keep and to read."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess

import httpx

from sayso import Client, HumanInputServer
from tests.cli.conftest import Put, Run, lines, settings_of
from tests.client.relay import relayed
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program


def test_the_export_is_everything_in_asking_order(sayso: Run, put: Put, person: Client) -> None:
    for id, run in (("one", "a"), ("two", "b"), ("three", "a")):
        put(request_id=id, execution_id=run)
    person.answer("two", text="yes")
    assert [one["request_id"] for one in lines(sayso("export").stdout)] == ["one", "two", "three"]
    assert [one["request_id"] for one in lines(sayso("export", "--execution", "a").stdout)] == ["one", "three"]
    (answered,) = lines(sayso("export", "--status", "answered").stdout)
    assert answered["answer"]["text"] == "yes"


def test_an_empty_export_is_empty(sayso: Run) -> None:
    ended = sayso("export")
    assert (ended.exit_code, ended.output) == (0, "")


def test_the_reader_of_an_export_may_leave_early(server: HumanInputServer, put: Put) -> None:
    for number in range(30):  # more than a pipe holds
        put(request_id=f"r{number}", context="long " * 4_000)
    with subprocess.Popen(
        [SAYSO, "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | settings_of(server)
    ) as exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        assert json.loads(exporting.stdout.readline())["request_id"] == "r0"
        exporting.stdout.close()
        assert exporting.stderr.read() == b""
        assert exporting.wait(30) == 0


def test_the_export_is_narrowed_as_the_inbox_is(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="one", kind="review", assignees=("ada",))
    put(request_id="two", priority="high")
    assert [one["request_id"] for one in lines(sayso("export", "--assignee", "ada").stdout)] == ["one"]
    assert [one["request_id"] for one in lines(sayso("export", "--priority", "high", "--json").stdout)] == ["two"]
    assert lines(sayso("export", "--kind", "review", "--priority", "high").stdout) == []
    assert len(lines(sayso("export", "--since", "1d").stdout)) == 2


def test_a_line_of_the_export_is_the_request_with_what_people_look_for_in_front(
    sayso: Run, put: Put, client: httpx.Client
) -> None:
    put(request_id="ship", title="Ship it?")
    (told,) = lines(sayso("export").stdout)
    assert told == client.get("/requests/ship").json()
    assert [*told][:5] == ["created_at", "request_id", "status", "kind", "title"]


async def test_the_export_writes_each_page_before_it_reads_the_next(server: HumanInputServer, put: Put) -> None:
    for number in range(101):  # one more than a page
        await asyncio.to_thread(put, request_id=f"r{number}")
    async with relayed(server.url) as relay:
        relay.hold = b"GET /requests?limit=100&after="
        async with program(SAYSO, "export", "--url", relay.url, SAYSO_API_KEY=KEY) as running:
            await running.line('"r99"')
            await relay.until(lambda relay: not relay.hold)
            assert '"r100"' not in running.output
