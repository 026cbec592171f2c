"""What a server logs, as JSON for whatever collects logs: one object a line, on stderr."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

from sayso import tracing
from sayso.cli.plain import json_line
from sayso.wire import timestamp

_FACTS: Final = (
    *("code", "execution_id", "request_id", "trace_id", "span_id"),
    *("writes", "position", "address", "open", "url", "store"),
)
"""What a record may carry beside its message; nothing else of it is written, whoever put it there."""


class JSONLines(logging.Formatter):
    """`time`, `level`, `logger` and `message`; what the record carries; `error` with its traceback; and `trace_id` and
    `span_id` where it was made in a trace."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        traced = tracing.current()
        if traced is not None:
            said |= traced._asdict()
        said |= {name: value for name in _FACTS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = self.formatException(record.exc_info)
        return json_line({name: _text(value) for name, value in said.items()}, is_ascii=True)


def log_as_json() -> None:
    """From here on whatever this process logs is JSON: sayso's from `info` on, everybody else's warnings and errors."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("sayso").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _text(value: Any) -> Any:
    """Halves of surrogate pairs, which a file's name may have, are none that JSON has."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
