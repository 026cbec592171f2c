"""A language model that needs no network: plays a researcher and a writer, and does what the feedback says."""

from __future__ import annotations

import re
from typing import Any

from crewai.llms.base_llm import BaseLLM

_FACTS = [
    "Version 2.4 of Harbour, the ferry booking app, goes out on Monday.",
    "Tickets now work without a connection, which a third of all travellers had asked for.",
    "Changing a booking takes two taps instead of a phone call.",
    "The timetable shows delays as soon as the bridge reports them.",
    "Seat maps can be read by screen readers.",
]


class ScriptedModel(BaseLLM):
    """Answers from the roles and the feedback that it finds in the conversation, the same each time."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        text = messages if isinstance(messages, str) else "\n".join(str(one.get("content")) for one in messages)
        if "You are Researcher" in text:
            answer = "\n".join(f"- {fact}" for fact in _FACTS)
        else:
            answer = _announcement(re.findall(r"User feedback: (.*?)\nInstructions:", text, re.DOTALL))
        return f"Thought: I now can give a great answer\nFinal Answer: {answer}"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False

    def get_input_tokens_count(self, *args: Any, **kwargs: Any) -> int:
        return 0


def _announcement(feedback: list[str]) -> str:
    sentences, greeting, notes = list(_FACTS), "Dear travellers,", []
    for wish in feedback:
        if re.search(r"short|brief|concise|tight", wish, re.IGNORECASE):
            sentences = sentences[: max(1, len(sentences) // 2)]
        elif re.search(r"casual|friendl|warm|informal", wish, re.IGNORECASE):
            greeting = "Ahoy!"
        elif re.search(r"formal|serious", wish, re.IGNORECASE):
            greeting = "Ladies and gentlemen,"
        else:
            notes.append(wish.strip())
    return "\n\n".join([greeting, " ".join(sentences), *(f"P.S. {note}" for note in notes)])
