"""What a key may see, how its secret looks, and how the keys of a store change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso import limits
from sayso.errors import Invalid, NameTaken, NotFound
from sayso.keys import (
    DICE,
    Change,
    Key,
    KeyShown,
    KeyWanted,
    Rotation,
    created,
    fits,
    hash_of,
    id_in,
    new_secret,
    revoked,
    rotated,
)
from tests.builders import NOW

DAY = timedelta(days=1)


def make(keys: Sequence[Key] = (), *, id: str = "id-1", now: datetime = NOW, **wanted: Any) -> Change:
    return created(keys, KeyWanted(**{"name": "agent", "scopes": ("ask",)} | wanted), id=id, hash="", now=now)


def turn(keys: Sequence[Key], old: str, *, id: str = "id-2", now: datetime = NOW + DAY, **how: Any) -> Change:
    return rotated(keys, old, Rotation(**how), id=id, hash="", now=now)


def after(keys: Sequence[Key], change: Change) -> list[Key]:
    """The keys of a store that made this change."""
    there = {key.id: key for key in keys} | {key.id: key for key in change.put}
    return [key for id, key in there.items() if id not in change.removed]


def pointers(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [fault.pointer for fault in refused.value.faults]


def test_a_secret_holds_its_id_and_160_random_bits_and_no_other_text_is_one() -> None:
    id, secret = new_secret(bytes(range(DICE)))
    assert secret == f"sayso_{id}_{secret[-32:]}"
    assert id_in(secret) == id
    assert len({new_secret(bytes([n] * DICE)) for n in range(256)}) == 256
    for other in ("", "test-key", secret[:-1], secret + "a", secret.upper(), secret.replace("_", "-"), f"{secret}\n"):
        assert id_in(other) is None


def test_a_key_knows_its_secret_by_the_hash_alone() -> None:
    id, secret = new_secret(b"r" * DICE)
    key = created((), KeyWanted(name="a", scopes=("ask",)), id=id, hash=hash_of(secret), now=NOW).key
    assert key.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert [key.opens_with(one) for one in (secret, secret[:-1], "", secret + "\ud800")] == [True, False, False, False]
    assert "hash" not in KeyShown.__struct_fields__


@pytest.mark.promise("KEY-3")
@given(
    st.text("ab:*", max_size=8).filter(bool),
    st.text("ab:", max_size=10).filter(bool),
)
def test_a_star_stands_for_any_characters_and_everything_else_for_itself(pattern: str, execution_id: str) -> None:
    assert fits(execution_id, (pattern,)) == fnmatchcase(execution_id, pattern)


def test_many_stars_are_matched_at_once() -> None:
    assert not fits("a" * 128, ("*a" * 63 + "*b",))


def test_one_of_the_patterns_is_enough_and_none_means_every_execution() -> None:
    assert fits("team-b:1", ("team-a:*", "team-b:*"))
    assert not fits("team-c:1", ("team-a:*", "team-b:*"))
    assert not fits("run-1", ())
    assert fits("run-1", None)


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a b"}, "/name"),
        ({"name": "default"}, "/name"),
        ({"scopes": ()}, "/scopes"),
        ({"executions": ()}, "/executions"),
        ({"executions": ("*",) * (limits.PATTERNS + 1)}, "/executions"),
        ({"executions": ("run-*", "a b")}, "/executions/1"),
        ({"executions": ("run-?",)}, "/executions/0"),
        ({"executions": ("x" * 129,)}, "/executions/0"),
        ({"scopes": ("admin",), "executions": ("run-*",)}, "/executions"),
        ({"expires_at": NOW}, "/expires_at"),
        ({"expires_at": NOW.replace(tzinfo=None) + DAY}, "/expires_at"),
        ({"expires_at": NOW + 5_000 * DAY}, "/expires_at"),
        ({"expires_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))}, "/expires_at"),
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_refused(wanted: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        make(**wanted)
    assert pointers(refused) == [pointer]


def test_a_key_is_made_as_wanted() -> None:
    zone = timezone(timedelta(hours=2))
    key = make(scopes=("read", "ask", "ask"), executions=("a", "b", "a"), expires_at=(NOW + DAY).astimezone(zone)).key
    assert (key.scopes, key.executions, key.expires_at) == (("ask", "read"), ("a", "b"), NOW + DAY)
    assert key.expires_at is not None and key.expires_at.tzinfo is UTC
    assert (key.is_live(NOW), key.is_live(NOW + DAY), key.revoked_at) == (True, False, None)


def test_making_a_key_again_changes_nothing_more() -> None:
    there = after((), first := make())
    assert make(there) == Change(first.key)


def test_a_name_is_one_keys_while_that_lives() -> None:
    there = after((), make(expires_at=NOW + DAY))
    with pytest.raises(NameTaken):
        make(there, id="id-2")
    assert make(there, id="id-2", name="other").put
    assert make(there, id="id-2", now=NOW + DAY).put
    assert make(after(there, revoked(there, "id-1", now=NOW)), id="id-2").put


@pytest.mark.promise("KEY-6")
def test_a_rotated_key_ends_when_the_overlap_does_and_its_successor_lasts_as_long_as_it_was_to() -> None:
    there = after((), make(scopes=("read",), executions=("run-*",), expires_at=NOW + 30 * DAY))
    there = after(there, change := turn(there, "id-1", overlap=60))
    old, new = there
    assert change.key == new
    assert (old.expires_at, new.expires_at) == (NOW + DAY + timedelta(seconds=60), NOW + 31 * DAY)
    assert (new.name, new.scopes, new.executions, new.created_at) == ("agent", ("read",), ("run-*",), NOW + DAY)
    assert turn(there, "id-1") == Change(new)


def test_a_rotation_lengthens_no_key_and_takes_another_end_where_one_is_given() -> None:
    there = after((), make(expires_at=NOW + 2 * DAY))
    old, new = after(there, turn(there, "id-1", overlap=10 * 86_400, expires_at=NOW + 5 * DAY))
    assert (old.expires_at, new.expires_at) == (NOW + 2 * DAY, NOW + 5 * DAY)
    forever = after((), make())
    assert [key.expires_at for key in after(forever, turn(forever, "id-1", overlap=0))] == [NOW + DAY, None]


def test_what_cannot_be_rotated_is_not() -> None:
    there = after((), make(expires_at=NOW + 2 * DAY))
    for wrong in ({"overlap": -1}, {"overlap": float("nan")}, {"overlap": 91 * 86_400}, {"expires_at": NOW}):
        with pytest.raises(Invalid):
            turn(there, "id-1", **wrong)
    with pytest.raises(NotFound):
        turn(there, "id-9")
    with pytest.raises(NotFound):
        turn(there, "id-1", now=NOW + 2 * DAY)
    with pytest.raises(Invalid):
        turn(after(there, turn(there, "id-1")), "id-1", id="id-3", now=NOW + DAY + timedelta(seconds=1))


def test_a_key_is_revoked_once() -> None:
    there = after((), make())
    there = after(there, revoked(there, "id-1", now=NOW))
    assert there[0].revoked_at == NOW
    assert not there[0].is_live(NOW)
    assert revoked(there, "id-1", now=NOW + DAY) == Change(there[0])
    with pytest.raises(NotFound):
        revoked(there, "id-2", now=NOW)


def test_keys_that_ended_long_ago_are_forgotten_but_not_that_there_was_one_that_made_keys() -> None:
    there = after((), make(expires_at=NOW + DAY))
    there = after(there, make(there, id="id-2", name="boss", scopes=("admin",), expires_at=NOW + DAY))
    long = NOW + DAY + timedelta(seconds=limits.KEY_REMAINS)
    assert make(there, id="id-3", now=long).removed == ()
    assert make(there, id="id-3", now=long + timedelta(seconds=1)).removed == ("id-1",)


def test_a_store_has_room_for_so_many_live_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS", 2)
    there = after((), make())
    there = after(there, make(there, id="id-2", name="other"))
    with pytest.raises(Invalid):
        make(there, id="id-3", name="third")
    with pytest.raises(Invalid):
        turn(there, "id-1", id="id-3")
    assert make(after(there, revoked(there, "id-1", now=NOW)), id="id-3", name="third").put
