"""The one line that tells the person at the console that an agent waits, so that a waiting crew does not look hung."""

from __future__ import annotations

from sayso.model import Request


def notice(request: Request, url: str | None, *, keyed: bool) -> str:
    """Who asks, and a command that answers. `url`: where the server listens, None when only its mounter knows."""
    who = request.context_data or {}
    asker = " ".join(str(who[name]) for name in ("agent",) if isinstance(who.get(name), str)) or request.source.name
    address = f"{url or '<your app>'}/requests/{request.request_id}/answer"
    key = '-H "Authorization: Bearer $SAYSO_API_KEY" ' if keyed else ""
    return (
        f"sayso: {_line(asker)} waits for an answer: {_line(request.title)}"
        f' | curl {key}-d \'{{"human_feedback": "YOUR WORDS"}}\' {address}'
    )


def _line(text: str) -> str:
    """`text` without anything a terminal would obey: agents write it, and a person reads it in a shell."""
    return "".join(character if character.isprintable() else " " for character in text)
