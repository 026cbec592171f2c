"""The server is what its OpenAPI document says, as schemathesis sees it: statuses, content types, schemas, both ways.

`scripts/conformance` does the same with many more examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from tests.conformance.by_schemathesis import hold
from tests.conftest import KEY

Document = dict[str, Any]


_CALLS = ("--exclude-path-regex=^/events/", "--phases=coverage,fuzzing,stateful")
_STREAMS = ("--include-path-regex=^/events/", "--phases=coverage,fuzzing")
"""Apart, since a stream takes its time to be cut."""


@pytest.mark.promise("SPEC-1")
@pytest.mark.parametrize(("which", "examples"), [(_CALLS, 8), (_STREAMS, 3)], ids=["calls", "streams"])
def test_the_server_does_what_its_document_says(
    server: HumanInputServer, tmp_path: Path, which: tuple[str, ...], examples: int
) -> None:
    document = f"{server.url}/openapi.json"
    held = hold(document, server.url, KEY, *which, examples=examples, seed=1, folder=tmp_path, timeout=600)
    assert held.findings == [], held.said
    assert held.report["complete"]
    operations, phases = held.report["operations"], held.report["phases"]
    assert operations["tested"] == operations["selected"] > 0
    assert held.links > 5 or which is _STREAMS
    assert {phases[phase]["status"] for phase in which[1].partition("=")[2].split(",")} == {"success"}


def _without_a_status(document: Document) -> None:
    del document["paths"]["/requests/{request_id}"]["get"]["responses"]["404"]


def _with_another_type(document: Document) -> None:
    document["components"]["schemas"]["SessionShown"]["properties"]["needs_key"] = {"type": "string"}


def _with_a_bound_that_is_none(document: Document) -> None:
    document["components"]["schemas"]["LeaseWanted"]["properties"]["seconds"]["maximum"] = 1e9


def _with_another_content_type(document: Document) -> None:
    content = document["paths"]["/audit"]["get"]["responses"]["200"]["content"]
    content["text/plain"] = content.pop("application/jsonl")


@pytest.mark.parametrize(
    ("changed", "operations", "finding"),
    [
        (_without_a_status, ["look"], "Undocumented status code"),
        (_with_another_type, ["session"], "Response violates schema"),
        (_with_a_bound_that_is_none, ["lease"], "Schema-valid request rejected"),
        (_with_another_content_type, ["audit"], "Undocumented Content-Type"),
    ],
)
def test_schemathesis_sees_a_document_that_is_not_true(
    client: httpx.Client,
    tmp_path: Path,
    changed: Callable[[Document], None],
    operations: list[str],
    finding: str,
) -> None:
    """The control."""
    document = client.get("/openapi.json").json()
    changed(document)
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    chosen = [f"--include-operation-id={operation}" for operation in operations]
    url = str(client.base_url)
    held = hold(str(file), url, KEY, *chosen, examples=10, seed=1, folder=tmp_path, timeout=120)
    assert finding in held.findings, held.said


def test_schemathesis_sees_that_its_key_opens_nothing(server: HumanInputServer, tmp_path: Path) -> None:
    """Another control: every call would get its 401, as documented."""
    document, chosen = f"{server.url}/openapi.json", ("--include-operation-id=keys", "--phases=fuzzing")
    with pytest.raises(RuntimeError, match="401"):
        hold(document, server.url, "wrong", *chosen, examples=5, seed=1, folder=tmp_path, timeout=120)
