"""`sayso serve`: a server of one's own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sayso.cli.ending import told
from sayso.cli.output import json_option, note, print_json
from sayso.errors import SaysoError

logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--host",
    metavar="NAME",
    default="localhost",
    envvar="SAYSO_HOST",
    show_default=True,
    show_envvar=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    default=8000,
    type=click.IntRange(0, 65_535),
    metavar="N",
    envvar="SAYSO_PORT",
    show_default=True,
    show_envvar=True,
    help="0 picks a free one.",
)
@click.option(
    "--store",
    metavar="URL",
    envvar="SAYSO_STORE",
    show_envvar=True,
    help="sqlite:///file.db or :memory:  [default: a file of this port's own]",
)
@click.option(
    "--retention",
    type=float,
    metavar="DAYS",
    help="How long settled runs are kept; inf: for ever.  [env var: SAYSO_RETENTION; default: 30]",
)
@click.option(
    "--drain",
    type=float,
    metavar="SECONDS",
    help="How long all goes on after SIGTERM, while /ready says no.  [env var: SAYSO_DRAIN; default: 0]",
)
@click.option(
    "--notify",
    metavar="FILE",
    help="Who is told of what, by webhooks: a TOML or JSON file.  [env var: SAYSO_NOTIFY]",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="Where people reach it, for links in what others are told.  [env var: SAYSO_PUBLIC_URL]",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    envvar="SAYSO_ALLOW_ORIGINS",
    show_envvar=True,
    help="A web page's origin that may call; repeatable.",
)
@click.option(
    "--tls-certificate",
    metavar="FILE",
    envvar="SAYSO_TLS_CERTIFICATE",
    show_envvar=True,
    help="Speak TLS with this certificate (PEM).",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    envvar="SAYSO_TLS_KEY",
    show_envvar=True,
    help="Its key (PEM), where the certificate's file does not hold it.",
)
@click.option(
    "--tls-password-file",
    metavar="FILE",
    envvar="SAYSO_TLS_PASSWORD_FILE",
    show_envvar=True,
    help="What opens the key is this file's first line.",
)
@click.option(
    "--trusted-proxies",
    metavar="ADDRESSES",
    default="",
    envvar="SAYSO_TRUSTED_PROXIES",
    show_envvar=True,
    help="Proxies whose X-Forwarded-For and -Proto count: 10.0.0.7,10.1.0.0/16",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="SAYSO_LOG_FORMAT",
    show_default=True,
    show_envvar=True,
    help="json: one object a line, on stderr.",
)
@json_option
@told
def serve(
    *,
    host: str,
    port: int,
    store: str | None,
    retention: float | None,
    drain: float | None,
    notify: str | None,
    public_url: str | None,
    allow_origins: tuple[str, ...],
    tls_certificate: str | None,
    tls_key: str | None,
    tls_password_file: str | None,
    trusted_proxies: str,
    log_format: str,
    as_json: bool,
) -> None:
    """Run a server, for agents and people anywhere, until Ctrl-C.

    The key that clients must send is read from SAYSO_API_KEY, or from the file that SAYSO_API_KEY_FILE names; never
    from the command line, where every user of the machine could read it. Without a key it serves this machine alone.
    A store's URL that holds a password belongs in the file that SAYSO_STORE_FILE names, for the same reason.

    \b
    Examples:
      SAYSO_API_KEY=secret sayso serve --host 0.0.0.0
      sayso serve --port 8001 --store sqlite:///questions.db
      sayso serve --port 0 --json
      sayso serve --tls-certificate cert.pem --tls-key key.pem
      sayso serve --log-format json 2>> sayso.log
    """
    from sayso import HumanInputServer, settings
    from sayso.compose import MEMORY, default_store, shown

    with _logging(log_format):
        store = store or settings.store() or default_store(port)
        server = HumanInputServer(
            host,
            port,
            store=store,
            retention=retention,
            drain=drain,
            notify=notify,
            public_url=public_url,
            allow_origins=allow_origins,
            trusted_proxies=trusted_proxies.replace(",", " ").split(),
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            tls_password_file=tls_password_file,
            adapters=False,
        )

        def listening() -> None:
            kept = shown(store)
            if as_json:
                print_json({"url": server.url, "store": kept})
            elif log_format == "json":
                logger.info("listens", extra={"url": server.url, "store": kept})
            else:
                note(f"sayso listens on {server.url}")
                note(f"open it for the inbox; questions are kept in {'memory alone' if kept == MEMORY else kept}")

        server.start(on_listening=listening)


@contextmanager
def _logging(format: str) -> Iterator[None]:
    """With `json`, what keeps the server from running is a line of JSON, too."""
    if format != "json":
        yield
        return
    from sayso.cli.json_log import log_as_json

    log_as_json()
    try:
        yield
    except SaysoError as error:
        logger.error("the server ended: %s", error, extra={"code": error.code})
        sys.exit(1)
