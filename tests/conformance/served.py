"""`sayso serve` as a process of its own, with a store on the disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

KEY = "test-key-4c1f"
_SAYSO = Path(sys.executable).with_name("sayso")
_PATIENCE = 60.0


class Served(NamedTuple):
    url: str
    process: int
    log: Path

    def errors(self) -> list[str]:
        """What it wrote to its log that it should not have to."""
        return [
            line for line in self.log.read_text(errors="replace").splitlines() if "ERROR" in line or "Trace" in line
        ]


def emptied(folder: Path) -> Path:
    """The folder, without what an earlier run left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def served(folder: Path, key: str | None = KEY) -> Iterator[Served]:
    """A server that is stopped in order when left. Raises RuntimeError where it does not start, or end so."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAYSO_")}
    log = folder / "server.log"
    with log.open("wb") as logged:
        process = subprocess.Popen(
            [_SAYSO, "serve", "--json", "--port", "0", "--store", f"sqlite:///{folder / 'store.db'}"],
            stdout=subprocess.PIPE,
            stderr=logged,
            env=kept if key is None else kept | {"SAYSO_API_KEY": key},
        )
    assert process.stdout is not None
    with process.stdout as said:
        try:
            line = said.readline()
            if not line:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            yield Served(json.loads(line)["url"], process.pid, log)
        finally:
            process.terminate()
            try:
                code = process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
    if code:
        raise RuntimeError(f"the server ended with {code}:\n{log.read_text()}")
