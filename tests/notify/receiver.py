"""A receiver of webhooks on a real socket, which says what it is told to and keeps what it got."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from standardwebhooks import Webhook

SECRET: Final = f"whsec_{b64encode(b'0123456789abcdef01234567').decode()}"
OTHER: Final = f"whsec_{b64encode(b'another secret of a receiver').decode()}"
_PATIENCE: Final = 30.0


class Got(NamedTuple):
    """One delivery, verified."""

    id: str
    event: dict[str, Any]
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()


class Receiver:
    """`reply` says what each delivery gets; only what gets a 2xx is in `got`, the rest in `refused`."""

    def __init__(self, server: ThreadingHTTPServer, *, is_standard: bool) -> None:
        self._is_standard = is_standard
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.reply: Callable[[dict[str, Any]], Reply] = lambda event: Reply()
        self.got: list[Got] = []
        self.refused: list[Got] = []
        self.came = threading.Condition()

    def take(self, headers: dict[str, str], body: bytes) -> Reply:
        if self._is_standard:
            Webhook(SECRET).verify(body, headers)
        event = json.loads(body)
        reply = self.reply(event)
        with self.came:
            where = self.got if 200 <= reply.status < 300 else self.refused
            where.append(Got(headers.get("webhook-id", ""), event, headers, body))
            self.came.notify_all()
        return reply

    def until(self, claim: Callable[[], bool]) -> None:
        """Returns when it holds, looked at after each delivery."""
        with self.came:
            assert self.came.wait_for(claim, _PATIENCE), ([one.id for one in self.got], len(self.refused))

    def of(self, execution_id: str) -> list[int]:
        """The numbers of its events, once each, in the order in which they came first."""
        return list(dict.fromkeys(one.event["seq"] for one in self.got if one.event["execution_id"] == execution_id))


@contextmanager
def receiving(port: int = 0, *, is_standard: bool = True) -> Iterator[Receiver]:
    """`is_standard`: deliveries are those of Standard Webhooks, and verified."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = Receiver(server, is_standard=is_standard)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def configuration(path: Path, *urls: str, more: str = "") -> Path:
    """A file with a notifier for each URL, `hook-0` and so on, whose secret is in HOOK_SECRET."""
    path.write_text(
        "\n".join(
            f'[[notifier]]\nname = "hook-{number}"\nkind = "webhook"\nurl = "{url}"\n'
            f'secrets = ["HOOK_SECRET"]\nallow = ["127.0.0.0/8", "::1"]\n{more}'
            for number, url in enumerate(urls)
        )
    )
    return path
