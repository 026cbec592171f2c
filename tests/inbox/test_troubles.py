"""What the server cannot tell others, at the inbox: seen by whoever may, and asked for by nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.inbox.conftest import Desk, Elsewhere
from tests.notify.receiver import SECRET, Receiver, Reply, configuration, receiving
from tests.server.keyholder import call, make_key


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        one.reply = lambda event: Reply(500)
        yield one


@pytest.fixture
def server(
    serve: Callable[..., HumanInputServer], receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> HumanInputServer:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return serve(notify=configuration(tmp_path / "notify.toml", receiver.url))


@pytest.mark.promise("NOTIFY-8")
async def test_a_notifier_that_fails_is_seen_until_it_does_not(
    desk: Desk, elsewhere: Elsewhere, receiver: Receiver, server: HumanInputServer
) -> None:
    elsewhere.ask()
    receiver.until(lambda: len(receiver.refused) >= 1)
    await desk.open()
    trouble = desk.page.get_by_text("hook-0 could not deliver news of 1 run: the receiver said 500")
    await desk.later(61)
    await expect(trouble).to_be_visible()
    receiver.reply = lambda event: Reply()
    call("POST", f"{server.url}/notifiers/hook-0/replay", KEY)
    receiver.until(lambda: len(receiver.got) >= 1)
    await desk.later(61)
    await expect(trouble).to_have_count(0)


async def test_whoever_may_not_see_notifiers_asks_once(desk: Desk, server: HumanInputServer) -> None:
    asked: list[Any] = []
    desk.page.on("request", lambda request: asked.append(request.url) if "/notifiers" in request.url else None)
    await desk.open(key=make_key(server.url, "read", "answer")["secret"])
    await desk.later(300)
    await desk.later(300)
    assert len(asked) == 1
