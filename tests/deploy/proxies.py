"""nginx and Caddy before nodes, each with the very file that `deploy/` has for it: only addresses are filled in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.daemons import Home, free_port, listens

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_NGINX: Final = """
daemon off;
pid {folder}/nginx.pid;
worker_processes 2;
error_log {folder}/main.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sayso.conf;
}}
"""


class Proxy:
    """One that runs. `url`: where clients go."""

    def __init__(self, home: Home, port: int) -> None:
        self._home = home
        self.url = f"http://127.0.0.1:{port}"

    @property
    def logs(self) -> str:
        """Whatever it wrote down."""
        return "".join(log.read_text(errors="replace") for log in self._home.folder.glob("*.log"))


Start = Callable[[Home, int, Sequence[int]], tuple[str | Path, ...]]
"""Makes what it takes to run a proxy on a port before nodes on others; gives the command."""


def nginx(home: Home, port: int, nodes: Sequence[int]) -> tuple[str | Path, ...]:
    places = {"listen 8080": f"listen 127.0.0.1:{port}", "/var/log/nginx": str(home.folder)}
    home.write("sayso.conf", filled("nginx.conf", nodes, places))
    return program("nginx"), "-c", home.write("nginx.conf", _NGINX.format(folder=home.folder))


def caddy(home: Home, port: int, nodes: Sequence[int]) -> tuple[str | Path, ...]:
    places = {
        "\n{\n": f"\n{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tstorage file_system {home.folder}\n",
        "sayso.example.com": f"http://127.0.0.1:{port}",
    }
    config = home.write("Caddyfile", filled("Caddyfile", nodes, places))
    # Nobody reaches the one that came with the tests where these lie in root's home.
    here = shutil.copy(Path(sys.executable).with_name("caddy"), home.folder / "caddy")
    return here, "run", "--adapter", "caddyfile", "--config", config


PROXIES: Final[dict[str, Start]] = {"nginx": nginx, "caddy": caddy}


def filled(name: str, nodes: Sequence[int], places: dict[str, str]) -> str:
    """The file of `deploy/`, before nodes of this machine; each of `places` stands in it once."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in places.items() | {
        (f"sayso-{number}:8000", f"127.0.0.1:{port}") for number, port in enumerate(nodes, 1)
    }:
        assert old in text
        text = text.replace(old, new)
    return text


def program(name: str) -> str:
    """Where Debian has it, which is not on everybody's path."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise RuntimeError(f"The tests need {name} (Debian, Ubuntu: scripts/test installs it).")
    return found


@contextmanager
def proxy(name: str, nodes: Sequence[int]) -> Iterator[Proxy]:
    """Runs it before `nodes`, their ports; ends it on leaving."""
    home, port = Home(name), free_port()
    process = None
    try:
        command = PROXIES[name](home, port, nodes)
        process = home.start(*command, is_ready=lambda _process: listens(port), HOME=str(home.folder))
        yield Proxy(home, port)
    finally:
        home.close()
        if process is not None:
            process.wait(60)
