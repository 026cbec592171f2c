"""How PostgreSQL is reached, what its errors mean to a caller, and how its schema is brought up to date."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sayso import limits
from sayso.errors import Misconfigured, StoreFailed, StoreFull, StoreTooNew
from sayso.store.postgres.address import Address
from sayso.store.sql import migrations, queries

T = TypeVar("T")
Own: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection that belongs to whoever made it."""
Connection: TypeAlias = "Own | PoolConnectionProxy[asyncpg.Record]"
logger = logging.getLogger(__name__)

OLDEST: Final = 140_000
"""PostgreSQL 14: the first with `idle_session_timeout`, by which a process that stands still loses its locks."""
STATEMENT: Final = 30.0
"""Seconds until a statement counts as failed: a database that does not answer must not hold anyone for ever."""
CONNECT: Final = 5.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0

_SETTINGS: Final = {
    "application_name": "sayso",
    "jit": "off",
    # Each statement has its index. A plan made while a table was small must not read it whole when it has grown.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
_MIGRATING: Final = 0x5341_5953_4F00
"""The advisory lock that whoever migrates holds."""
_OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What passes: a restart, a fail-over, a cut. Whatever is done here is safe to do again."""
_SETTINGS_WRONG: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)

_Q: Final = queries("postgres")


async def connect(url: str, *, is_pooled: bool) -> Own:
    """A connection to a server that takes writes."""
    connection: Own = await asyncpg.connect(url, **_options(is_pooled=is_pooled))
    return connection


async def pool(address: Address, size: int) -> asyncpg.Pool[asyncpg.Record]:
    """Connections for statements that are each a transaction of their own."""

    async def keep_as_it_is(_connection: object) -> None:
        """Nothing that is done on these outlasts a transaction."""

    pool = asyncpg.create_pool(
        address.url, min_size=1, max_size=size, reset=keep_as_it_is, **_options(is_pooled=address.is_pooled)
    )
    return await pool


def _options(*, is_pooled: bool) -> dict[str, Any]:
    if is_pooled:
        # Neither settings nor prepared statements belong to anybody there.
        return {"timeout": CONNECT, "command_timeout": STATEMENT, "statement_cache_size": 0}
    return {
        "timeout": CONNECT,
        "command_timeout": STATEMENT,
        "server_settings": _SETTINGS,
        "target_session_attrs": "read-write",
    }


@asynccontextmanager
async def statement(connection: Connection, *, is_pooled: bool) -> Any:
    """Where one statement runs: as it is, or, through a pooler, in a transaction, which alone keeps its two halves
    (asyncpg prepares, then executes) together. A process that stands still in the middle must not hold a lock for long.
    """
    if not is_pooled:
        yield
        return
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        yield


async def through_outages(work: Callable[[], Awaitable[T]], *, seconds: float | None = None) -> T:
    """What `work` gives, tried again while the database cannot be reached; raises what it raised after `seconds`.

    None: after limits.OUTAGE.
    """
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + (limits.OUTAGE if seconds is None else seconds), _FIRST_PAUSE
    while True:
        try:
            return await work()
        except _OUTAGES as exc:
            if isinstance(exc, _SETTINGS_WRONG) or loop.time() + pause > until:
                raise
            logger.warning("PostgreSQL cannot be reached, trying again: %r", exc)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def failures(what: str = "the store could not be used") -> Iterator[None]:
    """PostgreSQL's errors as StoreFailed, or the class under it that says what to do."""
    try:
        yield
    except (*_OUTAGES, asyncpg.PostgresError) as exc:
        kind = StoreFull if isinstance(exc, asyncpg.DiskFullError) else StoreFailed
        raise kind(f"{what}: {str(exc) or type(exc).__name__}") from exc


def is_refusal(exc: Exception) -> bool:
    """Whether it is about a value that was given, and not about the database."""
    is_unwritable = isinstance(exc, asyncpg.InterfaceError) and isinstance(exc, ValueError)  # asyncpg's own DataError
    return is_unwritable or isinstance(exc, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)


async def prepare(address: Address) -> None:
    """Brings the schema up to date, whoever else does so at this moment.

    Raises Misconfigured, StoreTooNew, StoreFailed.
    """
    async with (
        connected(address, address.url, f"{address.shown} cannot be used") as connection,
        connection.transaction(),
    ):
        await migrate(connection, address)


@asynccontextmanager
async def connected(address: Address, url: str, what: str, *, patience: float | None = None) -> AsyncIterator[Own]:
    """A connection to `url`, which is one of the address's. Raises Misconfigured, StoreFailed: the latter as `what` for
    what goes wrong once it stands, and after `patience` seconds (None: limits.OUTAGE) where it never does.
    """
    is_pooled = address.is_pooled and url == address.url
    with failures(f"{address.shown} cannot be reached"):
        try:
            connection = await through_outages(lambda: connect(url, is_pooled=is_pooled), seconds=patience)
        except _SETTINGS_WRONG as exc:
            raise Misconfigured(f"{address.shown} does not let us in: {exc}") from None
    try:
        with failures(what):
            yield connection
    finally:
        with suppress(Exception):
            await connection.close(timeout=CONNECT)


async def migrate(connection: Connection, address: Address) -> None:
    """The same on a connection that is in a transaction, whose end makes it so."""
    major = int(await connection.fetchval("SHOW server_version_num"))
    if major < OLDEST:
        raise Misconfigured(f"{address.shown} is older than PostgreSQL {OLDEST // 10_000}, which sayso needs")
    if await connection.fetchval("SHOW fsync") == "off":
        logger.warning("%s has fsync off: what it acknowledges may be lost with its power", address.shown)
    if await _reached(connection, address) < migrations("postgres")[-1][0]:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
        await connection.execute("SET LOCAL synchronous_commit = 'on'")  # the first write may be far off
        reached = await _reached(connection, address)  # somebody may have been first
        for number, script in migrations("postgres"):
            if number > reached:
                await _run(connection, address, script)


async def _run(connection: Connection, address: Address, script: str) -> None:
    try:
        await connection.execute(script)
    except asyncpg.InsufficientPrivilegeError as exc:
        raise Misconfigured(
            f"{address.shown}: {exc}; the first start, and each start after an upgrade, needs the right to CREATE"
        ) from exc


async def _reached(connection: Connection, address: Address) -> int:
    """The newest migration that the database has had; 0 for an empty one. Raises StoreTooNew."""
    meta: dict[str, str] = {}
    if await connection.fetchval(_Q["exists"]):
        meta = {row["key"]: row["value"] for row in await connection.fetch(_Q["all_meta"])}
    if int(meta.get("readable_from", 0)) > migrations("postgres")[-1][0]:
        raise StoreTooNew(f"{address.shown} is used by a newer sayso; upgrade this one: pip install -U sayso")
    return int(meta.get("schema_version", 0))
