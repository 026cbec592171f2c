"""crewAI's text gates, `context.request_human_input(…)` in the hooks of tool and LLM calls: text in, text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crewai.hooks import LLMCallHookContext, ToolCallHookContext

from sayso import limits
from sayso.adapters.crewai.endings import answer_of
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import crew_origin, role_of
from sayso.adapters.crewai.installed import current
from sayso.adapters.crewai.replaced import Replaced
from sayso.adapters.crewai.wording import shown
from sayso.fit import cut, line
from sayso.model import Question, Request

_CONSOLE_WORDS: Final = "Press Enter to continue, or provide feedback:"
"""What crewAI shows in the console unless told otherwise; nobody presses Enter elsewhere."""


def _asking(in_the_console: Callable[..., str]) -> Callable[..., str]:
    def request_human_input(context: Any, prompt: str, default_message: str = _CONSOLE_WORDS) -> str:
        installed = current()
        if installed is None:
            return in_the_console(context, prompt, default_message)
        outcome = installed.ask(_question(context, prompt, default_message), context, Mirror(context.task))
        if outcome is None:
            return in_the_console(context, prompt, default_message)
        return _text(outcome)

    return request_human_input


def _question(context: Any, prompt: str, default_message: str) -> Question:
    role = role_of(context.agent)
    of_tool = isinstance(context, ToolCallHookContext)
    subject = context.tool_name if of_tool else "model call"
    words = [prompt, default_message if default_message != _CONSOLE_WORDS else ""]
    return Question(
        **crew_origin(context.crew, context.task, context.agent),
        kind="gate",
        title=line(f"{role}: {subject}" if role else subject),
        prompt=cut("\n\n".join(filter(str.strip, words)) or "The agent waits for your words.", limits.PROMPT),
        context=cut(_under_way(context), limits.CONTEXT),
        context_data={"agent": role} | ({"tool": line(context.tool_name)} if of_tool else {}),
    )


def _under_way(context: Any) -> str:
    """What the hook looks at: the result if there is one already, else the arguments or the last message."""
    if isinstance(context, ToolCallHookContext):
        return shown(context.tool_input if context.tool_result is None else context.tool_result)
    if context.response is not None:
        return shown(context.response)
    return shown(context.messages[-1].get("content") or "") if context.messages else ""


def _text(outcome: Request) -> str:
    """What the user's hook reads, stripped as crewAI does it. Raises Unanswered: in a hook, other errors are swallowed
    and the call goes through."""
    decision = answer_of(outcome).decision
    return decision if decision in {"approve", "reject"} else outcome.words.strip()


places: Final = tuple(
    Replaced(gate, "request_human_input", _asking) for gate in (ToolCallHookContext, LLMCallHookContext)
)
