"""A tool that runs once for one approval: on its text road crewAI runs a tool that fails up to six times."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from crewai.tools.structured_tool import CrewStructuredTool


def allow_once(tool: Any) -> None:
    """From now on `tool` runs once; every further time it raises what it raised, without running."""
    if isinstance(tool, CrewStructuredTool) and callable(tool.func):
        tool.func = _once(tool.func)


def allow(tool: Any) -> None:
    """Takes `allow_once` back."""
    own = getattr(getattr(tool, "func", None), "_sayso_own", None)
    if own is not None:
        tool.func = own


def _once(own: Callable[..., Any]) -> Callable[..., Any]:
    ran: list[BaseException | None] = []

    def begin() -> None:
        if ran:
            raise ran[0] or RuntimeError("the approved call was made; another one needs another approval")
        ran.append(None)

    if inspect.iscoroutinefunction(own):

        @wraps(own)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            begin()
            try:
                return await own(*args, **kwargs)
            except BaseException as exc:
                ran[0] = exc
                raise

        run: Callable[..., Any] = run_async
    else:

        @wraps(own)
        def run_sync(*args: Any, **kwargs: Any) -> Any:
            begin()
            try:
                return own(*args, **kwargs)
            except BaseException as exc:
                ran[0] = exc
                raise

        run = run_sync
    run._sayso_own = own  # type: ignore[attr-defined]
    return run
