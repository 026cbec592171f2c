"""What a page without scripts sends: the form of an answer link, and the page that it is shown on again."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st

from sayso.answer_link import AnswerLink
from sayso.errors import ActionMismatch, Fault, Invalid
from sayso.kinds import resolve
from sayso.server.answer_page import page
from sayso.server.answer_page.given import Given, read, submission
from tests.builders import NOW
from tests.fuzz.documents import WORDS
from tests.fuzz.mutation import damaged
from tests.fuzz.parsing import REQUESTS
from tests.fuzz.target import Target, pure, refused

_LINK: Final = AnswerLink(request_id="request-1", owner="anna", until=NOW)
_NAMES: Final = ("decision", "option", "words", "edited", "seen", "showing", "values", "value-0", "value-1")
_MARKUP: Final = st.sampled_from(
    ["</textarea><script>", '"><img src=x onerror=a>', "<!--", "]]>", "&#0;", "respond", "edit", "reject", "{}", "1"]
)
_FORMS: Final = st.builds(
    lambda which, fields: bytes([which]) + urlencode(fields).encode(),
    st.integers(0, len(REQUESTS) - 1),
    st.dictionaries(st.sampled_from(_NAMES), WORDS | _MARKUP | st.text(max_size=9)),
)


class _Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen += [tag, *(name for name, _ in attrs)]


def _taken(parse: Callable[[bytes], Given]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        asked, sent = REQUESTS[data[0] % len(REQUESTS)] if data else REQUESTS[0], data[1:]
        given = refused(lambda: parse(sent), Invalid)
        if given is None:
            return
        said = refused(lambda: submission(asked, given), Invalid)
        if said is not None:
            refused(lambda: resolve(asked, said, "answer-1"), Invalid, ActionMismatch)
        tags = _Tags()
        tags.feed(page.asking(asked, _LINK, NOW, given, [Fault("/values/a", given.get("words"))]).decode())
        assert not {"script", "img", "onerror", "src", "href"} & set(tags.seen)

    return check


def _loose(body: bytes) -> Any:
    """The control: what is no UTF-8 gets Python's own word."""
    return Given(dict(parse_qsl(body.decode(), errors="strict")))


TARGETS: Final[tuple[Target, ...]] = (pure("forms", damaged(_FORMS), _taken(read), _taken(_loose), 400),)
