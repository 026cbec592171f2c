"""`sayso keys`."""

from __future__ import annotations

import json

import httpx
import pytest

from sayso import HumanInputServer
from tests.cli.conftest import Run, lines
from tests.server.keyholder import call


@pytest.mark.promise("KEY-1")
def test_the_secret_alone_goes_to_stdout(sayso: Run, server: HumanInputServer) -> None:
    ended = sayso("keys", "create", "crew", "--scope", "ask", "--scope", "read", "--execution", "order-*")
    secret = ended.stdout.strip()
    assert call("GET", f"{server.url}/requests", secret).status_code == 200
    assert "may ask, read in order-*" in ended.stderr
    assert secret not in ended.stderr
    assert secret not in sayso("keys", "list", "--json").stdout


def test_keys_are_listed_as_they_are(sayso: Run) -> None:
    assert "no keys" in sayso("keys", "list").stderr
    sayso("keys", "create", "crew", "--scope", "ask", "--execution", "a*", "--execution", "b", "--expires", "90d")
    sayso("keys", "create", "ops", "--scope", "admin")
    sayso("keys", "revoke", "ops")
    (crew,) = lines(sayso("keys", "list", "--json").stdout)
    assert (crew["name"], crew["executions"], crew["live"]) == ("crew", ["a*", "b"], True)
    shown = sayso("keys", "list", "--all").stdout.splitlines()
    assert [row.split()[1] for row in shown[1:]] == ["crew", "ops"]
    assert "in 89d" in shown[1] and "never" in shown[1] and "revoked" in shown[2]


@pytest.mark.promise("KEY-6")
def test_a_key_is_rotated_by_its_name_and_by_its_id(sayso: Run, server: HumanInputServer) -> None:
    first = sayso("keys", "create", "crew", "--scope", "read").stdout.strip()
    second = sayso("keys", "rotate", "crew", "--overlap", "1h").stdout.strip()
    made = json.loads(sayso("keys", "rotate", second.split("_")[1], "--expires", "1d", "--json").stdout)
    secrets = [first, second, made["secret"]]
    assert len(set(secrets)) == 3
    assert [call("GET", f"{server.url}/requests", one).status_code for one in secrets] == [200, 200, 200]
    assert made["key"]["expires_at"] is not None


@pytest.mark.promise("KEY-6")
def test_a_name_that_is_revoked_takes_all_its_secrets_along(sayso: Run, server: HumanInputServer) -> None:
    secrets = [sayso("keys", "create", "crew", "--scope", "read").stdout.strip()]
    secrets.append(sayso("keys", "rotate", "crew").stdout.strip())
    assert sayso("keys", "revoke", "crew").stderr.count("revoked crew") == 2
    assert [call("GET", f"{server.url}/requests", one).status_code for one in secrets] == [401, 401]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "crew", "--scope", "ask"), "Another key of this name is live"),
        (("create", "a b", "--scope", "ask"), "name:"),
        (("create", "x", "--scope", "admin", "--execution", "a*"), "executions:"),
        (("rotate", "nobody"), "no live key"),
        (("revoke", "nobody"), "no live key"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_a_sentence(sayso: Run, arguments: tuple[str, ...], says: str) -> None:
    sayso("keys", "create", "crew", "--scope", "ask")
    ended = sayso("keys", *arguments)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert says in ended.stderr


def test_a_key_without_the_scope_is_told_which(sayso: Run) -> None:
    agent = sayso("keys", "create", "crew", "--scope", "ask").stdout.strip()
    ended = sayso("keys", "list", env={"SAYSO_API_KEY": agent})
    assert ended.exit_code == 1
    assert "scope admin" in ended.stderr


def test_a_wrong_scope_is_a_wrong_command_line(alone: Run) -> None:
    for arguments in (("create", "a"), ("create", "a", "--scope", "all"), ("rotate", "a", "--overlap", "0")):
        assert alone("keys", *arguments).exit_code == 2


def test_a_key_whose_making_got_no_reply_is_not_made_twice(alone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def cut(*_: object, **__: object) -> httpx.Response:
        tries.append(1)
        raise httpx.ReadError("cut")

    monkeypatch.setattr(httpx.Client, "stream", cut)
    assert alone("keys", "create", "crew", "--scope", "ask").exit_code == 1
    assert tries == [1]
