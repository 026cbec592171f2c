"""How long many crewAI flows take that wait for a person at the same time, against one: `bench/waiting_flows.py [N …]`.

The person takes two seconds for each answer and answers all questions at once, as a team does. Waiting should cost no
thread, so N flows should take about as long as one.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}

import httpx
from crewai.flow.flow import Flow, start
from crewai.flow.human_feedback import human_feedback

from sayso import HumanInputServer

THINKING = 2.0
ROUNDS = 3


class Draft(Flow):
    """One draft, one review."""

    @start()
    @human_feedback(message="Good?")
    def draft(self) -> str:
        return "a draft"


async def person(client: httpx.AsyncClient) -> None:
    """Follows everything; each question is answered THINKING seconds after it came."""
    cursor = (await client.get("/requests", params={"limit": "1"})).json()["cursor"]

    async def answer(request_id: str) -> None:
        await asyncio.sleep(THINKING)
        await client.post(f"/requests/{request_id}/answer", json={"human_feedback": ""})

    async with asyncio.TaskGroup() as answers:
        while True:
            query = {"wait": "30"} | ({"last_event_id": cursor} if cursor else {})
            page = (await client.get("/poll/human-input", params=query)).json()
            cursor = page["cursor"]
            for event in page["events"]:
                if event["type"] == "human_input_required":
                    answers.create_task(answer(event["request_id"]))


async def timed(flows: int) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(Draft(suppress_flow_events=True).kickoff_async() for _ in range(flows)))
    return time.perf_counter() - begun


async def main() -> None:
    counts = [int(one) for one in sys.argv[1:]] or [10, 50]
    with HumanInputServer(port=0, quiet=True) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            answering = asyncio.create_task(person(client))
            await timed(1)
            for count in counts:
                ones, manys = [], []
                for _ in range(ROUNDS):
                    ones.append(await timed(1))
                    manys.append(await timed(count))
                one, many = statistics.median(ones), statistics.median(manys)
                print(f"{count} flows: {many:.2f} s; one: {one:.2f} s; ratio {many / one:.2f}")
            answering.cancel()


if __name__ == "__main__":
    asyncio.run(main())
