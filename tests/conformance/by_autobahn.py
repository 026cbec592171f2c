"""Holds the server's WebSocket to RFC 6455 with Autobahn's fuzzing client, which runs on Python 2.7 alone.

`python -m tests.conformance.by_autobahn WSTEST FOLDER LANE [CASES]`; LANE is one of `echo.LANES`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]
_ALL: Final = 517
"""Cases of version 0.8.2, of which 216 (12.* and 13.*) are of permessage-deflate, which the server agrees on never."""
_COMPRESSION: Final = ("12.", "13.")
_HARMLESS: Final = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""INFORMATIONAL: the standard leaves it open. NON-STRICT: right in the end, and not as soon as it could be."""
_PATIENCE: Final = 3_600.0
_END: Final = 30.0


@contextmanager
def echo(lane: str) -> Iterator[int]:
    """Its port."""
    command = [sys.executable, "-m", "tests.conformance.echo", lane]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=_ROOT, text=True, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the echo server did not start")
            yield int(line)
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END)
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the echo server ended with {process.returncode}")


def results(wstest: Path, folder: Path, lane: str, cases: list[str]) -> dict[str, dict[str, Any]]:
    """What Autobahn says of each case. Its exit code says nothing: it is 0 whatever failed."""
    folder.mkdir(parents=True, exist_ok=True)
    index, specification = folder / "index.json", folder / "specification.json"
    index.unlink(missing_ok=True)
    with echo(lane) as port:
        server = {"agent": lane, "url": f"ws://127.0.0.1:{port}", "options": {"version": 18}}
        specification.write_text(
            json.dumps(
                {
                    "outdir": str(folder),
                    "servers": [server],
                    "cases": cases,
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            )
        )
        with (folder / "wstest.log").open("wb") as log:
            subprocess.run(
                [wstest, "--mode", "fuzzingclient", "--spec", specification],
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log},
                timeout=_PATIENCE,
                check=True,
            )
    told: dict[str, dict[str, Any]] = json.loads(index.read_text())[lane]
    return told


def faults(told: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Each case that the server did not pass, and how."""
    found = {}
    for case, result in told.items():
        behaviour, ending = result["behavior"], result["behaviorClose"]
        compressed = case.startswith(_COMPRESSION)
        wanted = {"UNIMPLEMENTED"} if compressed else _HARMLESS
        if behaviour not in wanted or (not compressed and ending not in _HARMLESS):
            found[case] = f"{behaviour}, and at the end {ending}"
    return found


def main(wstest: str, folder: str, lane: str, *cases: str) -> int:
    program, place = Path(wstest).absolute(), Path(folder).absolute()
    if not faults(results(program, place / "control", "control", ["1.1.2"])):
        print("Autobahn: a server that echoes nothing passes, so this shows nothing")
        return 1
    told = results(program, place / lane, lane, list(cases) or ["*"])
    found = faults(told)
    counted = Counter(result["behavior"] for result in told.values())
    print(f"Autobahn, {lane}: {len(told)} cases:", ", ".join(f"{n} {name}" for name, n in counted.most_common()))
    for name in ("NON-STRICT", "INFORMATIONAL"):
        print(f"  {name}:", ", ".join(case for case in told if told[case]["behavior"] == name) or "none")
    for case, how in found.items():
        print(f"  not passed: {case}: {how}")
    if not cases and len(told) != _ALL:
        print(f"  only {len(told)} of {_ALL} cases were run")
        return 1
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
