"""`sayso doctor`: what it finds wrong, and what it says to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from http.server import HTTPServer
from importlib.metadata import requires, version
from pathlib import Path
from socketserver import TCPServer
from typing import Self

import pytest

from sayso import HumanInputServer
from sayso.cli.doctor import environment, installation
from sayso.cli.doctor import server as doctor_server
from sayso.cli.doctor.finding import Finding
from sayso.server import health
from tests.cli.conftest import Mute, Put, Run, Serve, lines, listening, web_page
from tests.client.relay import free_port, relayed
from tests.conftest import KEY


def test_the_doctor_finds_nothing_wrong(sayso: Run, put: Put, server: HumanInputServer) -> None:
    well = sayso("doctor")
    assert well.exit_code == 0
    assert [line for line in well.stdout.splitlines() if not line.startswith("✓ ")] == []
    for part in (
        f"{server.url} answers; nothing waits",
        "a key is set by SAYSO_API_KEY",
        "server is installed",
        f"crewai is installed: crewai {version('crewai')}",
        "its clock agrees with this one",
        "events arrive at once",
        "WebSockets get through",
    ):
        assert f"✓ {part}\n" in well.stdout
    put()
    assert "; something waits" in sayso("doctor").stdout


def test_the_doctors_findings_as_json_are_one_to_a_line(sayso: Run) -> None:
    ill = sayso("doctor", "--json", env={"SAYSO_API_KEY": None, "SAYSO_APIKEY": KEY})
    assert ill.exit_code == 1
    told = lines(ill.stdout)
    assert all(set(one) == {"state", "what", "cure"} for one in told)
    assert told[0]["state"] == "right"
    assert {"state": "note", "what": "SAYSO_APIKEY is no setting of sayso's", "cure": "is SAYSO_API_KEY meant?"} in told
    assert told[-1]["state"] == "wrong"


def test_the_doctor_reads_the_key_from_a_file(sayso: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    named: dict[str, str | None] = {"SAYSO_API_KEY": None, "SAYSO_API_KEY_FILE": str(tmp_path / "key")}
    assert sayso("doctor", env=named).exit_code == 0
    (tmp_path / "key").unlink()
    ill = sayso("doctor", env=named)
    assert ill.exit_code == 1
    assert ill.stdout.count("✗ SAYSO_API_KEY_FILE names") == 1


@pytest.mark.usefixtures("impatient")
def test_the_doctor_says_what_is_wrong_and_what_to_do(sayso: Run, server: HumanInputServer) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for env, says, cure in (
        ({"SAYSO_API_KEY": "another"}, f"{server.url} does not take the key in SAYSO_API_KEY", ""),
        ({"SAYSO_API_KEY": None}, f"{server.url} wants a key", "set SAYSO_API_KEY"),
        ({"SAYSO_URL": nowhere}, f"no server answers at {nowhere}", "start one (sayso serve), or name it: --url"),
        ({"SAYSO_URL": "localhost"}, "the server's address must be a URL", ""),
    ):
        ill = sayso("doctor", env=env)
        assert ill.exit_code == 1
        assert f"✗ {says}" in ill.stdout
        assert cure in ill.stdout


def test_the_doctor_takes_no_key_for_good_to_know(sayso: Run, serve: Serve) -> None:
    open_to_all = serve(api_key=None)
    well = sayso("doctor", env={"SAYSO_API_KEY": None, "SAYSO_URL": open_to_all.url})
    assert well.exit_code == 0
    assert "· no key is set: SAYSO_API_KEY" in well.stdout


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: HTTPServer(("127.0.0.1", 0), web_page(200)), "not as a sayso server does"),
        (lambda: HTTPServer(("127.0.0.1", 0), web_page(404)), "not as a sayso server does"),
        (lambda: HTTPServer(("127.0.0.1", 0), web_page(502)), "something listens on port"),
        (lambda: TCPServer(("127.0.0.1", 0), Mute), "something listens on port"),
    ],
    ids=["page", "not-found", "bad-gateway", "hangs-up"],
)
def test_the_doctor_sees_that_something_else_has_the_port(sayso: Run, make: Callable[[], TCPServer], says: str) -> None:
    with listening(make()) as url:
        ill = sayso("doctor", env={"SAYSO_URL": url})
    assert ill.exit_code == 1
    assert url in ill.stdout
    assert says in ill.stdout


async def test_the_doctor_sees_that_something_holds_streams_back(
    sayso: Run, server: HumanInputServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_server, "_AT_ONCE", 0.2)
    async with relayed(server.url) as relay:
        relay.hold = b"GET /events/human-input"
        ill = await asyncio.to_thread(sayso, "doctor", "--url", relay.url)
    assert ill.exit_code == 1
    assert "✗ something between here and the server holds streams back" in ill.stdout
    assert "proxy_buffering off" in ill.stdout
    assert "✓ WebSockets get through" in ill.stdout


async def test_the_doctor_sees_that_something_lets_no_websocket_through(sayso: Run, server: HumanInputServer) -> None:
    async with relayed(server.url) as relay:
        relay.forget = b"Upgrade"
        well = await asyncio.to_thread(sayso, "doctor", "--url", relay.url)
    assert well.exit_code == 0
    assert "· WebSockets do not get through: HTTP status 404" in well.stdout
    assert "✓ events arrive at once" in well.stdout


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(120, "✗ its clock is 120 s ahead of"), (-120, "✗ its clock is 120 s behind"), (3, "✓ its clock")],
)
def test_the_doctor_sees_that_the_clocks_differ(
    sayso: Run, server: HumanInputServer, monkeypatch: pytest.MonkeyPatch, seconds: float, says: str
) -> None:
    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=seconds)

    monkeypatch.setattr(health, "datetime", Shifted)
    found = sayso("doctor")
    assert says in found.stdout
    assert found.exit_code == (1 if "✗" in says else 0)


@pytest.mark.usefixtures("impatient")
def test_the_doctor_sees_that_another_process_has_the_store(sayso: Run, server: HumanInputServer) -> None:
    store, nowhere = str(server._store), f"http://127.0.0.1:{free_port()}"
    ill = sayso("doctor", env={"SAYSO_URL": nowhere, "SAYSO_STORE": store})
    path, holder = store.removeprefix("sqlite:///"), f"process {os.getpid()}"
    assert f"✗ {path} is open in another process ({holder}), which does not answer at {nowhere}" in ill.stdout
    server.stop()
    ill = sayso("doctor", env={"SAYSO_URL": nowhere, "SAYSO_STORE": store})
    assert f"· sayso serve would keep its questions in {path}" in ill.stdout


@pytest.mark.usefixtures("impatient")
def test_the_doctor_makes_no_store(sayso: Run, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/new/questions.db"
    ill = sayso("doctor", env={"SAYSO_URL": f"http://127.0.0.1:{free_port()}", "SAYSO_STORE": store})
    assert f"· sayso serve would keep its questions in {tmp_path}/new/questions.db" in ill.stdout
    assert not (tmp_path / "new").exists()


def _installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> dict[str, Finding]:
    """What is found where other versions are installed; None: none is. By the first word."""
    found = {name.replace("_", "-"): number for name, number in versions.items()}
    real = installation.version_of
    monkeypatch.setattr(installation, "version_of", lambda name: found[name] if name in found else real(name))
    return {finding.what.split()[0]: finding for finding in installation.findings()}


@pytest.mark.parametrize("old", ["1.15.15", "1.14.0", "0.201.1", "1.15"])
def test_the_doctor_sees_that_crewai_is_too_old(monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    finding = _installed(monkeypatch, crewai=old)["crewai"]
    assert finding.state == "wrong"
    assert finding.what == f"crewai {old} is too old: crewai needs 1.15.16 or later"
    assert finding.cure == "pip install --upgrade 'crewai>=1.15.16'"


@pytest.mark.parametrize("new", ["1.15.16", "1.15.16a1", "1.16", "2.0.0"])
def test_the_doctor_takes_later_versions(monkeypatch: pytest.MonkeyPatch, new: str) -> None:
    assert _installed(monkeypatch, crewai=new)["crewai"].state == "right"


def test_the_doctor_takes_a_part_that_is_missing_for_good_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _installed(monkeypatch, wsproto=None, crewai=None)
    assert (finding["crewai"].state, finding["crewai"].cure) == ("note", "pip install 'sayso[crewai]'")
    assert finding["server"].state == "note"
    assert finding["server"].what.endswith("(missing: wsproto)")
    assert finding["client"].state == "right"


def test_the_doctor_claims_nothing_of_a_sayso_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = _installed(monkeypatch, sayso=None).values()
    assert (finding.state, "runs from a folder" in finding.what) == ("note", True)


def test_every_part_that_sayso_needs_is_looked_at() -> None:
    looked_at = [match for text in requires("sayso") or () if (match := installation._REQUIREMENT.fullmatch(text))]
    assert len(looked_at) == len([text for text in requires("sayso") or () if "extra ==" in text])


def _environment(monkeypatch: pytest.MonkeyPatch, url: str = "http://server:8000", **settings: str) -> list[str]:
    """What is found good to know of these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return [finding.what for finding in environment.findings(url) if finding.state == "note"]


def test_the_doctor_sees_settings_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SAYSO_KEY is no setting of sayso's" in _environment(monkeypatch, SAYSO_KEY="x")
    well = {"SAYSO_URL": "http://a", "SAYSO_PORT": "1", "SAYSO_STORE": ":memory:", "SAYSO_ALLOW_ORIGINS": "https://a"}
    monkeypatch.delenv("SAYSO_KEY")
    assert [what for what in _environment(monkeypatch, **well) if "no setting" in what] == []


def test_the_doctor_sees_a_key_that_others_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o640)
    told = f"others on this machine can read the key in {file}"
    assert told in _environment(monkeypatch, SAYSO_API_KEY_FILE=str(file))
    file.chmod(0o600)
    assert told not in _environment(monkeypatch)
    assert "SAYSO_API_KEY is set, so SAYSO_API_KEY_FILE is not read" in _environment(monkeypatch, SAYSO_API_KEY=KEY)


def test_the_doctor_sees_what_the_calls_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "calls to server go through a proxy, as http_proxy says"
    assert told in _environment(monkeypatch, http_proxy="http://proxy:3128")
    assert told not in _environment(monkeypatch, no_proxy="server")


def test_the_doctor_sees_that_a_key_goes_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSO_API_KEY", KEY)
    told = "the key goes to server unencrypted; put a server with TLS before it: https://…"
    assert told in _environment(monkeypatch)
    for url in ("https://server", "http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert _environment(monkeypatch, url) == []
