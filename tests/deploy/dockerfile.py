"""The Dockerfile, read: what it says of each stage. No more of its grammar than ours needs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.deploy.proxies import DEPLOY

_PLACES = re.compile(r"(?<![\w./-])/(app|data|src)\b")


@dataclass
class Stage:
    """`copied`: files of the repository and where they go. `run`: commands of a shell, in order."""

    copied: list[tuple[str, str]] = field(default_factory=list)
    run: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def stages() -> list[Stage]:
    """Raises on an instruction that is not known here, so that nothing in the file goes untried."""
    found: list[Stage] = []
    for word, rest in _instructions((DEPLOY / "Dockerfile").read_text(encoding="utf-8")):
        if word == "FROM":
            found.append(Stage())
        elif word == "COPY" and not rest.startswith("--from="):
            *sources, target = rest.split()
            found[-1].copied += [(source, target) for source in sources]
        elif word == "RUN":
            found[-1].run.append(rest)
        elif word == "ENV":
            found[-1].environment |= dict(one.split("=", 1) for one in shlex.split(rest))
        elif word == "USER":
            found[-1].user = rest
        elif word == "CMD":
            found[-1].command = json.loads(rest)
        elif word == "HEALTHCHECK":
            found[-1].health = json.loads(rest.partition("CMD ")[2])
        else:
            assert word in {"ARG", "COPY", "WORKDIR", "VOLUME", "EXPOSE"}, word
    return found


def placed(text: str, root: Any) -> str:
    """`text` with the image's folders under `root`."""
    return _PLACES.sub(rf"{root}/\1", text)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    whole = "\n".join(lines).replace("\\\n", " ")
    for line in whole.splitlines():
        word, _, rest = line.partition(" ")
        yield word, rest.strip()
