"""What the figures were measured on, and with."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from bench.harness.built import BENCH

_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "websockets", "fastapi", "sse-starlette")
_DEBIAN: Final = ("nginx", "libnginx-mod-nchan")
_WRITES: Final = 50


def described(folder: Path) -> dict[str, str]:
    """By name: the processors, the system, the disk that `folder` is on, the versions, and the day."""
    return {
        "machine": f"{os.cpu_count()} × {_processor()}, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{_system()}, Linux {platform.release()}, Python {platform.python_version()}",
        "disk": f"{_file_system(folder)}, {_fsync(folder) * 1_000:.2f} ms for an fsync of 4 KiB (median)",
        "peers": ", ".join(
            (*(f"{name} {_debian(name)}" for name in _DEBIAN), *(f"{n} {version(n)}" for n in _PACKAGES))
        ),
        "sayso": _said("git", "-C", str(BENCH), "describe", "--always", "--dirty") or version("sayso"),
        "day": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _file_system(folder: Path) -> str:
    """The kind of the one that `folder` is on: the mount with the longest path above it."""
    above = [one for one in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(one.mountpoint)]
    return max(above, key=lambda one: len(one.mountpoint)).fstype if above else "unknown"


def _fsync(folder: Path) -> float:
    """Seconds, the median of some."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_WRITES):
            file.write(bytes(4_096))
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _debian(package: str) -> str:
    return _said("dpkg-query", "--show", "--showformat=${Version}", package) or "?"


def _said(*command: str) -> str:
    """What a command prints; nothing where there is none."""
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()  # noqa: S603 - ours
    except FileNotFoundError:
        return ""
