"""Debian's PgBouncer before a cluster: a connection of PostgreSQL's is a client's for one transaction only."""

from __future__ import annotations

import os
import shutil

from tests.daemons import Home, free_port, listens
from tests.postgres import USER, Cluster

_PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin"
"""Where Debian has it, which is not on everybody's path."""


class PgBouncer:
    """Ended by `close`, or with the tests."""

    def __init__(self, cluster: Cluster, *, connections: int = 20) -> None:
        program = shutil.which("pgbouncer", path=_PATHS)
        if program is None:
            raise RuntimeError("The tests need PgBouncer (Debian, Ubuntu: apt install pgbouncer).")
        self._cluster = cluster
        self._home = Home("pgbouncer")
        self.port = free_port()
        users = self._home.write("users.txt", f'"{USER}" "{cluster.password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            "pool_mode": "transaction",
            "default_pool_size": connections,
            "max_client_conn": 1_000,
            "server_login_retry": 1,  # not 15 s after PostgreSQL was away, which is longer than a store waits
        }
        lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
        databases = f"[databases]\n* = host=127.0.0.1 port={cluster.port}\n"
        config = self._home.write("pgbouncer.ini", f"{databases}[pgbouncer]\n{lines}\n")
        try:
            self._process = self._home.start(program, config, is_ready=lambda _process: listens(self.port))
        except BaseException:
            self._home.close()
            raise

    def url(self, database: str) -> str:
        """That of the cluster's database, by way of this."""
        return database.replace(f":{self._cluster.port}/", f":{self.port}/")

    def close(self) -> None:
        self._home.close()
        self._process.wait(60)
