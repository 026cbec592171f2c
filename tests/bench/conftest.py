"""What measuring needs, in the tests: short runs, on the cores that there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.harness.built import load_client
from bench.harness.client import Client
from bench.harness.measuring import Machine
from bench.harness.noise import Watch
from tests.daemons import free_port


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    cores = sorted(os.sched_getaffinity(0))
    client = Client(load_client(tls=False), cores[-1])
    none = tmp_path / "none"
    ports = iter(free_port, 0)
    return Machine(tmp_path, cores[0], cores[-1], 1_000, none, none, lambda tls: client, Watch(cores), ports, 0.5)
