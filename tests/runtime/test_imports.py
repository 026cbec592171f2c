"""What `import sayso` gives, what it does not load, and what it says when a part is not installed."""

from __future__ import annotations

import sys

import pytest

import sayso
from tests.runtime.programs import Program, program, python

_WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] == sys.argv[1] else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def test_the_public_names_are_these() -> None:
    homes = {
        "Action": "sayso.model",
        "AsyncClient": "sayso.client.client",
        "Client": "sayso.client.client",
        "HumanInputServer": "sayso.human_input_server",
        "Option": "sayso.model",
        "Question": "sayso.model",
        "Reply": "sayso.inquiry",
        "Request": "sayso.model",
        "Submission": "sayso.model",
        "aask": "sayso.inquiry",
        "ask": "sayso.inquiry",
        "connect": "sayso.client.remote",
        "create_app": "sayso.human_input_server",
    }
    assert sayso.__all__ == list(homes)
    assert set(sayso.__all__) <= set(dir(sayso))
    assert {name: getattr(sayso, name).__module__ for name in sayso.__all__} == homes


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sayso' has no attribute 'Nothing'"):
        sayso.Nothing  # noqa: B018 - looking is the test


async def _ran(running: Program) -> str:
    assert await running.end() == 0, running.output
    return running.output


async def test_importing_loads_nothing_heavy() -> None:
    code = """
import sys
import sayso
assert sayso.__all__
heavy = {"starlette", "uvicorn", "crewai", "msgspec", "click", "sqlite3", "asyncio", "httpx", "jsonschema_rs"}
print("loaded", sorted(heavy & set(sys.modules)))
"""
    async with program(sys.executable, "-c", code) as running:
        assert "loaded []" in await _ran(running)


async def test_the_server_loads_no_agent_framework_before_it_runs() -> None:
    code = """
import sys
from sayso import HumanInputServer
HumanInputServer()
print("loaded", sorted({"crewai", "httpx", "fastapi"} & set(sys.modules)))
"""
    async with program(*python(code)) as running:
        assert "loaded []" in await _ran(running)


@pytest.mark.parametrize("package", ["starlette", "uvicorn", "wsproto", "jsonschema_rs", "filelock", "rfc8785"])
async def test_a_part_that_is_not_installed_is_an_error_that_says_how_to_install_it(package: str) -> None:
    code = (
        _WITHOUT
        + """
import sayso
from sayso.errors import ExtraMissing
try:
    sayso.HumanInputServer
except ExtraMissing as error:
    print("told:", error)
    assert isinstance(error, ImportError)
"""
    )
    async with program(*python(code, package)) as running:
        output = await _ran(running)
        assert package in output
        assert "pip install 'sayso[server]'" in output


async def test_what_asks_a_server_elsewhere_needs_httpx_alone() -> None:
    code = """
import sys
WITHOUT = {"starlette", "uvicorn", "wsproto", "jsonschema_rs", "rfc8785", "uuid_utils", "filelock", "platformdirs",
           "crewai", "pydantic", "rich"}

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in WITHOUT else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import sayso
sayso.connect("http://localhost:9").close()
sayso.Client("http://localhost:9").close()
sayso.AsyncClient, sayso.ask, sayso.aask
print("made")
"""
    async with program(*python(code)) as running:
        assert "made" in await _ran(running)


async def test_the_command_without_the_server_says_how_to_install_it() -> None:
    code = (
        _WITHOUT
        + """
from sayso.cli import main
main(["serve", "--port", "0"])
"""
    )
    async with program(*python(code, "starlette")) as running:
        assert await running.end() == 1
        assert "pip install 'sayso[server]'" in running.output
        assert "Traceback" not in running.output


async def test_the_server_runs_without_an_agent_framework() -> None:
    code = (
        _WITHOUT
        + """
from sayso import HumanInputServer
with HumanInputServer(port=0):
    print("listens")
"""
    )
    async with program(*python(code, "crewai")) as running:
        assert "listens" in await _ran(running)
