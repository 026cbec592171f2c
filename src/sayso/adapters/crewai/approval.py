"""Tool calls that a person must approve first. What runs is what was approved, to the letter."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple, TypeVar, overload

from crewai.hooks import HookAborted, InterceptionPoint, ToolCallHookContext, register_hook, unregister_hook
from crewai.tools import BaseTool
from crewai.utilities.string_utils import sanitize_tool_name
from pydantic import BaseModel, ValidationError

from sayso.adapters.crewai.endings import printable
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import crew_origin
from sayso.adapters.crewai.installed import reachable
from sayso.adapters.crewai.wording import as_json, line, usable_schema
from sayso.errors import Misconfigured, SaysoError
from sayso.model import Action, Question, Request

Guarded = TypeVar("Guarded", bound=BaseTool | type[BaseTool])
When = Callable[[ToolCallHookContext], bool]
"""Says of a call whether it needs approval: `lambda call: call.tool_input["amount"] > 100`."""

logger = logging.getLogger(__name__)

_WHAT_TO_DO: Final = (
    "The agent wants to make this call. **Approve** runs it as shown, **edit** runs it with your arguments, "
    "**reject** keeps it from running and tells the agent why."
)


class _Rule(NamedTuple):
    pattern: str
    when: When | None

    def holds(self, call: ToolCallHookContext) -> bool:
        """Whether a person must approve this call; so it is where `when` cannot say."""
        if not fnmatchcase(sanitize_tool_name(call.tool_name), self.pattern):
            return False
        if self.when is None:
            return True
        try:
            return bool(self.when(call))
        except Exception:
            logger.exception("when= failed for a call of %s, so a person is asked", call.tool_name)
            return True


class _Refused(Exception):
    """The call does not run; says why, as the end of a sentence."""


@overload
def require_approval(*, when: When | None = None) -> Callable[[Guarded], Guarded]: ...


@overload
def require_approval(tool: Guarded, /) -> Guarded: ...


@overload
def require_approval(tool: str, /, *tools: str, when: When | None = None) -> Callable[[], None]: ...


def require_approval(*tools: Any, when: When | None = None) -> Any:
    """From now on a person approves each call of these tools that an agent makes: as it is, or with other arguments.

    tools: names as crewAI shows them to the model, or patterns as `delete_*`; gives what ends the guard. Without any it
        is a decorator, above `@tool` or above a subclass of `BaseTool`.
    when: which calls, by the hook's context (`tool_name`, `tool_input`, `agent`, `task`, `crew`); default: all.

    A rejected call does not run, and the agent is told why. Where nobody can be asked, or nobody answers, it does not
    run either. Calls that your own code makes (`tool.run(…)`) are not guarded; `clear_all_hooks()` ends every guard.
    """
    if not tools:
        return lambda tool: _guarded(tool, when)
    if len(tools) == 1 and not isinstance(tools[0], str):
        return _guarded(tools[0], when)
    return _guards.add(tools, when)


def _guarded(tool: Any, when: When | None) -> Any:
    if isinstance(tool, BaseTool):
        name = tool.name
    elif isinstance(tool, type) and issubclass(tool, BaseTool):
        name = tool.model_fields["name"].default
    else:
        raise Misconfigured("@require_approval goes above @tool, or above a class made from BaseTool")
    if not isinstance(name, str):
        raise Misconfigured(f"{tool.__name__} has no name of its own; guard it by name: require_approval('its_name')")
    _guards.add((name,), when)
    return tool


class _Guards:
    """crewAI's hooks before and after a tool call, for the calls that a rule names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: tuple[_Rule, ...] = ()

    def add(self, names: tuple[str, ...], when: When | None) -> Callable[[], None]:
        """Asks before each call of these tools, until the returned function is called."""
        rules = [_Rule(_pattern(name), when) for name in names]
        with self._lock:
            self._rules = (*self._rules, *rules)
            self._hook()

        def remove() -> None:
            with self._lock:
                self._rules = tuple(rule for rule in self._rules if not any(rule is one for one in rules))
                if not self._rules:
                    self._unhook()

        return remove

    def before(self, call: ToolCallHookContext) -> bool | None:
        """False keeps the call from running. Never raises: crewAI would let the call through."""
        try:
            if any(rule.holds(call) for rule in self._rules):
                _approve(call)
        except _Refused as refused:
            why = str(refused)
        except HookAborted as ended:
            why = f"nobody approved it ({ended.reason})"
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
        blocked = _blocked.get()
        if blocked is None or blocked[0] is not call.tool_input:
            return None
        _blocked.set(None)
        return blocked[1]

    def _hook(self) -> None:
        """The latest hook there is: those before it may still change the arguments."""
        self._unhook()
        register_hook(InterceptionPoint.PRE_TOOL_CALL, self.before)
        register_hook(InterceptionPoint.POST_TOOL_CALL, self.after)

    def _unhook(self) -> None:
        unregister_hook(InterceptionPoint.PRE_TOOL_CALL, self.before)
        unregister_hook(InterceptionPoint.POST_TOOL_CALL, self.after)


_guards = _Guards()
_blocked: ContextVar[tuple[dict[str, Any], str] | None] = ContextVar("sayso_blocked_call", default=None)
"""The arguments of the call that was just blocked here, which tell it from others, and what its agent hears."""


def _approve(call: ToolCallHookContext) -> None:
    """Returns when the call may run, with the arguments that were approved in it. Raises _Refused, HookAborted."""
    pending = _Call(call)
    while True:
        outcome = reachable().ask(pending.question(), call, Mirror(call.task))
        if outcome is None:
            raise _Refused("nobody can be asked, because the server does not run")
        if pending.take(outcome):
            return


class _Call:
    """One tool call, from the agent's wish to a person's decision."""

    def __init__(self, call: ToolCallHookContext) -> None:
        self._call = call
        self._wanted = copy.deepcopy(call.tool_input)
        self._model = _args_model(call.tool)
        self._origin = crew_origin(call.crew, call.task, call.agent)
        self._round = 1
        self._previous: str | None = None
        self._remark = ""

    def question(self) -> Question:
        """The question of this round."""
        call = self._call
        role = line(str(getattr(call.agent, "role", "") or ""))
        return Question(
            **self._origin,
            kind="approval",
            title=line(f"{role}: {call.tool_name}" if role else call.tool_name),
            prompt="\n\n".join(filter(None, [self._remark, _WHAT_TO_DO])),
            context_data={"agent": role, "tool": line(call.tool_name)},
            action=Action(name=call.tool_name, args=as_json(self._wanted), args_schema=usable_schema(self._model)),
            # Empty arguments may be a stand-in for none, which crewAI does not run: nothing could be put into it.
            allow=("approve", "edit", "reject") if self._wanted else ("approve", "reject"),
            round=self._round,
            previous=self._previous,
        )

    def take(self, outcome: Request) -> bool:
        """Whether the call may run, as it then stands; if not, the person is to be asked again. Raises _Refused."""
        self._round, self._previous, self._remark = self._round + 1, outcome.request_id, ""
        answer = outcome.answer
        if answer is None or (answer.decision == "reject" and outcome.status != "answered"):
            raise _Refused(f"nobody approved it ({outcome.reason or outcome.status})")
        if answer.decision == "reject":
            words = printable(answer.text or answer.comment).strip().rstrip(".")
            raise _Refused(f"{outcome.settled_by} rejected it{f': {words}' if words else ''}")
        if answer.decision == "edit":
            try:
                if self._model is not None:
                    self._model.model_validate(answer.edited)
            except ValidationError as exc:
                self._remark = f"**These arguments cannot be used:** {exc.errors()[0]['msg']}"
                return False
            self._pin(answer.edited)
        else:
            self._pin(self._wanted)
        return True

    def _pin(self, approved: dict[str, Any]) -> None:
        """Puts them into what crewAI runs, and gives later hooks a copy: what they change does not run."""
        run = self._call.tool_input
        run.clear()
        run.update(copy.deepcopy(approved))
        self._call.tool_input = copy.deepcopy(approved)


def _args_model(tool: Any) -> type[BaseModel] | None:
    model = getattr(tool, "args_schema", None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _pattern(name: str) -> str:
    """`name` as crewAI writes it to the model; a pattern as it is."""
    return name.lower() if "*" in name or "?" in name else sanitize_tool_name(name)
