"""Lists of requests from the PostgreSQL store. However many there are, a page costs what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sayso import limits
from sayso.model import STATUSES, Request
from sayso.store import Filter, Page, first_of, mentions
from sayso.store.postgres.connection import Connection
from sayso.store.sql import queries
from sayso.wire import decode_request, encode

_LAST: Final = 2**63 - 1
_SEARCHED: Final = 100
"""Requests looked at in one step of a search."""
_Q: Final = queries("postgres")


async def list_requests(connection: Connection, filter: Filter, after: int, limit: int, *, newest: bool) -> Page:
    """See `Store.list`."""
    if filter.text is not None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _search(connection, filter, filter.text, after, limit, newest=newest)
    page, _ = await _page(connection, filter, after, limit, newest=newest)
    return page


async def _search(connection: Connection, filter: Filter, text: str, after: int, limit: int, *, newest: bool) -> Page:
    """Looks from request to request, which is what a text costs; all in one transaction, which sees one moment."""
    found: list[tuple[int, Request]] = []
    while True:
        page, positions = await _page(connection, filter, after, _SEARCHED, newest=newest)
        found += [pair for pair in zip(positions, page.requests, strict=True) if _mentions(pair[1], text)]
        if page.next is None or len(found) > limit or sum(len(encode(one)) for _, one in found) > limits.BATCH:
            break
        after = page.next
    shown = list(first_of(found[:limit], lambda one: len(encode(one[1]))))
    more = shown[-1][0] if len(found) > len(shown) else page.next
    return page._replace(requests=tuple(request for _, request in shown), next=more)


async def _page(
    connection: Connection, filter: Filter, after: int, limit: int, *, newest: bool
) -> tuple[Page, Sequence[int]]:
    values: list[Any] = [limit + 1, (after or _LAST) if newest else after, limits.BATCH]

    def value(one: Any) -> str:
        values.append(one)
        return f"${len(values)}"

    execution = "" if filter.execution_id is None else f"execution_id = {value(filter.execution_id)} AND "
    statement = _Q["list"].format(
        which=execution, positions=_positions(filter, execution, value, newest=newest), order="DESC" if newest else ""
    )
    rows = await connection.fetch(statement, *values)
    found = [row for row in rows if row["position"] is not None]
    shown = found[:limit]
    positions = [row["position"] for row in shown]
    page = Page(
        requests=tuple(decode_request(row["data"]) for row in shown),
        next=positions[-1] if found and found[0]["found"] > len(shown) else None,
        head_event_id=rows[0]["head_event_id"],
        head=rows[0]["head"],
    )
    return page, positions


def _positions(filter: Filter, execution: str, value: Callable[[Any], str], *, newest: bool) -> str:
    """Each status has its index in asking order, and several are merged. Nothing here is anybody's input."""
    after, order = ("<", "DESC") if newest else (">", "")
    conditions = f"{execution}position {after} $2"
    if filter.durable is not None:
        conditions += f" AND {'' if filter.durable else 'NOT '}durable"
    if filter.due_before is not None:
        conditions += f" AND deadline_at < {value(filter.due_before)}"
    if filter.among is not None:
        patterns = [f"execution_id LIKE {value(_like(pattern))}" for pattern in filter.among]
        conditions += f" AND ({' OR '.join(patterns) or 'false'})"
    if filter.until is not None:
        conditions += f" AND position <= {value(filter.until)}"
    statuses = None if filter.status is None and not execution else [one for one in STATUSES if _is_in(one, filter)]
    if statuses is None:
        return f"SELECT position FROM sayso.requests WHERE {conditions}"  # noqa: S608 - a constant, and here below
    # Few requests are due, or of a process: found by their own index, and then put in order, never looked for in order.
    few = not execution and (filter.due_before is not None or filter.durable is False)
    each = [
        f"(SELECT position FROM sayso.requests WHERE status = '{one}' AND {conditions} "  # noqa: S608
        f"ORDER BY position {'+ 0 ' if few and one == 'pending' else ''}{order} LIMIT $1)"
        for one in statuses
    ]
    return " UNION ALL ".join(each) or f"SELECT position FROM sayso.requests WHERE {conditions} AND false"  # noqa: S608


def _like(pattern: str) -> str:
    """A pattern of ours as SQL has it."""
    return pattern.replace("_", r"\_").replace("*", "%")


def _is_in(status: str, filter: Filter) -> bool:
    return filter.status is None or status in filter.status


def _mentions(request: Request, text: str) -> bool:
    return mentions(
        text,
        title=request.title,
        prompt=request.prompt,
        execution_id=request.execution_id,
        context_data=request.context_data,
    )
