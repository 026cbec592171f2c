"""A language model that needs no network: writes a notice about the topic, and shortens it when it is told to."""

from __future__ import annotations

import re
from typing import Any

from crewai.llms.base_llm import BaseLLM


class ScriptedModel(BaseLLM):
    """Reads topic and feedback from the conversation, as a real model would."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        text = messages if isinstance(messages, str) else "\n".join(str(one.get("content")) for one in messages)
        found = re.search(r"Write a notice about: (.*)", text)
        topic = found[1].strip() if found else "nothing"
        sentences = [f"There is news about {topic}.", "It begins on Monday.", "Everyone is welcome to try it."]
        for feedback in re.findall(r"User feedback: (.*?)\nInstructions:", text, re.DOTALL):
            if "short" in feedback.lower():
                sentences = sentences[:1]
            else:
                sentences.append(f"({feedback.strip()})")
        return f"Thought: I now can give a great answer\nFinal Answer: {' '.join(sentences)}"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False

    def get_input_tokens_count(self, *args: Any, **kwargs: Any) -> int:
        return 0
