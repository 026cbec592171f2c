"""The store in a PostgreSQL database, which many processes share."""

from sayso.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
