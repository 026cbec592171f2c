"""TLS of the server's own: with it every road works, without its files it says which one is wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import trustme
import websockets
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sayso import HumanInputServer, limits
from sayso.errors import Misconfigured
from sayso.server.tls import TLS
from tests.abuse.conftest import Watched, bare, guarded  # noqa: F401 - fixtures
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program
from tests.server.raw import AUTHORISED, call

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_PASSWORD = "correct horse"


class Files(NamedTuple):
    root: Path
    certificate: Path
    key: Path
    both: Path
    locked: Path
    password: Path
    other_key: Path
    nothing: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    files = Files(*(folder / f"{name}.pem" for name in Files._fields))
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1", "sayso.example")
    authority.cert_pem.write_to_path(files.root)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(files.certificate, append=True)
    issued.private_key_pem.write_to_path(files.key)
    issued.private_key_and_cert_chain_pem.write_to_path(files.both)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(_PASSWORD.encode()))
    files.locked.write_bytes(locked)
    files.password.write_text(f"{_PASSWORD}\n")
    authority.issue_cert("localhost").private_key_pem.write_to_path(files.other_key)
    files.nothing.write_text("no PEM\n")
    return files


@pytest.fixture
def trusting(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.root)


@pytest.fixture
def settings(files: Files) -> dict[str, Any]:
    return {"tls_certificate": files.certificate, "tls_key": files.key}


@pytest.mark.promise("DOOR-10")
async def test_every_road_works_over_tls(
    serve: Callable[..., HumanInputServer], settings: dict[str, Any], trusting: ssl.SSLContext
) -> None:
    server = serve(**settings)
    assert server.url.startswith("https://localhost:")
    address = f"{server.url.replace('http', 'ws', 1)}/ws/human-input/run-1"
    async with (
        httpx.AsyncClient(base_url=server.url, headers=_RIGHT, verify=trusting, timeout=30) as api,
        api.stream("GET", "/events/human-input/run-1") as stream,
        websockets.connect(address, additional_headers=_RIGHT, ssl=trusting) as socket,
        asyncio.timeout(20),
    ):
        asked = await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
        assert asked.status_code == 201
        told = json.loads(await socket.recv())
        lines = stream.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        assert told["request_id"] == json.loads(line[6:])["request_id"] == asked.json()["request_id"]
        poll = await api.get("/poll/human-input/run-1", params={"wait": "5"})
        assert [event["request_id"] for event in poll.json()["events"]] == [told["request_id"]]
        answer = {"type": "answer", "request_id": told["request_id"], "human_feedback": "yes"}
        await socket.send(json.dumps(answer))
        assert {json.loads(await socket.recv())["type"] for _ in range(2)} == {
            "answer_accepted",
            "human_input_completed",
        }
        origin = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        session = await api.post("/session", json={"key": KEY}, headers=origin)
        assert "; Secure" in session.headers["set-cookie"]


@pytest.mark.promise("DOOR-10")
async def test_what_is_not_tls_or_is_too_old_gets_nothing(
    serve: Callable[..., HumanInputServer], settings: dict[str, Any], files: Files
) -> None:
    server = serve(**settings)
    async with httpx.AsyncClient() as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get(server.url.replace("https", "http") + "/health")
    assert TLS(files.certificate, files.key).context().minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.promise("DOOR-8")
async def test_browsers_are_told_to_stay_with_tls_but_not_at_a_name_that_is_every_machines(
    serve: Callable[..., HumanInputServer], settings: dict[str, Any], trusting: ssl.SSLContext
) -> None:
    server = serve(**settings, allow_origins=["https://sayso.example"])
    reply = await call(server.url, "/health", ("Host", "sayso.example"), tls=trusting)
    assert reply.headers["strict-transport-security"] == "max-age=31536000"
    for host in ("localhost", "127.0.0.1:8000"):
        reply = await call(server.url, "/health", ("Host", host), tls=trusting)
        assert "strict-transport-security" not in reply.headers


@pytest.mark.promise("DOOR-2")
async def test_under_tls_a_page_of_the_same_host_that_came_without_is_another_origin(
    serve: Callable[..., HumanInputServer], settings: dict[str, Any], trusting: ssl.SSLContext
) -> None:
    server = serve(**settings)
    for origin, status in ((server.url, 200), (server.url.replace("https", "http"), 403)):
        reply = await call(server.url, "/requests", AUTHORISED, ("Origin", origin), tls=trusting)
        assert reply.status == status


@pytest.mark.promise("CAP-1")
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half a hello"])
async def test_a_handshake_that_is_never_finished_ends_its_connection(
    guarded: Callable[..., Watched],  # noqa: F811
    bare: Callable[..., Watched],  # noqa: F811
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
) -> None:
    monkeypatch.setattr(limits, "RECEIVE", 0.3)
    control = bare(ssl_certfile=settings["tls_certificate"], ssl_keyfile=settings["tls_key"])
    server = guarded(**settings)
    with (
        socket.create_connection(("127.0.0.1", control.port)) as other,
        socket.create_connection(("127.0.0.1", server.port)) as peer,
    ):
        for one in (other, peer):
            one.sendall(sent)
        await server.until(1)
        await server.until(0)
        peer.settimeout(10)
        assert await asyncio.to_thread(peer.recv, 64) == b""
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(64)


@pytest.mark.promise("CAP-2")
async def test_handshakes_that_are_under_way_count_as_connections(
    guarded: Callable[..., Watched],  # noqa: F811
    settings: dict[str, Any],
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 2)
    server = guarded(**settings)
    with socket.create_connection(("127.0.0.1", server.port)) as first:
        with socket.create_connection(("127.0.0.1", server.port)):
            await server.until(2)
            with pytest.raises(OSError):  # a reset, or an end
                await call(server.url, "/health", tls=trusting)
        await server.until(1)
        assert (await call(server.url, "/health", tls=trusting)).status == 200
        first.sendall(b"no TLS")
        await server.until(0)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_key": "key"}, "a certificate is needed, too"),
        ({"tls_certificate": "certificate"}, "does not hold a certificate and its key"),
        ({"tls_certificate": "certificate", "tls_key": "other_key"}, "is not that of the certificate"),
        ({"tls_certificate": "nothing", "tls_key": "key"}, "is no certificate"),
        ({"tls_certificate": "certificate", "tls_key": "nothing"}, "no key, in PEM"),
        ({"tls_certificate": "certificate", "tls_key": "locked"}, "is encrypted; put its password into a file"),
        (
            {"tls_certificate": "certificate", "tls_key": "locked", "tls_password_file": "nothing"},
            "does not open the key",
        ),
        ({"tls_certificate": "/none/such.pem"}, "cannot be read: No such file"),
        ({"tls_certificate": "certificate", "tls_key": "/none/such.pem"}, "tls_key names /none/such.pem"),
        (
            {"tls_certificate": "certificate", "tls_key": "locked", "tls_password_file": "/none"},
            "tls_password_file names /none, which cannot be read",
        ),
    ],
    ids=lambda value: "+".join(value.values()) if isinstance(value, dict) else "",
)
def test_files_that_do_not_fit_are_an_error_that_names_them(files: Files, given: dict[str, str], says: str) -> None:
    paths = {name: getattr(files, file, file) for name, file in given.items()}
    with (
        pytest.raises(Misconfigured, match=says) as told,
        HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False, **paths),
    ):
        pass
    assert _PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    "given",
    [
        {"tls_certificate": "both"},
        {"tls_certificate": "certificate", "tls_key": "locked", "tls_password_file": "password"},
    ],
    ids=["one file", "locked"],
)
async def test_a_key_in_the_same_file_or_behind_a_password_is_found(
    serve: Callable[..., HumanInputServer], files: Files, trusting: ssl.SSLContext, given: dict[str, str]
) -> None:
    server = serve(**{name: getattr(files, file) for name, file in given.items()})
    assert (await call(server.url, "/health", tls=trusting)).status == 200


@pytest.mark.promise("DOOR-10")
@pytest.mark.parametrize("by", ["options", "environment"])
async def test_the_command_speaks_tls_and_our_client_with_it(files: Files, by: str) -> None:
    given = {"certificate": files.certificate, "key": files.locked, "password-file": files.password}
    options = [f"--tls-{name}={file}" for name, file in given.items()] if by == "options" else []
    environment = {
        f"SAYSO_TLS_{name.replace('-', '_').upper()}": str(file) for name, file in given.items() if by != "options"
    }
    async with program(
        SAYSO, "serve", "--port", "0", "--store", ":memory:", "--json", *options, SAYSO_API_KEY=KEY, **environment
    ) as server:
        url = json.loads(await server.line("url"))["url"]
        assert url.startswith("https://localhost:")
        told = {"SAYSO_API_KEY": KEY, "SAYSO_URL": url, "SSL_CERT_FILE": str(files.root)}
        async with program(SAYSO, "ask", "Ship it?", "--id", "order-42", **told) as asking:
            assert await asking.end() == 0, asking.output


def test_one_thread_serves_while_another_shakes_hands(
    serve: Callable[..., HumanInputServer], settings: dict[str, Any], trusting: ssl.SSLContext
) -> None:
    """A handshake that hangs does not keep others from theirs."""
    server = serve(**settings)
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)), httpx.Client(base_url=server.url, verify=trusting) as api:
        threads = [threading.Thread(target=lambda: api.get("/health")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert api.get("/health").status_code == 200
