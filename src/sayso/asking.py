"""From a question to a request: checks everything an asker says and fills in what it left out. Pure."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from sayso import limits
from sayso.digest import action_digest, question_digest
from sayso.errors import ActionMismatch, Fault, Invalid
from sayso.kinds import allowed, kind_for, resolve
from sayso.model import (
    EMPTY_FLAGS,
    HTTP,
    ID_RULE,
    Action,
    Answer,
    Decision,
    Kind,
    OnTimeout,
    Question,
    Request,
    Submission,
    derived_uuid,
    is_id,
    is_text,
    size,
)
from sayso.schema import check_schema
from sayso.wire import check_json


def as_request(
    question: Question,
    *,
    now: datetime,
    steady: datetime,
    request_id: str,
    event_id: str,
    by: str,
    durable: bool,
    channel: str = HTTP,
) -> Request:
    """The pending request that `question` asks for, made at `now`, with `request_id` where the question has none.

    A `timeout` counts from `steady`, the time by which deadlines are kept.
    Raises Invalid with a fault for each thing that is wrong.
    """
    faults = _Faults()
    _check_ids(question, faults)
    _check_sizes(question, faults)
    kind = question.kind or kind_for(question.action, question.options, question.response_schema)
    _check_json(question, faults)
    _check_kind(question, kind, faults)
    faults.raise_any()

    action = _with_digest(question.action)
    allow = _allow(question, kind)
    content = {name: getattr(question, name) for name in _SHARED}
    request = Request(
        **content
        | {
            "request_id": question.request_id or request_id,
            "kind": kind,
            "title": _title(question),
            "action": action,
            "allow": allow,
            "on_timeout": _on_timeout(question, allow),
            "deadline": _deadline(question, steady),
            "reason_flags": EMPTY_FLAGS | question.reason_flags,
            "created_at": now,
            "asked_by": by,
            "asked_channel": channel,
            "durable": durable,
            "asked_event_id": event_id,
            "digest": question_digest(
                kind,
                question.prompt,
                question.context,
                action,
                question.options,
                question.response_schema,
                allow,
            ),
        }
        | {f"{thing}_id": _uuid_of(question, thing) for thing in ("crew", "task", "agent")}
    )
    _check_default(request)
    return request


def default_answer(request: Request, answer_id: str) -> Answer | None:
    """What the request's `on_timeout` says instead of a person; None where it says: cancel."""
    if request.on_timeout == "cancel":
        return None
    if request.on_timeout == "default":
        return resolve(request, _default(request.default), answer_id)
    return Answer(answer_id=answer_id, decision=request.on_timeout)


_SHARED: Final = tuple(name for name in Request.__struct_fields__ if name in Question.__struct_fields__)


class _Faults:
    """Gathers what is wrong, so that one answer names it all."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def add(self, wrong: bool, pointer: str, detail: str) -> None:
        if wrong:
            self._found.append(Fault(pointer, detail))

    @contextmanager
    def gathered(self) -> Iterator[None]:
        try:
            yield
        except Invalid as exc:
            self._found.extend(exc.faults)

    def raise_any(self) -> None:
        if self._found:
            raise Invalid(*self._found)


def _check_ids(question: Question, faults: _Faults) -> None:
    faults.add(not is_id(question.execution_id), "/execution_id", ID_RULE)
    for name in ("request_id", "previous"):
        value = getattr(question, name)
        faults.add(value is not None and not is_id(value), f"/{name}", ID_RULE)
    for name in ("crew_id", "task_id", "agent_id"):
        value = getattr(question, name)
        faults.add(
            value is not None and not _is_uuid(value),
            f"/{name}",
            f"must be a UUID; put an id of another form into source.native.{name}",
        )
    ids = [option.id for option in question.options]
    faults.add(len(set(ids)) < len(ids), "/options", "must not have two options with one id")
    for number, id in enumerate(ids):
        faults.add(not id.strip(), f"/options/{number}/id", "must not be blank")


def _check_sizes(question: Question, faults: _Faults) -> None:
    texts = [
        ("/prompt", question.prompt, limits.PROMPT),
        ("/context", question.context, limits.CONTEXT),
        ("/title", question.title, limits.PROMPT),
        ("/source/name", question.source.name, limits.LABEL),
        *((f"/assignees/{number}", name, limits.LABEL) for number, name in enumerate(question.assignees)),
        *(("/reason_flags", name, limits.LABEL) for name in question.reason_flags),
        *(
            (f"/options/{number}/{name}", getattr(option, name), limits.LABEL)
            for number, option in enumerate(question.options)
            for name in ("id", "label", "description")
        ),
    ]
    for pointer, text, most in texts:
        if not is_text(text):
            faults.add(True, pointer, "must be text that UTF-8 can hold, without halves of surrogate pairs")
        else:
            faults.add(size(text) > most, pointer, f"must be at most {most} bytes of UTF-8")
    faults.add(not question.prompt.strip(), "/prompt", "must not be blank: it tells a person what to do")
    faults.add(
        len(question.title) > limits.TITLE_CHARACTERS,
        "/title",
        f"must be at most {limits.TITLE_CHARACTERS} characters",
    )
    faults.add(len(question.options) > limits.OPTIONS, "/options", f"must be at most {limits.OPTIONS}")
    faults.add(len(question.assignees) > limits.ASSIGNEES, "/assignees", f"must be at most {limits.ASSIGNEES}")
    faults.add(not 1 <= question.round <= limits.ROUND, "/round", f"must be from 1 to {limits.ROUND}")
    if question.timeout is not None:
        faults.add(question.deadline is not None, "/timeout", "stands in for deadline; send one of them")
        faults.add(
            not (math.isfinite(question.timeout) and 0 < question.timeout <= limits.TIMEOUT),
            "/timeout",
            f"must be more than 0 and at most {limits.TIMEOUT} seconds",
        )
    if question.deadline is not None:
        faults.add(not _has_utc(question.deadline), "/deadline", "must be a time with a zone, as 2030-01-31T12:00:00Z")


def _check_json(question: Question, faults: _Faults) -> None:
    action = question.action
    for pointer, value in (
        ("/context_data", question.context_data),
        ("/metadata", question.metadata),
        ("/source/native", question.source.native),
        ("/default", question.default),
        ("/response_schema", question.response_schema),
        ("/action/name", action and action.name),
        ("/action/args", action and action.args),
        ("/action/args_schema", action and action.args_schema),
    ):
        with faults.gathered():
            check_json(value, pointer)
            if pointer.endswith("_schema") and isinstance(value, dict):
                check_schema(value, pointer)


def _check_kind(question: Question, kind: Kind, faults: _Faults) -> None:
    faults.add(
        kind == "choice" and not question.options, "/options", "are missing: a choice needs something to choose from"
    )
    faults.add(
        kind == "form" and question.response_schema is None,
        "/response_schema",
        "is missing: a form needs the schema of its values",
    )
    faults.add(
        bool(question.options) and kind in ("approval", "form"),
        "/options",
        f"cannot be chosen in an answer to this {kind}; ask a choice, or put them into the response_schema",
    )
    can = allowed(kind, question.action)
    stray = question.allow is not None and (not question.allow or not set(question.allow) <= set(can))
    faults.add(stray, "/allow", f"this {kind} can allow: {', '.join(can)}")


def _allow(question: Question, kind: Kind) -> tuple[Decision, ...]:
    """In the kind's own order, each once."""
    can = allowed(kind, question.action)
    return can if question.allow is None else tuple(one for one in can if one in question.allow)


def _with_digest(action: Action | None) -> Action | None:
    if action is None:
        return None
    digest = action_digest(action.name, action.args)
    if action.digest not in ("", digest):
        raise Invalid(Fault("/action/digest", "is not the digest of this name and these args; leave it out"))
    return msgspec.structs.replace(action, digest=digest)


def _on_timeout(question: Question, allow: tuple[Decision, ...]) -> OnTimeout:
    chosen = question.on_timeout
    if chosen is None:
        return "default" if question.default is not None else "reject" if "reject" in allow else "cancel"
    if chosen in ("approve", "reject") and chosen not in allow:
        raise Invalid(Fault("/on_timeout", f"is not among what this request allows: {', '.join(allow)}"))
    if chosen == "default" and question.default is None:
        raise Invalid(Fault("/default", "is missing: on_timeout is default"))
    return chosen


def _check_default(request: Request) -> None:
    if request.default is not None:
        try:
            resolve(request, _default(request.default), "default")
        except Invalid as exc:
            raise Invalid(*(Fault(f"/default{fault.pointer}", fault.detail) for fault in exc.faults)) from exc
        except ActionMismatch as exc:
            raise Invalid(Fault("/default/action_digest", "is not the digest of this action; leave it out")) from exc


def _default(given: str | dict[str, Any] | None) -> Submission:
    if given is None or isinstance(given, str):
        return Submission(human_feedback=given or "")
    try:
        return msgspec.convert(given, Submission)
    except msgspec.ValidationError as exc:
        raise Invalid(Fault("", "must be a text, or an object like the body of an answer")) from exc


def _title(question: Question) -> str:
    """The given title, else the prompt's first line, without what would break a line of a list."""
    text = question.title if question.title.strip() else question.prompt.strip().splitlines()[0]
    line = " ".join(text.split())
    return line if len(line) <= limits.TITLE_CHARACTERS else line[: limits.TITLE_CHARACTERS - 1] + "…"


def _uuid_of(question: Question, thing: str) -> str:
    given = getattr(question, f"{thing}_id")
    if given is not None:
        return str(uuid.UUID(given))
    native = question.source.native.get(f"{thing}_id", question.execution_id)
    return derived_uuid(question.source.name, thing, str(native))


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _deadline(question: Question, steady: datetime) -> datetime | None:
    if question.timeout is not None:
        return steady + timedelta(seconds=question.timeout)
    return question.deadline and question.deadline.astimezone(UTC)


def _has_utc(moment: datetime) -> bool:
    try:
        return moment.tzinfo is not None and moment.astimezone(UTC).tzinfo is UTC
    except OverflowError:
        return False
