"""Calls as they go over the line, or nearly: every address, with what decides something in queries and headers."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sayso.keys import KeyWanted, Rotation
from sayso.model import Submission
from sayso.wire import AnswerMessage, AuthMessage, Cancellation, LeaseWanted, LinkWanted, Login, TicketWanted
from tests.conftest import KEY
from tests.fuzz.documents import VALUES, WORDS, documents, written
from tests.fuzz.target import CANARY
from tests.server.raw import UPGRADE

ID: Final = "request-1"
"""Of a request that is there, in the execution `run-1`."""
ORIGIN: Final = "https://app.example.com"

_IDS: Final = st.sampled_from(
    [ID, ID, "run-1", "none-such", "..", "%2e%2e", "%00", "a/b", "%E2%80%A8", "x" * 129, CANARY]
)
_CURSORS: Final = st.sampled_from(
    ["", "%00", "none-such", "0", CANARY, "018f0000-0000-7000-8000-000000000000", "%ff", "é"]
)
_NUMBERS: Final = st.sampled_from(
    ["0", "1", "55", "-1", "1e999", "nan", "9" * 30, "%C2%B2", "1_0", "", "0x10", "1.5", "٣"]
)
_QUERY: Final = {
    "last_event_id": _CURSORS,
    "wait": _NUMBERS,
    "limit": _NUMBERS,
    "after": _NUMBERS | st.sampled_from(["run-1,1", "run-1,", ",1", "run-1,%C2%B2", "run-1,1,1", "run-1," + "9" * 16]),
    "status": st.sampled_from(["pending", "answered,pending", ",", CANARY, "%00"]),
    "order": st.sampled_from(["newest", "asked", CANARY]),
    "q": st.sampled_from(["Ship", "%00", "%F0%9F%98%80", "%ff", "\\", "%25", "_", "İ"]),
    "execution_id": _IDS,
    "holder": _IDS,
    "token": st.sampled_from([KEY, CANARY, "sayso_aaaaaaaa_" + "a" * 32, "%ff", ""]),
    "ticket": st.sampled_from([CANARY, "e30.00", "a.b", ".", "%ff.%00", "é.é"]),
    "auth": st.sampled_from(["message", "other"]),
    "v": _CURSORS,
}
_BODIES: Final[dict[str, SearchStrategy[bytes]]] = {
    "POST /requests": written(
        st.fixed_dictionaries(
            {"execution_id": st.just("run-1"), "prompt": WORDS},
            optional={"metadata": VALUES, "title": WORDS, "default": WORDS, "options": st.just([{"id": "a"}])},
        )
    ),
    f"POST /requests/{ID}/answer": written(documents(Submission)),
    "POST /requests/none-such/answer": written(documents(Submission)),
    f"POST /requests/{ID}/cancel": written(documents(Cancellation)),
    f"POST /requests/{ID}/links": written(documents(LinkWanted)),
    "POST /answer": st.just(b"decision=approve"),
    f"PUT /requests/{ID}/resume": st.binary(max_size=30),
    "PUT /leases/a": written(documents(LeaseWanted)),
    "POST /keys": written(documents(KeyWanted)),
    "POST /keys/none-such/rotate": written(documents(Rotation)),
    "POST /keys/none-such/revoke": st.just(b""),
    "POST /tickets": written(documents(TicketWanted)),
    "POST /session": written(documents(Login)),
    "DELETE /session": st.just(b""),
    **dict.fromkeys(("GET /requests", "GET /audit", "GET /keys", f"GET /requests/{ID}", "GET /session"), st.just(b"")),
    **dict.fromkeys((f"GET /{road}/human-input/run-1" for road in ("events", "poll", "ws")), st.just(b"")),
}
_PATHS: Final = st.sampled_from(
    [
        *(
            "/",
            "/health",
            "/ready",
            "/openapi.json",
            "/requests",
            "/audit",
            "/keys",
            "/session",
            "/inbox/inbox.js",
            "/inbox/..",
        ),
        *(
            "/events/human-input",
            "/poll/human-input",
            "/ws/human-input",
            "/events/human-input/",
            "//",
            "*",
            "/%2e%2e",
            "",
        ),
        *("http://localhost/requests", "http://evil.example/health", "http://[/", "HTTP://localhost", "/requests#x"),
    ]
) | st.builds("{}{}".format, st.sampled_from(["/requests/", "/events/human-input/", "/poll/human-input/"]), _IDS)
_HEADERS: Final[dict[str, SearchStrategy[str]]] = {
    "Host": st.sampled_from(
        ["localhost", "127.0.0.1:80", "evil.example", "[::1]", "[", "localhost:x", "a@localhost", "\xb2"]
    ),
    "Origin": st.sampled_from([ORIGIN, "null", "http://localhost", "https://evil.example", "\xe9", ORIGIN + "/"]),
    "Authorization": st.sampled_from(
        ["Bearer", f"bearer {KEY} ", f"Bearer {CANARY}", "Basic eDp5", "Bearer \xe9\xff", ""]
    ),
    "Last-Event-ID": st.sampled_from(["none-such", "\xe9", CANARY, "0", ""]),
    "Prefer": st.sampled_from(["wait=0", "wait=", "wait=1e9", "respond-async, wait=0.01", "wait=" + "9" * 400, "\xb2"]),
    "Cookie": st.sampled_from(
        ["sayso_a=b", "sayso_=\xe9", 'sayso_="', "sayso_;;=,", "a=b; sayso_0=e30.00", "sayso_]=1"]
    ),
    "Accept": st.sampled_from(["*/*", "text/event-stream", "\xff", "application/json;q=x", ""]),
    "Accept-Encoding": st.sampled_from(["gzip", "br;q=1", "\xb2"]),
    "If-None-Match": st.sampled_from(['"a"', "*", '"']),
    "Content-Type": st.sampled_from(["application/json; charset=utf-16", "multipart/form-data", "\xff"]),
    "Content-Length": st.sampled_from(["0", "5", "-1", "+5", "\xb2", "9" * 30, "9" * 5_000, "1, 1", "0x5", ""]),
    "Transfer-Encoding": st.sampled_from(["chunked", "gzip, chunked", "identity", "chunked, chunked", "\xffchunked"]),
    "X-Forwarded-For": st.sampled_from(
        ["192.0.2.1", "1.1.1.1, 127.0.0.1", "::1", "[::1]:80", "\xe9", ",,", "unix:", "_x"]
    ),
    "X-Forwarded-Proto": st.sampled_from(["https", "wss", "\xe9", "http,https", ""]),
    "X-Sayso-CSRF": st.sampled_from(["0", "\xe9"]),
    "Sec-Fetch-Site": st.sampled_from(["same-origin", "cross-site", "none", "\xe9"]),
    "Access-Control-Request-Method": st.sampled_from(["GET", "PUT", "\xe9"]),
    "Connection": st.sampled_from(["close", "keep-alive", "upgrade", "\xff"]),
    "Expect": st.sampled_from(["100-continue", "200-ok"]),
    "Upgrade": st.sampled_from(["websocket", "h2c", "\xff"]),
    "Sec-WebSocket-Key": st.sampled_from(["dGhlIHNhbXBsZSBub25jZQ==", "x", "\xe9"]),
    "Sec-WebSocket-Version": st.sampled_from(["13", "8", "\xe9"]),
    "Sec-WebSocket-Protocol": st.sampled_from(["a", "a, b", "\xe9", ","]),
    "Sec-WebSocket-Extensions": st.sampled_from(
        ["permessage-deflate", "permessage-deflate; a=\xe9", ";;", "x; y=" + '"']
    ),
}


def _some(choices: dict[str, SearchStrategy[str]]) -> SearchStrategy[list[tuple[str, str]]]:
    return st.lists(st.one_of([st.tuples(st.just(name), value) for name, value in choices.items()]), max_size=2)


_LINES: Final = st.sampled_from(sorted(_BODIES))
_OTHERS: Final = st.builds(
    "{} {}".format, st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", "X"]), _PATHS
)
_PARAMETERS: Final = _some(_QUERY)
_ODD_HEADERS: Final = _some(_HEADERS)
_CHANCE: Final = st.integers(0, 3)
_CHUNK: Final = st.sampled_from([1, 7, 1_000])


@st.composite
def calls(draw: st.DrawFn, framed: bool = True) -> bytes:
    """A call with its body. `framed`: as it is on a line, with the body's length, or in chunks."""
    line = draw(_LINES) if draw(_CHANCE) else draw(_OTHERS)
    body = draw(_BODIES[line]) if line in _BODIES else b""
    query = draw(_PARAMETERS)
    headers = [("Host", "localhost"), ("Authorization", f"Bearer {KEY}"), *(UPGRADE if "/ws/" in line else ())]
    for name, value in draw(_ODD_HEADERS):
        instead = draw(_CHANCE) > 0
        headers = [one for one in headers if not (instead and one[0] == name)] + [(name, value)]
    if framed:
        body, length = _framed(body, draw(_CHANCE), draw(_CHUNK))
        headers += length
    target = line + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
    head = [f"{target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(head).encode("latin-1", "replace") + body


def handshakes() -> SearchStrategy[bytes]:
    """What opens a WebSocket, or nearly."""
    names = [name for name in _HEADERS if name.startswith(("Sec-WebSocket", "Upgrade", "Connection", "Host", "Origin"))]
    odd = st.one_of([st.tuples(st.just(name), _HEADERS[name]) for name in names])
    return st.builds(_handshake, _PARAMETERS, st.lists(odd, max_size=2), _CHANCE)


def _handshake(query: list[tuple[str, str]], odd: list[tuple[str, str]], instead: int) -> bytes:
    usual = [("Host", "localhost"), ("Authorization", f"Bearer {KEY}"), *UPGRADE]
    kept = [one for one in usual if not instead or one[0] not in dict(odd)]
    lines = [
        "GET /ws/human-input?" + "&".join(map("=".join, query)) + " HTTP/1.1",
        *map(": ".join, (*kept, *odd)),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _framed(body: bytes, chance: int, chunk: int) -> tuple[bytes, list[tuple[str, str]]]:
    """The body and the header that says how long it is."""
    if not chance:
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        chunks = [b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts]
        return b"".join((*chunks, b"0\r\nX: y\r\n\r\n")), [("Transfer-Encoding", "chunked")]
    return body, [("Content-Length", str(len(body)))] if body else []


MESSAGES: Final[SearchStrategy[bytes]] = st.one_of(
    written(documents(AnswerMessage)),
    written(st.fixed_dictionaries({"type": st.just("answer"), "request_id": st.just(ID)}, optional={"text": WORDS})),
    written(documents(AuthMessage)),
    written(VALUES),
)
"""What a client says on a WebSocket."""


def header_of(head: bytes, name: str) -> str:
    """The first header of this name in a head, or ""."""
    wanted = name.lower().encode()
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == wanted:
            return value.strip().decode("latin-1")
    return ""


DOCUMENTED: Final = frozenset({101, 200, 201, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429})
"""How a server that is well may answer a call."""


def check_problem(status: int, type: str, problem: Any) -> None:
    """What an error says is a problem object that holds nothing of the call."""
    assert status in DOCUMENTED, status
    if status < 400:
        return
    assert type == "application/problem+json", type
    assert problem["status"] == status
    assert str(problem["type"]).startswith("urn:sayso:problem:")
    details = [one["detail"] for one in problem["errors"]] if "errors" in problem else [problem["detail"]]
    assert not any(CANARY in one for one in (problem["title"], *details)), problem
