"""`sayso resume`: goes on with crewAI flows that ended while they waited for a person."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import short_id
from sayso.cli.output import json_option, note, print_json
from sayso.cli.plain import line

if TYPE_CHECKING:
    from sayso.adapters.crewai import Resumed
    from sayso.adapters.crewai.resume import Resumer
    from sayso.client import Client

_HERE = "--flow"


@click.command()
@click.option("--flow", "name", required=True, metavar="MODULE:CLASS", help="The flow, as package.module:Flow.")
@click.option("--persistence", metavar="FILE", help="crewAI's database of flows.  [default: crewAI's own]")
@click.option("--once", is_flag=True, help="Go on with what is answered now, and end.")
@json_option
@on_server
def resume(client: Client, *, name: str, persistence: str | None, once: bool, as_json: bool) -> None:
    """Go on with crewAI flows that ended while they waited.

    They ended at a @human_feedback(provider=Pause()), and go on as soon as a person has answered. Runs until Ctrl-C.
    Any number may run, on any machine that reaches crewAI's database: each flow is gone on with by one of them, and by
    another when that one dies. What the flow asks next goes to the same server.

    \b
    With --once it ends with
      0  whatever was answered was gone on with
      1  a flow failed

    \b
    Examples:
      sayso resume --flow shop.flows:Order
      sayso resume --flow shop.flows:Order --persistence flows.db --once
    """
    flow = _flow(name)
    from crewai.flow.persistence.sqlite import SQLiteFlowPersistence

    from sayso import connect, settings
    from sayso.adapters.crewai import install
    from sayso.adapters.crewai.resume import Resumer

    asker = connect(client.url, api_key=settings.api_key())
    uninstall = install(asker)
    resumer = Resumer(flow, client, SQLiteFlowPersistence(persistence) if persistence else None)
    note(f"going on with {name} for {client.url}")
    has_failed, out = False, sys.stdout
    try:
        with redirect_stdout(sys.stderr):  # what crewAI and the flow print is none of this command's output
            for ended in _ended_now(resumer) if once else resumer.keep_on():
                with redirect_stdout(out):
                    _tell(ended, as_json)
                has_failed = has_failed or ended.end == "failed"
    finally:
        uninstall()
        asker.close()
    sys.exit(1 if has_failed else 0)


def _ended_now(resumer: Resumer) -> Iterator[Resumed]:
    for request in resumer.answered():
        if (ended := resumer.go_on(request)) is not None:
            yield ended


def _flow(name: str) -> Any:
    """The class that `module:Class` names. Raises BadParameter."""
    module, _, kind = name.partition(":")
    if not (module and kind):
        raise click.BadParameter("write it as package.module:Flow", param_hint=_HERE)
    if "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - what the command was started in, as `python -m` has it
    try:
        found = getattr(importlib.import_module(module), kind)
    except ModuleNotFoundError as exc:
        raise click.BadParameter(f"there is no module {exc.name!r} to be found from here", param_hint=_HERE) from exc
    except AttributeError as exc:
        raise click.BadParameter(f"{module} has no {kind!r}", param_hint=_HERE) from exc
    if not hasattr(found, "from_pending"):
        raise click.BadParameter(f"{name} is no crewAI flow", param_hint=_HERE)
    return found


def _tell(ended: Resumed, as_json: bool) -> None:
    request = ended.request
    result = None if ended.end == "paused" else ended.result
    if as_json:
        from sayso.adapters.crewai.wording import as_json as written

        told = {"request_id": request.request_id, "execution_id": request.execution_id, "end": ended.end}
        print_json(told | {"result": written(result), "error": None if ended.error is None else str(ended.error)})
        return
    words = ended.error if ended.error is not None else result
    click.echo(line(f"{short_id(request.request_id)}  {ended.end}" + ("" if words is None else f": {words}")))
