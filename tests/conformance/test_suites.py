"""What `scripts/conformance` does around the suites: an echo that echoes, results that are read, no silence where one
could not be run. The suites themselves take too long for here, or need what few machines have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from sayso import limits
from tests.conformance import by_autobahn
from tests.conformance.echo import MESSAGE

_ROOT = Path(__file__).parents[2]


async def test_the_echo_is_of_the_servers_own_protocols_with_another_cap() -> None:
    with by_autobahn.echo("sayso") as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}", max_size=None, compression=None) as socket:
            for message in ("", "é", b"\xff", "x" * (limits.WEBSOCKET_MESSAGE + 1), b"x" * (1 << 20)):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(b"x" * (MESSAGE + 1))
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009


def _said(behaviour: str, ending: str = "OK") -> dict[str, Any]:
    return {"behavior": behaviour, "behaviorClose": ending}


def test_what_autobahn_says_of_a_case_counts() -> None:
    well = {
        "1.1.1": _said("OK"),
        "3.2": _said("NON-STRICT"),
        "7.1.6": _said("INFORMATIONAL", "INFORMATIONAL"),
        "12.1.1": _said("UNIMPLEMENTED"),
    }
    assert by_autobahn.faults(well) == {}
    wrong = {
        "1.1.2": _said("FAILED"),
        "1.1.3": _said("OK", "FAILED"),
        "1.1.4": _said("OK", "WRONG CODE"),
        "2.1": _said("UNIMPLEMENTED"),
        "13.1.1": _said("OK"),
    }
    assert list(by_autobahn.faults(well | wrong)) == list(wrong)


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
@pytest.mark.parametrize("suite", ["autobahn", "slowhttptest"])
def test_a_suite_that_cannot_be_run_is_told_of(tmp_path: Path, suite: str, ci: str, code: int) -> None:
    for name in ("sh", "cat", "cksum", "dirname", "id", "mkdir"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    (tmp_path / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHON2", "PYENV_ROOT"}}
    done = subprocess.run(
        ["/bin/sh", "scripts/conformance", suite],
        cwd=_ROOT,
        env=kept | {"PATH": str(tmp_path), "HOME": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert f"{suite} was NOT RUN" in done.stderr
    assert done.stderr.endswith(f"NOT RUN: {suite}\n")


def test_a_suite_of_another_name_is_none() -> None:
    done = subprocess.run(["scripts/conformance", "most"], cwd=_ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
