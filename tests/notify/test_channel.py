"""Channels: what a person gets in a mail or a chat, what they can do with it, and what an agent cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from markdown_it import MarkdownIt

from sayso import HumanInputServer
from sayso.errors import ExtraMissing, Misconfigured
from sayso.model import Request
from sayso.notify.channel import Channel, Settings
from sayso.notify.message import as_html, as_markdown, as_text, asked, inert
from sayso.notify.sending import NotDelivered
from sayso.wire import Event
from tests import builders
from tests.cli.conftest import lines, runner
from tests.conftest import KEY
from tests.daemons import free_port
from tests.notify.around import around
from tests.notify.inbox import Got, mailbox, service, text_of

Serve = Callable[..., HumanInputServer]
OWNER = "anna@example.com"
MARK = "s3cret-in-the-url"
HOSTILE = (
    "https://evil.example/x www.evil.example mailto:a@evil.example evil.example javascript:alert(1) "
    "<b>x</b> <!here> <https://evil.example|Approve> [Approve](https://evil.example) ![a](//evil.example/p.png) "
    "[a]: https://evil.example <a href='https://evil.example'>y</a> @everyone @channel #general \u202eevil\u202c "
    "&lt;b&gt;"
)
ACTS = (
    *("https:/", "evil.example", "www.evil", "a@evil", "javascript:a", "<!", "<b>", "<a href='", "](h"),
    *("@e", "@c", "#g"),
)


def told(request: Request) -> Event:
    return Event.of(builders.asked(request), position=1, seq=1)


@asynccontextmanager
async def channel(url: str, *requests: Request, **settings: Any) -> AsyncIterator[Channel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHANNEL", url)
        carrier = Channel(Settings(**{"url_from": "CHANNEL", "owner": OWNER} | settings), around(*requests))
    try:
        yield carrier
    finally:
        await carrier.close()


@pytest.fixture
def http() -> Iterator[tuple[Got, int]]:
    with service() as one:
        yield one


def configured(path: Path, name: str = "CHANNEL", **more: Any) -> Path:
    settings = {"name": "people", "kind": "channel", "url_from": name, "owner": OWNER} | more
    path.write_text("[[notifier]]\n" + "".join(f"{key} = {str(value)!r}\n" for key, value in settings.items()))
    return path


def _mail_url(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=sayso@example.com&to={OWNER}&mode=insecure"


@pytest.mark.promise("CHANNEL-1", "CHANNEL-2", "LINK-2")
def test_a_mail_brings_the_question_its_link_takes_the_answer_and_a_second_one_says_so(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, reached = free_port(), free_port()
    monkeypatch.setenv("CHANNEL", _mail_url(port))
    with mailbox(port) as got:
        url = f"http://localhost:{reached}"
        server = serve(port=reached, notify=configured(tmp_path / "n.toml"), public_url=url)
        http = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"})
        question = {"title": "Refund A-4711", "prompt": "Charged twice.\nRefund?", "priority": "urgent", "kind": "gate"}
        agent = {"context_data": {"agent": "Support"}, "timeout": 9_000, "execution_id": "run-1"}
        id = http.post("/requests", json=question | agent).json()["request_id"]
        got.until(lambda: len(got.all) == 1)
        mail = got.all[0]
        assert mail["subject"] == "[urgent] Refund A-4711"
        for text in ("Support asks in run-1", "until ", "Charged twice."):
            assert text in text_of(mail)
        links = re.findall(r'href="([^"]+)"', text_of(mail, "html"))
        assert links == [re.search(r"http\S+/answer\?token=\S+", text_of(mail))[0]]  # type: ignore[index]
        page = httpx.get(links[0], headers={"Accept": "text/html"})
        assert "Charged twice." in page.text
        done = httpx.post(links[0], data={"decision": "approve"}, headers={"Accept": "text/html"})
        assert "Your answer was taken" in done.text
        got.until(lambda: len(got.all) == 2)
        assert got.all[1]["subject"] == "Settled: Refund A-4711"
        assert f"Approved by {OWNER}" in text_of(got.all[1]).replace("\u2060", "")
        assert "/answer" not in text_of(got.all[1])
        assert http.get(f"/requests/{id}").json()["settled_by"] == f"link:{OWNER}"
        http.close()


@pytest.mark.promise("CHANNEL-3", "NOTIFY-8")
def test_what_a_mail_server_did_not_take_arrives_once_it_does(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    monkeypatch.setenv("CHANNEL", f"{_mail_url(port)}&name={MARK}")
    server = serve(notify=configured(tmp_path / "n.toml"), public_url="https://sayso.example")
    sayso = runner(SAYSO_URL=server.url, SAYSO_API_KEY=KEY)
    tried = sayso("notify", "test", "people")
    assert tried.exit_code == 1
    assert "did not take it, or cannot be reached" in tried.stderr
    httpx.post(
        f"{server.url}/requests",
        json={"execution_id": "run-1", "prompt": "Still?"},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    for _ in range(1_000):  # it is written down once the delivery has failed
        if lines(sayso("notify", "list", "--json").stdout)[0]["owed"]:
            break
    with mailbox(port) as got:
        sayso("notify", "replay", "people")
        got.until(lambda: len(got.all) == 1)
        assert got.all[0]["subject"] == "Still?"
    listed = lines(sayso("notify", "list", "--json").stdout)[0]
    assert listed["target"] == "E-Mail (CHANNEL)"
    assert MARK not in caplog.text + tried.stderr + str(listed)


@pytest.mark.promise("CHANNEL-1")
async def test_a_question_that_is_settled_or_gone_by_now_is_asked_of_nobody(http: tuple[Got, int]) -> None:
    got, port = http
    done = builders.answered(builders.request(title="Done"), by="key:bo")
    async with channel(f"json://127.0.0.1:{port}/x", done) as one:
        await one.send(told(done))
        await one.send(told(builders.request()))
        assert got.all == []
        await one.send(Event.of(builders.completed(done), position=2, seq=2))
    assert [message["title"] for message in got.all] == ["Settled: Done"]


@pytest.mark.promise("CHANNEL-2")
async def test_a_link_is_the_owners_and_may_be_left_out(http: tuple[Got, int]) -> None:
    got, port = http
    request = builders.request()
    async with channel(f"json://127.0.0.1:{port}/x", request) as one:
        await one.send(told(request))
    async with channel(f"json://127.0.0.1:{port}/x", request, link=False, owner="") as one:
        await one.send(told(request))
    link = f"https://sayso.example/answer?token={request.request_id}-{OWNER}"
    assert [link in message["message"] for message in got.all] == [True, False]


@pytest.mark.promise("CHANNEL-4")
@pytest.mark.parametrize("write", [as_text, as_markdown, as_html])
def test_nothing_that_an_agent_writes_is_a_link_or_a_mention(write: Callable[..., str]) -> None:
    request = builders.request(title=HOSTILE[:190], prompt=HOSTILE, context_data={"agent": HOSTILE})
    ours = "https://sayso.example/answer?token=a_b-c.d"
    message = asked(request, ours)
    body = write(message)
    assert body.count(ours) in (1, 2)
    rest = (message.title + "\n" + body).replace(ours, "")
    found = [acts for acts in ACTS if acts in rest]
    assert found == []
    assert "[\u2060RLO]" in rest
    assert "\u202e" not in rest
    if write is as_html:
        assert _Read.of(body).tags == {"p", "a", "blockquote"}


@pytest.mark.promise("CHANNEL-4")
def test_it_reads_as_it_was_written() -> None:
    plain = "At 12:30, A-4711 costs 40.50 (v1.2): see the file."
    assert inert(plain) == plain
    assert inert(HOSTILE).replace("\u2060", "") == HOSTILE


@pytest.mark.promise("CHANNEL-4")
def test_whoever_reads_html_or_markdown_reads_what_was_written() -> None:
    message = asked(builders.request(title="A title", prompt="5 < 6 && &lt;b&gt; <i>\nnext"), "https://sayso.example/a")
    shown = "5 < 6 && &lt;b&gt; <i>"
    assert shown in _Read.of(as_html(message)).text.replace("\u2060", "")
    read = _Read.of(MarkdownIt("commonmark").render(as_markdown(message)))
    assert "5 < 6 &&" in read.text.replace("\u2060", "")
    assert "<i>\nnext" in read.text.replace("\u2060", "")
    assert read.tags == {"p", "a", "br"}


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    @classmethod
    def of(cls, html: str) -> _Read:
        read = cls()
        read.feed(html)
        return read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.promise("CHANNEL-1")
@pytest.mark.parametrize("write", [as_text, as_markdown, as_html])
def test_a_long_prompt_gives_way_and_the_link_does_not(write: Callable[..., str]) -> None:
    message = asked(
        builders.request(title="A title", prompt="<word>\n" * 5_000), "https://sayso.example/answer?token=x"
    )
    assert len(write(message)) < 8_000
    short = message.fitting(write, 300)
    assert len(short) <= 300
    assert "https://sayso.example/answer?token=x" in short
    assert "word" in short


@pytest.mark.promise("CHANNEL-1")
@pytest.mark.parametrize(
    ("url", "member", "link"),
    [
        ("json://127.0.0.1:{}/x", "message", "Look and answer: https://sayso.example/answer?token="),
        ("json://127.0.0.1:{}/x?format=markdown", "message", "[Look and answer](https://sayso.example/answer?token="),
        ("json://127.0.0.1:{}/x?format=html", "message", '<a href="https://sayso.example/answer?token='),
        ("ntfy://127.0.0.1:{}/topic", "message", "Look and answer: https://sayso.example/answer?token="),
        (
            "mmost://127.0.0.1:{}/abcdefghijklmnopqrstuvwxyz",
            "text",
            "Look and answer: https://sayso.example/answer?token=",
        ),
    ],
)
async def test_each_service_gets_it_in_its_own_form(http: tuple[Got, int], url: str, member: str, link: str) -> None:
    got, port = http
    request = builders.request(title="Refund", prompt="Charged <twice>\nor once?")
    async with channel(url.format(port), request) as one:
        await one.send(told(request))
    assert link in got.all[0][member]
    assert "Refund" in str(got.all[0])


@pytest.mark.promise("CHANNEL-4")
async def test_slack_gets_one_link_and_no_command(http: tuple[Got, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack makes a link, a mention or a call to everybody of whatever stands between < and >."""
    got, port = http
    monkeypatch.setattr("apprise.plugins.slack.NotifySlack.webhook_url", f"http://127.0.0.1:{port}")
    request = builders.request(title=HOSTILE[:190], prompt=HOSTILE, context_data={"agent": HOSTILE})
    async with channel("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", request) as one:
        await one.send(told(request))
    (attached,) = got.all[0]["attachments"]
    link = f"<https://sayso.example/answer?token={request.request_id}-{OWNER}|Look and answer>"
    assert link in attached["text"]
    rest = json.dumps(got.all[0], ensure_ascii=False).replace(link, "")
    assert [acts for acts in (*ACTS, "<", ">") if acts in rest] == []


@pytest.mark.promise("CHANNEL-3")
async def test_a_service_that_never_answers_is_given_up_and_costs_its_own_threads_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sayso.notify.channel._PATIENCE", 0.3)
    request = builders.request()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = {thread.name for thread in threading.enumerate()}
        async with channel(f"json://127.0.0.1:{silent.getsockname()[1]}/x?rto=2", request) as one:
            tries = [one.send(told(request)) for _ in range(12)]
            for outcome in await asyncio.gather(*tries, return_exceptions=True):
                assert isinstance(outcome, NotDelivered)
                assert "took more than" in outcome.detail
            mine = {name for name in {thread.name for thread in threading.enumerate()} - before if "channel" in name}
            assert len(mine) <= 4


def test_a_configuration_that_cannot_work_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD", "json://127.0.0.1/x")
    monkeypatch.setenv("ODD", f"nothing://{MARK}")
    monkeypatch.setenv("SHORT", "sns://AHIAJGNT76XIMXDBIJYA/bu1dHSdO22pfaaVy/wmNsdjhabcdjhjS/us-east-1/12223334444")
    tries: list[tuple[dict[str, Any], str]] = [
        ({"url_from": "UNSET", "owner": OWNER}, "UNSET is not set"),
        ({"url_from": "ODD", "owner": OWNER}, "ODD holds no URL"),
        ({"url_from": "GOOD"}, "owner: must be"),
        ({"url_from": "GOOD", "owner": "a b"}, "owner: must be"),
        ({"url_from": "SHORT", "owner": OWNER}, "no room for a link"),
    ]
    for settings, why in tries:
        with pytest.raises(Misconfigured, match=why) as error:
            Channel(Settings(**settings), around())
        assert MARK not in str(error.value)
    with pytest.raises(Misconfigured, match="public-url"):
        Channel(Settings(url_from="GOOD", owner=OWNER), around(public_url=None))
    assert Channel(Settings(url_from="GOOD", link=False), around(public_url=None)).target == "JSON (GOOD)"


def test_without_apprise_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ExtraMissing, match=re.escape("pip install 'sayso[channels]'")):
        Channel(Settings(url_from="GOOD", owner=OWNER), around())


class _Log(logging.Handler):
    """What whoever looks at the log of everything sees; but for what an HTTP library says when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("urllib3"):
            self.said += f"{record.name} {record.getMessage()}\n"


async def test_apprise_says_nothing_of_a_failure_to_the_log(
    http: tuple[Got, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    got, port = http
    got.refuses = True
    request, root, log = builders.request(), logging.getLogger(), _Log()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    monkeypatch.setattr(root, "handlers", [log])
    async with channel(f"json://anna:{MARK}@127.0.0.1:{port}/{MARK}?-x={MARK}", request) as one:
        with pytest.raises(NotDelivered) as told_of:
            await one.send(told(request))
        assert MARK not in log.said + told_of.value.detail + one.target
    assert got.refused == 1
    assert "apprise" not in log.said


def test_no_channel_no_apprise() -> None:
    """It takes a while to load, and is there for those alone who use it."""
    code = "import sys, sayso.notify.kinds; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False, timeout=60).returncode == 0
