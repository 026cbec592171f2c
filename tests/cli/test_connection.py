"""Commands whose server is not there, is another, or does not let them in."""

from __future__ import annotations

from http.server import HTTPServer
from pathlib import Path

import pytest

from sayso import HumanInputServer
from tests.cli.conftest import Put, Run, listening, web_page
from tests.client.relay import free_port
from tests.conftest import KEY
from tests.runtime.programs import program, python
from tests.runtime.test_imports import _WITHOUT


@pytest.mark.parametrize(
    "arguments",
    [["ask", "a", "--wait"], ["inbox"], ["answer", "a", "b"], ["cancel", "a"], ["export"]],
    ids=lambda arguments: arguments[0],
)
def test_a_server_that_is_gone_is_an_error(alone: Run, arguments: list[str]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    ended = alone(*arguments, "--url", nowhere)
    assert (ended.exit_code, ended.stdout) == (1, "")
    hint = "start one (sayso serve), or name it: --url or SAYSO_URL"
    assert ended.stderr == f"Error: no server answers at {nowhere}: Connection refused; {hint}\n"


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"SAYSO_API_KEY": None}, "wants a key: set SAYSO_API_KEY, or SAYSO_API_KEY_FILE to the file that holds it"),
        ({"SAYSO_API_KEY": "another"}, "does not take the key in SAYSO_API_KEY"),
        ({"SAYSO_API_KEY": None, "SAYSO_API_KEY_FILE": "key"}, "in the file that SAYSO_API_KEY_FILE names"),
    ],
    ids=["none", "another", "file"],
)
def test_a_key_that_does_not_fit_is_named_by_its_setting(
    sayso: Run, server: HumanInputServer, tmp_path: Path, env: dict[str, str | None], says: str
) -> None:
    (tmp_path / "key").write_text("another\n")
    if "SAYSO_API_KEY_FILE" in env:
        env = env | {"SAYSO_API_KEY_FILE": str(tmp_path / "key")}
    ended = sayso("inbox", env=env)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: {server.url} ")
    assert ended.stderr.endswith(f"{says}\n")


@pytest.mark.parametrize("command", [["inbox"], ["answer", "ship", "a"], ["export"], ["watch"]], ids=lambda one: one[0])
@pytest.mark.parametrize(
    ("status", "says"),
    [
        (200, "it answers, but not as a sayso server does; check the address"),
        (302, "it answers with HTTP status 302, not as a sayso server does; check the address"),
        (404, "it answers with HTTP status 404, not as a sayso server does; check the address"),
        (407, "it answers with HTTP status 407, not as a sayso server does; check the address"),
    ],
)
def test_a_page_that_is_no_sayso_is_an_error_that_says_so(
    alone: Run, command: list[str], status: int, says: str
) -> None:
    with listening(HTTPServer(("127.0.0.1", 0), web_page(status))) as url:
        ended = alone(*command, "--url", url)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", f"Error: {url}: {says}\n")


def test_a_proxy_whose_server_is_gone_is_an_error_that_says_so(alone: Run) -> None:
    with listening(HTTPServer(("127.0.0.1", 0), web_page(502))) as url:
        ended = alone("inbox", "--url", url)
    says = "it answers with HTTP status 502, not as a sayso server does; check the address"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", f"Error: {url}: {says}\n")


@pytest.mark.parametrize(
    "command", [["inbox"], ["ask", "a"], ["answer", "ship", "a"], ["watch"]], ids=lambda one: one[0]
)
def test_an_address_with_a_path_too_much_is_told(sayso: Run, server: HumanInputServer, command: list[str]) -> None:
    ended = sayso(*command, "--url", f"{server.url}/app")
    assert (ended.exit_code, ended.stdout) == (1, "")
    says = f"no sayso is at {server.url}/app: it answers, but does not know what it is asked; check it"
    assert ended.stderr == f"Error: {says}\n"


@pytest.mark.parametrize(("name", "value"), [("ALL_PROXY", "socks5://127.0.0.1:9"), ("SSL_CERT_FILE", "/no/such/file")])
def test_what_httpx_cannot_make_of_the_environment_is_an_error(alone: Run, name: str, value: str) -> None:
    ended = alone("inbox", env={name: value})
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Error: what the environment says of proxies or certificates does not work: " in ended.stderr


def test_an_option_counts_more_than_the_environment(sayso: Run, server: HumanInputServer) -> None:
    assert sayso("inbox", "--url", server.url, env={"SAYSO_URL": "http://127.0.0.1:1"}).exit_code == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("key", [KEY, "wrong-key-77", "kéy that cannot be sent"], ids=["right", "wrong", "unfit"])
def test_no_key_is_ever_shown(sayso: Run, put: Put, key: str) -> None:
    put(request_id="ship")
    commands = (
        ["doctor"],
        ["inbox"],
        ["inbox", "--url", "http://ada:s3cret@127.0.0.1:1"],
        ["doctor", "--url", "http://ada:s3cret@127.0.0.1:1"],
        ["inbox", "--url", "http://127.0.0.1:1"],
        ["export"],
        ["ask", "a", "--json"],
        ["answer", "ship", "yes", "--json"],
        ["answer", "ship", "yes"],
        ["answer", "--help"],
    )
    for command in commands:
        ended = sayso(*command, env={"SAYSO_API_KEY": key})
        assert ended.output
        assert key not in ended.output
        assert "s3cret" not in ended.output


_METADATA = "Without.__getattr__ = lambda self, name: getattr(self.finder, name)"
"""Makes `importlib.metadata`, which the doctor asks for versions, work beside `_WITHOUT`."""


@pytest.mark.parametrize("command", ["inbox", "doctor"])
@pytest.mark.parametrize("package", ["httpx", "rich"])
async def test_a_command_without_the_client_says_how_to_install_it(package: str, command: str) -> None:
    code = f"{_WITHOUT}\n{_METADATA}\nfrom sayso.cli import main\nmain(['{command}'])"
    async with program(*python(code, package)) as running:
        assert await running.end() == 1
        assert package in running.output
        assert "pip install 'sayso[client]'" in running.output
        assert "Traceback" not in running.output


async def test_a_backup_without_the_server_says_how_to_install_it(tmp_path: Path) -> None:
    code = f"{_WITHOUT}\nfrom sayso.cli import main\nmain(['backup', {str(tmp_path / 'copy.db')!r}])"
    async with program(*python(code, "platformdirs")) as running:
        assert await running.end() == 1
        assert "backup needs platformdirs, which is not installed: pip install 'sayso[server]'" in running.output
        assert "Traceback" not in running.output
