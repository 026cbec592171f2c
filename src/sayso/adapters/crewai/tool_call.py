"""One tool call under approval: what is asked, and what an outcome means to it. Asks nobody itself."""

from __future__ import annotations

import copy
from typing import Any, Final

from crewai.hooks import ToolCallHookContext
from pydantic import BaseModel, ValidationError

from sayso.adapters.crewai.endings import Unanswered, answer_of, printable
from sayso.adapters.crewai.identity import crew_origin, role_of
from sayso.adapters.crewai.wording import as_json, usable_schema
from sayso.digest import action_digest
from sayso.fit import line
from sayso.model import Action, Question, Request

_WHAT_TO_DO: Final = (
    "The agent wants to make this call. **Approve** runs it as shown, **edit** runs it with your arguments, "
    "**reject** keeps it from running and tells the agent why."
)


_LARGEST: Final = 2**53 - 1


class Refused(Exception):
    """The call does not run; says why, as the end of a sentence."""


class ToolCall:
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
        role = role_of(call.agent)
        return Question(
            **self._origin,
            kind="approval",
            title=line(f"{role}: {call.tool_name}" if role else call.tool_name),
            prompt="\n\n".join(filter(None, [self._remark, _WHAT_TO_DO])),
            context_data={"agent": role, "tool": line(call.tool_name)},
            action=self._action(),
            # Empty arguments may be a stand-in for none, which crewAI does not run: nothing could be put into it.
            allow=("approve", "edit", "reject") if self._wanted else ("approve", "reject"),
            round=self._round,
            previous=self._previous,
        )

    def _action(self) -> Action:
        """Integers that other languages would round (RFC 8785 has none beyond 2^53 - 1) are shown as text."""
        wanted = as_json(self._wanted)
        shown = _exact(wanted)
        schema = usable_schema(self._model) if shown == wanted else None
        return Action(name=self._call.tool_name, args=shown, args_schema=schema)

    def take(self, outcome: Request) -> bool:
        """Whether the call may run, as it then stands; if not, the person is to be asked again. Raises Refused."""
        self._round, self._previous, self._remark = self._round + 1, outcome.request_id, ""
        try:
            answer = answer_of(outcome)
        except Unanswered as exc:
            raise Refused(f"nobody approved it ({outcome.reason or outcome.status})") from exc
        if answer.decision == "reject":
            words = " ".join(printable(answer.text or answer.comment).split()).rstrip(".")
            raise Refused(f"{outcome.settled_by} rejected it{f': {words}' if words else ''}")
        if answer.decision == "edit":
            try:
                if self._model is not None:
                    self._model.model_validate(answer.edited)
            except ValidationError as exc:
                self._remark = f"**These arguments cannot be used:** {exc.errors()[0]['msg']}"
                return False
            self._pin(answer.edited)
        elif answer.decision == "approve":
            wanted = self._action()
            if outcome.action is None or outcome.action.digest != action_digest(wanted.name, wanted.args):
                raise Refused("what was approved is another call than the agent's")  # a prepared question may show one
            self._pin(self._wanted)
        else:  # a prepared question may be of another kind
            raise Refused("the answer did not approve it")
        return True

    def _pin(self, approved: dict[str, Any]) -> None:
        """Puts them into what crewAI runs, and gives later hooks a copy: what they change does not run."""
        run = self._call.tool_input
        run.clear()
        run.update(copy.deepcopy(approved))
        self._call.tool_input = copy.deepcopy(approved)


def _exact(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _exact(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_exact(child) for child in value]
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def _args_model(tool: Any) -> type[BaseModel] | None:
    model = getattr(tool, "args_schema", None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None
