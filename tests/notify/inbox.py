"""Where channels lead: a mail server and an HTTP service on real sockets, which keep what they got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

_PATIENCE: Final = 60.0


class Got:
    """What arrived, in its order. `refuses`: whether a service says no to whatever comes."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.refuses = False
        self.refused = 0
        self._came = threading.Condition()

    def take(self, one: Any) -> bool:
        with self._came:
            if self.refuses:
                self.refused += 1
            else:
                self.all.append(one)
            self._came.notify_all()
            return not self.refuses

    def until(self, claim: Callable[[], bool]) -> None:
        """Returns when it holds, looked at whenever something comes."""
        with self._came:
            assert self._came.wait_for(claim, _PATIENCE), (self.all, self.refused)


class _Mails:
    def __init__(self, got: Got) -> None:
        self._got = got

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
        return "250 OK" if self._got.take(mail) else "451 not now"


@contextmanager
def mailbox(port: int) -> Iterator[Got]:
    """A mail server at that port."""
    got = Got()
    controller = Controller(_Mails(got), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield got
    finally:
        controller.stop()


@contextmanager
def service() -> Iterator[tuple[Got, int]]:
    """A service that takes JSON over HTTP at any path, and its port."""
    got = Got()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200 if got.take(body) else 500)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield got, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())
