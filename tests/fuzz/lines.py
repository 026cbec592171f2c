"""What comes as a line of text: addresses, settings, options of commands, secrets, patterns of executions."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec
from hypothesis import strategies as st

from sayso import compose, keys, settings, signing
from sayso.cli.audit.verify import _Noted
from sayso.cli.ids import Id
from sayso.cli.span import Since, Span, span
from sayso.client.pauses import Pauses
from sayso.client.transport import checked_url
from sayso.errors import Misconfigured
from sayso.server.names import hostname, is_loopback
from sayso.server.proxies import Proxies
from sayso.server.tickets import Ticket
from sayso.store.postgres.address import Address
from tests.builders import NOW
from tests.fuzz.mutation import damaged
from tests.fuzz.target import CANARY, Target, pure

_TEXT: Final = st.text(max_size=12) | st.sampled_from(["", "a", "[::1]", "::1", "0", "99999", "host", "%2f", "@", "é"])


def text_of(data: bytes) -> str:
    """As Python gives a program what it was called with: what is no UTF-8 becomes halves of surrogate pairs."""
    return data.decode("utf-8", "surrogateescape")


# addresses of stores and servers, with a password in them


_PASSWORD: Final = re.compile(f":(?!//).*{CANARY}", re.DOTALL)
"""After a colon it may be one, also where the address is none."""


def _stores(shown: Callable[[str], str]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        url = text_of(data)
        told = "" if url.startswith(("sqlite:", ":memory:")) else _told(url, shown)
        assert CANARY not in told or not _PASSWORD.search(url), told

    return check


def _told(url: str, shown: Callable[[str], str]) -> str:
    """What people read of a store."""
    try:
        compose.store_at(url)
        return Address.of(url).shown + shown(url)
    except Misconfigured as error:
        return str(error)


_PARTS: Final = {
    "scheme": st.sampled_from(["postgresql://", "postgres://", "sqlite:///", "postgres:/", "mysql://", ":memory:", ""]),
    "user": st.sampled_from(["user:", "u%40:", "a@b:", ":"]),
    "password": st.sampled_from(["", "?", "#", "@", "/", "%", "[", "%zz", " ", "\\", ":"]),
    "place": st.sampled_from(["@host", "@host:5432", "@[::1]:1", "@h1,h2:2", "@", "@host:999999", "@h@h"]),
    "path": st.sampled_from(["/db", "/", "", "/db/x", "/%00"]),
    "query": st.sampled_from(
        ["", "?sslmode=require", "?pgbouncer=true", "?pgbouncer=true&direct=h:1", "?a", "?a=1&a=2#f"]
    ),
}
_STORES: Final = st.fixed_dictionaries(_PARTS).map(
    lambda one: (
        f"{one['scheme']}{one['user']}{one['password']}{CANARY}{one['password']}{one['place']}{one['path']}"
        f"{one['query']}".encode()
    )
)


# what people write in settings and options


def _misconfigured(use: Callable[[str], Any]) -> Callable[[str], Any]:
    def run(text: str) -> Any:
        try:
            return use(text)
        except Misconfigured:
            return None

    return run


def _option(type_: click.ParamType) -> Callable[[str], Any]:  # type: ignore[type-arg]
    def run(text: str) -> Any:
        try:
            return type_.convert(text, None, None)
        except click.BadParameter:
            return None

    return run


def _seconds(text: str) -> None:
    seconds = _option(Span())(text)
    if seconds is not None:
        assert span(seconds)


def _pause(text: str) -> None:
    assert 0 <= Pauses().next(text) <= 300


def _proxy(text: str) -> None:
    found = settings.checked_proxies([text])
    assert "192.0.2.1" in Proxies(found) or "192.0.2.1" not in Proxies(found)
    assert text in Proxies(["10.0.0.0/8"]) or True


READERS: Final = (
    *(
        _misconfigured(lambda text: settings.checked_origins([text])),
        _misconfigured(_proxy),
        _misconfigured(checked_url),
    ),
    _misconfigured(lambda text: settings.checked_retention(text, "retention")),
    _misconfigured(lambda text: settings.checked_drain(text, "drain")),
    _misconfigured(lambda text: settings.checked_key(text, "api_key")),
    *(_option(Since()), _option(Id()), _option(_Noted()), _seconds, _pause),
    *(lambda text: is_loopback(hostname(text)), lambda text: text in Proxies(["10.0.0.0/8", "fe80::/10"])),
)


def _settings(readers: tuple[Callable[[str], Any], ...]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        if data:
            readers[data[0] % len(readers)](text_of(data[1:]))

    return check


_GIVEN: Final = st.sampled_from(
    [
        *(
            "https://app.example.com:8443",
            "10.0.0.0/8",
            "::1/128",
            "http://[::1]:8000/x",
            "http://host:0",
            "inf",
            "30",
            "1e400",
        ),
        *(
            "nan",
            "-1",
            "secret",
            "2d",
            "1.5m",
            "2026-11-30T14:00",
            "2026-11-30",
            "9999-12-31T23:59:59-23:59",
            "99999999d",
        ),
        *(
            "0001-01-01T00:00:00+14:00",
            f"order-42=7:{'0' * 64}",
            "a=0:",
            "300",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "fe80::1%lo",
        ),
        *(
            "[::1",
            "http://\u2100/",
            "http://xn--/",
            "https://a_b",
            "http://host:80\u0660",
            "\u0661",
            "1_0",
            "1e999d",
            "http://a\x00b",
        ),
    ]
)
_SETTINGS: Final = st.builds(
    lambda which, text: bytes([which]) + text.encode(), st.integers(0, len(READERS) - 1), _GIVEN | _TEXT
)


# secrets


_SECRET: Final = b"s" * 32
_TICKET: Final = signing.signed(
    Ticket(id="t", execution_id="run-1", key="", channel=None, until=NOW), "ticket", _SECRET
)
_KEY_ID, _KEY = keys.new_secret(bytes(range(keys.DICE)))


def _read(text: str) -> Ticket | None:
    return signing.read(text, Ticket, "ticket", _SECRET)


def _secrets(read: Callable[[str], Ticket | None]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        text = data.decode("latin-1")  # as a server gives headers
        assert read(text) is None or text == _TICKET
        assert (keys.id_in(text) == _KEY_ID) <= (text[:15] == _KEY[:15])
        assert (keys.hash_of(text) == keys.hash_of(_KEY)) == (text == _KEY)

    return check


def _believes(text: str) -> Ticket | None:
    """The control: reads first, and looks at the signature then."""
    data, _, given = text.partition(".")
    ticket = msgspec.json.decode(urlsafe_b64decode(data + "=" * (-len(data) % 4)), type=Ticket)
    return ticket if hmac.compare_digest(given, signing.mac(_SECRET, "ticket", data)) else None


# patterns of executions

_LONGEST: Final = 128
"""Characters of an id, and of a pattern."""


def _patterns(fits: Callable[[str, tuple[str, ...]], bool]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        execution_id, *patterns = (one[:_LONGEST] for one in data.decode("utf-8", "replace").split("\n"))
        assert fits(execution_id, tuple(patterns)) == any(_means(pattern, execution_id) for pattern in patterns)

    return check


def _means(pattern: str, text: str) -> bool:
    """Whether the pattern is that of the text, character by character; a regular expression takes for ever."""
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if text[at : at + 1] == character}
    return len(text) in reached


def _fits_greedily(execution_id: str, patterns: tuple[str, ...]) -> bool:
    """The control: forgets that what a star has taken is taken."""
    return any(all(part in execution_id for part in pattern.split("*")) for pattern in patterns)


_FEW: Final = st.text("ab*", max_size=6)
_PATTERNS: Final = st.builds(
    lambda execution_id, patterns: "\n".join((execution_id, *patterns)).encode(),
    st.text("ab", max_size=8),
    st.lists(_FEW, min_size=1, max_size=2),
)

TARGETS: Final[tuple[Target, ...]] = (
    pure("addresses of stores", damaged(_STORES), _stores(compose.shown), _stores(lambda url: url), 300),
    pure("settings", damaged(_SETTINGS), _settings(READERS), _settings((float,)), 400),
    pure(
        "secrets",
        damaged(st.sampled_from([_TICKET.encode(), _KEY.encode(), b"e30.", b"."])),
        _secrets(_read),
        _secrets(_believes),
        200,
    ),
    pure("patterns", damaged(_PATTERNS), _patterns(keys.fits), _patterns(_fits_greedily), 200),
)
