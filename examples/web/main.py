"""A web front end for a crew: a page starts it, follows its questions from before the first, and answers them.

    python examples/web/main.py            # then open the address it prints
    python examples/web/main.py --check    # plays the page over HTTP, and exits 1 if anything is not as promised

sayso is mounted in the application under /sayso, so page and questions are of one origin and need no key on this
machine; with another `host` they do. In production, give HumanInputServer an api_key and let your application, which
knows who is signed in, pass answers on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from crewai import LLM, Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from scripted_model import ScriptedModel

from sayso import HumanInputServer, create_app
from sayso.adapters.crewai import Rejected, Stopped, Unanswered, execution

_PAGE = Path(__file__).with_name("page.html")


class Run(BaseModel):
    """What the page sends: an id that it has made itself and follows already, and what to write about."""

    id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    topic: str = Field(min_length=1, max_length=200)


class Outcome(BaseModel):
    """How a run ended."""

    result: str | None
    ended: str | None = None
    """Why there is no result: rejected, cancelled, stopped."""


def model() -> BaseLLM:
    return LLM(model="openai/gpt-4o-mini") if os.environ.get("OPENAI_API_KEY") else ScriptedModel(model="scripted")


def crew_for(topic: str) -> Crew:
    """A crew of its own for each run: crewAI cannot run one crew twice at the same time."""
    writer = Agent(role="Writer", goal="Write so that people read on", backstory="You write short.", llm=model())
    task = Task(
        name="Write the notice",
        description=f"Write a notice about: {topic}",
        expected_output="One short paragraph.",
        agent=writer,
        human_input=True,
    )
    return Crew(agents=[writer], tasks=[task])


def application(server: HumanInputServer) -> FastAPI:
    runs: dict[str, asyncio.Task[Outcome]] = {}

    async def work(run: Run) -> Outcome:
        with execution(run.id):
            try:
                return Outcome(result=(await crew_for(run.topic).kickoff_async()).raw)
            except (Rejected, Unanswered, Stopped) as ending:
                return Outcome(result=None, ended=ending.reason)

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.stop)  # lets go of the crews that wait, so that the process can end
        await asyncio.gather(*runs.values(), return_exceptions=True)

    api = FastAPI(lifespan=lifespan)
    api.mount("/sayso", create_app(server))

    @api.get("/")
    async def page() -> FileResponse:
        return FileResponse(_PAGE)

    @api.post("/runs", status_code=202)
    async def start(run: Run) -> dict[str, str]:
        if run.id in runs:
            raise HTTPException(409, "this run has been started already")
        runs[run.id] = asyncio.create_task(work(run))
        return {"id": run.id}

    @api.get("/runs/{id}")
    async def outcome(id: str) -> Outcome:
        if id not in runs:
            raise HTTPException(404, "there is no such run")
        return await asyncio.shield(runs[id])

    return api


async def check(url: str) -> None:
    """Does what the page does: follow, start, ask for a change, approve."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        assert "<title>" in (await client.get("/")).text
        await client.post("/runs", json={"id": "check-1", "topic": "the new ferry"})
        ending = asyncio.create_task(client.get("/runs/check-1"))
        drafts: list[str] = []
        cursor: dict[str, str] = {}
        for answer in ({"human_feedback": "shorter"}, {"decision": "approve"}):
            event = {"type": ""}
            while event["type"] != "human_input_required":
                page = (await client.get("/sayso/poll/human-input/check-1", params={"wait": "20"} | cursor)).json()
                event, cursor = page["events"][-1], {"last_event_id": page["cursor"]}
            drafts.append(event["context"])
            settled = await client.post(f"/sayso/requests/{event['request_id']}/answer", json=answer)
            assert settled.status_code == 200, settled.text
        result = (await ending).json()["result"]
        assert len(drafts[1]) < len(drafts[0]), drafts
        assert result == drafts[1], (result, drafts)
        print(f"The crew took the feedback, and its approved result is: {result}")


async def main() -> int:
    parser = argparse.ArgumentParser(description="A web front end for a crew.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--check", action="store_true", help="play the page, and exit")
    options = parser.parse_args()
    api = application(HumanInputServer(store=":memory:", quiet=True))
    listener = socket.create_server(("127.0.0.1", 0 if options.check else options.port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(f"Open {url}", flush=True)
    web = uvicorn.Server(uvicorn.Config(api, log_level="warning", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    if options.check:
        await check(url)
        web.should_exit = True
    await serving
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
