"""What is kept of an agent's work, so that another process can go on from it. Keeps nothing itself."""

from __future__ import annotations

from typing import Any, Self

import msgspec
from crewai.agents.parser import AgentFinish
from msgspec import Struct
from pydantic import BaseModel, ValidationError

from sayso import limits
from sayso.adapters.crewai.wording import as_json
from sayso.errors import SaysoError
from sayso.model import Question

_OPENING = 2
"""Messages that begin every conversation: what the agent is, and what it is to do."""


class Draft(Struct, frozen=True, kw_only=True):
    """An agent's answer and the conversation that led to it. `question`: what a person is asked about it.

    `is_model`: the output was an instance of the task's own output model, and is written as JSON.
    """

    output: str
    is_model: bool = False
    thought: str = ""
    text: str = ""
    messages: tuple[dict[str, Any], ...] = ()
    question: Question | None = None

    @classmethod
    def of(cls, answer: AgentFinish, messages: list[Any], question: Question | None = None) -> Self:
        """What to keep; of a conversation that is too long, its opening."""
        is_model = isinstance(answer.output, BaseModel)
        draft = cls(
            output=answer.output.model_dump_json() if isinstance(answer.output, BaseModel) else answer.output,
            is_model=is_model,
            thought=str(answer.thought or ""),
            text=str(answer.text or ""),
            messages=tuple(as_json({name: one[name] for name in one if name != "files"}) for one in messages),
            question=question,
        )
        if draft.fits:
            return draft
        answered = {"role": "assistant", "content": draft.text or draft.output}
        return msgspec.structs.replace(draft, messages=(*draft.messages[:_OPENING], answered))

    @property
    def fits(self) -> bool:
        """Whether a server keeps it."""
        return len(self.written()) <= limits.RESUME

    def written(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """What `written` gave, also in a newer version. Raises SaysoError."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as exc:
            raise SaysoError(f"what was kept of this task cannot be read: {exc}") from exc

    def answer(self, model: type[BaseModel] | None) -> AgentFinish:
        """The answer as crewAI had it. `model`: the task's output model as it is now."""
        output: str | BaseModel = self.output
        if self.is_model and model is not None:
            try:
                output = model.model_validate_json(self.output)
            except ValidationError:  # the model has changed since: crewAI makes of the text what it can
                output = self.output
        return AgentFinish(thought=self.thought, output=output, text=self.text)
