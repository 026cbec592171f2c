"""Clients of a server that is harmed, who note in a ledger what they were told."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import httpx

from tests.conftest import KEY
from tests.crash.ledger import Ledger

_RIGHT: Final = {"Authorization": f"Bearer {KEY}"}
_PAUSE: Final = 0.05
"""Seconds before a client tries again."""


class Unavailable(Exception):
    """The server said that its store could not be used: it is not known what became of the call."""


class Clients:
    """Ask and answer, two answers to each question, and note what they were told. One that got no reply says it again:
    to the next server (`say_again`), or at once (`insist`)."""

    def __init__(self, url: str, ledger: Ledger, acknowledged: asyncio.Semaphore) -> None:
        self._ledger = ledger
        self._acknowledged = acknowledged
        limits = httpx.Limits(max_connections=100)
        self.api = httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30, limits=limits)

    async def ask(self, request_id: str) -> None:
        self._ledger.unsure_asks.add(request_id)
        question = {"request_id": request_id, "execution_id": f"run-{request_id[:2]}", "prompt": "Ship it?"}
        response = await self._post("/requests", question)
        assert response.status_code in (200, 201), response.text
        self._ledger.unsure_asks.discard(request_id)
        self._ledger.asked.add(request_id)
        self._acknowledged.release()

    async def answer(self, request_id: str, answer_id: str) -> None:
        self._ledger.unsure_answers.add((request_id, answer_id))
        body = {"human_feedback": "yes", "answer_id": answer_id}
        response = await self._post(f"/requests/{request_id}/answer", body)
        if response.status_code == 404:
            return  # which the ledger counts: it was asked
        assert response.status_code in (200, 409), response.text
        settled = response.json() if response.status_code == 200 else response.json()["request"]
        if response.status_code == 200:
            assert settled["answer"]["answer_id"] == answer_id
        self._ledger.unsure_answers.discard((request_id, answer_id))
        self._ledger.won[request_id].add(settled["answer"]["answer_id"])
        self._acknowledged.release()

    async def _post(self, path: str, body: dict[str, str]) -> httpx.Response:
        response = await self.api.post(path, json=body)
        if response.status_code == 503:
            raise Unavailable(response.text)
        return response

    async def write(self) -> None:
        """Until the server is gone."""
        with suppress(httpx.TransportError):
            while True:
                request_id = str(uuid.uuid4())
                await self.ask(request_id)
                await asyncio.gather(*(self.answer(request_id, str(uuid.uuid4())) for _ in range(2)))

    async def insist(self, enough: asyncio.Event) -> None:
        """Until that is set, whatever becomes of servers meanwhile."""
        while not enough.is_set():
            request_id = str(uuid.uuid4())
            await _until_told(functools.partial(self.ask, request_id))
            each = [functools.partial(self.answer, request_id, str(uuid.uuid4())) for _ in range(2)]
            await asyncio.gather(*map(_until_told, each))

    async def say_again(self) -> None:
        ledger = self._ledger
        await asyncio.gather(*(self.ask(one) for one in list(ledger.unsure_asks)))
        known = [(request_id, answer_id) for request_id, answer_id in ledger.unsure_answers]
        await asyncio.gather(*(self.answer(*one) for one in known))

    async def requests(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        page: dict[str, Any] = {"next": "0"}
        while page["next"]:
            page = (await self.api.get("/requests", params={"limit": 1000, "after": page["next"]})).json()
            found |= {one["request_id"]: one for one in page["requests"]}
        return found

    async def events(self) -> list[dict[str, Any]]:
        """Of all executions, each from its first event."""
        found: list[dict[str, Any]] = []
        for number in range(256):
            page: dict[str, Any] = {"cursor": None, "more": True}
            seqs: list[int] = []
            while page["more"]:
                cursor = {"last_event_id": page["cursor"]} if page["cursor"] else {}
                page = (await self.api.get(f"/poll/human-input/run-{number:02x}", params=cursor)).json()
                found += page["events"]
                seqs += [event["seq"] for event in page["events"]]
            assert seqs == list(range(1, len(seqs) + 1))
        return found


async def _until_told(call: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(httpx.TransportError, Unavailable):
            return await call()
        await asyncio.sleep(_PAUSE)
