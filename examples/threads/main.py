"""A crew behind a page that is drawn anew on every click, as Streamlit and Gradio do it.

    python examples/threads/main.py        # exits 1 if anything is not as promised

There the script runs from the top for each click, in a thread of its own, and what must last is in a session. So the
crew works in a thread of its own, and each drawing looks up what waits and shows it. `draw` below is such a script;
`Session` stands in for `st.session_state`, `Screen` for `st`, and `main` for the person who clicks.
"""

from __future__ import annotations

import sys
import threading
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import httpx
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

from sayso import HumanInputServer
from sayso.adapters.crewai import execution


class Echo(BaseLLM):
    """A model that needs no network: its answer is the number of the draft."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        text = messages if isinstance(messages, str) else "\n".join(str(one.get("content")) for one in messages)
        return f"Thought: I now can give a great answer\nFinal Answer: Draft {text.count('User feedback: ') + 1}"

    def supports_function_calling(self) -> bool:
        return False


@dataclass
class Session:
    """What outlives a drawing."""

    execution_id: str | None = None
    result: Future[str] = field(default_factory=Future)


@dataclass
class Screen:
    """What a drawing shows, and what was clicked and typed since the last one."""

    clicked: str = ""
    typed: str = ""
    shown: list[str] = field(default_factory=list)


def draw(session: Session, screen: Screen, server: HumanInputServer) -> None:
    """One run of the page's script, from the top."""
    if session.execution_id is None:
        screen.shown.append("[Start]")
        if screen.clicked == "Start":
            start(session)
        return
    if session.result.done():
        screen.shown.append(f"Result: {session.result.result()}")
        return
    query = {"execution_id": session.execution_id, "status": "pending"}
    for request in httpx.get(f"{server.url}/requests", params=query).raise_for_status().json()["requests"]:
        screen.shown.append(f"{request['title']}: {request['context']} [Approve] [Change]")
        body = {"Approve": {"decision": "approve"}, "Change": {"decision": "respond", "text": screen.typed}}.get(
            screen.clicked
        )
        if body:
            httpx.post(f"{server.url}/requests/{request['request_id']}/answer", json=body).raise_for_status()


def start(session: Session) -> None:
    """The crew in a thread: nothing has to be passed to it for its questions to arrive."""
    writer = Agent(role="Writer", goal="Write", backstory="Writes.", llm=Echo(model="echo"))
    task = Task(name="A line", description="Write a line", expected_output="A line", agent=writer, human_input=True)
    crew = Crew(agents=[writer], tasks=[task])
    session.execution_id = str(uuid.uuid4())

    def work() -> None:
        with execution(session.execution_id):
            try:
                session.result.set_result(crew.kickoff().raw)
            except Exception as error:
                session.result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()


def wait_for_question(server: HumanInputServer, session: Session, round: int) -> None:
    """What makes such a page draw itself again when there is news; some only do it every few seconds."""
    cursor: dict[str, str] = {}
    while True:
        address = f"{server.url}/poll/human-input/{session.execution_id}"
        page = httpx.get(address, params={"wait": "30"} | cursor, timeout=40).raise_for_status().json()
        cursor = {"last_event_id": page["cursor"]}
        if any(event.get("round") == round for event in page["events"]):
            return


def main() -> int:
    with HumanInputServer(port=0, quiet=True) as server:
        session = Session()

        def click(button: str = "", typed: str = "") -> list[str]:
            screen = Screen(button, typed)
            drawing = threading.Thread(target=draw, args=(session, screen, server))  # a thread for each, as there
            drawing.start()
            drawing.join()
            return screen.shown

        assert click("Start") == ["[Start]"]
        wait_for_question(server, session, 1)
        assert click() == ["A line: Draft 1 [Approve] [Change]"]
        click("Change", "shorter")
        wait_for_question(server, session, 2)
        assert click() == ["A line: Draft 2 [Approve] [Change]"]
        click("Approve")
        assert session.result.result(30) == "Draft 2"
        assert click() == ["Result: Draft 2"]
        print("A page that is drawn anew for each click: asked twice, answered twice, and the crew went on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
