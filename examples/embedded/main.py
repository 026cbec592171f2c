"""The inbox as an element of your own page: `<sayso-inbox>`, under your own layout and your own strict policy.

    python examples/embedded/main.py            # then open the address it prints
    python examples/embedded/main.py --check    # looks at what a browser would, and exits 1 if anything is amiss

sayso is mounted in the application under /sayso, so page and inbox are of one origin: a session counts there alone.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse

import sayso
from sayso import HumanInputServer, create_app

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types sayso-worker"
)


def application(server: HumanInputServer) -> FastAPI:
    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        asking = asyncio.create_task(ask(server))
        yield
        await asyncio.to_thread(server.stop)
        await asyncio.gather(asking, return_exceptions=True)

    api = FastAPI(lifespan=lifespan)
    api.mount("/sayso", create_app(server))

    @api.get("/")
    async def page() -> Response:
        return FileResponse(_HERE / "page.html", headers={"Content-Security-Policy": _POLICY})

    @api.get("/desk.css")
    async def style() -> Response:
        return FileResponse(_HERE / "desk.css")

    return api


async def ask(server: HumanInputServer) -> None:
    """What an agent of this application asks."""
    reply = await sayso.aask("Which harbour comes first?", options={"ebj": "Esbjerg", "hir": "Hirtshals"}, asker=server)
    print(f"Answered: {reply.text or reply.choice}", flush=True)


async def check(url: str) -> None:
    """What a browser fetches is there, and the question waits."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        page = (await client.get("/")).text
        assert "<sayso-inbox>" in page
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', page)
        response = await client.get(script)
        assert response.headers["content-type"].startswith("text/javascript"), response.headers
        assert "sayso-inbox" in response.text
        shown = (await client.get("/sayso/session")).json()
        assert shown["needs_key"] is False, shown
        waiting: list[dict[str, str]] = []
        async with asyncio.timeout(20):
            while not waiting:
                await client.get("/sayso/poll/human-input", params={"wait": "1"})
                waiting = (await client.get("/sayso/requests", params={"status": "pending"})).json()["requests"]
        answer = f"/sayso/requests/{waiting[0]['request_id']}/answer"
        assert (await client.post(answer, json={"human_feedback": "Esbjerg"})).status_code == 200
        print("The page has its inbox, and the question was answered.")


async def main() -> int:
    parser = argparse.ArgumentParser(description="The inbox as an element of your own page.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--check", action="store_true", help="look at it, and exit")
    options = parser.parse_args()
    api = application(HumanInputServer(store=":memory:", quiet=True, adapters=False))
    listener = socket.create_server(("127.0.0.1", 0 if options.check else options.port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(f"Open {url}", flush=True)
    web = uvicorn.Server(uvicorn.Config(api, log_level="warning", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    if options.check:
        await check(url)
        web.should_exit = True
    await serving
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
