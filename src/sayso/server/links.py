"""What can be done with what an answer holds: the links of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

Links = dict[str, Any]

_REQUEST: Final = "$response.body#/request_id"
_EXECUTION: Final = "$response.body#/execution_id"
_CURSOR: Final = "$response.body#/cursor"


def _to(*operations: str, **parameters: str) -> Links:
    return {operation: {"operationId": operation, "parameters": parameters} for operation in operations}


OF_SETTLED: Final = _to("look", request_id=_REQUEST)
OF_REQUEST: Final = {
    **_to("look", "answer", "cancel", "makeLink", "kept", request_id=_REQUEST),
    **_to("keep", request_id=_REQUEST, execution_id=_EXECUTION),
    **_to("stream", "poll", execution_id=_EXECUTION, last_event_id="$response.body#/asked_event_id"),
}
OF_KEPT: Final = _to("look", "kept", request_id="$request.path.request_id")
OF_LIST: Final = _to("streamAll", "pollAll", last_event_id=_CURSOR)
OF_POLL_ALL: Final = _to("pollAll", last_event_id=_CURSOR)
OF_KEY: Final = _to("rotateKey", "revokeKey", id="$response.body#/key/id")
OF_DEVICE: Final = _to("unsubscribe", id="$response.body#/id")
OF_LEASE: Final = _to("release", name="$request.path.name", holder="$request.body#/holder")
OF_LINK: Final = _to("showQuestion", "answerByLink", **{"token": "$response.body#/token"})
OF_TICKET: Final = _to("stream", execution_id="$request.body#/execution_id")
