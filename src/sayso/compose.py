"""Puts the parts together: which store a URL means, and which frameworks are there. It alone names concrete parts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from sayso.asker import Asker
from sayso.clock import Clock
from sayso.errors import ExtraMissing, Misconfigured
from sayso.gateway import Gateway
from sayso.store import Notified, Store, Subscribed
from sayso.store.memory import MemoryStore
from sayso.store.moving import Moved, Told
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite.backup import Copy
from sayso.store.sqlite.backup import backup as copy_file
from sayso.store.sqlite.moving_out import moving_out
from sayso.subscription import NoPush

MEMORY: Final = ":memory:"
_SQLITE: Final = "sqlite:///"
_POSTGRES: Final = ("postgresql://", "postgres://")
_NO_POSTGRES: Final = "a store in PostgreSQL needs: pip install 'sayso[postgres]'"


def store_at(url: str) -> Store:
    """The store of `:memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`.

    Raises Misconfigured, ExtraMissing.
    """
    if url == MEMORY:
        return MemoryStore()
    if url.startswith(_POSTGRES):
        return _postgres_store(url)
    return SQLiteStore(_sqlite_file(url))


def tell(gateway: Gateway, store: Store, file: Path, public_url: str | None) -> None:
    """Has those whom `file` names told of what `gateway` writes to `store`. Raises Misconfigured, ExtraMissing."""
    try:
        from sayso.notify.notifiers import notifiers
    except ImportError as exc:
        raise ExtraMissing("notifiers need httpcore: pip install 'sayso[notify]'") from exc
    gateway.notifiers = notifiers(file, store, gateway, Clock(), public_url)


def push(gateway: Gateway, store: Store, *, api_key: str | None, public_url: str | None) -> None:
    """Lets devices be told of what `gateway` writes to `store`, where what that takes is installed."""
    if not isinstance(store, Subscribed) or not isinstance(store, Notified):
        gateway.push = NoPush("this store keeps no devices; use SQLite or PostgreSQL")
    elif not all(find_spec(name) for name in ("httpcore", "cryptography")):
        gateway.push = NoPush("this server was installed without push: pip install 'sayso[push]'")
    else:
        from sayso.notify.push import Push

        gateway.push = Push(store, gateway, Clock(), api_key=api_key, public_url=public_url)


def backup(url: str, to: Path) -> Copy:
    """Copies the store at `url` to the new file `to`; see `copy_file`. Raises Misconfigured, StoreFailed."""
    if url == MEMORY:
        raise Misconfigured("a store in memory cannot be backed up; it ends with its server")
    if url.startswith(_POSTGRES):
        raise Misconfigured("a store in PostgreSQL is backed up with PostgreSQL's own programs, such as pg_dump")
    return copy_file(_sqlite_file(url), to)


def migrate(source: str, target: str, told: Told) -> Moved:
    """Moves everything in the SQLite store at `source` to the empty PostgreSQL database at `target`; `told` hears how
    far it has come. Raises Misconfigured, StoreFailed.
    """
    if not target.startswith(_POSTGRES):
        raise Misconfigured("a store is moved to PostgreSQL: 'postgresql://user@host/database'")
    if source.startswith(_POSTGRES):
        raise Misconfigured("a store is moved from SQLite to PostgreSQL, not back")
    if source == MEMORY:
        raise Misconfigured("a store in memory cannot be moved; it ends with its server")
    file = _sqlite_file(source)
    try:
        from sayso.store.postgres.moving_in import move_in
    except ImportError as exc:
        raise ExtraMissing(_NO_POSTGRES) from exc
    with moving_out(file) as store:
        return asyncio.run(move_in(target, store, told))


def default_store(port: int) -> str:
    """A file of the port's own among the user's data, so that two servers never want the same; memory for port 0."""
    return MEMORY if port == 0 else f"{_SQLITE}{user_data_path('sayso', appauthor=False) / f'{port}.db'}"


def shown(url: str) -> str:
    """The URL of a store as a person may see it: without what may be a password."""
    if url == MEMORY or url.startswith(_SQLITE):
        return url
    scheme, separator, rest = url.partition("://")
    account, at, place = rest.partition("?")[0].rpartition("@")
    return f"{scheme}{separator}{account.partition(':')[0]}{at}{place}"


def _sqlite_file(url: str) -> Path:
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return Path(url.removeprefix(_SQLITE)).expanduser()
    raise Misconfigured(
        f"store {url.partition(':')[0]!r} is not known; use ':memory:', 'sqlite:///relative.db', "
        "'sqlite:////absolute.db' or 'postgresql://user@host/database'"
    )


def _postgres_store(url: str) -> Store:
    try:
        from sayso.store.postgres import PostgresStore
    except ImportError as exc:
        raise ExtraMissing(_NO_POSTGRES) from exc
    return PostgresStore(url)


def adapters_stand_by(owner: object) -> Callable[[], None]:
    """Has the agent frameworks that are loaded already look for an asker when they need one; gives what undoes it."""
    if "crewai" not in sys.modules:
        return lambda: None
    from sayso.adapters import crewai

    return crewai.stand_by(owner)


def install_adapters(asker: Asker) -> Callable[[], None]:
    """Makes every agent framework that is installed here ask through `asker`; gives back what undoes it."""
    if "crewai" not in sys.modules and find_spec("crewai") is None:
        return lambda: None
    from sayso.adapters import crewai  # takes seconds where crewAI was not imported before

    return crewai.install(asker)
