"""`sayso serve` and `sayso demo`."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from sayso import Client, HumanInputServer
from tests.cli.conftest import Run, lines
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program


async def test_ctrl_c_ends_the_demo_with_130() -> None:
    async with program(SAYSO, "demo") as running:
        await running.line("Ctrl-C ends it.")
        running.send(signal.SIGINT)
        assert await running.end() == 130


async def test_the_demo_has_three_questions_and_says_how_to_answer_them() -> None:
    async with program(SAYSO, "demo") as running:
        exports = (await running.line("export SAYSO_URL=")).split()[1:]
        url = dict(one.split("=", 1) for one in exports)["SAYSO_URL"]
        await running.line("Ctrl-C ends it.")
        with Client(url, "demo") as client:

            def answer_all() -> None:
                events = client.follow()
                for _ in range(3):
                    asked = next(events)
                    given = {"choice": "Esbjerg", "review": "shorter"}.get(asked.kind)
                    client.answer(asked.request_id, **({"text": given} if given else {"decision": "reject"}))
                events.close()

            await asyncio.to_thread(answer_all)
        assert await running.end() == 0
        for says in ("'Which harbour comes first?' -> respond", "'May this go out?' -> respond shorter", "-> reject"):
            assert says in running.output


async def test_the_demo_as_json_says_where_it_is_and_what_became_of_its_questions() -> None:
    async with program(SAYSO, "demo", "--json") as running:
        told = json.loads(await running.line("url"))
        with Client(told["url"], told["api_key"]) as client:
            for one in await asyncio.to_thread(lambda: [*client.list()]):
                await asyncio.to_thread(client.cancel, one.request_id, "enough")
        assert await running.end() == 0
    outcomes = lines(running.output)[1:]
    assert [one["status"] for one in outcomes] == ["cancelled"] * 3


async def test_a_server_is_set_by_options_more_than_by_the_environment(tmp_path: Path) -> None:
    settings = {"SAYSO_PORT": "0", "SAYSO_STORE": f"sqlite:///{tmp_path / 'kept.db'}", "SAYSO_API_KEY": KEY}
    async with program(SAYSO, "serve", "--json", **settings) as running:
        url = json.loads(await running.line("url"))["url"]
        with Client(url, KEY) as client:
            assert await asyncio.to_thread(lambda: [*client.list()]) == []
        running.send(signal.SIGINT)
        assert await running.end() == 0
    assert (tmp_path / "kept.db").exists()
    async with program(SAYSO, "serve", "--store", f"sqlite:///{tmp_path / 'other.db'}", **settings) as running:
        await running.line("sayso listens on http://localhost:")
    assert (tmp_path / "other.db").exists()


async def test_a_servers_store_may_be_named_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path / 'named.db'}\n")
    settings = {"SAYSO_PORT": "0", "SAYSO_STORE_FILE": str(tmp_path / "url"), "SAYSO_API_KEY": KEY}
    async with program(SAYSO, "serve", "--json", **settings) as running:
        assert json.loads(await running.line("url"))["store"] == f"sqlite:///{tmp_path / 'named.db'}"
    async with program(SAYSO, "backup", str(tmp_path / "copy.db"), **settings | {"SAYSO_PORT": "1"}) as copying:
        assert await copying.end() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--drain", "-1"], "is a number of seconds"),
        (["--store", "questions.db"], "store 'questions.db' is not known"),
        (["--store", "postgres:/user:secret@host/db"], "store 'postgres' is not known"),
        (["--host", "0.0.0.0"], "so a key is needed"),  # noqa: S104 - it is refused
        (["--allow-origin", "page"], "is no origin"),
    ],
)
def test_a_server_that_cannot_start_is_an_error_that_says_why(alone: Run, arguments: list[str], says: str) -> None:
    ended = alone("serve", "--port", "0", *arguments, env={"SAYSO_API_KEY": None})
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert says in ended.stderr
    assert "secret" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_an_error(sayso: Run, server: HumanInputServer) -> None:
    ended = sayso("serve", "--port", str(server._bound_port), "--store", ":memory:")
    assert ended.exit_code == 1
    assert "is taken by another program" in ended.stderr
