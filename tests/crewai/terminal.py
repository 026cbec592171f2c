"""A person at the terminal of a process: reads the line of each open question and runs the command that it shows."""

from __future__ import annotations

import io
import queue
import re

import httpx

from tests.conftest import KEY
from tests.crewai.person import LONGEST

_LINK = re.compile(r"http://\S+/answer")


class Terminal(io.TextIOBase):
    """Stands in for stderr; hands the address of each open question to whoever reads."""

    def __init__(self) -> None:
        super().__init__()
        self.links: queue.Queue[str] = queue.Queue()

    def write(self, text: str, /) -> int:
        for link in _LINK.findall(text):
            self.links.put(link)
        return len(text)

    def answer(self, *feedback: str) -> list[str]:
        """Answers as a person does who reads the lines and runs the command they show; gives the decisions."""
        decisions = []
        for words in feedback:
            link = self.links.get(timeout=LONGEST)
            headers = {"Authorization": f"Bearer {KEY}"}
            settled = httpx.post(link, json={"human_feedback": words}, headers=headers, timeout=LONGEST)
            decisions.append(settled.raise_for_status().json()["answer"]["decision"])
        return decisions
