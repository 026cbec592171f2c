"""Holds a server to its OpenAPI document with schemathesis.

`python -m tests.conformance.by_schemathesis FOLDER EXAMPLES [SEED]` starts one, and tries it with so many examples of
each operation.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.served import KEY, emptied, served

_ROOT = Path(__file__).parents[2]
_ST = Path(sys.executable).with_name("st")
_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


class Held(NamedTuple):
    """What schemathesis said at last, and its report."""

    said: str
    report: dict[str, Any]

    @property
    def links(self) -> int:
        """How many of the document's links were followed."""
        found = re.search(r"API Links: +(\d+) covered", self.said)
        return int(found[1]) if found else 0

    @property
    def findings(self) -> list[str]:
        """Each with its title."""
        told = (*self.report["failures"], *self.report["errors"])
        return [str(one.get("title") or one) for one in told]


def hold(
    document: str, url: str, key: str, *options: str, examples: int, seed: int, folder: Path, timeout: float
) -> Held:
    """Tries the server at `url` with what `document` (an address, or a file) says of it.

    Raises RuntimeError where that shows nothing, as with a key that opens nothing.
    """
    report = folder / "report.json"
    done = subprocess.run(
        [
            *(_ST, f"--config-file={_CONFIGURATION}", "run", document, "--url", url),
            *("--header", f"Authorization: Bearer {key}", "--max-examples", str(examples), "--seed", str(seed)),
            *("--no-color", "--report=json", f"--report-json-path={report}", *options),
        ],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"schemathesis did not run:\n{done.stdout}")
    held = Held(done.stdout, json.loads(report.read_text()))
    if (done.returncode != 0) == (not held.findings):
        raise RuntimeError(f"schemathesis shows nothing:\n{done.stdout}")
    return held


def main(folder: str, examples: str, seed: str = "") -> int:
    place = emptied(Path(folder).absolute())
    with served(place) as server:
        held = hold(
            *(f"{server.url}/openapi.json", server.url, KEY),
            examples=int(examples),
            seed=int(seed) if seed else secrets.randbelow(2**32),
            folder=place,
            timeout=4 * 3_600,
        )
        errors = server.errors()
    print(held.said)
    cases = held.report["test_cases"]
    print(
        f"schemathesis: {cases['generated']} calls, {held.links} links followed, {len(held.findings)} findings, "
        f"{len(errors)} errors in the log"
    )
    print(*errors, sep="\n")
    return int(bool(held.findings or errors))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
