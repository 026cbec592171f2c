"""The files of `deploy/`, by the tools that know their kinds; and what one of them must not say against another."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sayso import limits, settings
from sayso.cli.serve import serve
from tests.conftest import KEY
from tests.daemons import free_port
from tests.deploy.dockerfile import stages
from tests.deploy.proxies import DEPLOY, program
from tests.runtime import programs

_HERE = Path(sys.executable).parent
_NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
_CADDY = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
_UNIT = (DEPLOY / "sayso.service").read_text(encoding="utf-8")
_MANIFESTS = {one.name: yaml.safe_load(one.read_text()) for one in sorted((DEPLOY / "kubernetes").glob("*.yaml"))}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def said(pattern: str, text: str) -> str:
    """What the one group of `pattern` matches, in the one place where it does."""
    (found,) = re.findall(pattern, text)
    return str(found)


def seconds(text: str) -> int:
    """Of Compose's `1m30s`, nginx's `75s` and systemd's `30`."""
    minutes, rest = re.findall(r"^(?:(\d+)m)?(?:(\d+)s?)?$", text)[0]
    return 60 * int(minutes or 0) + int(rest or 0)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """As Compose itself reads it."""
    told = run(_HERE / "docker-compose", "--file", DEPLOY / "compose.yaml", "config", "--format", "json")
    assert (told.returncode, told.stderr) == (0, "")
    read: dict[str, Any] = json.loads(told.stdout)
    return read


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    told = run(_HERE / "hadolint", "--failure-threshold", "style", DEPLOY / "Dockerfile")
    assert (told.returncode, told.stdout) == (0, "")


def test_two_nodes_are_composed_with_secrets_that_no_environment_shows(compose: dict[str, Any]) -> None:
    nodes = [compose["services"][name] for name in ("sayso-1", "sayso-2")]
    for node in nodes:
        assert {one["source"] for one in node["secrets"]} == {"api-key", "store"}
        assert not {"SAYSO_API_KEY", "SAYSO_STORE"} & set(node["environment"])
        assert node["read_only"]
    for service in compose["services"].values():
        named = {value for value in service.get("environment", {}).values() if value.startswith("/run/secrets/")}
        assert named == {one["target"] for one in service.get("secrets", [])}
    assert "healthcheck" not in nodes[0], "the image has its own"
    assert stages()[-1].health


_OTHERS = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "MALLOC_ARENA_MAX"}
"""Python's, and the C library's (mallopt(3))."""


def test_nodes_are_told_nothing_that_they_do_not_understand(compose: dict[str, Any]) -> None:
    (pod,) = _MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    pods = {one["name"]: one.get("value", "") for one in pod["env"]}
    composed = compose["services"]["sayso-1"]["environment"]
    served = {option.envvar for option in serve.params}
    unit = set(re.findall(r"\b([A-Z]+_[A-Z_]+)=", _UNIT)) - _OTHERS
    assert served | set(settings.NAMES) >= {*pods, *composed, *unit}
    for told in (pods, composed):
        assert settings.checked_proxies(told["SAYSO_TRUSTED_PROXIES"].split(","))


def test_only_this_machine_reaches_what_is_composed(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert [port["host_ip"] for port in published] == ["127.0.0.1"]


@pytest.mark.parametrize("name", _MANIFESTS)
def test_a_manifest_fits_the_schema_of_its_kind(name: str) -> None:
    told = run(_HERE / "kubernetes-validate", "--strict", DEPLOY / "kubernetes" / name)
    assert (told.returncode, told.stdout.count(" passed ")) == (0, 1), told.stdout + told.stderr


def test_the_schemas_see_what_is_wrong(tmp_path: Path) -> None:
    wrong = (DEPLOY / "kubernetes" / "deployment.yaml").read_text().replace("periodSeconds: 10", "period: 10")
    (tmp_path / "wrong.yaml").write_text(wrong)
    assert run(_HERE / "kubernetes-validate", "--strict", tmp_path / "wrong.yaml").returncode != 0


def test_the_manifests_speak_of_the_same_pods() -> None:
    deployment = _MANIFESTS["deployment.yaml"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert _MANIFESTS["service.yaml"]["spec"]["selector"] == labels
    assert _MANIFESTS["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert _MANIFESTS["networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"] == labels
    assert _MANIFESTS["poddisruptionbudget.yaml"]["spec"]["minAvailable"] < deployment["replicas"]
    (pod,) = deployment["template"]["spec"]["containers"]
    (secrets,) = deployment["template"]["spec"]["volumes"]
    assert secrets["secret"]["secretName"] == _MANIFESTS["secret.yaml"]["metadata"]["name"]
    mounted = pod["volumeMounts"][0]["mountPath"]
    files = {one["value"] for one in pod["env"] if one["name"].endswith("_FILE")}
    assert files == {f"{mounted}/{name}" for name in _MANIFESTS["secret.yaml"]["stringData"]}
    user = deployment["template"]["spec"]["securityContext"]
    assert stages()[-1].user == f"{user['runAsUser']}:{user['runAsGroup']}"


def test_probes_ask_for_longer_than_a_server_takes_to_say_that_it_is_not_ready() -> None:
    (pod,) = _MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    assert pod["livenessProbe"]["httpGet"]["path"] == "/health"
    for probe in ("startupProbe", "readinessProbe"):
        assert pod[probe]["httpGet"]["path"] == "/ready"
        assert pod[probe]["timeoutSeconds"] > 3
    assert seconds(said(r"health_timeout (\w+)", _CADDY)) > 3


def test_a_node_is_let_drain_before_it_is_killed_and_proxies_let_go_of_it_meanwhile(compose: dict[str, Any]) -> None:
    pods = _MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]
    in_pod = {one["name"]: one.get("value") for one in pods["containers"][0]["env"]}
    node = compose["services"]["sayso-1"]
    drains = [
        (int(in_pod["SAYSO_DRAIN"] or 0), pods["terminationGracePeriodSeconds"]),
        (int(node["environment"]["SAYSO_DRAIN"]), seconds(node["stop_grace_period"])),
        (int(said(r"SAYSO_DRAIN=(\d+)", _UNIT)), seconds(said(r"TimeoutStopSec=(\w+)", _UNIT))),
    ]
    for drain, patience in drains:
        assert drain + 2 * limits.STOP < patience
        assert seconds(said(r" keepalive_timeout (\w+);", _NGINX)) < drain
        assert seconds(said(r"\bkeepalive (\w+)", _CADDY)) < drain


def test_nginx_waits_longer_than_anything_is_quiet() -> None:
    for name in ("proxy_read_timeout", "proxy_send_timeout"):
        assert seconds(said(rf"{name} (\w+);", _NGINX)) > max(limits.WAIT, limits.HEARTBEAT, limits.PING)


def test_the_file_for_caddy_is_valid_and_written_as_caddy_writes_it() -> None:
    told = run(_HERE / "caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile")
    assert told.returncode == 0, told.stderr
    assert run(_HERE / "caddy", "fmt", DEPLOY / "Caddyfile").stdout == _CADDY


def test_systemd_knows_every_line_of_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    unit = tmp_path / "sayso.service"
    unit.write_text(_UNIT.replace("/opt/sayso/bin/sayso", programs.SAYSO))
    told = run(program("systemd-analyze"), "verify", unit)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
    exposed = run(program("systemd-analyze"), "security", "--offline=true", "--threshold=15", unit)
    assert exposed.returncode == 0, exposed.stdout
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in run(program("systemd-analyze"), "verify", unit).stderr


async def test_the_units_command_serves_with_the_units_settings(tmp_path: Path) -> None:
    words = " ".join(re.findall(r"^Environment=(.*)$", _UNIT, re.MULTILINE)).replace("%d", str(tmp_path))
    settings = dict(word.split("=", 1) for word in words.split()) | {"SAYSO_PORT": str(free_port())}
    for name, place in re.findall(r"^LoadCredential=([\w-]+):(\S+)$", _UNIT, re.MULTILINE):
        assert place == f"/etc/sayso/{name}"
        (tmp_path / name).write_text(KEY if name == "api-key" else f"sqlite:///{tmp_path / 'questions.db'}")
    (command,) = re.findall(r"^ExecStart=(.*)$", _UNIT, re.MULTILINE)
    async with programs.program(*command.replace("/opt/sayso/bin/sayso", programs.SAYSO).split(), **settings) as node:
        await node.line("sayso listens on")
        assert str(tmp_path / "questions.db") in await node.line("kept in")


def test_no_image_is_bound_to_a_registry(compose: dict[str, Any]) -> None:
    (pod,) = _MANIFESTS["deployment.yaml"]["spec"]["template"]["spec"]["containers"]
    images = [service["image"] for service in compose["services"].values()] + [pod["image"]]
    assert [image for image in images if "/" in image] == []
