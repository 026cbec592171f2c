"""How large a store is: rows of its tables, bytes of its files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.postgres import Cluster

Sizes = Callable[[], dict[str, int]]
"""`file` and `log` (what is written ahead) in bytes, and rows by table."""
_TABLES: Final = ("events", "requests", "keys", "tickets", "audit", "tombstones")


def of_file(path: Path) -> dict[str, int]:
    """Of a SQLite store that a server has open. `free`: bytes in `file` that are used again."""
    log = path.with_name(f"{path.name}-wal")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _TABLES}  # noqa: S608
        free = db.execute("PRAGMA freelist_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
    return {"file": path.stat().st_size, "log": log.stat().st_size if log.exists() else 0, "free": free} | rows


def of_database(cluster: Cluster, url: str) -> dict[str, int]:
    """Of a database in it."""
    asked = ["pg_database_size(current_database())", "(SELECT sum(size) FROM pg_ls_waldir())"]
    asked += [f"(SELECT count(*) FROM sayso.{name})" for name in _TABLES]  # noqa: S608
    (line,) = cluster.sql(f"SELECT {', '.join(asked)}", url)
    return dict(zip(("file", "log", *_TABLES), map(int, line.split("|")), strict=True))
