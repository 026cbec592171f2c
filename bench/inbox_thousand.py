"""How the inbox keeps up with 1,000 waiting questions, in Debian's Chromium: opening it, and each key.

.venv/bin/python bench/inbox_thousand.py [QUESTIONS]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser import chromium
from tests.conftest import KEY
from tests.inbox.conftest import Desk, Elsewhere

from sayso import HumanInputServer

PRESSES = 100
_ELEMENTS = "document.querySelector('sayso-inbox').shadowRoot.querySelectorAll('*').length"
_TO_PAINT = """() => new Promise((done) => {
    const began = performance.now();
    window.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true, composed: true }));
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


async def main(questions: int) -> None:
    with HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False) as server:
        agents = Elsewhere(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: agents.ask(kind="review", prompt=f"Question {number}?"), range(questions)))
        async with chromium() as browser:
            desk = Desk(await browser.new_page(), server.url)
            await desk.open()
            await desk.page.reload()
            began = asyncio.get_running_loop().time()
            await desk.rows.first.wait_for()
            opened = asyncio.get_running_loop().time() - began
            times = [float(await desk.page.evaluate(_TO_PAINT)) for _ in range(PRESSES)]
            rows = await desk.rows.count()
            elements = await desk.page.evaluate(_ELEMENTS)
        agents.close()
    ranked = sorted(times)
    print(
        f"{questions} waiting: the list stands {opened * 1000:.0f} ms after a reload; {rows} rows, {elements} elements"
    )
    print(f"key to paint: median {statistics.median(ranked):.0f} ms, 95 % within {ranked[int(PRESSES * 0.95)]:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
