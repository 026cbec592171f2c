"""The servers that are compared: how each is started, and at which addresses it does the same work."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.harness.built import BENCH, limit
from bench.harness.missing import Missing

KEY: Final = "bench-key-0123456789abcdef"
_NCHAN: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


@dataclass(frozen=True)
class Place:
    """What a server gets of the machine. `certificate`, `key`: PEM files where its followers come over TLS."""

    folder: Path
    port: int
    publish_port: int
    descriptors: int
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Plan:
    """How a server is started. `roads`: its addresses by transport; `client`: what the load client must know of it."""

    command: list[str]
    roads: Mapping[str, str]
    publish_port: int
    publish: str = "/pub/%08d"
    client: Mapping[str, str | bool] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


_PLAIN: Final = {"ws": "/ws/%08d", "sse": "/sse/%08d", "poll": "/poll/%08d", "replay": "/poll/%08d"}
_SAYSO: Final = {
    "ws": "/ws/human-input/%08d",
    "sse": "/events/human-input/%08d",
    "poll": "/poll/human-input/%08d?wait=50",
    "replay": "/poll/human-input/%08d",
    "all": "/ws/human-input",
}


def sayso(place: Place) -> Plan:
    """The whole road: a question is asked over HTTP and stored on the disk before anyone is told."""
    tls = ["--tls-certificate", str(place.certificate), "--tls-key", str(place.key)] if place.certificate else []
    store = f"sqlite:///{place.folder / f'{place.port}.db'}"
    return Plan(
        [str(Path(sys.executable).with_name("sayso")), "serve", "--port", str(place.port), "--store", store, *tls],
        _SAYSO,
        place.port,
        "/requests",
        {
            "ask": True,
            "cursor_in_body": True,
            "header": f"Authorization: Bearer {KEY}",
            "publish_tls": bool(tls),
        },
        {"SAYSO_API_KEY": KEY},
    )


def transport(place: Place) -> Plan:
    """sayso from the store's hint on: see `bench/injected.py`."""
    tls = [str(place.certificate), str(place.key)] if place.certificate else []
    return Plan(
        [sys.executable, "-m", "bench.injected", str(place.port), str(place.publish_port), *tls],
        _SAYSO,
        place.publish_port,
        client={"cursor_in_body": True},
    )


def nchan(place: Place) -> Plan:
    """nginx with nchan, whose messages are in memory. Raises Missing."""
    if not _NCHAN.exists():
        raise Missing.of("nchan", "nginx libnginx-mod-nchan")
    conf = (BENCH / "peers/nchan.conf").read_text()
    tls = f"ssl; ssl_certificate {place.certificate}; ssl_certificate_key {place.key}" if place.certificate else ""
    values = {
        "folder": place.folder,
        "port": place.port,
        "publish_port": place.publish_port,
        "descriptors": place.descriptors,
        "connections": place.descriptors - 500,
        "tls": tls,
        "user": "user root;" if os.geteuid() == 0 else "",
    }
    for name, value in values.items():
        conf = conf.replace(f"{{{name}}}", str(value))
    file = place.folder / f"nchan-{place.port}.conf"
    file.write_text(conf)
    return Plan(["/usr/sbin/nginx", "-c", str(file)], _PLAIN | {"replay": "/replay/%08d"}, place.publish_port)


def plain(place: Place) -> Plan:
    """An ASGI application on uvicorn as it comes, a queue and a task for each subscriber."""
    return _uvicorn("plain:app", place)


def fastapi(place: Place) -> Plan:
    """FastAPI with sse-starlette on uvicorn as it comes, likewise."""
    return _uvicorn("fastapi_app:app", place)


def bare(place: Place) -> Plan:
    """The limit of a core: one call to the kernel for each delivery."""
    return Plan([str(limit()), str(place.port)], _PLAIN, place.port)


def joined(place: Place) -> Plan:
    """The same, but what comes at once is sent at once."""
    return Plan([str(limit()), str(place.port), "joined"], _PLAIN, place.port)


def _uvicorn(app: str, place: Place) -> Plan:
    tls = ["--ssl-certfile", str(place.certificate), "--ssl-keyfile", str(place.key)] if place.certificate else []
    options = ["--no-access-log", "--log-level", "error", "--backlog", "4096", "--port", str(place.port)]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(BENCH / "peers"), app, *options, *tls]
    return Plan(command, _PLAIN, place.port, client={"publish_tls": True} if tls else {})


SERVERS: Final[dict[str, Callable[[Place], Plan]]] = {
    "transport": transport,
    "sayso": sayso,
    "nchan": nchan,
    "plain": plain,
    "fastapi": fastapi,
    "bare": bare,
    "joined": joined,
}
TITLES: Final = {
    "transport": "sayso, transport alone",
    "sayso": "sayso, the whole road",
    "nchan": "nchan",
    "plain": "plain ASGI on uvicorn",
    "fastapi": "FastAPI, sse-starlette",
    "bare": "C, one send each",
    "joined": "C, joined sends",
}
