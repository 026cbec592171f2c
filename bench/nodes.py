"""What two nodes on one PostgreSQL do together: `bench/nodes.py [SECONDS]`.

On a disk as it is, and on one that takes 2 ms longer for each fsync. First, asks per second at the gateway, by 1, 10
and 100 askers, on one node and on two (each a process of its own, the askers shared out). Second, how long an answer
given on one node takes to reach the agent that waits on the other: at the gateway, and from an HTTP client of
`sayso serve` to an agent in a process with an embedded server.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
from tests.conftest import KEY
from tests.postgres import Cluster

from sayso import HumanInputServer
from sayso.gateway import Gateway
from sayso.model import Question, Submission
from sayso.store.postgres import PostgresStore

ASKERS = (1, 10, 100)
ANSWERS = 500
ROUNDS = 3
TEXT = "The ferry leaves at nine. Bring your ticket and a coat, since it is windy out there on the deck. " * 4
WHO = {"by": "key:bench", "channel": "http"}


# A node that is a process of its own: it reads one line of JSON after the other, and writes one for each


def node(url: str, *what: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "node", url, *what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def say(process: subprocess.Popen[str], line: Any = None) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{json.dumps(line)}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


async def ask(gateway: Gateway, askers: int, seconds: float) -> None:
    """Says how many were asked in so many seconds, each asker one after the other."""
    print("null", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    until = time.monotonic() + seconds

    async def asker(number: int) -> int:
        count = 0
        while time.monotonic() < until:
            question = Question(execution_id=f"run-{os.getpid()}-{number}", prompt="Ship it?", context=TEXT)
            await gateway.ask(question, by="key:bench", durable=True)
            count += 1
        return count

    print(json.dumps(sum(await asyncio.gather(*map(asker, range(askers))))), flush=True)


async def answer(gateway: Gateway) -> None:
    """Answers each request that is named; says when it began to, by the clock that all processes share."""
    print("null", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        began = time.monotonic_ns()
        await gateway.answer(json.loads(line), Submission(decision="respond", text="yes"), **WHO)
        print(json.dumps(began), flush=True)


async def be_node(url: str, *what: str) -> None:
    gateway = Gateway(PostgresStore(url))
    async with gateway.running():
        if what[0] == "ask":
            await ask(gateway, int(what[1]), float(what[2]))
        else:
            await answer(gateway)


# What is measured


def asked_per_second(url: str, askers: int, nodes: int, seconds: float) -> float:
    shares = [askers // nodes + (number < askers % nodes) for number in range(nodes)]
    processes = [node(url, "ask", str(share), str(seconds)) for share in shares if share]
    for process in processes:
        hear(process)
    for process in processes:
        say(process)
    count = sum(hear(process) for process in processes)
    for process in processes:
        process.wait()
    return count / seconds


async def gateway_to_gateway(url: str) -> list[float]:
    """Milliseconds from the call that answers to the waiting agent's going on, the two in two processes."""
    other, took = node(url, "answer"), list[float]()
    hear(other)
    gateway = Gateway(PostgresStore(url))
    async with gateway.running():
        for number in range(ANSWERS):
            asked, _ = await gateway.ask(
                Question(execution_id=f"run-{number}", prompt="Ship it?"), by="a", durable=True
            )
            agent = asyncio.create_task(gateway.settled(asked.request_id, wait=None))
            await asyncio.sleep(0.002)  # it waits now, and does not just come
            say(other, asked.request_id)
            await agent
            ended = time.monotonic_ns()
            took.append((ended - await asyncio.to_thread(hear, other)) / 1e6)
    assert other.stdin is not None
    other.stdin.close()
    other.wait()
    return took


def client_to_agent(url: str) -> list[float]:
    """The same from an HTTP client of another node."""
    environment = os.environ | {"SAYSO_API_KEY": KEY, "SAYSO_STORE": url}
    command = [str(Path(sys.executable).with_name("sayso")), "serve", "--port", "8799"]
    serving = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
    took = list[float]()
    try:
        headers = {"Authorization": f"Bearer {KEY}"}
        with (
            httpx.Client(base_url="http://127.0.0.1:8799", headers=headers) as person,
            HumanInputServer(port=0, api_key=KEY, store=url, adapters=False, quiet=True) as server,
        ):
            wait_for(person)
            for number in range(ANSWERS):
                waiting = server.submit(Question(execution_id=f"http-{number}", prompt="Ship it?"))
                asked = waiting.stored.result()
                ended: list[int] = []
                waiting.settled.add_done_callback(lambda _, ended=ended: ended.append(time.monotonic_ns()))
                time.sleep(0.002)
                began = time.monotonic_ns()
                person.post(f"/requests/{asked.request_id}/answer", json={"human_feedback": "yes"}).raise_for_status()
                waiting.settled.result()
                took.append((ended[0] - began) / 1e6)
    finally:
        serving.terminate()
        serving.wait()
    return took


def wait_for(person: httpx.Client) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            person.get("/health").raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def spread(took: Sequence[float]) -> str:
    return f"{statistics.median(took):.2f} ms (median), {statistics.quantiles(took, n=100)[98]:.2f} ms (99 %)"


def main(seconds: float) -> None:
    for disk, cluster in (("as it is", Cluster()), ("2 ms more an fsync", Cluster(fsync_delay=0.002))):
        try:
            url = cluster.database()
            rates: dict[tuple[int, int], list[float]] = {}
            for _ in range(ROUNDS):
                for askers in ASKERS:
                    for nodes in (1, 2):
                        rates.setdefault((askers, nodes), []).append(asked_per_second(url, askers, nodes, seconds))
            for (askers, nodes), found in rates.items():
                print(f"{disk}: {askers:3} askers, {nodes} nodes: {statistics.median(found):6.0f} asks/s", flush=True)
            print(f"{disk}: gateway to gateway: {spread(asyncio.run(gateway_to_gateway(url)))}", flush=True)
            print(f"{disk}: client to agent: {spread(client_to_agent(url))}", flush=True)
        finally:
            cluster.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["node"]:
        asyncio.run(be_node(*sys.argv[2:]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
