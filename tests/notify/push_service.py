"""A push service on a real socket, with TLS, and the devices at it: it decrypts what it gets with the package http-ece,
and verifies who sent it with the key that the device was given."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import http_ece
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

_PATIENCE: Final = 30.0


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Got(NamedTuple):
    """One message, as its device reads it. `claims`: what its sender said, verified."""

    device: str
    message: dict[str, Any]
    headers: dict[str, str]
    claims: dict[str, Any]


class Reply(NamedTuple):
    status: int = 201
    headers: tuple[tuple[str, str], ...] = ()


class Phone:
    """A browser's subscription at the service: `wanted` is what it gives the server."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = name.encode().ljust(16, b".")[:16]
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.wanted = {
            "endpoint": f"{url}/send/{name}",
            "expirationTime": None,
            "keys": {"p256dh": text(point), "auth": text(self.auth)},
        }

    def read(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        message: dict[str, Any] = json.loads(plain)
        return message


class PushService:
    """`reply` says what each message gets; only what gets a 2xx is in `got`, the rest in `refused`."""

    def __init__(self, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.reply: Callable[[Got], Reply] = lambda got: Reply()
        self.got: list[Got] = []
        self.refused: list[Got] = []
        self.faults: list[str] = []
        self.came = threading.Condition()
        self._phones: dict[str, Phone] = {}

    def phone(self, name: str) -> Phone:
        phone = self._phones[name] = Phone(self.url, name)
        return phone

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        try:
            got = self._verified(path.rpartition("/")[2], headers, body)
        except Exception as exc:
            self.faults.append(repr(exc))
            return Reply(400)
        reply = self.reply(got)
        with self.came:
            (self.got if 200 <= reply.status < 300 else self.refused).append(got)
            self.came.notify_all()
        return reply

    def _verified(self, name: str, headers: dict[str, str], body: bytes) -> Got:
        assert headers["content-encoding"] == "aes128gcm"
        assert Vapid02.verify(headers["authorization"])
        claims = json.loads(raw(headers["authorization"].removeprefix("vapid t=").split(".")[1]))
        assert claims["aud"] == self.url
        return Got(name, self._phones[name].read(body), headers, claims)

    def until(self, claim: Callable[[], bool]) -> None:
        """Returns when it holds, looked at after each message."""
        with self.came:
            assert self.came.wait_for(claim, _PATIENCE), (self.got, len(self.refused), self.faults)

    def of(self, name: str) -> list[tuple[str, bool]]:
        """What that phone was told, in order: request and whether it waits."""
        return [(one.message["id"], one.message["open"]) for one in self.got if one.device == name]


@contextmanager
def pushing(folder: Path) -> Iterator[PushService]:
    """A service whose certificate is trusted where SSL_CERT_FILE is `folder / "ca.pem"`."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = service.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            """The handshake belongs to the connection's own thread."""
            socket, address = super().get_request()
            return context.wrap_socket(socket, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust the certificate, or goes away."""

    server = Server(("127.0.0.1", 0), Handler)
    service = PushService(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
