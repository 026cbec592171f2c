"""Tool calls that a person must approve first. What runs is what was approved, to the letter."""

from __future__ import annotations

import copy
import logging
import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple, TypeVar, overload

from crewai.hooks import HookAborted, InterceptionPoint, ToolCallHookContext
from crewai.hooks.dispatch import get_global_hook_list
from crewai.tools import BaseTool
from crewai.utilities.string_utils import sanitize_tool_name

from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.installed import reachable
from sayso.adapters.crewai.once import allow, allow_once
from sayso.adapters.crewai.tool_call import Refused, ToolCall
from sayso.errors import Misconfigured, SaysoError

Guarded = TypeVar("Guarded", bound=BaseTool | type[BaseTool])
When = Callable[[ToolCallHookContext], bool]
"""Says of a call whether it needs approval: `lambda call: call.tool_input["amount"] > 100`."""

logger = logging.getLogger(__name__)


class _Rule(NamedTuple):
    """Which calls need approval. `kind`: every tool of this class, whatever its name."""

    pattern: str
    when: When | None
    kind: type[BaseTool] | None = None

    def holds(self, call: ToolCallHookContext) -> bool:
        """Whether a person must approve this call; so it is where `when` cannot say."""
        if not self._names(call):
            return False
        if self.when is None:
            return True
        try:
            shown = copy.copy(call)
            shown.tool_input = copy.deepcopy(call.tool_input)  # what `when` changes does not run
            return bool(self.when(shown))
        except Exception:
            logger.exception("when= failed for a call of %s, so a person is asked", call.tool_name)
            return True

    def _names(self, call: ToolCallHookContext) -> bool:
        """crewAI renames the second of two tools with one name, so the tool itself is looked at, too."""
        own = getattr(call.tool, "_original_tool", None)
        if self.kind is not None and isinstance(own, self.kind):
            return True
        names = {call.tool_name, getattr(call.tool, "name", ""), getattr(own, "name", "")}
        return any(fnmatchcase(sanitize_tool_name(name), self.pattern) for name in names if name)


@overload
def require_approval(*, when: When | None = None) -> Callable[[Guarded], Guarded]: ...


@overload
def require_approval(tool: Guarded, /) -> Guarded: ...


@overload
def require_approval(tool: str, /, *tools: str, when: When | None = None) -> Callable[[], None]: ...


def require_approval(*tools: Any, when: When | None = None) -> Any:
    """From now on a person approves each call of these tools that an agent makes: as it is, or with other arguments.

    tools: names as crewAI shows them to the model, or patterns as `delete_*` (one that no tool has guards nothing), or
        tools; gives what ends the guard. Without any it is a decorator, above `@tool` or a subclass of `BaseTool`.
    when: which calls, by the hook's context (`tool_name`, `tool_input`, `agent`, `task`, `crew`); default: all.

    A rejected call does not run, and the agent is told why. Where nobody can be asked, or nobody answers, it does not
    run either. Calls that your own code makes (`tool.run(…)`) are not guarded; `clear_all_hooks()` ends every guard.
    """
    if not tools:
        return lambda tool: _guarded(tool, when)
    if len(tools) == 1 and not isinstance(tools[0], str):
        return _guarded(tools[0], when)
    return _guards.add(*(_rule(tool, when) for tool in tools))


def _guarded(tool: Any, when: When | None) -> Any:
    _guards.keep(_rule(tool, when))
    return tool


def _rule(tool: Any, when: When | None) -> _Rule:
    if isinstance(tool, str):
        return _Rule(_pattern(tool), when)
    if isinstance(tool, BaseTool):
        return _Rule(_pattern(tool.name), when)
    if isinstance(tool, type) and issubclass(tool, BaseTool):
        name = tool.model_fields["name"].default
        return _Rule(_pattern(name) if isinstance(name, str) else "", when, tool)
    raise Misconfigured("@require_approval goes above @tool, or above a class made from BaseTool")


class _Came(NamedTuple):
    """A call as it came, before any other hook: the very arguments that crewAI runs, and whether there were any."""

    call: ToolCallHookContext
    args: dict[str, Any]
    was_empty: bool


class _Guards:
    """crewAI's hooks before and after a tool call, for the calls that a rule names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: tuple[_Rule, ...] = ()

    def add(self, *rules: _Rule) -> Callable[[], None]:
        """Asks before each call that a rule names, until the returned function is called."""
        with self._lock:
            self._rules = (*self._rules, *rules)
            self._hook()

        def remove() -> None:
            with self._lock:
                self._rules = tuple(rule for rule in self._rules if not any(rule is one for one in rules))
                if not self._rules:
                    self._unhook()

        return remove

    def first(self, call: ToolCallHookContext) -> None:
        """Before any other hook: notes the very arguments that crewAI runs, whatever hooks put in their place."""
        _came.set(_Came(call, call.tool_input, not call.tool_input))

    def keep(self, rule: _Rule) -> None:
        """Asks before each call that the rule names, from now on. The same rule again is no second one."""
        if rule not in self._rules:
            self.add(rule)

    def before(self, call: ToolCallHookContext) -> bool | None:
        """False keeps the call from running. Never raises: crewAI would let the call through."""
        try:
            allow(call.tool)
            came = _as_it_came(call)
            if any(rule.holds(call) for rule in self._rules):
                _approve(call, came)
                allow_once(call.tool)
        except Refused as refused:
            why = str(refused)
        except HookAborted as ended:
            why = f"nobody approved it ({ended.reason})"
            logger.error("a call of %s does not run: %s", call.tool_name, why)
        except SaysoError as error:
            why = f"nobody can be asked ({error.detail})"
            logger.error("a call of %s does not run: %s", call.tool_name, why)
        except Exception as exc:
            logger.exception("a call of %s could not be approved, so it does not run", call.tool_name)
            why = f"it could not be shown to anyone ({exc!r})"
        else:
            return None
        _blocked.set((call.tool_input, f"The call of {call.tool_name} was not run: {why}."))
        return False

    def after(self, call: ToolCallHookContext) -> str | None:
        """Tells the agent why its call was not run; crewAI says only that a hook blocked it."""
        allow(call.tool)
        blocked = _blocked.get()
        if blocked is None or blocked[0] is not call.tool_input:
            return None
        _blocked.set(None)
        return blocked[1]

    def _hook(self) -> None:
        """First and last of all there are: hooks between may change the arguments before a person sees them. At once,
        so that no call slips through."""
        before, after = (get_global_hook_list(point) for point in _POINTS)
        before[:] = [self.first, *(hook for hook in before if hook not in (self.first, self.before)), self.before]
        after[:] = [*(hook for hook in after if hook != self.after), self.after]

    def _unhook(self) -> None:
        for point in _POINTS:
            hooks = get_global_hook_list(point)
            hooks[:] = [hook for hook in hooks if hook not in (self.first, self.before, self.after)]


_POINTS: Final = (InterceptionPoint.PRE_TOOL_CALL, InterceptionPoint.POST_TOOL_CALL)
_guards = _Guards()
_blocked: ContextVar[tuple[dict[str, Any], str] | None] = ContextVar("sayso_blocked_call", default=None)
"""The arguments of the call that was just blocked here, which tell it from others, and what its agent hears."""
_came: ContextVar[_Came | None] = ContextVar("sayso_came", default=None)
"""The call under way."""


def _as_it_came(call: ToolCallHookContext) -> _Came:
    """Puts back the arguments that crewAI runs, for `when` and for the person to see. Raises Refused."""
    came = _came.get()
    if came is None or came.call is not call:
        raise Refused("its arguments were not seen before other hooks had them")
    call.tool_input = came.args
    return came


def _approve(call: ToolCallHookContext, came: _Came) -> None:
    """Returns when the call may run, with the arguments that were approved in it. Raises Refused, HookAborted."""
    if came.was_empty and call.tool_input:  # on its text road crewAI hands hooks a stand-in then, which it does not run
        raise Refused("another hook gave arguments to a call that came without any, and crewAI may run it without")
    pending = ToolCall(call)
    while True:
        outcome = reachable().ask(pending.question(), call, Mirror(call.task))
        if outcome is None:
            raise Refused("nobody can be asked, because the server does not run")
        if pending.take(outcome):
            return


def _pattern(name: str) -> str:
    """`name` as crewAI writes it to the model, with its `*` and `?`. Raises Misconfigured for what names no tool."""
    parts = re.split(r"([*?]+)", name)
    pattern = "".join(part if index % 2 else _part(part) for index, part in enumerate(parts))
    if not re.search(r"[a-z0-9*?]", pattern):
        raise Misconfigured(f"{name!r} can be no tool's name, as crewAI writes it: letters, digits and _")
    return pattern if len(parts) > 1 else sanitize_tool_name(name)


def _part(text: str) -> str:
    """One stretch between wildcards; what separates words at its edges stays."""
    core = sanitize_tool_name(text)
    edges = [bool(text) and not text[index].isalnum() for index in (0, -1)]
    return ("_" if edges[0] else "") + core + ("_" if edges[1] and core else "")
