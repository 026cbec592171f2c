"""sayso: when an agent must ask a person. See README.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sayso.client import AsyncClient, Client, connect
    from sayso.human_input_server import HumanInputServer, create_app
    from sayso.inquiry import Reply, aask, ask
    from sayso.model import Action, Option, Question, Request, Submission

__all__ = [
    "Action",
    "AsyncClient",
    "Client",
    "HumanInputServer",
    "Option",
    "Question",
    "Reply",
    "Request",
    "Submission",
    "aask",
    "ask",
    "connect",
    "create_app",
]

_FROM = {
    "Action": "sayso.model",
    "AsyncClient": "sayso.client",
    "Client": "sayso.client",
    "HumanInputServer": "sayso.human_input_server",
    "Option": "sayso.model",
    "Question": "sayso.model",
    "Reply": "sayso.inquiry",
    "Request": "sayso.model",
    "Submission": "sayso.model",
    "aask": "sayso.inquiry",
    "ask": "sayso.inquiry",
    "connect": "sayso.client",
    "create_app": "sayso.human_input_server",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that `import sayso` stays light."""
    if name not in _FROM:
        raise AttributeError(f"module 'sayso' has no attribute {name!r}")
    from sayso.errors import ExtraMissing

    try:
        return getattr(import_module(_FROM[name]), name)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("sayso"):
            raise
        raise ExtraMissing(f"{name} needs {exc.name}, which is not installed: pip install 'sayso[server]'") from exc


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
