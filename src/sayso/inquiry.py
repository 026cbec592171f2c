"""`sayso.ask` and `sayso.aask`: a question from any code, with a typed answer. Knows no framework."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

from sayso import limits
from sayso.asker import Asker, in_loop, wait_for
from sayso.errors import Fault, Invalid, NoAnswer, WouldBlock
from sayso.fit import cut
from sayso.model import Action, Decision, Kind, OnTimeout, Option, Priority, Question, Request, Source, derived_uuid
from sayso.origin import origin
from sayso.reach import asker_for, await_expected, is_expected
from sayso.typed import Form, Misfit

T = TypeVar("T")


class Members(TypedDict, total=False):
    """What can be said beside the prompt; see `Question`.

    options: texts, or ids with labels: `["yes", "no"]`, `{"eu": "Frankfurt"}`. timeout: seconds. default: what counts
    when nobody answers in time: a text, or an answer's members (`{"decision": "approve"}`). kind: "approval" for a yes
    or no (`reply.approved`). execution_id: the stream it appears in; the run of a framework, if this is part of one.
    request_id: yours: asking again under it is the same question, which stays open when this program ends; in a run of
    a framework, give that run an id of its own, too.
    """

    options: Iterable[str | Option] | Mapping[str, str]
    timeout: float
    deadline: datetime
    default: str | dict[str, Any]
    on_timeout: OnTimeout
    kind: Kind
    title: str
    context: str
    context_data: dict[str, Any]
    action: Action
    allow: tuple[Decision, ...]
    priority: Priority
    assignees: Iterable[str]
    reason_flags: dict[str, bool]
    metadata: dict[str, Any]
    execution_id: str
    request_id: str


@dataclass(frozen=True)
class Reply(Generic[T]):
    """A person's answer; or what `default` or `on_timeout` said, where `request.status` is `expired`.

    text: what was written, else the label of the chosen option, else the values as JSON, else "".
    option: the id of the chosen option. values: what a form was filled in with, as the `response` type.
    edited: what to use instead of what was shown. request: everything else, as `settled_by`.
    """

    decision: Decision
    text: str
    option: str | None
    values: T
    edited: Any
    comment: str
    request: Request

    @property
    def approved(self) -> bool:
        """Whether the decision was to approve, be it with changes."""
        return self.decision in ("approve", "edit")


@overload
def ask(prompt: str, *, response: type[T], asker: Asker | None = None, **members: Unpack[Members]) -> Reply[T]: ...


@overload
def ask(prompt: str, *, asker: Asker | None = None, **members: Unpack[Members]) -> Reply[Any]: ...


def ask(
    prompt: str, *, response: type[Any] | None = None, asker: Asker | None = None, **members: Unpack[Members]
) -> Reply[Any]:
    """A person's answer to `prompt`; waits for it and blocks this thread.

    response: a pydantic model, dataclass or TypedDict: the person fills in a form, and `values` is one of these.
    asker: whom to ask through; else the server that runs in this process, else the one at SAYSO_URL (SAYSO_API_KEY).

    Raises NoAnswer when nobody answered in time (and there is no default) or the question was cancelled, Misconfigured
    when there is no server to ask, Invalid for a question that cannot be asked, WouldBlock in a thread that runs an
    event loop (use `await sayso.aask`), ServerStopped, Unavailable; all are in `sayso.errors`. A server that was made
    in this process and does not run yet is waited for, up to 10 s.
    """
    if in_loop():
        raise WouldBlock("this would stop the event loop that runs in this thread: use `await sayso.aask(…)`")
    asking = _Asking(prompt, response, members)
    if asker is None:
        await_expected()  # a server whose thread was started just before
    while True:
        asked = asker_for(asker).submit(asking.question)
        try:
            reply = asking.take(wait_for(asked.settled))
        except BaseException:
            asked.settled.cancel()
            raise
        if reply is not None:
            return reply


@overload
async def aask(
    prompt: str, *, response: type[T], asker: Asker | None = None, **members: Unpack[Members]
) -> Reply[T]: ...


@overload
async def aask(prompt: str, *, asker: Asker | None = None, **members: Unpack[Members]) -> Reply[Any]: ...


async def aask(
    prompt: str, *, response: type[Any] | None = None, asker: Asker | None = None, **members: Unpack[Members]
) -> Reply[Any]:
    """`ask`, while the other tasks of this loop go on."""
    asking = _Asking(prompt, response, members)
    if asker is None and is_expected():
        await asyncio.to_thread(await_expected)
    while True:
        asked = asker_for(asker).submit(asking.question)
        reply = asking.take(await asyncio.wrap_future(asked.settled))
        if reply is not None:
            return reply


class _Asking:
    """One question, until there is a reply of the type that was asked for. Asks nobody itself."""

    def __init__(self, prompt: str, response: type[Any] | None, members: Members) -> None:
        self._form = None if response is None else Form(response)
        given: dict[str, Any] = {"execution_id": _own_execution(members), "source": Source(name="python")}
        given |= dict(origin.get()()) | members | {"prompt": prompt, "options": _options(members.get("options") or ())}
        given["assignees"] = tuple(_several(members.get("assignees") or (), "/assignees"))
        if self._form is not None:
            if members.get("kind", "form") != "form":
                raise Invalid(Fault("/kind", "response= asks with a form; leave kind out"))
            given |= {"kind": "form", "response_schema": self._form.schema}
        self.question = Question(**given)
        self._prompt = prompt
        self._request_id = members.get("request_id")
        self._takes_default = bool(members.keys() & {"default", "on_timeout"})

    def take(self, outcome: Request) -> Reply[Any] | None:
        """The reply; None: `question` is another now, to be asked again. Raises NoAnswer."""
        answer = outcome.answer
        if answer is None or (outcome.status != "answered" and not self._takes_default):
            raise NoAnswer(outcome)
        values = answer.values
        if self._form is not None:
            try:
                values = self._form.filled(values)
            except Misfit as misfit:
                self._ask_again(outcome, misfit)
                return None
        return Reply(
            decision=answer.decision,
            text=outcome.words,
            option=answer.option_ids[0] if answer.option_ids else None,
            values=values,
            edited=answer.edited,
            comment=answer.comment,
            request=outcome,
        )

    def _ask_again(self, outcome: Request, misfit: Misfit) -> None:
        if outcome.status != "answered":
            raise NoAnswer(outcome) from misfit
        self.question = self.question.replace(
            prompt=cut(f"**Please check your answer:** {misfit}\n\n{self._prompt}", limits.PROMPT),
            title=outcome.title,
            request_id=self._next_id(outcome.round + 1),
            round=outcome.round + 1,
            previous=outcome.request_id,
            deadline=outcome.deadline,
        )

    def _next_id(self, round: int) -> str | None:
        """Made from the caller's, so that asking again under that finds this round, too."""
        return None if self._request_id is None else derived_uuid(self._request_id, str(round))


def _options(given: Iterable[str | Option] | Mapping[str, str]) -> tuple[Option, ...]:
    if isinstance(given, Mapping):
        return tuple(Option(id=id, label=label) for id, label in given.items())
    return tuple(one if isinstance(one, Option) else Option(id=one) for one in _several(given, "/options"))


def _several(given: Iterable[T], pointer: str) -> Iterable[T]:
    if isinstance(given, str):
        raise Invalid(Fault(pointer, f"must be a list: [{given!r}]"))
    return given


def _own_execution(members: Members) -> str:
    """The same for the same `request_id`, so that asking again is the same question."""
    request_id = members.get("request_id")
    return str(uuid.uuid4()) if request_id is None else derived_uuid("python", "execution", request_id)
