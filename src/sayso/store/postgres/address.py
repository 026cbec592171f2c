"""What a store's URL says: where PostgreSQL is, and how it is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sayso.errors import Misconfigured
from sayso.model import is_text

SCHEMES: Final = ("postgresql", "postgres")
_FORM: Final = (
    "the store's URL has the form postgresql://user:password@host:5432/database, "
    "with whatever is none of A-Z a-z 0-9 - . _ ~ in user and password written as %XX"
)
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:@\[\]]*)(:\d{1,5})?")
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Address:
    """`url`: what asyncpg takes. `is_pooled`: a PgBouncer in transaction mode stands there, where nothing outlasts a
    transaction. `direct`: the same database without it, for what needs a session; None where there is no such way.
    `shown`: the same for people, without a password.
    """

    url: str
    is_pooled: bool
    direct: str | None
    shown: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Takes a libpq URL (asyncpg's documentation has its parameters) with two parameters of our own:

        `pgbouncer=true`: it leads to a PgBouncer in transaction mode. `direct=host:port`: where PostgreSQL itself is
        then, for LISTEN and for the locks that say which process does what; without it news from other processes come
        by looking every second, and no process takes over what is to be done by one alone.
        Raises Misconfigured.
        """
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError:  # it quotes what may be a password
            raise Misconfigured(_FORM) from None
        account, at, place = parts.netloc.rpartition("@")
        if not is_text(url) or parts.scheme not in SCHEMES or not all(_HOST.fullmatch(one) for one in place.split(",")):
            raise Misconfigured(_FORM)
        if parts.fragment or "@" in parts.path + parts.query:  # a password was cut in two, and its end would be shown
            raise Misconfigured(_FORM)
        pooled, direct = query.pop("pgbouncer", "false"), query.pop("direct", None)
        if pooled not in _BOOLEANS:
            raise Misconfigured("pgbouncer= in the store's URL is 'true' or 'false'")
        if direct is not None and not _BOOLEANS[pooled]:
            raise Misconfigured("direct= in the store's URL goes with pgbouncer=true")
        plain = urlunsplit(parts._replace(query=urlencode(query)))
        return cls(
            url=plain,
            is_pooled=_BOOLEANS[pooled],
            direct=urlunsplit(urlsplit(plain)._replace(netloc=f"{account}{at}{direct}")) if direct else None,
            shown=f"postgresql://{place}{parts.path}",
        )

    @property
    def session(self) -> str | None:
        """Where a connection keeps what it is told from one transaction to the next; None: nowhere."""
        return self.direct if self.is_pooled else self.url
