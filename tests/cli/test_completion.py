"""`sayso completion`: what a shell is told when a person presses Tab."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sayso import Client, HumanInputServer
from tests.cli.conftest import Put, Run, settings_of
from tests.runtime.programs import SAYSO


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_sayso_itself(alone: Run, shell: str) -> None:
    script = alone("completion", shell)
    assert (script.exit_code, script.stderr) == (0, "")
    assert f"_SAYSO_COMPLETE={shell}_complete" in script.stdout
    if path := shutil.which(shell):
        subprocess.run([path, "-n"], input=script.stdout, text=True, check=True, timeout=10)


_TAB = """
eval "$(sayso completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_sayso_completion sayso
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""What bash does when a person presses Tab behind these words."""


def _completed(*words: str, **settings: str) -> list[str]:
    path = f"{Path(SAYSO).parent}:{os.environ['PATH']}"
    command = ["bash", "-c", _TAB, "bash", "sayso", *words]
    run = subprocess.run(
        command, env=os.environ | settings | {"PATH": path}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()


def test_commands_options_and_choices_are_completed() -> None:
    assert _completed("in") == ["inbox"]
    assert _completed("inbox", "--st") == ["--status"]
    assert _completed("inbox", "--kind", "rev") == ["review"]


def test_ids_of_what_waits_are_completed(server: HumanInputServer, put: Put, person: Client) -> None:
    for id in ("order-1-alpha", "order-2-beta", "done", "0197a1f4-0000-7000-8000-12345678abcd"):
        put(request_id=id)
    person.answer("done", text="aye")
    settings = settings_of(server)
    assert _completed("answer", "", **settings) == ["order-1-alpha", "order-2-beta", "5678abcd"]
    assert _completed("cancel", "order-2", **settings) == ["order-2-beta"]
    assert _completed("inbox", "done", **settings) == []
    assert _completed("answer", "--url", server.url, "5678", SAYSO_API_KEY=settings["SAYSO_API_KEY"]) == ["5678abcd"]


def test_a_server_that_does_not_help_completes_nothing(server: HumanInputServer, put: Put) -> None:
    put()
    assert _completed("answer", "", **settings_of(server) | {"SAYSO_API_KEY": "another"}) == []
    assert _completed("answer", "", SAYSO_URL="http://127.0.0.1:1") == []
