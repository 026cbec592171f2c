"""The table of kinds: which decisions each allows, and what a bare text means. Turns a submission into an answer."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sayso import limits
from sayso.digest import action_digest
from sayso.errors import ActionMismatch, Fault, Invalid
from sayso.model import ID_RULE, Action, Answer, Decision, Kind, Option, Request, Submission, is_id, size
from sayso.schema import check_value
from sayso.wire import check_json


class Rule(NamedTuple):
    """What a kind allows, and what a submission without a decision means. None: that is no answer to this kind."""

    allow: tuple[Decision, ...]
    blank: Decision | None
    text: Decision | None


RULES: Final[dict[Kind, Rule]] = {
    "review": Rule(("approve", "edit", "respond", "reject"), blank="approve", text="respond"),
    "approval": Rule(("approve", "edit", "reject"), blank="approve", text=None),
    "gate": Rule(("respond", "approve", "reject"), blank="respond", text="respond"),
    "question": Rule(("respond",), blank="respond", text="respond"),
    "choice": Rule(("respond",), blank=None, text="respond"),
    "form": Rule(("respond",), blank=None, text=None),
}


def kind_for(action: Action | None, options: tuple[Option, ...], response_schema: dict[str, Any] | None) -> Kind:
    """The kind of a question that does not name one."""
    if action is not None:
        return "approval"
    if options:
        return "choice"
    return "form" if response_schema is not None else "question"


def allowed(kind: Kind, action: Action | None) -> tuple[Decision, ...]:
    """What this kind allows when the asker narrows nothing; without an action, nothing can be edited."""
    allow = RULES[kind].allow
    return allow if kind != "approval" or action is not None else tuple(one for one in allow if one != "edit")


def resolve(request: Request, given: Submission, answer_id: str) -> Answer:
    """The answer that `given` means to `request`.

    Raises Invalid, with pointers, for what the kind does not take; ActionMismatch where it names another action.
    """
    _check_sizes(given)
    _check_action(request, given)
    field, text = _text_of(given)
    decision = given.decision or _implied(request, given, text, field)
    if decision not in request.allow:
        raise Invalid(Fault("/decision", f"this request takes only: {', '.join(request.allow)}{_how(request)}"))
    answer = _RESOLVERS[decision](request, given, text, field)
    return Answer(answer_id=answer_id, decision=decision, comment=given.comment, **answer)


def _text_of(given: Submission) -> tuple[str, str | None]:
    if given.text is None:
        return "/human_feedback", given.human_feedback
    if given.human_feedback is not None:
        raise Invalid(Fault("/human_feedback", "is the same as text; send one of them"))
    return "/text", given.text


def _implied(request: Request, given: Submission, text: str | None, field: str) -> Decision:
    if given.edited is not None:
        return "edit"
    if given.option_ids is not None or given.values is not None:
        return "respond"
    if text is None:
        raise Invalid(Fault("", "an answer needs human_feedback, or a decision, option_ids, values or edited"))
    rule = RULES[request.kind]
    decision = rule.text if text.strip() else rule.blank
    if decision is None:
        raise Invalid(Fault(field, _INSTEAD[request.kind]))
    return decision


_INSTEAD: Final[dict[str, str]] = {
    "approval": "a text neither allows nor forbids the call: send decision approve, edit or reject (and a comment)",
    "choice": "choose one of the options: send its id or label",
    "form": "this is a form: send values that fit its response_schema",
}


def _how(request: Request) -> str:
    """What to send to a request that takes nothing but a response."""
    if request.allow != ("respond",):
        return ""
    return "; choose one of the options" if request.options else "; write a text"


def _approve(request: Request, given: Submission, text: str | None, field: str) -> dict[str, Any]:
    _only(given, text, field)
    return {}


def _reject(request: Request, given: Submission, text: str | None, field: str) -> dict[str, Any]:
    _only(given, text, field, "text")
    return {"text": text if text and text.strip() else None}


def _edit(request: Request, given: Submission, text: str | None, field: str) -> dict[str, Any]:
    _only(given, text, field, "edited")
    edited = given.edited
    if request.action is not None:
        if not isinstance(edited, dict):
            raise Invalid(Fault("/edited", "must be an object: the arguments to run instead"))
        action_digest(request.action.name, edited, pointer="/edited")
        if request.action.args_schema is not None:
            check_value(edited, request.action.args_schema, "/edited")
    elif request.response_schema is not None:
        if edited is None:
            raise Invalid(Fault("/edited", "is missing: the value to use instead, after response_schema"))
        check_value(edited, request.response_schema, "/edited")
    elif not isinstance(edited, str) or not edited.strip():
        raise Invalid(Fault("/edited", "must be a text that is not blank: what to use instead of the draft"))
    return {"edited": edited}


def _respond(request: Request, given: Submission, text: str | None, field: str) -> dict[str, Any]:
    _only(given, text, field, "text", "option_ids", *(() if request.kind in {"review", "approval"} else ("values",)))
    if given.values is not None or request.kind == "form":
        if text is not None or given.option_ids is not None:
            raise Invalid(Fault("/values", "stand alone; put remarks into comment"))
        return {"values": _values(request, given)}
    chosen = _chosen(request, given, text)
    if request.kind == "choice":
        if chosen is None or (given.option_ids is not None and text is not None):
            pointer = field if given.option_ids is None else "/option_ids"
            raise Invalid(Fault(pointer, _INSTEAD["choice"]))
        return {"option_ids": (chosen,)}
    if chosen is not None:
        return {"option_ids": (chosen,), "text": text if given.option_ids is not None else None}
    if text is None or (not text.strip() and RULES[request.kind].blank != "respond"):
        raise Invalid(Fault(field, "must be a text that is not blank: what to change"))
    return {"text": text}


def _values(request: Request, given: Submission) -> Any:
    if request.response_schema is None:
        raise Invalid(Fault("/values", "this request has no response_schema; send a text"))
    if given.values is None:
        raise Invalid(Fault("/values", "are missing: send what the response_schema asks for"))
    check_value(given.values, request.response_schema, "/values")
    return given.values


def _chosen(request: Request, given: Submission, text: str | None) -> str | None:
    if given.option_ids is not None:
        if len(given.option_ids) != 1:
            raise Invalid(Fault("/option_ids", "choose exactly one; to let people choose several, ask with a form"))
        if given.option_ids[0] not in {option.id for option in request.options}:
            raise Invalid(Fault("/option_ids/0", "is none of this request's options"))
        return given.option_ids[0]
    wanted = (text or "").strip()
    meant = {option.id for option in request.options if wanted and wanted in (option.id.strip(), option.label.strip())}
    if len(meant) > 1:
        raise Invalid(Fault("/option_ids", "that text names several of the options: send the id as option_ids"))
    return meant.pop() if meant else None


_RESOLVERS: Final = {"approve": _approve, "edit": _edit, "respond": _respond, "reject": _reject}


def _only(given: Submission, text: str | None, field: str, *members: str) -> None:
    """Refuses what would be lost silently: a member that the decision has no use for."""
    present = {
        "text": (field, text is not None and bool(text.strip() or "text" in members)),
        "option_ids": ("/option_ids", given.option_ids is not None),
        "values": ("/values", given.values is not None),
        "edited": ("/edited", given.edited is not None),
    }
    faults = [
        Fault(pointer, "does not go with this decision; put remarks into comment")
        for name, (pointer, there) in present.items()
        if there and name not in members
    ]
    if faults:
        raise Invalid(*faults)


def _check_action(request: Request, given: Submission) -> None:
    """Whoever has looked at one call must not approve another."""
    if given.action_digest is None:
        return
    if request.action is None:
        raise Invalid(Fault("/action_digest", "this request is about no action; leave it out"))
    if given.action_digest != request.action.digest:
        raise ActionMismatch


def _check_sizes(given: Submission) -> None:
    faults = []
    if given.answer_id is not None and not is_id(given.answer_id):
        faults.append(Fault("/answer_id", ID_RULE))
    for pointer, text, most in (
        ("/human_feedback", given.human_feedback, limits.TEXT),
        ("/text", given.text, limits.TEXT),
        ("/comment", given.comment, limits.COMMENT),
        ("/edited", given.edited if isinstance(given.edited, str) else None, limits.TEXT),
    ):
        if text is not None and size(text) > most:
            faults.append(Fault(pointer, f"must be at most {most} bytes of UTF-8"))
    if faults:
        raise Invalid(*faults)
    for pointer, value in (("/values", given.values), ("/edited", given.edited)):
        if value is not None and not isinstance(value, str):
            check_json(value, pointer)
