"""Answers in the shapes of crewAI's commercial platform, so that what was written for it works unchanged.

`POST /resume` is for crews: https://docs.crewai.com/en/api-reference/resume. A flow's webhook says where its answer
goes: https://docs.crewai.com/en/enterprise/features/flow-hitl-management. Errors are `{"error", "message"}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request as Call
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.answer_link import LINK, RESPOND, AnswerLink
from sayso.errors import AlreadySettled, Ambiguous, Fault, Invalid, LinkOver, NotFound, SaysoError, Unauthorised
from sayso.model import ID_RULE, Kind, Request, Submission, is_id
from sayso.server import intake
from sayso.server.access import Access, CallersAccess, access_of
from sayso.server.caller import Caller
from sayso.server.permitted import Permitted
from sayso.wire import decode, encode, timestamp

_CHANNEL: Final = "http"


class Resumption(Struct, frozen=True, kw_only=True):
    """What `POST /resume` takes. `task_id`: a task's id, or its name. Addresses of webhooks that stand beside are those
    of the platform; here, the configuration says who is told."""

    execution_id: str
    task_id: str
    human_feedback: str
    is_approve: bool


class Resumed(Struct, frozen=True, kw_only=True):
    """What became of it: `resumed`, the run goes on; `retrying`, the agent works at the task again."""

    status: str
    message: str


class Feedback(Struct, frozen=True, kw_only=True):
    """What the callback of a flow's webhook takes. `source`: the program that sends it, as it calls itself."""

    feedback: str
    source: str = ""


class Responded(Struct, frozen=True, kw_only=True):
    """A request that was answered. `outcome`: the one of `emit` that was chosen, if any."""

    id: str
    status: str
    feedback: str
    outcome: str | None
    responded_at: datetime
    responded_via: str


class PlatformError(Struct, frozen=True, kw_only=True):
    """What is wrong, as the platform says it. `error`: a word for programs."""

    error: str
    message: str


class Accepted(Struct, frozen=True, kw_only=True):
    """The answer of the callback."""

    status: str
    request: Responded


def routes(access: Access) -> list[BaseRoute]:
    async def respond(call: Call) -> Response:
        link = await _link(access, call.query_params.get("token", ""), call.path_params["request_id"])
        given = decode(await intake.body(call), Feedback)
        answer = Submission(human_feedback=given.feedback, comment=f"via {given.source}" if given.source else "")
        use = CallersAccess(access, Caller.by_link(link))
        settled = await use.call(lambda gateway: gateway.answer(link.request_id, answer, channel=LINK))
        return _json(Accepted(status="accepted", request=_responded(settled, given.source)))

    async def resume(call: Call) -> Response:
        given = decode(await intake.body(call), Resumption)
        if not is_id(given.execution_id):
            raise Invalid(Fault("/execution_id", ID_RULE))
        use = access_of(call, access)
        request = await _waiting(use, given.execution_id, given.task_id)
        answer = _answer(request.kind, given)
        await use.call(lambda gateway: gateway.answer(request.request_id, answer, channel=_CHANNEL))
        return _json(_RETRYING if request.kind == "review" and answer.decision == "respond" else _RESUMED)

    return [
        Route(RESPOND, _in_its_words(respond), methods=["POST"]),
        Route("/resume", _in_its_words(resume), methods=["POST"]),
    ]


async def _link(access: Access, token: str, request_id: str) -> AnswerLink:
    """Raises Unauthorised for a token that is not that request's, or not any more."""
    try:
        link = await access.call(lambda gateway: gateway.links.read(token))
    except (NotFound, LinkOver):
        link = None
    if link is None or link.request_id != request_id:
        raise Unauthorised("Invalid response token")
    return link


def _responded(request: Request, source: str) -> Responded:
    answer = request.answer
    assert answer is not None  # noqa: S101 - it was answered
    assert request.settled_at is not None  # noqa: S101 - just now
    return Responded(
        id=request.request_id,
        status="responded",
        feedback=request.human_feedback,
        outcome=next(iter(answer.option_ids), None),
        responded_at=request.settled_at,
        responded_via=source or LINK,
    )


async def _waiting(use: CallersAccess, execution_id: str, task: str) -> Request:
    """The question of that task that waits for an answer. Raises NotFound, AlreadySettled, Ambiguous.

    Not a tool call: a yes that names a task alone may have been meant for its draft, and would run what nobody saw.
    """
    after: int | None = 0
    open: list[Request] = []
    last: Request | None = None
    while after is not None:
        page = await use.call(partial(Permitted.asked_in, execution_id=execution_id, after=after))
        for request in page.requests:
            if request.kind == "approval" or task not in (request.task_id, (request.context_data or {}).get("task")):
                continue
            if request.is_open:
                open.append(request)
            last = last or request
        after = page.next
    if len(open) > 1:
        raise Ambiguous
    if open:
        return open[0]
    if last is not None:
        raise AlreadySettled(last)
    raise NotFound("No question of such a task waits in such an execution.")


def _answer(kind: Kind, given: Resumption) -> Submission:
    """What it means: to approve is to take the work as it is; else the feedback says what to do."""
    text = given.human_feedback
    if kind == "review":
        if given.is_approve:
            return Submission(decision="approve", comment=text)
        return Submission(decision="respond", human_feedback=text)
    return Submission(human_feedback=text)


def _end(request: Request) -> str:
    at = "" if request.settled_at is None else f" at {timestamp(request.settled_at)}"
    if request.status == "answered":
        return f"Feedback already provided via {request.settled_channel or request.settled_by}{at}"
    return f"The request was {request.status}{at}"


def _in_its_words(endpoint: Callable[[Call], Awaitable[Response]]) -> Callable[[Call], Awaitable[Response]]:
    async def told(call: Call) -> Response:
        try:
            return await endpoint(call)
        except AlreadySettled as error:
            return _json(PlatformError(error="already_responded", message=_end(error.request)), error.status)
        except SaysoError as error:
            if error.retry:
                raise
            status = 400 if isinstance(error, Invalid) else error.status
            return _json(PlatformError(error=_CODES.get(error.code, error.code), message=error.detail), status)

    return told


_CODES: Final = {"not-found": "not_found", "invalid": "validation_error"}
_RESUMED: Final = Resumed(status="resumed", message="The answer was taken; the execution goes on.")
_RETRYING: Final = Resumed(status="retrying", message="The feedback was taken; the agent works at the task again.")


def _json(value: Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": 'Bearer realm="sayso"'} if status == 401 else {})
    return Response(encode(value), status, headers, media_type="application/json")
