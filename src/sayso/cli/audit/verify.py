"""`sayso audit verify`: whether an audit is as it was written, from a file or from a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final

import click

from sayso.cli.connection import client_of, explained, url_option
from sayso.cli.ending import told
from sayso.cli.ids import Id
from sayso.cli.output import json_option, note, print_json
from sayso.errors import AuditBroken

if TYPE_CHECKING:
    from sayso.chain import Chains, Head

_LONGEST: Final = 64 * 1024
"""Bytes of a line; an entry has a few hundred. Whatever is in a file, no more than this is held."""


class _Noted(click.ParamType):  # type: ignore[type-arg]  # older clicks have none
    """A head on the command line."""

    name = "head"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        from sayso.chain import Head

        execution_id, _, rest = str(value).rpartition("=")
        number, _, hash = rest.partition(":")
        try:
            return Head.of({"execution_id": execution_id, "number": int(number), "hash": hash})
        except ValueError:
            self.fail(f"{value!r} is no head; write EXECUTION=NUMBER:HASH", param, ctx)


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--execution", type=Id(), metavar="ID", help="Of this run of the server's, without a FILE.")
@click.option("--head", "heads", multiple=True, type=_Noted(), metavar="HEAD", help="Noted earlier: RUN=NUMBER:HASH.")
@click.option("--heads", "noted", type=click.File("rb"), metavar="FILE", help="Noted earlier, with --json.")
@click.option("--part", is_flag=True, help="Of an export with --since or --until.")
@json_option
@url_option
@told
def verify(
    file: IO[bytes] | None,
    *,
    execution: str | None,
    heads: tuple[Head, ...],
    noted: IO[bytes] | None,
    part: bool,
    as_json: bool,
    url: str,
) -> None:
    """Check every chain of an audit, and say the first break.

    FILE is an export; without one, the server's audit is read. An entry that was changed, removed, inserted or swapped
    shows. What a chain cannot show by itself is that its end was cut off, or that all of it was written anew, or
    removed: compare it with heads that were noted earlier, and kept where whoever has the server cannot write.

    With --json it writes the heads, one a line: where each chain ends now. Whole is 0, broken is 1.

    \b
    Examples:
      sayso audit verify audit.jsonl
      sayso audit verify --json > heads.jsonl
      sayso audit verify --heads heads.jsonl
      sayso audit verify audit.jsonl --head order-42=7:9f86d081…
    """
    from sayso.chain import Chains

    if file is not None and execution is not None:
        raise click.UsageError("--execution is for the server's audit; a FILE is checked whole")
    known = [*_heads(noted), *heads]
    if execution is not None:
        known = [head for head in known if head.execution_id == execution]
    chains = Chains(known, is_part=part)
    if file is not None:
        _check(chains, _lines(file), "line", as_json=as_json)
    else:
        with explained(url), client_of(url) as client:
            _check(chains, client.audit(execution), as_json=as_json)
    if not as_json:
        click.echo(f"{chains.entries} entries of {chains.executions} executions: whole")
        if not known:
            note("nothing noted earlier was compared: a cut end, or a chain written anew, does not show")


def _check(chains: Chains, entries: Iterable[Any], where: str = "", *, as_json: bool) -> None:
    """Raises AuditBroken at the first break, with its number `where` there is one."""
    number = 0
    try:
        for number, entry in enumerate(entries, 1):  # noqa: B007 - said with what is broken
            _tell(chains.add(entry), as_json=as_json)
    except AuditBroken as exc:
        raise AuditBroken(f"{where} {number}: {exc.detail}" if where else exc.detail) from exc
    _tell(chains.end(), as_json=as_json)


def _tell(head: Head | None, *, as_json: bool) -> None:
    if as_json and head is not None:
        print_json(head._asdict())


def _heads(noted: IO[bytes] | None) -> Iterator[Head]:
    from sayso.chain import Head

    for number, members in enumerate([] if noted is None else _lines(noted), 1):
        try:
            yield Head.of(members)
        except ValueError as exc:
            raise click.BadParameter(f"line {number}: {exc}", param_hint="--heads") from exc


def _lines(file: IO[bytes]) -> Iterator[Any]:
    """What each line holds; None for what is no JSON."""
    import msgspec

    from sayso.wire import UNREADABLE

    while text := file.readline(_LONGEST + 1):
        try:
            yield msgspec.json.decode(text) if len(text) <= _LONGEST else None
        except UNREADABLE:
            yield None
