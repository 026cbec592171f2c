"""Keys: what each may do and see, how its secret looks, how the keys of a store change. Pure: no clock, no dice."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct

from sayso import limits
from sayso.errors import Fault, Invalid, NameTaken, NotFound
from sayso.model import ID_RULE, Moment, is_id

Scope = Literal["ask", "answer", "read", "metrics", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

DEFAULT: Final = "default"
"""The name of the key that a server is given when it is made; it lies in no store."""
EVERY: Final = ("*",)
"""The patterns that every execution fits."""
DICE: Final = 25
"""Random bytes of a key: 5 for its id, 20 (160 bits) for its secret."""
_ID: Final = 5
_SECRET = re.compile(r"sayso_([a-z2-7]{8})_[a-z2-7]{32}")
_PATTERN = re.compile(r"[A-Za-z0-9._~:*-]{1,128}")
PATTERN_RULE: Final = "must be 1 to 128 of A-Z a-z 0-9 . _ ~ : - and *, which stands for any characters or none"


class Key(Struct, frozen=True, kw_only=True):
    """A key as it is kept. `hash`: the SHA-256 of its secret, hex, which is all that is known of it."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    executions: tuple[str, ...]
    created_at: Moment
    hash: str
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    last_used_at: Moment | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.ends_at is None or self.ends_at > now

    @property
    def ends_at(self) -> datetime | None:
        """From when on it opens nothing; None: that is not known yet."""
        return min((end for end in (self.expires_at, self.revoked_at) if end is not None), default=None)

    def opens_with(self, secret: str) -> bool:
        """Takes the same time whatever is tried."""
        return hmac.compare_digest(hash_of(secret), self.hash)


class KeyShown(Struct, frozen=True, kw_only=True):
    """What is told of a key. `executions`: patterns, in which `*` stands for any characters or none."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    executions: tuple[str, ...]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None
    live: bool

    @classmethod
    def of(cls, key: Key, now: datetime) -> KeyShown:
        told = {name: getattr(key, name) for name in cls.__struct_fields__ if name != "live"}
        return cls(**told, live=key.is_live(now))


class KeyMade(Struct, frozen=True, kw_only=True):
    """A new key with its secret, which is told this once."""

    key: KeyShown
    secret: str


class KeyWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /keys`. Without `expires_at` the key does not end by itself."""

    name: str
    scopes: tuple[Scope, ...]
    executions: tuple[str, ...] = EVERY
    expires_at: datetime | None = None


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /keys/{id}/rotate`. `overlap`: seconds for which the old secret still opens. Without
    `expires_at` the new one lasts as long as the old one was to last."""

    overlap: float = limits.KEY_OVERLAP
    expires_at: datetime | None = None


class Change(NamedTuple):
    """How the keys of a store change: those that are new or other than before, and the ids of those that go. `key`: the
    one that the change is about."""

    key: Key
    put: tuple[Key, ...] = ()
    removed: tuple[str, ...] = ()


def new_secret(dice: bytes) -> tuple[str, str]:
    """A key's public id, and its secret, which contains it: of DICE random bytes."""
    id, secret = (b32encode(part).decode().lower() for part in (dice[:_ID], dice[_ID:]))
    return id, f"sayso_{id}_{secret}"


def id_in(secret: str) -> str | None:
    """The id of the key that this would be the secret of; None for what can be none."""
    found = _SECRET.fullmatch(secret)
    return found[1] if found else None


def hash_of(secret: str) -> str:
    """One length for every secret, so that comparing takes the same time."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def in_order(keys: Iterable[Key]) -> list[Key]:
    """As they were made."""
    return sorted(keys, key=lambda key: (key.created_at, key.id))


def fits(execution_id: str, patterns: Iterable[str] | None) -> bool:
    """Whether one of the patterns is that of the execution; every execution fits None."""
    return patterns is None or any(_fits(execution_id, *pattern.split("*")) for pattern in patterns)


def _fits(text: str, first: str, *rest: str) -> bool:
    """Whether these parts stand in `text` in their order, the first at its beginning, and the last at its end."""
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for part in middle:  # the first place that does is as good as any: it leaves the most for what comes
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(last) and text.endswith(last)


def created(keys: Sequence[Key], wanted: KeyWanted, *, id: str, hash: str, now: datetime) -> Change:
    """A new key beside `keys`; done again, nothing more. Raises Invalid, NameTaken while another of its name lives."""
    faults = [*_faults(wanted), *_expiry_faults(wanted.expires_at, now)]
    if faults:
        raise Invalid(*faults)
    new = Key(
        id=id,
        name=wanted.name,
        scopes=tuple(scope for scope in SCOPES if scope in wanted.scopes),
        executions=tuple(dict.fromkeys(wanted.executions)),
        created_at=now,
        expires_at=_in_utc(wanted.expires_at),
        hash=hash,
    )
    live = [key for key in keys if key.is_live(now) and key.id != id]
    if any(key.name == new.name for key in live):
        raise NameTaken
    return _added(keys, new, now, live=len(live))


def rotated(keys: Sequence[Key], old_id: str, how: Rotation, *, id: str, hash: str, now: datetime) -> Change:
    """A second key under the name of the one called `old_id`, which ends when the overlap does; done again, nothing
    more. Raises Invalid, also for one that has been rotated already; NotFound for one that is not there, or not live.
    """
    if again := _of_id(keys, id):
        return Change(again)
    old = _of_id(keys, old_id)
    if old is None or not old.is_live(now):
        raise NotFound("No live key has this id.")
    if not 0 <= how.overlap <= limits.KEY_OVERLAP_MOST:
        most = limits.KEY_OVERLAP_MOST
        raise Invalid(Fault("/overlap", f"must be a number of seconds from 0 to {most:.0f}"))
    if faults := list(_expiry_faults(how.expires_at, now)):
        raise Invalid(*faults)
    live = [key for key in keys if key.is_live(now)]
    if any(key.name == old.name and key.created_at > old.created_at for key in live):
        raise Invalid(Fault("", "has been rotated already: rotate the one that came after it"))
    lasts = None if old.expires_at is None else now + (old.expires_at - old.created_at)
    new = msgspec.structs.replace(
        old, id=id, hash=hash, created_at=now, expires_at=_in_utc(how.expires_at) or lasts, last_used_at=None
    )
    until = now + timedelta(seconds=how.overlap)
    ending = msgspec.structs.replace(old, expires_at=min(until, old.expires_at or until))
    added = _added(keys, new, now, live=len(live))
    return added._replace(put=(ending, *added.put))


def revoked(keys: Sequence[Key], id: str, *, now: datetime) -> Change:
    """The key called `id`, which opens nothing from `now` on; one that was revoked before stays as it is.

    Raises NotFound.
    """
    key = _of_id(keys, id)
    if key is None:
        raise NotFound("No key has this id.")
    if key.revoked_at is not None:
        return Change(key)
    gone = msgspec.structs.replace(key, revoked_at=now)
    return Change(gone, put=(gone,))


def _added(keys: Sequence[Key], new: Key, now: datetime, *, live: int) -> Change:
    if again := _of_id(keys, new.id):
        return Change(again)
    if live >= limits.KEYS:
        raise Invalid(Fault("", f"would be one live key more than the {limits.KEYS} that a store has room for"))
    before = now - timedelta(seconds=limits.KEY_REMAINS)
    # Admin keys stay: that there was one is what says that a key is needed here.
    gone = (key for key in keys if key.ends_at is not None and key.ends_at < before and "admin" not in key.scopes)
    return Change(new, put=(new,), removed=tuple(key.id for key in gone))


def _of_id(keys: Iterable[Key], id: str) -> Key | None:
    return next((key for key in keys if key.id == id), None)


def _faults(wanted: KeyWanted) -> Iterable[Fault]:
    if not is_id(wanted.name):
        yield Fault("/name", ID_RULE)
    if wanted.name == DEFAULT:
        yield Fault("/name", "is the name of the key that the server itself was given; choose another")
    if not wanted.scopes:
        yield Fault("/scopes", f"must be of: {', '.join(SCOPES)}")
    if not 0 < len(wanted.executions) <= limits.PATTERNS:
        yield Fault("/executions", f"must be 1 to {limits.PATTERNS} patterns")
    for number, pattern in enumerate(wanted.executions[: limits.PATTERNS]):
        if not _PATTERN.fullmatch(pattern):
            yield Fault(f"/executions/{number}", PATTERN_RULE)
    if "admin" in wanted.scopes and set(wanted.executions) != set(EVERY):
        yield Fault("/executions", "must be left out with the scope admin, which can make keys for every execution")


def _expiry_faults(expires_at: datetime | None, now: datetime) -> Iterable[Fault]:
    if expires_at is None:
        return
    try:
        lasts = None if expires_at.tzinfo is None else (expires_at.astimezone(UTC) - now).total_seconds()
    except OverflowError:
        lasts = None
    if lasts is None or not 0 < lasts <= limits.TIMEOUT:
        yield Fault("/expires_at", "must be a time within ten years from now, with a zone, as 2030-01-31T12:00:00Z")


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC)
