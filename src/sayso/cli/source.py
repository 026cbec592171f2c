"""What a command reads: a file, or stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from sayso import limits

_STDIN: Final = "-"
_READER: Final = "sayso.cli.source"
"""Where a command keeps who has read its stdin."""


class File(click.ParamType):  # type: ignore[type-arg]  # older clicks have none
    """The text of the file named; of stdin for `-`, which one of a command's parameters can have.

    is_said: it is what a person says, so it must not be blank, and the line breaks at its end are not part of it.
    """

    name = "file"

    def __init__(self, *, is_said: bool = False) -> None:
        self._is_said = is_said

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = "stdin" if value == _STDIN else str(value)
        try:
            data = self._stdin(param, ctx) if value == _STDIN else _start_of(Path(name))
        except OSError as exc:
            self.fail(f"{name}: {exc.strerror}", param, ctx)
        except ValueError:  # a name that no system takes
            self.fail(f"{name!r} can be no file", param, ctx)
        if len(data) > limits.BODY:
            self.fail(f"{name} is larger than anything a server takes ({limits.BODY} bytes)", param, ctx)
        try:
            text = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            self.fail(f"{name} is no text in UTF-8", param, ctx)
        if self._is_said and not text.strip():
            self.fail(f"{name} is empty", param, ctx)
        return text.rstrip("\n") if self._is_said else text

    def _stdin(self, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if sys.stdin is None:
            self.fail("stdin is closed", param, ctx)
        if ctx is not None and ctx.meta.setdefault(_READER, param) is not param:
            self.fail("stdin is read for another one already", param, ctx)
        return sys.stdin.buffer.read(limits.BODY + 1)


class Words(File):
    """The text itself, or what stdin says for `-`."""

    name = "text"

    def __init__(self) -> None:
        super().__init__(is_said=True)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(value, param, ctx) if value == _STDIN else str(value)


def json_of(text: str, hint: str) -> Any:
    """What `text` says in JSON. Raises BadParameter."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise click.BadParameter(f"is no JSON: {exc}", param_hint=hint) from exc


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(limits.BODY + 1)
