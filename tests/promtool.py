"""promtool, which reads metrics and rules as Prometheus does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """What it says of `text`, or of the files that are named."""
    here = Path(sys.executable).with_name("promtool")
    found = shutil.which("promtool") or (str(here) if here.exists() else None)
    if found is None:
        pytest.fail("no promtool found; scripts/test fetches it on Debian, elsewhere install Prometheus")
    return subprocess.run([found, *arguments], input=text, text=True, capture_output=True, timeout=60, check=False)
