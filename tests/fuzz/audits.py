"""Exports of an audit: whatever is in the file, it is broken or as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from sayso.asking import as_request
from sayso.audit import Draft
from sayso.chain import Chains, Head
from sayso.cli.audit.export import _within
from sayso.cli.audit.verify import _lines
from sayso.errors import AuditBroken
from sayso.model import Answer
from tests.builders import NOW, question
from tests.fuzz.documents import JUNK, written
from tests.fuzz.mutation import damaged
from tests.fuzz.target import Target, pure

_BY: Final = {"now": NOW, "steady": NOW, "by": "key:a", "durable": True}


def _export() -> tuple[bytes, ...]:
    """Lines of three chains."""
    lines = []
    for execution_id in ("a", "b", "c"):
        one = as_request(question(execution_id=execution_id), request_id="r-1", event_id="e-1", **_BY)
        answer = Answer(answer_id="a-1", decision="respond", text="yes")
        settled = one.answered(answer, by="key:b", channel="http", now=NOW, event_id="e-2")
        number, hash = 0, None
        for changed in (one, settled, msgspec.structs.replace(one, request_id="r-2")):
            entry = Draft.of(changed).after(number, hash)
            number, hash = entry.number, entry.hash
            lines.append(entry.line)
    return tuple(lines)


_LINES: Final = _export()
_WHOLE: Final = [json.loads(line) for line in _LINES]
HEADS: Final = tuple(Head(one["execution_id"], one["number"], one["hash"]) for one in _WHOLE[2::3])


def _verified(add: Callable[[Chains, Any], Any]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        entries = list(_lines(BytesIO(data)))
        for heads in ((), HEADS):
            for is_part in (False, True):
                if not _is_whole(add, entries, heads, is_part):
                    continue
                assert is_part or _documented(data), "others find it broken"
                assert is_part or not heads or entries == _WHOLE, "this is not what was noted"

    return check


def _is_whole(add: Callable[[Chains, Any], Any], entries: list[Any], heads: Iterable[Head], is_part: bool) -> bool:
    chains = Chains(heads, is_part=is_part)
    try:
        for entry in entries:
            add(chains, entry)
        chains.end()
    except AuditBroken as error:
        assert len(str(error)) < 1_000
        return False
    return True


def _documented(data: bytes) -> bool:
    """The program in docs/security.md that verifies an export; Python's own JSON takes a later name for the same."""
    last: dict[str, tuple[int, str]] = {}
    for text in data.splitlines():
        entry = json.loads(text)
        hash = entry.pop("hash")
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        number, previous = last.get(entry["execution_id"], (0, "0" * 64))
        expected = (hashlib.sha256(canonical.encode()).hexdigest(), number + 1, previous)
        if (hash, entry["number"], entry["previous"]) != expected:
            return False
        last[entry["execution_id"]] = (entry["number"], hash)
    return True


def _follows_only(chains: Chains, entry: Any) -> None:
    """The control: looks at the numbers and the hashes, and not at what they are of."""
    if not (isinstance(entry, dict) and isinstance(entry.get("hash"), str)):
        raise AuditBroken
    honest = {name: value for name, value in entry.items() if name != "hash"}
    data = json.dumps(honest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    chains.add(entry | {"hash": hashlib.sha256(data.encode("utf-8", "replace")).hexdigest()})


def _cut(data: bytes) -> None:
    """Of whatever a server says, a part."""
    entries = [one for one in _lines(BytesIO(data)) if isinstance(one, dict)]
    assert len(list(_within(entries, NOW, None))) <= len(entries)
    assert len(list(_within(entries, None, NOW))) <= len(entries)


def _both(add: Callable[[Chains, Any], Any]) -> Callable[[bytes], None]:
    verified = _verified(add)

    def check(data: bytes) -> None:
        verified(data)
        _cut(data)

    return check


_CHANGED: Final = st.builds(
    lambda which, name, value: json.dumps(_WHOLE[which] | {name: value}).encode(),
    st.integers(0, len(_WHOLE) - 1),
    st.sampled_from(sorted(_WHOLE[0])),
    JUNK | st.sampled_from(["2030-01-31T12:00:00", "0001-01-01T00:00:00+23:59"]),
)
_DEEP: Final = st.integers(1, 2_000).map(
    lambda levels: _LINES[0][:-1] + b',"more":' + b"[" * levels + b"1.5" + b"]" * levels + b"}"
)
_EXPORTS: Final = st.lists(
    st.sampled_from(_LINES) | st.sampled_from(_LINES) | _CHANGED | written(JUNK) | _DEEP, max_size=9
) | st.just(list(_LINES))
_FILES: Final = _EXPORTS.map(b"\n".join)

TARGETS: Final[tuple[Target, ...]] = (pure("audits", damaged(_FILES), _both(Chains.add), _both(_follows_only), 500),)
