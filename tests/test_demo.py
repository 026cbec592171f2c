"""The demo is the first thing a newcomer runs, so it runs here too."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

_ROOT = Path(__file__).parent.parent


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/demo", "--port", "0", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_demo_answers_itself_and_the_crew_follows_the_feedback() -> None:
    run = demo("--answer", "make it shorter")

    assert run.returncode == 0, run.stderr
    assert re.search(r"^The inbox: http://localhost:\d+/$", run.stdout, re.MULTILINE)
    first, second = re.findall(r"--- [^\n]*, round \d+ ---\n(.*?)\n---\n", run.stdout, re.DOTALL)
    assert len(second) < len(first)
    assert run.stdout.rstrip().endswith(second)


def test_the_demo_takes_any_wish_into_the_result() -> None:
    run = demo("--answer", "mention the free coffee")

    assert run.returncode == 0, run.stderr
    assert "mention the free coffee" in run.stdout.split("The crew's result:")[1]


def test_the_demo_explains_its_arguments() -> None:
    run = demo("--help")

    assert run.returncode == 0
    assert "--answer" in run.stdout


def test_the_demo_that_is_left_while_it_waits_says_so_and_nothing_else() -> None:
    command = ["scripts/demo", "--port", "0"]
    with (
        ExitStack() as undone,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as run,
    ):
        patience = threading.Timer(120, os.killpg, (run.pid, signal.SIGKILL))
        patience.start()
        undone.callback(patience.cancel)
        assert run.stdout is not None
        said = next(line for line in run.stdout if line.startswith("The crew waits for you"))
        url = said.split()[-1].partition("#")[0]
        while 'sayso_followers{transport="poll"} 1.0' not in httpx.get(f"{url}metrics").text:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        rest, _ = run.communicate(timeout=60)
    assert "Traceback" not in rest
    assert rest.rstrip().endswith("Stopped.")
    assert run.returncode == 130
