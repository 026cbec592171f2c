"""The page of an answer link: shows one question and takes its answer, without an account and without a script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits, model
from sayso.answer_link import ANSWER, LINK, AnswerLink
from sayso.errors import ActionMismatch, AlreadySettled, Fault, Invalid, SaysoError
from sayso.server import intake
from sayso.server.access import Access, CallersAccess
from sayso.server.answer_page import page
from sayso.server.answer_page.given import Given, read, submission
from sayso.server.caller import Caller
from sayso.server.problems import note, refusal

_HTML: Final = "text/html"


def routes(access: Access) -> list[BaseRoute]:
    """To look changes nothing, however often: mail programs do so by themselves."""

    async def answer(request: Request) -> Response:
        try:
            token = request.query_params.get("token", "")
            link = await access.call(lambda gateway: gateway.links.read(token))
            use = CallersAccess(access, Caller.by_link(link))
            if request.method == "POST":
                return await _taken(request, link, use, read(await intake.body(request, limits.FORM)))
            asked, now = await _look(link, use), datetime.now(UTC)
            return _page(page.asking(asked, link, now) if asked.is_open else page.settled(asked, now))
        except SaysoError as error:
            return _refused(error, request, partial(page.problem, error))

    return [Route(ANSWER, answer, methods=["GET", "POST"])]


async def _taken(request: Request, link: AnswerLink, use: CallersAccess, given: Given) -> Response:
    """The same form, sent twice, is one answer. Raises what keeps the question from being shown."""
    asked, now = await _look(link, use), datetime.now(UTC)
    try:
        said = submission(asked, given)
        answered = await use.call(lambda gateway: gateway.answer(link.request_id, said, channel=LINK))
    except (Invalid, ActionMismatch) as error:
        faults = error.faults if isinstance(error, Invalid) else (Fault("", error.detail),)
        if asked.is_open:
            return _refused(error, request, lambda: page.asking(asked, link, now, given, faults))
        late = AlreadySettled(asked)
        return _refused(late, request, lambda: page.settled(asked, now, too_late=True))
    except AlreadySettled as error:
        first = error.request
        return _refused(error, request, lambda: page.settled(first, now, too_late=True))
    return _page(page.thanks(answered))


async def _look(link: AnswerLink, use: CallersAccess) -> model.Request:
    return await use.call(lambda gateway: gateway.look(link.request_id, wait=0.0))


def _refused(error: SaysoError, request: Request, drawn: Callable[[], bytes]) -> Response:
    """As a page to whoever takes pages; raised, and so a problem object, to others."""
    if _HTML not in request.headers.get("accept", ""):
        raise error
    note(error, request)
    return refusal(error, drawn(), media_type=_HTML, headers=_headers())


def _page(drawn: bytes) -> Response:
    return Response(drawn, headers=_headers(), media_type=_HTML)


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": page.policy(),
        "Referrer-Policy": "same-origin",  # with no-referrer, browsers would send the form as from nowhere
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
