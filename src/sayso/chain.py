"""Whether an audit is as it was written: its entries, their chains, and what was noted of them earlier. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sayso.audit import FIRST
from sayso.digest import canonical
from sayso.errors import AuditBroken
from sayso.model import is_id

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Head(NamedTuple):
    """How far a chain went when it was looked at: entry `number` with that hash was its last one."""

    execution_id: str
    number: int
    hash: str

    @classmethod
    def of(cls, members: Any) -> Head:
        """That of an entry, or of what was noted of one. Raises ValueError."""
        found = members if isinstance(members, dict) else {}
        execution_id, number, hash = (found.get(name) for name in cls._fields)
        if not (isinstance(execution_id, str) and is_id(execution_id)):
            raise ValueError("it names no execution")
        if not (type(number) is int and 0 < number < 2**53):
            raise ValueError("it has no number")
        if not (isinstance(hash, str) and _HASH.fullmatch(hash)):
            raise ValueError("it has no hash")
        return cls(execution_id, number, hash)


class Chains:
    """Follows entries in the order of an export, however many there are: executions by their ids, each from its first
    entry to its last.

    `noted`: heads of earlier looks. What was cut off at an end, or written anew as a whole, does not show without them.
    `is_part`: a chain may begin and end anywhere.
    """

    def __init__(self, noted: Iterable[Head] = (), *, is_part: bool = False) -> None:
        self._noted: Mapping[str, Head] = {head.execution_id: head for head in noted}
        self._left = dict(self._noted)
        self._is_part = is_part
        self._last = Head("", 0, FIRST)
        self.entries = 0
        self.executions = 0

    def add(self, entry: Any) -> Head | None:
        """The head of the chain before, where this entry begins another. Raises AuditBroken."""
        try:
            head = Head.of(entry)
        except ValueError as exc:
            raise AuditBroken(f"this is no entry: {exc}") from exc
        ended = None
        if head.execution_id != self._last.execution_id:
            if head.execution_id < self._last.execution_id:
                raise _broken(head, "stands after entries of another execution: inserted, swapped, or not in order")
            ended = self._end_chain()
            self._begin_chain(head, entry)
        self._follow(head, entry)
        self.entries += 1
        return ended

    def end(self) -> Head | None:
        """There are no further entries: the head of the last chain. Raises AuditBroken."""
        ended = self._end_chain()
        for head in self._left.values():
            if not self._is_part:
                raise AuditBroken(f"execution {head.execution_id}: noted up to entry {head.number}, and none is there")
        return ended

    def _begin_chain(self, first: Head, entry: dict[str, Any]) -> None:
        self.executions += 1
        noted = self._noted.get(first.execution_id)
        if noted is not None and noted.number == first.number - 1:
            self._last = noted
        elif self._is_part and first.number > 1:
            self._last = Head(first.execution_id, first.number - 1, str(entry.get("previous")))
        else:
            self._last = Head(first.execution_id, 0, FIRST)

    def _follow(self, head: Head, entry: dict[str, Any]) -> None:
        if _hash_of(entry) != head.hash:
            raise _broken(head, "was changed: its hash is that of something else")
        expected = self._last.number + 1
        if head.number != expected:
            how = "removed or swapped" if head.number > expected else "inserted or swapped"
            raise _broken(head, f"stands where entry {expected} should: entries were {how}")
        if entry.get("previous") != self._last.hash:
            raise _broken(head, "follows on another entry than the one before it, which was changed or inserted later")
        noted = self._noted.get(head.execution_id)
        if noted is not None and noted.number == head.number and noted.hash != head.hash:
            raise _broken(head, "is not the one that was noted: the chain was written anew")
        self._last = head

    def _end_chain(self) -> Head | None:
        last = self._last
        if not last.execution_id:
            return None
        noted = self._left.pop(last.execution_id, None)
        if noted is not None and noted.number > last.number and not self._is_part:
            raise _broken(last, f"is the last, but entry {noted.number} was noted: the end was cut off")
        return last


def _hash_of(entry: dict[str, Any]) -> str:
    try:
        return sha256(canonical({name: value for name, value in entry.items() if name != "hash"})).hexdigest()
    except (ValueError, OverflowError, RecursionError):  # e.g. numbers that JSON has no canonical form for
        return ""


def _broken(head: Head, how: str) -> AuditBroken:
    return AuditBroken(f"execution {head.execution_id}: entry {head.number} {how}")
