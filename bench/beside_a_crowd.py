"""How long an answer takes while a crowd is told: `python -m bench.beside_a_crowd [FOLLOWERS]` (10,000).

A server of its own process on a SQLite file; so many WebSockets follow one execution, held by the load client. A person
answers questions of other executions, one after the other, from the call to the 200, once while nothing else happens
and once while, in the crowd's execution, one question after the other is asked.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from bench.harness.built import load_client
from bench.harness.client import Client

ANSWERS = 300
PAUSE = 0.02
"""Seconds between two answers."""
KEY = "bench-key-0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
CROWD = "00000001"


class Caller:
    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._server = http.client.HTTPConnection(where.hostname or "", where.port)

    def post(self, path: str, body: dict[str, str]) -> dict[str, str]:
        self._server.request("POST", path, json.dumps(body), HEADERS)
        response = self._server.getresponse()
        said: dict[str, str] = json.loads(response.read())
        assert response.status in {200, 201}, said
        return said


def answers(url: str) -> list[float]:
    """Milliseconds of each."""
    person, times = Caller(url), []
    for number in range(ANSWERS):
        asked = person.post("/requests", {"execution_id": f"run-{number}", "prompt": "Ship it?"})
        time.sleep(PAUSE)
        began = time.perf_counter()
        person.post(f"/requests/{asked['request_id']}/answer", {"human_feedback": "yes"})
        times.append((time.perf_counter() - began) * 1e3)
    return times


def main(followers: int) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        sayso = Path(sys.executable).with_name("sayso")
        command = [
            "taskset",
            "-c",
            "0",
            sayso,
            "serve",
            "--port",
            "0",
            "--json",
            "--store",
            f"sqlite:///{folder}/log.db",
        ]
        environment = os.environ | {"SAYSO_API_KEY": KEY}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:  # noqa: S603
            assert server.stdout
            try:
                url = next(json.loads(line)["url"] for line in server.stdout if "url" in line)
                measure(url, followers)
            finally:
                server.terminate()


def measure(url: str, followers: int) -> None:
    options = {
        "transport": "ws", "port": urlsplit(url).port or 0, "path": "/ws/human-input/%08d", "first-channel": int(CROWD),
        "followers": followers, "header": f"Authorization: Bearer {KEY}",
    }  # fmt: skip
    with Client(load_client(tls=False), 1).holding(options):
        say(f"{followers} followers, quiet", answers(url))
        stop, told = threading.Event(), 0

        def crowd() -> None:
            nonlocal told
            agent = Caller(url)
            while not stop.is_set():
                agent.post("/requests", {"execution_id": CROWD, "prompt": "Ship it? " * 40})
                told += 1

        asking = threading.Thread(target=crowd)
        asking.start()
        times = answers(url)
        stop.set()
        asking.join()
        say(f"{followers} followers, told of {told} questions meanwhile", times)


def say(what: str, times: list[float]) -> None:
    figures = f"{median(times):.1f} ms, {quantiles(times, n=100)[98]:.1f} (99 %), {max(times):.1f} (most)"
    print(f"{what}: an answer takes {figures}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
