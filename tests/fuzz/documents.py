"""JSON as it should be, or nearly: documents of the types of sayso's own, and schemas with values."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import inspect

from tests.fuzz.target import CANARY

WORDS: Final = st.sampled_from(
    [
        *(
            "",
            " ",
            "run-1",
            "a",
            "yes",
            "approve",
            CANARY,
            "x" * 300,
            "\u2028",
            "\0",
            "\x1b[2J",
            "\u202e",
            "grün",
            "😀",
            ".",
        ),
        *("..", "4", "b" * 129, "0" * 64, "6b1f0c8e-6d0c-5c0e-9d55-5a7950000001", "*", "order-*", "key:default"),
    ]
)
NUMBERS: Final = st.sampled_from([0, 1, -1, 2**53, 2**63, 2**64, 10**30, 0.5, -0.0, 1e300, 60, 3_600.0])
_TIMES: Final = st.sampled_from(
    [
        *("2030-01-31T12:00:00Z", "2030-01-31T12:00:00", "2030-01-31T12:00:00+14:00", "9999-12-31T23:59:59-23:59"),
        *("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "2030-02-30T00:00:00Z", "1", ""),
    ]
)
JUNK: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


def written(values: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    """Their JSON, in plain letters or as it is."""
    return st.builds(_written, values, st.booleans())


def _written(value: Any, is_ascii: bool) -> bytes:
    return json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")


@cache
def documents(type_: Any) -> SearchStrategy[Any]:
    """What a value of `type_` looks like in JSON; now and then a member that it is not."""
    return _right(inspect.type_info(type_))


def _of(type_: inspect.Type) -> SearchStrategy[Any]:
    right = _right(type_)
    return st.integers(0, 24).flatmap(lambda chance: JUNK if chance == 7 else right)


def _right(type_: inspect.Type) -> SearchStrategy[Any]:  # noqa: PLR0911 - one of each
    match type_:
        case inspect.StructType():
            return _struct(type_)
        case inspect.UnionType():
            some = [_right(one) for one in type_.types if not isinstance(one, inspect.NoneType)]
            return st.one_of(*some, *some, _right(type_.types[-1]))
        case inspect.LiteralType():
            return st.sampled_from(type_.values)
        case inspect.DictType():
            return st.dictionaries(WORDS, _right(type_.value_type), max_size=2)
        case inspect.VarTupleType() | inspect.ListType():
            return st.lists(_of(type_.item_type), max_size=3)
        case inspect.DateTimeType():
            return _TIMES
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType() | inspect.FloatType():
            return NUMBERS
        case inspect.NoneType():
            return st.none()
        case inspect.StrType():
            return WORDS | st.text(max_size=12)
        case _:
            return JUNK


def _struct(type_: inspect.StructType) -> SearchStrategy[Any]:
    needed = {field.encode_name: _of(field.type) for field in type_.fields if field.required}
    others = {field.encode_name: _of(field.type) for field in type_.fields if not field.required}
    if type_.tag_field is not None:
        needed[type_.tag_field] = st.just(type_.tag)
    few = st.lists(st.sampled_from(sorted(others)), min_size=1, max_size=5) if others else st.just([])
    return few.flatmap(lambda names: st.fixed_dictionaries(needed | {name: others[name] for name in names}))


_NAMES: Final = st.sampled_from(["a", "b", "a/b", "~", "", CANARY])
_REFERENCES: Final = st.sampled_from(
    [
        *(
            "#",
            "#/$defs/a",
            "#/$defs/b",
            "#/properties/a",
            "#/a~1b",
            "#a",
            "http://example.com/x",
            "#/$defs/%61",
            "//",
            "",
        ),
        *("#/" + "9" * 5_000, "#/anyOf/0", "#/anyOf/-1", "#/%ff", "./x"),
    ]
)
_PATTERNS: Final = st.sampled_from(
    ["^a+$", "(a+)+$", "(", "(?=a)", r"\1", "[[:alpha:]]", ".{1000}", r"\p{L}", "a{1,99999}"]
)


def _keywords(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=2)
    named = st.dictionaries(_NAMES, inner, max_size=2)
    bound = st.sampled_from([0, 1, 2, -1, 0.1, 1e308, 10**20])
    one = {
        **dict.fromkeys(("properties", "$defs", "dependentSchemas"), named),
        **dict.fromkeys(("items", "not", "if", "then", "contains", "additionalProperties", "propertyNames"), inner),
        **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems", "contentSchema"), inner),
        **dict.fromkeys(("anyOf", "allOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef"), _REFERENCES),
        **dict.fromkeys(("$id", "$anchor", "$dynamicAnchor", "$schema"), _REFERENCES | _NAMES),
        **dict.fromkeys(("minimum", "maxLength", "minItems", "multipleOf", "maxProperties", "minContains"), bound),
        "type": st.sampled_from(["object", "array", "string", "integer", "number", "null", "boolean", ["string"], "x"]),
        "required": st.lists(_NAMES, max_size=2),
        "enum": st.lists(JUNK, max_size=2),
        "const": JUNK,
        "pattern": _PATTERNS,
        "patternProperties": st.dictionaries(_PATTERNS, inner, max_size=2),
        "format": st.sampled_from(
            ["date-time", "email", "regex", "uri", "idn-hostname", "ipv6", "json-pointer", "uuid"]
        ),
        "uniqueItems": st.booleans(),
    }
    names = st.lists(st.sampled_from(sorted(one)), min_size=1, max_size=4)
    return names.flatmap(lambda names: st.fixed_dictionaries({name: one[name] for name in names}))


SCHEMAS: Final = _keywords(st.recursive(st.booleans() | st.just({}) | JUNK, _keywords, max_leaves=4))
"""JSON Schemas, most of them right, many of them strange."""
VALUES: Final = st.recursive(
    JUNK | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
"""What may fit them."""


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return msgspec.to_builtins(value)
