"""JSON Schema: what askers send is checked, cannot call out, cannot hang, and a refusal never quotes the value."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sayso.errors import Invalid
from sayso.schema import check_schema, check_value

CANARY = "canary-7f3a"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def faults_of(value: Any, schema: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        check_value(value, schema, "/values")
    return dict(refused.value.faults)


KEYWORDS = [
    *("$id", "$ref", "$defs", "$anchor", "$dynamicRef", "$schema", "type", "enum", "pattern", "format", "items"),
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "required", "prefixItems"),
    *("allOf", "anyOf", "not", "if", "then", "contains", "minimum", "maxLength", "dependentSchemas"),
]


def schema_fault(schema: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as refused:
        check_schema(schema, "/response_schema")
    return refused.value.faults[0].pointer


@pytest.mark.promise("ANSWER-4")
def test_each_place_that_does_not_fit_has_its_pointer() -> None:
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"days": {"type": "array", "items": {"enum": ["Mo", "Tu"]}}, "a/b~c": {"type": "integer"}},
        "additionalProperties": False,
    }

    faults = faults_of({"days": ["Mo", "Su", "Tu", "x"], "a/b~c": "one", "more": 1}, schema)

    assert faults.keys() == {"/values/days/1", "/values/days/3", "/values/a~1b~0c", "/values"}


def test_a_value_that_fits_passes() -> None:
    check_value({"name": "Ada"}, {"type": "object", "required": ["name"]}, "/values")


def test_formats_are_checked() -> None:
    check_value("2030-01-31", {"format": "date"}, "/values")

    assert faults_of("the 31st", {"format": "date"}).keys() == {"/values"}


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "nothing"}, "/response_schema/type"),
        ({"properties": {"a": {"minLength": -1}}}, "/response_schema/properties/a/minLength"),
        ({"required": "name"}, "/response_schema/required"),
        ({"patternProperties": 5}, "/response_schema/patternProperties"),
        ({"pattern": "("}, "/response_schema/pattern"),
        ({"pattern": "(?=a)b"}, "/response_schema/pattern"),
        ({"$ref": "#/$defs/missing"}, "/response_schema"),
    ],
)
def test_what_is_no_schema_is_refused_with_a_pointer(schema: dict[str, Any], pointer: str) -> None:
    assert schema_fault(schema) == pointer


def test_a_schema_may_refer_to_itself() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}

    check_value({"next": {"next": {}}}, tree, "/values")

    assert faults_of({"next": {"last": {}}}, tree).keys() == {"/values/next"}


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=4))
def test_whatever_stands_in_a_schema_is_taken_or_refused(schema: dict[str, Any]) -> None:
    with suppress(Invalid):
        check_schema(schema, "/response_schema")


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"$dynamicRef": "#"}])
def test_a_schema_that_only_refers_to_itself_ends(schema: dict[str, Any]) -> None:
    check_schema(schema, "/response_schema")
    check_value(1, schema, "/values")


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_remote_reference_is_refused_and_nobody_is_called(keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"

        assert schema_fault({keyword: url}).startswith("/response_schema")
        assert schema_fault({"properties": {"a": {"items": {keyword: url}}}}).startswith("/response_schema")
        check_schema({"$schema": url, "$id": url}, "/response_schema")

        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.promise("ASK-4")
def test_a_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "string"}')

    assert schema_fault({"$ref": (tmp_path / "schema.json").as_uri()}) == "/response_schema"
    assert schema_fault({"$ref": "schema.json"}) == "/response_schema"


def test_a_catastrophic_pattern_is_harmless() -> None:
    assert faults_of("a" * 100_000 + "!", {"pattern": "^(a+)+$"})
    assert faults_of("a" * 100_000 + "!", {"pattern": "^(a|a)*$"})
    assert schema_fault({"pattern": "(a{1000}){1000}"}) == "/response_schema/pattern"


EXPLODING = """
import json, sys
from sayso.errors import Invalid
from sayso.schema import check_schema, check_value
keyword, place, value = sys.argv[1:]
levels = {"level0": {"type": "string"}}
for n in range(1, 40):
    ref = {"$ref": f"#/$defs/level{n - 1}"}
    levels[f"level{n}"] = {keyword: [ref, ref]}
top = {"$ref": "#/$defs/level39"}
schema = {
    "root": {"$defs": levels, **top},
    "a member named definitions": {"$defs": levels, "properties": {"definitions": top, "$defs": top}},
    "a resource of its own": {"allOf": [{"$id": "http://127.0.0.1/inner", "$defs": levels, **top}]},
}[place]
try:
    check_schema(schema, "/response_schema")
    check_value(json.loads(value), schema, "/values")
except Invalid:
    pass
"""


@pytest.mark.parametrize(
    ("keyword", "place", "value"),
    [
        ("allOf", "root", '"text"'),
        ("anyOf", "root", "1"),
        ("allOf", "a member named definitions", '{"definitions": "text", "$defs": "text"}'),
        ("allOf", "a resource of its own", '"text"'),
    ],
)
def test_a_schema_of_few_words_that_means_many_is_harmless(keyword: str, place: str, value: str) -> None:
    subprocess.run([sys.executable, "-c", EXPLODING, keyword, place, value], check=True, timeout=5)


def test_a_long_chain_of_references_is_taken_or_refused() -> None:
    links = {f"link{n}": {"$ref": f"#/$defs/link{n - 1}"} for n in range(1, 1_500)}
    chain = {"$defs": {"link0": {}} | links, "$ref": "#/$defs/link1499"}

    try:
        check_schema(chain, "/response_schema")
    except Invalid as refused:
        assert refused.faults[0].pointer == "/response_schema"


def test_faults_are_counted_no_further_than_anyone_reads() -> None:
    assert len(faults_of([0] * 1_000, {"items": {"type": "string"}})) == 50


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_misfit_that_would_cost_much_to_tell_whole_is_told_as_one_fault() -> None:
    """As many faults as choices times items, each of them with a copy of what it is about, fill the memory."""
    refuse = """
import resource
from sayso.errors import Invalid
from sayso.schema import check_schema, check_value

resource.setrlimit(resource.RLIMIT_AS, (1024**3, 1024**3))
schema = {"items": {"anyOf": [{"type": "string"}] * 200}}
check_schema(schema, "")
try:
    check_value([1] * 2_000, schema, "/values")
except Invalid as refused:
    print(len(refused.faults), refused.faults[0].pointer)
"""
    ran = subprocess.run([sys.executable, "-c", refuse], capture_output=True, text=True, timeout=20, check=False)

    assert (ran.stdout, ran.stderr, ran.returncode) == ("1 /values/0\n", "", 0)


@given(
    JSON,
    st.sampled_from(
        [
            {"type": "null", "minimum": 3},
            {"const": 1},
            {"enum": [1, 2]},
            {"not": {}},
            {"maxLength": 1, "maxItems": 1, "maxProperties": 0},
            {"items": {"type": "integer"}, "additionalProperties": False},
            {"anyOf": [{"const": 1}, {"pattern": "^x$", "type": "string"}]},
            {"oneOf": [{}, {}]},
            {"format": "date", "propertyNames": {"maxLength": 0}, "uniqueItems": True},
            {"unevaluatedProperties": False, "unevaluatedItems": False, "contains": {"const": 1}},
            {"type": "object", "required": ["a"], "dependentRequired": {"b": ["c"]}},
        ]
    ),
)
def test_a_refusal_never_quotes_the_value(value: Any, schema: dict[str, Any]) -> None:
    hidden = {"": [CANARY, value], CANARY: CANARY} if isinstance(value, dict) else value

    try:
        check_value(hidden, schema, "/values")
    except Invalid as refused:
        assert CANARY not in "".join(fault.detail for fault in refused.faults)


def test_a_place_deep_in_a_value_is_told_in_few_words() -> None:
    faults = faults_of({"a" * 50_000: 1}, {"additionalProperties": {"type": "string"}})

    assert max(len(pointer) for pointer in faults) < 2_000
