"""What `docs/integrations` gives to take along: that it asks for what there is, and believes nobody but sayso."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso.notify.webhook import signature
from sayso.server.openapi import document
from tests.builders import NOW, new_id
from tests.notify.receiver import OTHER, SECRET

_WORKFLOWS = Path(__file__).parents[2] / "docs/integrations/n8n"
_RUN = """
const { code, item, body, secret, now } = JSON.parse(require('fs').readFileSync(0));
Date.now = () => now * 1000;
const $input = { first: () => ({ json: item }) };
const helpers = { getBinaryDataBuffer: async () => Buffer.from(body) };
const Code = Object.getPrototypeOf(async function () {}).constructor;
new Code('$input', '$env', 'require', code)
  .call({ helpers }, $input, { SAYSO_WEBHOOK_SECRET: secret }, require)
  .then((found) => console.log(JSON.stringify(found[0].json)));
"""


def _nodes(name: str) -> dict[str, Any]:
    return {node["name"]: node["parameters"] for node in json.loads((_WORKFLOWS / name).read_text())["nodes"]}


def _verified(body: str, *, secret: str = SECRET, sent: str | None = None, late: float = 0.0) -> dict[str, Any] | None:
    """What the workflow makes of a delivery of `body`, of which `sent` arrived, so many seconds late; None: nothing."""
    at, id = str(int(NOW.timestamp())), new_id()
    key = b64decode(secret.removeprefix("whsec_"))
    headers = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature([key], id, at, body.encode())}
    given = {
        **{"code": _nodes("answer.json")["Is it sayso"]["jsCode"], "item": {"headers": headers}},
        **{"body": sent or body, "secret": SECRET, "now": (NOW + timedelta(seconds=late)).timestamp()},
    }
    node = shutil.which("node")
    assert node is not None, "scripts/test needs Node"
    run = subprocess.run(
        [node, "-e", _RUN], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False
    )
    if run.returncode:
        assert "not from our sayso server" in run.stderr
        return None
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_the_workflow_believes_nobody_but_sayso() -> None:
    body = json.dumps({"type": "human_input_required", "prompt": "Ship \N{FERRY}?"}, ensure_ascii=False)
    assert _verified(body) == json.loads(body)
    assert _verified(body, secret=OTHER) is None
    assert _verified(body, sent=body.replace("Ship", "Sink")) is None
    assert _verified(body, late=301) is None


@pytest.mark.parametrize(("name", "calls"), [("answer.json", 1), ("ask.json", 2)])
def test_the_workflows_call_addresses_that_there_are(name: str, calls: int) -> None:
    paths = {re.sub(r"\{\w+\}", "{}", path): item for path, item in document()["paths"].items()}
    found = [node for node in _nodes(name).values() if "url" in node]
    assert len(found) == calls
    for node in found:
        path = re.sub(r"\{\{.*?\}\}", "{}", node["url"]).removeprefix("={}").partition("?")[0]
        assert node.get("method", "GET").lower() in paths[path]
