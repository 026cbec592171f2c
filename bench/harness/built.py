"""The programs in C, made by the compiler that is there, once for each change of their sources."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.harness.missing import Missing

BENCH = Path(__file__).parents[1]
BUILT = BENCH / ".built"
_TLS = ["-DWITH_TLS", "-lssl", "-lcrypto"]


def load_client(*, tls: bool) -> Path:
    """The load client. Raises Missing."""
    return _built("load-tls" if tls else "load", sorted((BENCH / "load").glob("*.c")), _TLS if tls else [])


def limit() -> Path:
    """The server that shows the limit of a core. Raises Missing."""
    return _built("limit", [BENCH / "peers/limit.c"], [])


def _built(name: str, sources: Sequence[Path], options: Sequence[str]) -> Path:
    headers = sorted({header for source in sources for header in source.parent.glob("*.h")})
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in (*sources, *headers))).hexdigest()[:12]
    program = BUILT / f"{name}-{digest}"
    if not program.exists():
        BUILT.mkdir(exist_ok=True)
        part = program.with_suffix(f".{os.getpid()}")  # others may be making it, too
        command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(part), *map(str, sources), *options]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own sources
        except FileNotFoundError:
            raise Missing.of("a C compiler", "gcc libc6-dev") from None
        if done.returncode:
            if "openssl/ssl.h" in done.stderr:
                raise Missing.of("the headers of OpenSSL", "libssl-dev")
            raise SystemExit(f"{name} was not built:\n{done.stderr}")
        part.rename(program)
    return program
