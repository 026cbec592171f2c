"""What the tests of notifiers share with those of nodes."""

from __future__ import annotations

from tests.nodes.conftest import durable, log

__all__ = ["durable", "log"]
