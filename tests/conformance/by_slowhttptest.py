"""Holds `sayso serve` against slowhttptest's four attacks, while somebody asks and answers.

`python -m tests.conformance.by_slowhttptest SLOWHTTPTEST FOLDER [CONNECTIONS]`.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import psutil

from sayso import limits
from tests.builders import new_id
from tests.conformance.served import emptied, served

_MARGIN: Final = 10.0
"""Seconds that it may take until all of so many have been met, on a busy machine; only then their time runs."""
_ASKED: Final = 400
"""Questions that lie in the store, so that there is something to read slowly."""


class Attack(NamedTuple):
    """`held`: seconds for which the server may hold such a connection. `-r`: connections a second; to read 256 KiB is
    work for the server, so that many at once are no slow attack."""

    name: str
    path: str
    options: str
    held: float


ATTACKS: Final = (
    Attack("slow headers", "/requests", "-H -i 5 -l 60 -r 200", limits.RECEIVE),
    Attack("slow body", "/requests", "-B -i 5 -l 60 -r 200 -f application/json", limits.RECEIVE),
    Attack("ranges", "/requests", "-R -l 60 -r 200", limits.RECEIVE),
    Attack("slow read", "/requests?limit=1000", "-X -n 5 -z 32 -k 3 -l 120 -r 25", limits.SEND),
)


class Somebody:
    """Asks and answers, again and again. `statuses`: what it got; `slowest`: seconds of one call."""

    def __init__(self, url: str) -> None:
        self.statuses: list[int] = []
        self.slowest = 0.0
        self.ports: set[int] = set()
        self.client = httpx.Client(base_url=url, timeout=30)

    def turn(self) -> None:
        asked = self._call("/requests", {"execution_id": new_id(), "prompt": "Ship it?"})
        self._call(f"/requests/{asked['request_id']}/answer", {"human_feedback": "yes"})

    def _call(self, path: str, body: dict[str, str]) -> dict[str, str]:
        began = time.monotonic()
        response = self.client.post(path, json=body)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.statuses.append(response.status_code)
        self.ports.add(response.extensions["network_stream"].get_extra_info("client_addr")[1])
        response.raise_for_status()
        told: dict[str, str] = response.json()
        return told


@contextmanager
def again_and_again(work: Callable[[], None]) -> Iterator[None]:
    """Goes on as long as entered. Raises what it raised."""
    over, failed = threading.Event(), list[BaseException]()

    def go_on() -> None:
        try:
            while not over.wait(0.05):
                work()
        except (httpx.HTTPError, psutil.Error) as error:
            failed.append(error)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failed:
        raise failed[0]


class Watch:
    """How long each connection of the server's process is open. What the kernel still has to say to a peer whose
    connection was cut is not among them: the peer may read that for as long as it likes."""

    def __init__(self, process: int, port: int) -> None:
        self._process = psutil.Process(process)
        self._port = port
        self._lives: dict[int, tuple[float, float]] = {}
        self.most = 0

    def look(self) -> None:
        now = time.monotonic()
        open_ports = [
            one.raddr.port
            for one in self._process.net_connections("tcp")
            if one.raddr and one.laddr.port == self._port and one.status != psutil.CONN_LISTEN
        ]
        self.most = max(self.most, len(open_ports))
        for port in open_ports:
            self._lives[port] = (self._lives.get(port, (now, now))[0], now)

    def longest(self, besides: set[int]) -> float:
        """Seconds that a connection was open at the most, but for those from these ports."""
        return max(last - first for port, (first, last) in self._lives.items() if port not in besides)


def unavailable(report: Path) -> int:
    """Seconds in which the attacker itself got no answer on a connection of its own."""
    with report.open(newline="") as lines:
        return sum(int(row["Service Available"]) == 0 for row in csv.DictReader(lines))


def main(program: str, folder: str, connections: str = "500") -> int:
    place, is_well = emptied(Path(folder).absolute()), True
    with served(place, key=None) as server:
        url = server.url.replace("localhost", "127.0.0.1")  # the attacker looks up no names
        for _ in range(_ASKED):
            httpx.post(f"{url}/requests", json={"execution_id": "run-1", "prompt": "p" * 1_000}).raise_for_status()
        for attack in ATTACKS:
            somebody, watch = Somebody(url), Watch(server.process, int(url.rpartition(":")[2]))
            report = place / attack.name.replace(" ", "-")
            with somebody.client, again_and_again(somebody.turn), again_and_again(watch.look):
                said = subprocess.run(
                    [
                        *(program, *attack.options.split(), "-c", connections, "-p", "5", "-g", "-o", report),
                        *("-u", url + attack.path),
                    ],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=True,
                )
            report.with_suffix(".log").write_text(said.stdout + said.stderr)
            longest, away = watch.longest(somebody.ports), unavailable(report.with_suffix(".csv"))
            failed = sum(status >= 500 for status in somebody.statuses)
            fine = longest <= attack.held + _MARGIN and not away and not failed and watch.most > 1
            is_well &= fine
            print(
                f"slowhttptest, {attack.name}: {watch.most - 1} connections at once, the longest for {longest:.1f} s"
                f" (allowed: {attack.held:.0f}); unavailable for {away} s; beside it {len(somebody.statuses)} calls, "
                f"{failed} with 5xx, the slowest {somebody.slowest * 1_000:.0f} ms: {'held' if fine else 'NOT HELD'}",
                flush=True,
            )
        errors = server.errors()
    print(*errors, sep="\n")
    return int(not is_well or bool(errors))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
