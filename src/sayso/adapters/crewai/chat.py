"""`Flow.chat` with a person at the other end of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crewai.flow.flow import Flow

from sayso import limits
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import Origin, flow_name, flow_origin
from sayso.adapters.crewai.installed import current, reachable
from sayso.adapters.crewai.replaced import Replaced
from sayso.adapters.crewai.wording import shown
from sayso.fit import cut
from sayso.model import Question

_METHOD: Final = "chat"


def chat_input(flow: Flow[Any]) -> Callable[[str], str]:
    """An `input_fn` for `flow.chat`: each turn asks a person, who sees what the assistant said last.

    `flow.chat()` uses it by itself while a server runs in this process; pass it where none does
    (`flow.chat(input_fn=chat_input(flow))`), and the questions go where `sayso.ask` sends them. The chat ends when a
    person sends one of its `exit_commands`, or cancels the question.
    """
    return _Turns(flow)


class _Turns:
    """A person's side of one conversation; all its turns are of the execution that the first one is part of."""

    def __init__(self, flow: Flow[Any]) -> None:
        self._flow = flow
        self._origin: Origin | None = None

    def __call__(self, prompt: str) -> str:
        self._origin = self._origin or flow_origin(self._flow, _METHOD)
        outcome = reachable().ask(_question(self._flow, self._origin), self._flow, Mirror(self._flow))
        if outcome is None:
            return input(prompt)
        if outcome.answer is None:
            raise EOFError(outcome.reason or outcome.status)  # crewAI's chat ends on it, in order
        return outcome.words


def _question(flow: Flow[Any], origin: Origin) -> Question:
    name = flow_name(flow)
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
