"""The published documents, read by programs that others wrote for that; and what they say of addresses and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, limits
from sayso.mounted import Mounted
from sayso.server import app, websocket
from tests.conformance import readers
from tests.server.keyholder import make_key

Document = dict[str, Any]


@pytest.fixture
def documents(client: httpx.Client, tmp_path: Path) -> dict[str, Path]:
    """The two, as the server gives them, in files."""
    files = {name: tmp_path / f"{name}.json" for name in ("openapi", "asyncapi")}
    for name, file in files.items():
        response = client.get(f"/{name}.json")
        assert response.headers["content-type"] == "application/json"
        file.write_bytes(response.content)
    return files


def test_the_parser_of_asyncapi_understands_every_operation(documents: dict[str, Path]) -> None:
    events = ["InputRequired", "InputCompleted", "ResetShown"]
    read = {(one["name"], one["action"], *one["channels"]): one for one in readers.parsed(documents["asyncapi"])}
    both = (("socket", "/ws/human-input/{execution_id}"), ("socketOfAll", "/ws/human-input"))
    for name, address in both:
        assert read[f"{name}Tells", "send", address]["messages"] == events
        heard = read[f"{name}Hears", "receive", address]
        assert (heard["messages"], heard["reply"]) == (["AnswerMessage"], ["AnswerAccepted", "MessageRefused"])
        assert read[f"{name}IsIntroduced", "receive", address]["messages"] == ["AuthMessage"]
    for name, address in (("stream", "/events/human-input/{execution_id}"), ("streamOfAll", "/events/human-input")):
        assert read[f"{name}Tells", "send", address]["messages"] == events
    assert len(read) == 8


def test_spectral_has_nothing_against_either_document(documents: dict[str, Path]) -> None:
    readers.lint(*documents.values())


def _without_a_message(document: Document) -> None:
    del document["components"]["messages"]["reset"]


def _without_a_channel(document: Document) -> None:
    del document["channels"]["stream"]


def _with_an_action_that_is_none(document: Document) -> None:
    document["operations"]["socketHears"]["action"] = "listen"


@pytest.mark.parametrize("change", [_without_a_message, _without_a_channel, _with_an_action_that_is_none])
def test_the_parser_sees_a_document_that_is_none(
    documents: dict[str, Path], change: Callable[[Document], None]
) -> None:
    document = json.loads(documents["asyncapi"].read_text())
    change(document)
    documents["asyncapi"].write_text(json.dumps(document))
    with pytest.raises(readers.Faulty):
        readers.parsed(documents["asyncapi"])
    with pytest.raises(readers.Faulty):
        readers.lint(documents["asyncapi"])


def test_spectral_sees_an_openapi_document_that_is_none(documents: dict[str, Path]) -> None:
    document = json.loads(documents["openapi"].read_text())
    document["paths"]["/keys/{id}/revoke"]["post"]["parameters"] = []
    documents["openapi"].write_text(json.dumps(document))
    with pytest.raises(readers.Faulty, match="id"):
        readers.lint(documents["openapi"])


def test_the_channels_are_the_streams_of_the_application(documents: dict[str, Path]) -> None:
    def never() -> Any:
        raise AssertionError

    built: Any = app.build(Mounted(never)).asgi
    there = {
        route.path
        for route in built.routes
        if isinstance(route, WebSocketRoute) or (isinstance(route, Route) and route.path.startswith("/events/"))
    }
    told = json.loads(documents["asyncapi"].read_text())["channels"].values()
    assert {channel["address"] for channel in told} == there


async def test_every_close_code_is_in_the_document(server: HumanInputServer, documents: dict[str, Path]) -> None:
    channels = json.loads(documents["asyncapi"].read_text())["channels"]
    told = {int(code) for code in channels["socket"]["x-close-codes"]}
    assert channels["socketOfAll"]["x-close-codes"] == channels["socket"]["x-close-codes"]
    assert {code for code in vars(websocket).values() if isinstance(code, int) and code >= 1000} <= told

    asker = (await asyncio.to_thread(make_key, server.url, "ask"))["secret"]
    said = {
        4401: json.dumps({"type": "auth", "token": "wrong"}),
        4403: json.dumps({"type": "auth", "token": asker}),
        1009: "x" * (limits.WEBSOCKET_MESSAGE + 1),
        1007: b"\xff",
    }
    address = f"{server.url.replace('http', 'ws', 1)}/ws/human-input/run-1?auth=message"
    for code, message in said.items():
        async with websockets.connect(address) as socket:
            await socket.send(message, text=code != 1009)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
        assert code in told
