"""What uvicorn, h11 and wsproto keep for themselves and the deadlines stand on: a version without it must not pass."""

from __future__ import annotations

import asyncio
import inspect

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from uvicorn.server import ServerState
from wsproto.connection import Connection, ConnectionType


async def _app(scope: object, receive: object, send: object) -> None: ...


def _made(kind: type) -> asyncio.Protocol:
    config = uvicorn.Config(_app, http=H11Protocol, ws=WSProtocol, lifespan="off", log_config=None)
    config.load()
    made: asyncio.Protocol = kind(config=config, server_state=ServerState(), app_state={})
    return made


async def test_an_http_protocol_has_what_we_look_at() -> None:
    protocol = _made(H11Protocol)
    assert {"conn", "cycle", "scope", "transport", "loop", "logger", "timeout_keep_alive"} <= set(vars(protocol))
    assert isinstance(vars(protocol)["conn"], h11.Connection)
    for method in ("on_response_complete", "handle_websocket_upgrade", "send_400_response", "data_received"):
        assert inspect.isfunction(vars(H11Protocol)[method])
    assert "self.on_response_complete" in inspect.getsource(H11Protocol.handle_events)  # so that ours is called
    assert {"response_started", "response_complete"} <= set(RequestResponseCycle.__init__.__code__.co_names)


async def test_a_websocket_protocol_has_what_we_look_at() -> None:
    protocol = _made(WSProtocol)
    assert {"conn", "transport", "loop", "logger", "close_sent"} <= set(vars(protocol))
    for method in ("run_asgi", "handle_ping", "data_received", "connection_lost"):
        assert inspect.isfunction(vars(WSProtocol)[method])
    frames = Connection(ConnectionType.SERVER)._proto
    assert frames._frame_decoder.header is None
    assert len(frames._frame_decoder.buffer) == 0
    assert frames._message_decoder.opcode is None


async def test_a_server_leaves_listening_to_its_startup() -> None:
    assert "self.startup(sockets=sockets)" in inspect.getsource(uvicorn.Server._serve)
    assert "self.servers" in inspect.getsource(uvicorn.Server.shutdown)
    assert "self.lifespan" in inspect.getsource(uvicorn.Server._serve)
