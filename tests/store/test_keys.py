"""What every store that keeps keys promises: the docstrings of the Protocol `Keys`, and lists by patterns."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sayso.errors import NameTaken
from sayso.keys import Change, Key, KeyWanted, created, fits, revoked
from sayso.store import Filter, Keys, Store
from sayso.store.sqlite import SQLiteStore
from tests.builders import NOW, asked, request

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def keys(store: Store) -> Keys:
    assert isinstance(store, Keys)
    return store


def making(name: str, id: str | None = None, *, now: datetime = NOW) -> Change:
    """As if the store had no other."""
    wanted = KeyWanted(name=name, scopes=("ask", "read"), executions=("run-*",), expires_at=LATER)
    return created((), wanted, id=id or f"id-{name}", hash=f"hash of {name}", now=now)


async def test_keys_are_given_back_whole_and_in_the_order_in_which_they_were_made(keys: Keys) -> None:
    assert list(await keys.keys()) == []
    made = []
    for number, name in enumerate(("b", "a", "c")):
        later = NOW + timedelta(seconds=number)
        made.append((await keys.change_keys(lambda _, name=name, now=later: making(name, now=now))).key)
    assert list(await keys.keys()) == made


async def test_a_change_sees_all_keys_and_replaces_and_removes(keys: Keys) -> None:
    for name in ("a", "b", "c"):
        await keys.change_keys(lambda _, name=name: making(name))
    seen: list[Sequence[Key]] = []

    def change(there: Sequence[Key]) -> Change:
        seen.append(there)
        return revoked(there, "id-b", now=NOW)._replace(removed=("id-a",))

    done = await keys.change_keys(change)
    assert [[key.id for key in there] for there in seen] == [["id-a", "id-b", "id-c"]]
    assert [(key.id, key.revoked_at) for key in await keys.keys()] == [("id-b", NOW), ("id-c", None)]
    assert done.key.revoked_at == NOW


async def test_a_change_that_is_refused_changes_nothing(keys: Keys) -> None:
    def refuse(_: Sequence[Key]) -> Change:
        raise NameTaken

    with pytest.raises(NameTaken):
        await keys.change_keys(refuse)
    assert list(await keys.keys()) == []


async def test_of_many_keys_that_want_one_name_at_once_one_gets_it(keys: Keys) -> None:
    async def make(number: int) -> bool:
        wanted = KeyWanted(name="agent", scopes=("ask",))
        try:
            await keys.change_keys(lambda there: created(there, wanted, id=f"id-{number}", hash="", now=NOW))
        except NameTaken:
            return False
        return True

    async with asyncio.timeout(30):
        assert sum(await asyncio.gather(*(make(number) for number in range(20)))) == 1
    assert len(await keys.keys()) == 1


async def test_the_last_use_is_kept_beside_the_key_and_goes_forward_only(keys: Keys) -> None:
    for name in ("a", "b"):
        await keys.change_keys(lambda _, name=name: making(name))
    await keys.used_keys({"id-a": LATER, "unknown": NOW})
    await keys.used_keys({"id-a": NOW})
    await keys.change_keys(lambda there: revoked(there, "id-a", now=NOW))
    assert [key.last_used_at for key in await keys.keys()] == [LATER, None]


@pytest.mark.promise("TICKET-1")
async def test_a_ticket_is_redeemed_once_however_many_try(keys: Keys) -> None:
    async with asyncio.timeout(30):
        tries = await asyncio.gather(*(keys.redeem("ticket", LATER, NOW) for _ in range(20)))
    assert sorted(tries) == [False] * 19 + [True]
    assert await keys.redeem("other", LATER, NOW)
    assert not await keys.redeem("ticket", LATER, LATER)


async def test_tickets_are_forgotten_once_they_have_ended(keys: Keys) -> None:
    assert await keys.redeem("ticket", NOW, NOW)
    assert await keys.redeem("other", LATER, NOW + timedelta(microseconds=1))
    assert await keys.redeem("ticket", LATER, NOW)  # nobody would let it in any more


_PATTERNS = ["*", "run-1", "run-*", "*-1", "r*1", "run_1", "RUN-*", "*:*", "a.b~*", "**", "nothing"]
_IDS = ["run-1", "run-2", "run_1", "runx1", "other", "a.b~c", "axb~c", "team:run-1", "RUN-1"]


@pytest.mark.promise("KEY-3")
@pytest.mark.parametrize("status", [None, frozenset({"pending"})], ids=["any", "pending"])
async def test_a_list_by_patterns_holds_what_fits_one(store: Store, status: frozenset[str] | None) -> None:
    for id in _IDS:
        new = request(execution_id=id)
        await store.put(new, asked(new))
    for among in (*((one,) for one in _PATTERNS), ("run-1", "a*"), ()):
        filter = Filter(status=status, among=among)  # type: ignore[arg-type]  # of texts that are statuses
        page = await store.list(filter, limit=99)
        assert [one.execution_id for one in page.requests] == [id for id in _IDS if fits(id, among)], among
        assert page.head == len(_IDS)
        newest = await store.list(filter, limit=99, newest=True)
        assert newest.requests == page.requests[::-1]


async def test_a_list_by_patterns_goes_on_where_it_ended(store: Store) -> None:
    for number in range(9):
        new = request(execution_id=f"{'mine' if number % 3 else 'other'}-{number}")
        await store.put(new, asked(new))
    for extra in ({}, {"text": "ship"}, {"execution_id": "mine-4"}):
        found, after = [], 0
        while True:
            page = await store.list(Filter(among=("mine-*",), **extra), after=after, limit=2)  # type: ignore[arg-type]
            found += [one.execution_id for one in page.requests]
            if page.next is None:
                break
            after = page.next
        assert found == [f"mine-{n}" for n in ([4] if "execution_id" in extra else [1, 2, 4, 5, 7, 8])]


# SQLite alone


@pytest.mark.promise("DISK-1")
async def test_a_key_that_changed_on_the_disk_opens_nothing_and_harms_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SQLiteStore(tmp_path / "damaged.db")
    await store.open()
    for name in ("a", "b"):
        await store.change_keys(lambda _, name=name: making(name))
    await store.close()
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE keys SET data = replace(CAST(data AS TEXT), 'read', 'admin') WHERE id = 'id-a'")
    await store.open()
    assert "key id-a is damaged" in caplog.text
    assert [key.id for key in await store.keys()] == ["id-b"]
    await store.close()
