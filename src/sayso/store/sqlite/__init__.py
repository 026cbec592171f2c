"""The store in one SQLite file."""

from sayso.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
