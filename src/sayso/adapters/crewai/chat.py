"""`Flow.chat` with a person at the other end of the network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from crewai.flow.flow import Flow

from sayso import limits
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import Origin, flow_origin
from sayso.adapters.crewai.installed import current, reachable
from sayso.adapters.crewai.replaced import Replaced
from sayso.adapters.crewai.wording import shown
from sayso.fit import cut, line
from sayso.model import Question

_METHOD: Final = "chat"


def chat_input(flow: Flow[Any]) -> Callable[[str], str]:
    """An `input_fn` for `flow.chat`: each turn asks a person, who sees what the assistant said last.

    `flow.chat()` uses it by itself while a server runs in this process; pass it where none does
    (`flow.chat(input_fn=chat_input(flow))`), and the questions go where `sayso.ask` sends them. The chat ends when a
    person sends one of its `exit_commands`, or cancels the question.
    """
    return partial(_input, flow, flow_origin(flow, _METHOD))


def _input(flow: Flow[Any], origin: Origin, prompt: str) -> str:
    outcome = reachable().ask(_question(flow, origin), flow, Mirror(flow))
    if outcome is None:
        return input(prompt)
    if outcome.answer is None:
        raise EOFError(outcome.reason or outcome.status)  # crewAI's chat ends on it, in order
    return outcome.words


def _question(flow: Flow[Any], origin: Origin) -> Question:
    name = line(str(flow.name or type(flow).__name__))
    return Question(
        **origin,
        kind="question",
        title=name,
        prompt="Your turn in the conversation. A blank answer is passed over; `exit` ends it.",
        context=cut(_last_words(flow), limits.CONTEXT),
        context_data={"flow": name, "method": _METHOD},
    )


def _last_words(flow: Any) -> str:
    """What the assistant said last; "" where nobody has spoken."""
    said = flow.conversation_messages
    return shown(said[-1].get("content") or "") if said and said[-1].get("role") == "assistant" else ""


def _chatting(chat: Callable[..., None]) -> Callable[..., None]:
    def stand_in(flow: Flow[Any], **settings: Any) -> None:
        if "input_fn" not in settings and current() is not None:
            settings["input_fn"] = chat_input(flow)
        chat(flow, **settings)

    return stand_in


place = Replaced(Flow, "chat", _chatting)
