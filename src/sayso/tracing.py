"""Traces (OpenTelemetry), where a program makes some: from who asks, by way of who answers, to who goes on.

Loads nothing: in a program where nobody has loaded OpenTelemetry there is no span that could be carried on. What
travels is the W3C `traceparent`, in the metadata of a question.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sayso.errors import SaysoError
from sayso.model import Question, Request

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, SpanContext

TRACEPARENT: Final = "traceparent"
"""The header, and the member of a question's metadata (W3C Trace Context, 3.2)."""
_FORM: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)


def _nothing(request: Request) -> None:
    """Stands where there is no span."""


_NO_SPAN: Final = nullcontext(_nothing)


class Ids(NamedTuple):
    """Of a span, as hexadecimal digits."""

    trace_id: str
    span_id: str


def asking(question: Question) -> tuple[Question, Callable[[Future[Request]], object]]:
    """The question with the context of a span that covers the wait for its outcome, and what ends that span.

    The span is a child of the one that is active here; where there is none, nothing is made.
    """
    api = _api()
    if api is None or _active(api) is None:
        return question, lambda settled: None
    attributes = {"sayso.execution_id": question.execution_id}
    span = api.get_tracer("sayso").start_span("sayso.ask", kind=api.SpanKind.CLIENT, attributes=attributes)
    return carrying(question, _written(span.get_span_context())), lambda settled: _end(span, settled)


def carrying(question: Question, traceparent: str | None) -> Question:
    """The question with this context, unless it has one, or this is none."""
    metadata: Any = question.metadata  # which code may have put anything in
    if traceparent is None or not _FORM.fullmatch(traceparent):
        return question
    if not isinstance(metadata, dict) or TRACEPARENT in metadata:
        return question
    return question.replace(metadata=metadata | {TRACEPARENT: traceparent})


def headers() -> dict[str, str]:
    """What a call tells of the span that is active here."""
    api = _api()
    context = None if api is None else _active(api)
    return {} if context is None else {TRACEPARENT: _written(context)}


def current() -> Ids | None:
    """The span that is active here."""
    return ids_in(headers().get(TRACEPARENT))


def ids_in(traceparent: str | None) -> Ids | None:
    """The ids that a header has."""
    found = _FORM.fullmatch(traceparent or "")
    return Ids(found["trace"], found["span"]) if found else None


def of_request(
    name: str, metadata: Mapping[str, Any], *, cause: str | None = None
) -> AbstractContextManager[Callable[[Request], None]]:
    """A span in the trace of whoever asked, while it is entered; what it gives says what became of the request.

    `cause`: the context of whoever made it happen, which is linked, and so is the span that is active here. Where the
    question came without a context nothing is made.
    """
    if TRACEPARENT not in metadata or (api := _api()) is None:
        return _NO_SPAN
    context = _read(api, metadata[TRACEPARENT])
    if context is None:
        return _NO_SPAN
    return _spanning(api, name, context, [link for link in (_read(api, cause), _active(api)) if link is not None])


def resumed(request: Request) -> AbstractContextManager[Callable[[Request], None]]:
    """A span in the trace of whoever asked, for what goes on from the outcome; whatever runs inside is part of it."""
    return of_request("sayso.resume", request.metadata)


@contextmanager
def _spanning(
    api: _Api, name: str, parent: SpanContext, linked: list[SpanContext]
) -> Iterator[Callable[[Request], None]]:
    context = api.set_span_in_context(api.NonRecordingSpan(parent))
    links = [api.Link(one) for one in linked if one.span_id != parent.span_id]
    how = {"record_exception": False, "set_status_on_exception": False}  # with what an exception says
    with api.get_tracer("sayso").start_as_current_span(name, context=context, links=links, **how) as span:
        try:
            yield lambda request: _describe(span, request)
        except Exception as error:
            _fail(api, span, error)
            raise


def _end(span: Span, settled: Future[Request]) -> None:
    """Ends the span of who waited. A question that another process asked first has that one's context: then this is who
    goes on, and says so there."""
    api = _api()
    if settled.cancelled():
        span.set_attribute("sayso.status", "left")  # whoever asked does not wait any more
    elif (error := settled.exception()) is not None:
        _fail(api, span, error)
    else:
        request, own = settled.result(), span.get_span_context()
        _describe(span, request)
        asked = _read(api, request.metadata.get(TRACEPARENT))
        if asked is not None and asked.span_id != own.span_id:
            with _spanning(api, "sayso.resume", asked, [own]) as told:
                told(request)
    span.end()


def _describe(span: Span, request: Request) -> None:
    """Ids and fixed words alone: nothing that an agent or a person has written, and nobody's name."""
    span.set_attribute("sayso.execution_id", request.execution_id)
    span.set_attribute("sayso.request_id", request.request_id)
    span.set_attribute("sayso.kind", request.kind)
    span.set_attribute("sayso.status", request.status)
    if request.answer is not None:
        span.set_attribute("sayso.decision", request.answer.decision)
    if request.settled_channel is not None:
        span.set_attribute("sayso.channel", request.settled_channel)


def _fail(api: _Api, span: Span, error: BaseException) -> None:
    """Without the error's own words."""
    span.set_attribute("sayso.error", error.code if isinstance(error, SaysoError) else type(error).__name__)
    span.set_status(api.StatusCode.ERROR)


def _active(api: _Api) -> SpanContext | None:
    context: SpanContext = api.get_current_span().get_span_context()
    return context if context.is_valid else None


def _read(api: _Api, traceparent: Any) -> SpanContext | None:
    found = _FORM.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if found is None:
        return None
    flags = api.TraceFlags(int(found["flags"], 16))
    context: SpanContext = api.SpanContext(int(found["trace"], 16), int(found["span"], 16), True, flags)
    return context


def _written(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


_Api = Any
"""The module `opentelemetry.trace`."""


def _api() -> _Api:
    """OpenTelemetry's API where somebody has loaded it; None also while it is being loaded."""
    module = sys.modules.get("opentelemetry.trace")
    return module if hasattr(module, "use_span") else None  # which comes last in it
