"""What a person is told of a question in a chat or a mail: as text, Markdown or HTML. Pure.

What agents write is text there, too: no mail program and no chat makes a link or a mention of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from html import escape
from typing import Final, NamedTuple

from sayso.model import Request
from sayso.telling import asker, ending
from sayso.visible import visible, visible_line

_PROMPT: Final = 1_500
"""Characters of a prompt: a message is for deciding whether to look now, the page for deciding."""
_TITLE: Final = 150
_ACTS: Final = re.compile(r"(?<=\w)\.(?=[^\W\d_])|[@#<\[\]](?=\S)|:(?=[^\s\d])")
"""What makes a link, a mention or a command of a text: addresses, `@all`, `<!here>`, `[a](b)`."""
_JOINER: Final = "\u2060"
"""Is not seen, and is part of no address and no name."""
_CUT: Final = "…"


class Message(NamedTuple):
    """`facts` and `words` are fit to be shown; `link`: where it is answered, or where there is more to see."""

    title: str
    facts: str
    words: str = ""
    link: str | None = None
    invites: str = ""

    def fitting(self, write: Callable[[Message], str], most: int) -> str:
        """It, written so that it has at most so many characters: the words give way, the link never does."""
        shorter = self
        while len(text := write(shorter)) > most and shorter.words:
            shorter = shorter._replace(words=_shortened(shorter.words, len(shorter.words) // 2))
        return text


def asked(request: Request, link: str | None) -> Message:
    """A question that waits."""
    urgent = f"[{request.priority}] " if request.priority in ("high", "urgent") else ""
    same = visible_line(request.prompt) == visible_line(request.title)
    return Message(
        title=urgent + inert(_shortened(visible_line(request.title), _TITLE)),
        facts=" · ".join(_facts(request)),
        words="" if same else inert(_shortened(visible(request.prompt), _PROMPT)),
        link=link,
        invites="Look and answer",
    )


def settled(request: Request) -> Message:
    """What became of it: nobody need go there any more."""
    title = inert(_shortened(visible_line(request.title), _TITLE))
    return Message(title=f"Settled: {title}", facts=f"{inert(visible_line(ending(request)))}.")


TRIAL: Final = Message("A test of sayso", "Questions that wait for a person will come here.")


def as_text(message: Message) -> str:
    invitation = f"{message.invites}: {message.link}" if message.link else ""
    return "\n\n".join(one for one in (message.facts, message.words, invitation) if one)


def as_html(message: Message) -> str:
    """Paragraphs, and one link, which is ours."""
    parts = [_paragraph(message.facts)]
    if message.words:
        parts.append(f"<blockquote>{_paragraph(message.words)}</blockquote>")
    if message.link:
        href = escape(message.link)
        parts.append(f'<p><a href="{href}">{escape(message.invites)}</a></p><p>{href}</p>')
    return "".join(parts)


def as_markdown(message: Message) -> str:
    """With one link, which is ours. Of the rest only what could be a tag is escaped: chats that make something of their
    own of Markdown, as Slack does, show other backslashes."""
    invitation = f"[{message.invites}]({message.link})" if message.link else ""
    texts = [re.sub(r"[<>]", r"\\\g<0>", one).replace("\n", "  \n") for one in (message.facts, message.words)]
    return "\n\n".join(one for one in (*texts, invitation) if one)


def inert(text: str) -> str:
    """`text` that reads the same, and of which no program makes a link or a mention."""
    return _ACTS.sub(lambda found: found[0] + _JOINER, text)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text).replace(chr(10), '<br>')}</p>"


def _facts(request: Request) -> Iterator[str]:
    yield f"{inert(visible_line(asker(request)))} asks in {inert(request.execution_id)}"
    if request.action is not None:
        yield f"wants to run {inert(_shortened(visible_line(request.action.name), _TITLE))}"
    if request.deadline is not None:
        yield f"until {request.deadline.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + _CUT
