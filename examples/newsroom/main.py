"""A newsroom of two agents: one gathers facts, one writes, and a person reviews the text over the network.

    python examples/newsroom/main.py                       # you answer, in the inbox that it opens
    python examples/newsroom/main.py --answer "shorter"    # answers by itself over HTTP, then approves

With OPENAI_API_KEY (or ANTHROPIC_API_KEY, GEMINI_API_KEY) in the environment a real model writes; otherwise a scripted
one does, which truly follows the feedback.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from crewai import LLM, Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from scripted_model import ScriptedModel

from sayso import HumanInputServer
from sayso.adapters.crewai import Rejected, execution
from sayso.errors import PortTaken, SaysoError

_MODELS = {
    "OPENAI_API_KEY": "openai/gpt-4o-mini",
    "ANTHROPIC_API_KEY": "anthropic/claude-3-5-haiku-latest",
    "GEMINI_API_KEY": "gemini/gemini-2.0-flash",
}


def model() -> BaseLLM:
    """A real model when its key is there, else the scripted one."""
    for variable, name in _MODELS.items():
        if os.environ.get(variable):
            print(f"Model: {name} ({variable} is set).")
            return LLM(model=name)
    print("Model: a scripted one (set OPENAI_API_KEY for a real one).")
    return ScriptedModel(model="scripted")


def newsroom(llm: BaseLLM) -> Crew:
    """Two agents, two tasks; the second asks a person."""
    researcher = Agent(
        role="Researcher", goal="Find what is new", backstory="You read every change log.", llm=llm, max_retry_limit=0
    )
    writer = Agent(
        role="Writer", goal="Tell it so that people care", backstory="You write short.", llm=llm, max_retry_limit=0
    )
    facts = Task(
        name="Gather the facts",
        description="List what is new in version 2.4 of Harbour, the ferry booking app.",
        expected_output="Five bullet points.",
        agent=researcher,
    )
    announcement = Task(
        name="Write the announcement",
        description="Write the announcement of Harbour 2.4 for travellers, from the researcher's facts.",
        expected_output="A short letter.",
        agent=writer,
        context=[facts],
        human_input=True,
    )
    return Crew(agents=[researcher, writer], tasks=[facts, announcement])


@contextmanager
def serving(port: int, store: str) -> Iterator[HumanInputServer]:
    """A server on `port`, or on a free one when that is taken."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(HumanInputServer(port=port, store=store, quiet=True))
        except PortTaken:
            print(f"Port {port} is taken by another program; using a free one.")
            server = stack.enter_context(HumanInputServer(port=0, store=store, quiet=True))
        yield server


def client_of(server: HumanInputServer) -> httpx.Client:
    key = os.environ.get("SAYSO_API_KEY")
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=60)


def show_events(server: HumanInputServer, execution_id: str, answers: list[str]) -> None:
    """Follows the run by long polling, as any client could; gives the prepared answers, one for each question."""
    cursor: str | None = None
    prepared = iter(answers)
    with client_of(server) as client:
        while True:
            query = {"wait": "55"} | ({"last_event_id": cursor} if cursor else {})
            try:
                page = client.get(f"/poll/human-input/{execution_id}", params=query).raise_for_status().json()
            except httpx.TransportError:
                return  # the server has ended, and the run with it
            for event in page["events"]:
                if event["type"] == "human_input_required":
                    print(f"\n--- {event['title']}, round {event['round']} ---\n{event['context']}\n---\n", flush=True)
                    answer = next(prepared, None) if answers else None
                    if answer is None:
                        explain(server, event["request_id"])
                    else:
                        print(f"Answering: {answer!r}", flush=True)
                        address = f"/requests/{event['request_id']}/answer"
                        client.post(address, json={"human_feedback": answer}).raise_for_status()
                else:
                    print(f"{event['decision'] or event['status']} by {event['by']}: {event['human_feedback']!r}")
            cursor = page["cursor"]
            if page["events"] and page["events"][-1].get("decision") in {"approve", "edit", "reject"}:
                return


def explain(server: HumanInputServer, request_id: str) -> None:
    """What a person can do now."""
    key = '-H "Authorization: Bearer $SAYSO_API_KEY" ' if os.environ.get("SAYSO_API_KEY") else ""
    curl = f"curl {key}{server.url}/requests/{request_id}/answer -d"
    print(f"The crew waits for you: {server.url}/#/requests/{request_id}")
    print("Or in another terminal:")
    print(f'  change it:  {curl} \'{{"human_feedback": "make it shorter"}}\'')
    print(f'  take it:    {curl} \'{{"decision": "approve"}}\'')
    print(f'  your text:  {curl} \'{{"decision": "edit", "edited": "Harbour 2.4 is here."}}\'')
    print(f'  stop it:    {curl} \'{{"decision": "reject"}}\'', flush=True)


def has_screen() -> bool:
    """Whether a browser can be shown to whoever started this."""
    return sys.stdout.isatty() and (
        sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="A crew asks, a person answers over the network, the crew goes on.")
    parser.add_argument("--answer", help="answer the first question with this text, approve the second, and exit")
    parser.add_argument("--port", type=int, default=8000, help="where to listen (default: 8000)")
    options = parser.parse_args()
    answers = [options.answer, ""] if options.answer else []

    try:
        with tempfile.TemporaryDirectory(prefix="sayso-demo-") as folder:
            return run(options.port, f"sqlite:///{Path(folder) / 'demo.db'}", answers)
    except SaysoError as error:
        print(error.detail, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def run(port: int, store: str, answers: list[str]) -> int:
    """One run of the crew; the exit code."""
    with serving(port, store) as server, execution() as execution_id:
        print(f"Listening on {server.url}; this run is {execution_id}.")
        print(f"The inbox: {server.url}/")
        print(f"Watch it:  curl -N {server.url}/events/human-input/{execution_id}", flush=True)
        watcher = threading.Thread(target=show_events, args=(server, execution_id, answers), daemon=True)
        watcher.start()
        if not answers and has_screen():
            webbrowser.open(server.url)
        try:
            result = newsroom(model()).kickoff()
        except Rejected as rejection:
            print(f"\nThe run ended: {rejection}.")
            return 0
        watcher.join(timeout=10)
        print(f"\nThe crew's result:\n\n{result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
