"""How a command line names a request or a run, and how the shell completes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from sayso.cli.plain import line
from sayso.errors import NotFound, SaysoError
from sayso.model import ID_RULE, Request, is_id

if TYPE_CHECKING:
    from sayso.client import Client

_SHORT: Final = 8
"""The end of an id, which tells one request from another better than its beginning, a time."""
_OFFERED: Final = 50
"""Open requests that a shell is told of."""


def short_id(request_id: str) -> str:
    """What is enough to name a request in a command: the end of a long id, which a shell takes for no option."""
    return request_id if len(request_id) <= 2 * _SHORT else request_id[-_SHORT:].lstrip("-")


def found(client: Client, id: str, *, is_settled_too: bool = False) -> Request:
    """The request that `id`, or the beginning or the end of one that waits, names; `is_settled_too`: of any.

    Raises ClickException.
    """
    try:
        return client.get(id)
    except NotFound:
        close = [*islice(_close(client, id, is_settled_too=is_settled_too), 100)]
    if len(close) == 1:
        return close[0]
    kind = "requests" if is_settled_too else "open requests"
    if close:
        raise click.ClickException(f"{len(close)} {kind} begin or end with {id!r}; write more of the id")
    hint = "" if is_settled_too else "; it may be settled already: sayso inbox --all"
    raise click.ClickException(f"no {kind[:-1]} begins or ends with {id!r}{hint}")


def _close(client: Client, id: str, *, is_settled_too: bool) -> Iterator[Request]:
    for one in client.list(status=() if is_settled_too else ("pending",)):
        if one.request_id.startswith(id) or one.request_id.endswith(id):
            yield one


class Id(click.ParamType):  # type: ignore[type-arg]  # older clicks have none
    """An id of a run or a request, as every transport can carry it."""

    name = "id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_id(str(value)):
            self.fail(f"{value!r} can be no id: it {ID_RULE}", param, ctx)
        return str(value)


class RequestId(Id):
    """An id of a request, or an end of one; a shell is told what waits."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from sayso import settings
        from sayso.cli.connection import DEFAULT_URL, client_of

        url = ctx.params.get("url") or settings.url() or DEFAULT_URL
        try:
            with client_of(url, patience=0.0) as client:
                waiting = list(islice(client.list(status=["pending"]), _OFFERED))
        except SaysoError:
            return []
        return [
            CompletionItem(short_id(one.request_id), help=line(one.title))
            for one in waiting
            if short_id(one.request_id).startswith(incomplete)
        ]
