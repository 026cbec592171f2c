"""Everything that can go wrong, as one tree. A class per thing a caller can act on; knows nothing above it."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing wrong with an input: where (a JSON Pointer, RFC 6901) and what. Never quotes the input."""

    pointer: str
    detail: str


class SaysoError(Exception):
    """Something went wrong inside sayso; the log of the server has the details."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.about: dict[str, str] = {}
        """Ids of what it happened to, for a log."""
        super().__init__(self.detail)

    @property
    def title(self) -> str:
        """What this kind of error means, in one sentence, the same for every occurrence."""
        return (type(self).__doc__ or "").strip().split("\n")[0]

    @property
    def members(self) -> dict[str, Any]:
        """What the error carries beside its text: the extension members of its problem object (RFC 9457)."""
        return {}


class Invalid(SaysoError):
    """The input does not have the form or the meaning it must have."""

    code = "invalid"
    status = 422

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults) or None)

    @property
    def members(self) -> dict[str, Any]:
        return {"errors": [fault._asdict() for fault in self.faults]}


class TooLarge(SaysoError):
    """The input is larger than this server takes."""

    code = "too-large"
    status = 413


class Malformed(SaysoError):
    """This is no HTTP call that can be understood in one way only."""

    code = "malformed"
    status = 400


class NotFound(SaysoError):
    """There is no such thing here."""

    code = "not-found"
    status = 404


class MethodNotAllowed(SaysoError):
    """This address does not take that method."""

    code = "method-not-allowed"
    status = 405


class Unauthorised(SaysoError):
    """A valid key is needed: send it as `Authorization: Bearer <key>`."""

    code = "unauthorised"
    status = 401


class Forbidden(SaysoError):
    """The caller is known but may not do this."""

    code = "forbidden"
    status = 403


class TooMany(SaysoError):
    """More than this server takes at once; try again later."""

    code = "too-many"
    status = 429
    retry = True


class Ambiguous(SaysoError):
    """Several questions fit; answer one of them by its id."""

    code = "ambiguous"
    status = 409


class Leased(SaysoError):
    """Somebody else is at this piece of work; it is free when they are done, or have said nothing for too long."""

    code = "leased"
    status = 409


class NameTaken(SaysoError):
    """Another key of this name is live; rotate it, or revoke it first."""

    code = "name-taken"
    status = 409


class RequestMismatch(SaysoError):
    """This request_id is already taken by another question; use a new id for a new question."""

    code = "request-mismatch"
    status = 409


class ActionMismatch(SaysoError):
    """The answer names another action than this request asks about; look at the request again."""

    code = "action-mismatch"
    status = 409


class AlreadySettled(SaysoError):
    """The request has been settled already; the first answer counts."""

    code = "already-settled"
    status = 409

    def __init__(self, request: Any, detail: str | None = None) -> None:
        self.request = request
        super().__init__(detail)

    @property
    def members(self) -> dict[str, Any]:
        return {"request": self.request}


class LinkOver(SaysoError):
    """This answer link has ended; ask for a new one."""

    code = "link-over"
    status = 410


class Unavailable(SaysoError):
    """The server cannot do this at the moment; try again."""

    code = "unavailable"
    status = 503
    retry = True


class TooSlow(Unavailable):
    """The rest of the call did not come in time; send it again."""

    code = "too-slow"
    status = 408


class NotReady(Unavailable):
    """The server did not come up, or has stopped; nothing was asked of anyone."""


class Unready(Unavailable):
    """This node takes no questions at the moment."""

    def __init__(self, what: str, detail: str) -> None:
        self.what = what
        """What is not ready: `starting`, `store` or `draining`."""
        super().__init__(detail)

    @property
    def members(self) -> dict[str, Any]:
        return {"not_ready": [self.what]}


class StoreFailed(Unavailable):
    """The store could not write or read; nothing was acknowledged."""


class StoreFull(StoreFailed):
    """The disk of the store is full; nothing was stored. Once there is space again, the server goes on by itself."""


class StoreDamaged(StoreFailed):
    """The store's file is not as it was written; restore a backup of it."""


class ServerStopped(SaysoError):
    """The server was stopped while the question was waiting for its answer."""

    code = "server-stopped"
    status = 503

    def __init__(self, detail: str | None = None, *, request: Any = None) -> None:
        self.request = request
        """The request as it was given up; None where it was not stored, or could not be given up."""
        super().__init__(detail)


class NoAnswer(SaysoError):
    """Nobody answered: the request ran out of time, or was cancelled."""

    code = "no-answer"
    status = 504

    def __init__(self, request: Any) -> None:
        self.request = request
        super().__init__(f"nobody answered request {request.request_id}: {request.reason or request.status}")


class WouldBlock(SaysoError):
    """Waiting here stops the loop that must bring the answer; wait in a thread: `await asyncio.to_thread(…)`."""

    code = "would-block"


class AuditBroken(SaysoError):
    """The audit is not as it was written."""

    code = "audit-broken"


class Misconfigured(SaysoError):
    """The settings do not fit together."""

    code = "misconfigured"


class StoreInUse(Misconfigured):
    """Another process has this store open."""


class StoreTooNew(Misconfigured):
    """The store was written by a newer sayso; upgrade this one."""


class PortTaken(Misconfigured):
    """Another program listens on this address."""


class ExtraMissing(Misconfigured, ImportError):
    """An optional part of sayso is not installed."""


class AlreadyStarted(Misconfigured):
    """This server has been started already."""
