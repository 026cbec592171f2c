"""How long an answer takes to reach the agent that waits: `python -m bench.answers embedded|remote FOLDER [PACE]`.

A person, a process of its own, posts answers over HTTP; they are on the disk before anyone is told. The agent waits in
the process of the server (`embedded`), or in another one, over HTTP (`remote`). Timed from the call of the person until
the agent has the answer, by the clock that all processes share.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

import sayso
from sayso import HumanInputServer
from sayso.asker import Asker
from sayso.model import Question

ANSWERS = 300
PAUSE = 0.01
"""Seconds after which the agent waits, and does not just come."""
KEY = "bench-key-0123456789abcdef"


def person(url: str) -> None:
    """Answers each request that is named on a line; says when it began to."""
    where = urlsplit(url)
    server = http.client.HTTPConnection(where.hostname or "", where.port)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for line in sys.stdin:
        began = time.monotonic_ns()
        server.request("POST", f"/requests/{line.strip()}/answer", b'{"human_feedback": "yes"}', headers)
        response = server.getresponse()
        response.read()
        assert response.status == 200, response.status
        print(began, flush=True)


@contextmanager
def embedded(store: str) -> Iterator[tuple[Asker, str]]:
    """An agent's way to ask, and where a person answers."""
    with HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False) as server:
        yield server, server.url


@contextmanager
def remote(store: str) -> Iterator[tuple[Asker, str]]:
    program = "import sys\nfrom bench.answers import serve\nserve(sys.argv[1])"
    command = [sys.executable, "-c", program, store]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdin and server.stdout
        url = server.stdout.readline().strip()
        yield sayso.connect(url, api_key=KEY), url
        server.stdin.close()


def serve(store: str) -> None:
    """Says where it listens, and ends with its input."""
    with embedded(store) as (_, url):
        print(url, flush=True)
        sys.stdin.read()


def timed(asker: Asker, url: str, count: int) -> list[float]:
    """Microseconds."""
    took = list[float]()
    command = [sys.executable, "-m", "bench.answers", "person", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as answering:  # noqa: S603
        assert answering.stdin and answering.stdout
        for number in range(count):
            asked = asker.submit(Question(execution_id=f"run-{number}", prompt="Ship it?"))
            request_id = asked.stored.result(30).request_id
            time.sleep(PAUSE)
            print(request_id, file=answering.stdin, flush=True)
            asked.settled.result(30)
            ended = time.monotonic_ns()
            took.append((ended - int(answering.stdout.readline())) / 1_000)
        answering.stdin.close()
    return took


def main(way: str, folder: str, pace: str = "1") -> None:
    store = f"sqlite:///{Path(folder) / f'answers-{way}-{time.monotonic_ns()}.db'}"
    with (embedded if way == "embedded" else remote)(store) as (asker, url):
        took = timed(asker, url, 10 + int(ANSWERS * float(pace)))[10:]
    print(json.dumps({"answers": len(took), "p50_us": median(took), "p99_us": quantiles(took, n=100)[98]}))


if __name__ == "__main__":
    if sys.argv[1] == "person":
        person(sys.argv[2])
    else:
        main(*sys.argv[1:])
