"""The command line itself: its commands, its help, its completion, and wrong usage."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from sayso.cli import main
from tests.cli.conftest import Run


def test_the_commands_are_these(alone: Run) -> None:
    names = "answer ask audit backup cancel completion demo doctor export inbox keys link migrate notify resume serve"
    names = f"{names} watch"
    assert sorted(main.commands) == names.split()
    told = alone("--help").stdout
    assert [name for name in names.split() if f"\n  {name} " not in told] == []
    assert alone("--version").stdout.startswith("sayso, version ")


@pytest.mark.parametrize(
    "command",
    sorted(main.commands),
)
def test_the_help_of_every_command_has_an_example(alone: Run, command: str) -> None:
    for option in ("--help", "-h"):
        told = alone(command, option)
        assert (told.exit_code, told.stderr) == (0, "")
        _, heading, examples = told.stdout.partition("  Example")
        assert heading
        assert f"sayso {command}" in examples.partition("Options:")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "a", "b"],
        ["ask", "a", "--kind", "wish"],
        ["ask", "a", "--timeout", "0"],
        ["ask", "a", "--timeout", "soon"],
        ["ask", "a", "--context", "/no/such/file"],
        ["ask", "a", "--api-key", "x"],
        ["inbox", "--limit", "0"],
        ["inbox", "--execution", "a b"],
        ["inbox", "--status", "open"],
        ["export", "--status", "open"],
        ["answer"],
        ["cancel"],
        ["link", "a"],
        ["link", "a", "--to", "anna", "--expires", "soon"],
        ["completion", "csh"],
        ["migrate"],
        ["migrate", "sqlite:///a.db"],
        ["audit", "guess"],
        ["audit", "export", "--since", "soon"],
        ["audit", "verify", "/no/such/file"],
        ["audit", "verify", "--head", "a=1"],
        ["guess"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_asks_nothing(alone: Run, arguments: list[str]) -> None:
    ended = alone(*arguments)
    assert ended.exit_code == 2
    assert "Error: " in ended.stderr
    assert ended.stdout == ""


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from sayso.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    heavy = {"httpx", "rich", "starlette", "uvicorn", "asyncio", "sqlite3", "crewai"}
    print("loaded", sorted(heavy & set(sys.modules)))
"""
    for command in ([], *([name] for name in main.commands)):
        run = subprocess.run(
            [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=True, timeout=30
        )
        assert run.stdout.endswith("loaded []\n")


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("command", [None, *main.commands])
def test_help_fits_a_terminal(command: str | None, width: int) -> None:
    arguments = [*([command] if command else []), "--help"]
    told = CliRunner().invoke(main, arguments, prog_name="sayso", terminal_width=width).stdout
    text, _, options = told.partition("Options:")
    text = text.partition("  Example")[0]  # whose lines are to be copied
    assert [line for line in (text + options).splitlines() if len(line) > width] == []
