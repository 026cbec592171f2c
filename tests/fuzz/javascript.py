"""The JavaScript client, in Node: its decoder against the standard, and what it does at a server that says anything."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.hostile import FRAMES, said
from tests.fuzz.mutation import damaged
from tests.fuzz.streams import EVENT, PAGE, POLL, REPLIES, REQUEST, STREAMS, by_the_standard, replies
from tests.fuzz.target import Check, Found, Target, in_time

_DRIVER: Final = Path(__file__).parent / "node" / "driver.js"
_USES: Final = {
    **dict.fromkeys(("get", "settled", "ask", "answer", "cancel"), REQUEST),
    **{"list": PAGE, "follow": EVENT, "followAll": POLL},
}
"""What is called, each with what fits it."""
_Tell = Callable[[Sequence[dict[str, str]]], list[Any]]


@contextmanager
def _node(*arguments: str) -> Iterator[_Tell]:
    """Gives what the driver makes of each input."""
    with subprocess.Popen(
        ["node", _DRIVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        told, asked = node.stdout, node.stdin

        def tell(inputs: Sequence[dict[str, str]]) -> list[Any]:
            with in_time():
                asked.writelines(json.dumps(one) + "\n" for one in inputs)
                asked.flush()
                return [json.loads(told.readline()) for _ in inputs]

        yield tell
        asked.close()


@contextmanager
def _decoded(*arguments: str) -> Iterator[Check]:
    with _node(*arguments) as tell:

        def check(inputs: Sequence[bytes]) -> None:
            given = [data + b": the end\n" for data in inputs]
            for data, found in zip(given, tell([_input("events", data) for data in given]), strict=True):
                try:
                    assert found["same"], "it means another thing in other pieces"
                    assert found["events"] == [list(one) for one in by_the_standard(data)]
                except AssertionError as exc:
                    raise Found(data, exc) from exc

        yield check


@contextmanager
def _called(*arguments: str) -> Iterator[Check]:
    with _node(*arguments) as tell:

        def check(inputs: Sequence[bytes]) -> None:
            uses = [[*_USES][data[0] % len(_USES)] if data else "get" for data in inputs]
            given = [_input(use, data[1:]) for use, data in zip(uses, inputs, strict=True)]
            for data, found in zip(inputs, tell(given), strict=True):
                if found["told"]:
                    raise Found(data, found["told"])

        yield check


def _input(use: str, data: bytes) -> dict[str, str]:
    return {"use": use, "data": b64encode(data).decode()}


_EACH: Final = [st.builds(said, st.just(which), replies(body), FRAMES) for which, body in enumerate(_USES.values())]
_INPUTS: Final = damaged(st.one_of(*_EACH, st.builds(said, st.integers(0, len(_EACH) - 1), REPLIES, FRAMES)))

TARGETS: Final[tuple[Target, ...]] = (
    Target("events in JavaScript", damaged(STREAMS), _decoded, lambda: _decoded("broken"), 400),
    Target("clients in JavaScript", _INPUTS, _called, lambda: _called("broken"), 300),
)
