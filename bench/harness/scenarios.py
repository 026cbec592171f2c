"""What is measured: one row a scenario, the same for every server in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

_FANS: Final = ("transport", "sayso", "nchan", "plain", "fastapi", "bare")
_MANY: Final = ("transport", "nchan", "plain", "bare")
_POLLS: Final = ("transport", "sayso", "nchan", "plain", "fastapi")
_PEERS: Final = ("transport", "nchan", "plain", "fastapi")
_TLS: Final = ("transport", "nchan", "plain")
_PROCESSOR: Final = "for each second of processor"
_MESSAGES: Final = {"messages_per_s": "messages/s", "messages_per_cpu_s": _PROCESSOR}
_EVENTS: Final = {"events_per_s": "events/s", "events_per_cpu_s": _PROCESSOR}
_CONNECTS: Final = {"connects_per_s": "connects/s", "connects_per_cpu_s": _PROCESSOR}


@dataclass(frozen=True)
class Load:
    """What the load client does, on which road of a server; `options` are its own, see `bench/load/load.c`.

    `is_fresh`: each run has a server that was just started.
    """

    what: Literal["follow", "hold", "connects", "replay"]
    road: Literal["ws", "sse", "poll", "replay", "all"]
    options: Mapping[str, int | float | bool]
    seconds: float = 1.5
    tls: bool = False
    is_fresh: bool = False


@dataclass(frozen=True)
class Program:
    """A module that is called with the name of a row and a folder, and prints what it measured as one line of JSON."""

    module: str


@dataclass(frozen=True)
class Scenario:
    """`figures`: of what is printed those that count, with their units, all compared with the `reference`'s.

    `name` is for the command line, `rows` are servers, or what else a program knows.
    """

    name: str
    title: str
    figures: Mapping[str, str]
    rows: tuple[str, ...]
    work: Load | Program
    reference: str | None = "nchan"
    more_is_better: bool = True

    @property
    def figure(self) -> str:
        return next(iter(self.figures))


def _fan(road: Literal["ws", "sse"], followers: int, rows: tuple[str, ...], *, tls: bool = False) -> Scenario:
    """One execution, of which each event goes to all followers; four events are under way."""
    title = f"{'WebSocket' if road == 'ws' else 'SSE'}, 1 → {followers:,}{' over TLS' if tls else ''}"
    work = Load("follow", road, {"followers": followers, "in_flight": 4}, tls=tls)
    return Scenario(f"{'tls-' if tls else ''}{road}-{followers}", title, _MESSAGES, rows, work)


def _each(followers: int, rows: tuple[str, ...]) -> Scenario:
    options = {"followers": followers, "channels": followers, "in_flight": 32, "publishers": 32}
    work = Load("follow", "ws", options)
    return Scenario(f"each-{followers}", f"WebSocket, {followers:,} executions × 1", _EVENTS, rows, work)


def _connects(rows: tuple[str, ...], *, tls: bool = False) -> Scenario:
    title = f"WebSockets opened{' over TLS' if tls else ''}, 64 at once"
    work = Load("connects", "ws", {"in_flight": 64}, tls=tls)
    return Scenario("tls-connects" if tls else "connects", title, _CONNECTS, rows, work)


def _asks(askers: int) -> Scenario:
    """Each asker asks in an execution of its own, one question after the other; ten people follow all executions."""
    options = {"followers": 10, "of_all": True, "channels": askers, "publishers": askers, "in_flight": 0}
    work = Load("follow", "all", options, is_fresh=True)
    title = f"`POST /requests` by {askers}, on the disk, to 10 followers of all"
    figures = {"events_per_s": "asks/s", "p50_us": "µs to a follower", "p99_us": "µs (99 %)"}
    return Scenario(f"asks-{askers}", title, figures, ("sayso",), work, reference=None)


def _smoke(road: Literal["ws", "sse"], *, in_flight: int = 4) -> Scenario:
    """A little of everything, for the tests: they compare its ratio with what was published."""
    name = "smoke-burst" if in_flight > 4 else f"smoke-{road}"
    options = {"followers": 200, "in_flight": in_flight, "publishers": in_flight}
    work = Load("follow", road, options, seconds=1.0)
    title = f"{'WebSocket' if road == 'ws' else 'SSE'}, 1 → 200, {in_flight} events in flight"
    return Scenario(name, title, {"messages_per_s": "messages/s"}, ("transport", "plain"), work, reference="plain")


_ALL: Final = (
    *(_fan("ws", 100, _FANS), _fan("ws", 1_000, _FANS), _fan("ws", 10_000, _MANY)),
    *(_fan("sse", 100, _FANS), _fan("sse", 1_000, _FANS), _fan("sse", 10_000, _MANY)),
    Scenario(
        "burst",
        "WebSocket, 1 → 1,000, 32 events in flight",
        _MESSAGES,
        (*_FANS, "joined"),
        Load("follow", "ws", {"followers": 1_000, "in_flight": 32, "publishers": 32}),
    ),
    *(_each(1_000, _FANS), _each(8_000, _MANY)),
    Scenario(
        "latency",
        "WebSocket, 1 → 1, 500 events/s",
        {"p50_us": "µs (median)", "p99_us": "µs (99 %)"},
        _FANS,
        Load("follow", "ws", {"rate": 500, "publishers": 8}, seconds=4.0),
        more_is_better=False,
    ),
    Scenario(
        "replay",
        "Replay, 10 events an answer",
        {"answers_per_s": "answers/s", "answers_per_cpu_s": _PROCESSOR},
        _POLLS,
        Load("replay", "replay", {"followers": 32, "channels": 8, "events": 10}),
    ),
    Scenario(
        "poll-wake",
        "Long polls woken, 1 → 1,000",
        {"messages_per_s": "wakes/s", "messages_per_cpu_s": _PROCESSOR},
        _POLLS,
        Load("follow", "poll", {"followers": 1_000, "in_flight": 1}),
    ),
    _connects(_PEERS),
    Scenario(
        "memory",
        "10,000 idle WebSockets",
        {"kib_each": "KiB each"},
        _PEERS,
        Load("hold", "ws", {"followers": 10_000}, is_fresh=True),
        more_is_better=False,
    ),
    *(_fan("ws", 1_000, _TLS, tls=True), _fan("sse", 1_000, _TLS, tls=True), _connects(_TLS, tls=True)),
    *(_asks(1), _asks(10), _asks(100)),
    Scenario(
        "answer",
        "`POST …/answer`, on the disk, to the agent that waits",
        {"p50_us": "µs (median)", "p99_us": "µs (99 %)"},
        ("embedded", "remote"),
        Program("bench.answers"),
        reference=None,
        more_is_better=False,
    ),
    Scenario(
        "history",
        "A store that has grown, at the gateway",
        {
            "ask_us": "µs an ask",
            "answer_us": "µs an answer",
            "resume_us": "µs a resume",
            "list_us": "µs a list of what is open",
        },
        ("1,000 events", "10,000 events", "100,000 events"),
        Program("bench.history"),
        reference="1,000 events",
        more_is_better=False,
    ),
    *(_smoke("ws"), _smoke("sse"), _smoke("ws", in_flight=32)),
)
SCENARIOS: Final[dict[str, Scenario]] = {one.name: one for one in _ALL}
