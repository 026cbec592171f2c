"""Inputs for one function, led by which of its lines they reach: `python -m tests.fuzz.guided NAME COUNT SEED`.

Runs in a process of its own, which ends with another code than 0 where an input is found, and at what hangs or takes
too much memory.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

_SETTINGS = ("-max_len=20000", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=0", "-close_fd_mask=0")
_FIRST = 400
"""Inputs that are drawn, to begin with."""


def main(name: str, count: int, number: int) -> None:
    with atheris.instrument_imports(include=["sayso"]):
        from tests.fuzz.running import TARGETS, drawn
    target = next(one for one in TARGETS if one.name == name)
    with tempfile.TemporaryDirectory(prefix="sayso-fuzz-") as folder, target.opened() as check:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for at, data in enumerate(drawn(target, _FIRST, number)):
            (corpus / str(at)).write_bytes(data)
        artifacts = f"-artifact_prefix={folder}/"
        atheris.Setup(
            [sys.argv[0], f"-runs={count}", f"-seed={number + 1}", artifacts, *_SETTINGS, str(corpus)],
            lambda data: check([data]),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
