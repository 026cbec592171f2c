"""The two roads through crewAI: each behaviour of the adapter holds on both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Crew

Kickoff = Callable[[Crew], Any]


def kickoff(crew: Crew) -> Any:
    return crew.kickoff()


def akickoff(crew: Crew) -> Any:
    return asyncio.run(crew.akickoff())


both_roads = pytest.mark.parametrize("kickoff", [kickoff, akickoff], ids=["kickoff", "akickoff"])
