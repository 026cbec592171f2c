"""Programs by others that read the published documents: the AsyncAPI parser and Spectral, from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

_NODE: Final = Path(__file__).parent / "node"
_SPECTRAL: Final = _NODE / "node_modules/.bin/spectral"
_PATIENCE: Final = 120.0


class Faulty(AssertionError):
    """The document has faults; what the reader says of them."""


def parsed(asyncapi: Path) -> list[dict[str, Any]]:
    """The operations that the parser has understood. Raises Faulty."""
    operations: list[dict[str, Any]] = json.loads(_run("node", str(_NODE / "asyncapi.js"), str(asyncapi)))
    return operations


def lint(*documents: Path) -> None:
    """Raises Faulty where Spectral has an error or a warning."""
    rules = f"--ruleset={_NODE / '.spectral.yaml'}"
    _run("node", str(_SPECTRAL.resolve()), "lint", "--fail-severity=warn", rules, *(str(one) for one in documents))


def _run(*command: str) -> str:
    if shutil.which("node") is None:
        raise RuntimeError("the published documents are read by programs on Node: install it (Debian: nodejs, npm)")
    if not _SPECTRAL.exists():
        raise RuntimeError("scripts/test installs the packages of tests/conformance/node; run it once")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode:
        raise Faulty(done.stdout + done.stderr)
    return done.stdout
