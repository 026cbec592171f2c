"""A type as a form: what its schema says, and the person's values as one of its own."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NotRequired, Required, TypedDict

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from sayso.errors import Invalid, Misconfigured
from sayso.schema import check_schema, check_value
from sayso.typed import Form, Misfit


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Hat:
    size: Size
    made: date
    fit: Literal["tight", "loose"] = "loose"
    notes: list[str] = field(default_factory=list)


@dataclass
class Outfit:
    hat: Hat
    spare: Hat | None = None


class Box(TypedDict, total=False):
    width: Required[int]
    label: str


class Crate(TypedDict):
    box: Box
    mark: NotRequired[str]


class Packet(msgspec.Struct, rename="camel"):
    from_whom: str


class Parcel(BaseModel):
    model_config = ConfigDict(strict=True)

    sent: date
    weight: float = Field(alias="kg")


HAT = {"size": "s", "made": "2030-01-31"}
FORMS: list[tuple[type, Any, Any]] = [
    (Hat, HAT, Hat(Size.SMALL, date(2030, 1, 31))),
    (Hat, HAT | {"fit": "tight", "notes": ["a"]}, Hat(Size.SMALL, date(2030, 1, 31), "tight", ["a"])),
    (Outfit, {"hat": HAT}, Outfit(Hat(Size.SMALL, date(2030, 1, 31)))),
    (Outfit, {"hat": HAT, "spare": HAT}, Outfit(*[Hat(Size.SMALL, date(2030, 1, 31))] * 2)),
    (Box, {"width": 2}, {"width": 2}),
    (Crate, {"box": {"width": 2, "label": "x"}}, {"box": {"width": 2, "label": "x"}}),
    (Packet, {"fromWhom": "Ada"}, Packet(from_whom="Ada")),
    (Parcel, {"sent": "2030-01-31", "kg": 1.5}, Parcel.model_validate({"sent": date(2030, 1, 31), "kg": 1.5})),
]
NAMES = [f"{type_.__name__} {number}" for number, (type_, _, _) in enumerate(FORMS)]


@pytest.mark.parametrize(("type_", "values", "filled"), FORMS, ids=NAMES)
def test_values_that_fit_the_schema_become_one_of_the_type(type_: type, values: Any, filled: Any) -> None:
    form = Form(type_)
    check_schema(form.schema, "/response_schema")
    check_value(values, form.schema, "/values")
    assert form.filled(values) == filled
    assert type(form.filled(values)) is type(filled)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (Hat, {"made": "2030-01-31"}),
        (Hat, HAT | {"size": "m"}),
        (Hat, HAT | {"made": "2030-02-31"}),
        (Hat, HAT | {"fit": "odd"}),
        (Outfit, {"hat": {"size": "s"}}),
        (Outfit, {"hat": HAT, "spare": 1}),
        (Box, {"label": "x"}),
        (Crate, {"box": {"width": "wide"}}),
        (Packet, {"from_whom": "Ada"}),
        (Parcel, {"sent": "2030-01-31"}),
        (Hat, []),
        (Box, "text"),
    ],
)
def test_what_the_type_does_not_take_the_schema_refuses_too(type_: type, values: Any) -> None:
    form = Form(type_)
    with pytest.raises(Invalid):
        check_value(values, form.schema, "/values")
    with pytest.raises(Misfit):
        form.filled(values)


@pytest.mark.parametrize("type_", [Hat, Outfit, Box, Crate, Packet, Parcel])
def test_a_schema_is_written_as_forms_are_with_its_members_at_the_root(type_: type) -> None:
    schema = Form(type_).schema
    assert schema["type"] == "object"
    assert "$ref" not in schema
    assert schema["properties"]
    parts = set(schema.get("$defs", {}))
    assert type_.__name__ not in parts
    assert all(part in str({**schema, "$defs": {}}) or part in str(schema["$defs"]) for part in parts)


@dataclass
class Tree:
    name: str
    left: Tree | None = None


class TreeModel(BaseModel):
    name: str
    left: TreeModel | None = None


def test_a_dataclass_that_holds_itself_is_a_form() -> None:
    form = Form(Tree)
    assert form.filled({"name": "a", "left": {"name": "b"}}) == Tree("a", Tree("b"))


def test_a_model_that_holds_itself_is_a_form() -> None:
    form = Form(TreeModel)
    assert form.filled({"name": "a", "left": {"name": "b"}}).left == TreeModel(name="b")


@pytest.mark.parametrize("type_", [int, str, list[int], date, Size, Literal["a", "b"], Hat | None, None])
def test_a_type_that_is_no_object_with_members_is_refused_with_what_to_use(type_: Any) -> None:
    with pytest.raises(Misconfigured, match="pydantic model, a dataclass or a TypedDict"):
        Form(type_)


@dataclass
class Odd:
    thing: threading_lock  # type: ignore[name-defined]  # noqa: F821 - that is the point


@dataclass
class Raw:
    thing: memoryview
    other: object
    callback: type[Any]


@pytest.mark.parametrize("type_", [Odd, Raw, object, type("Plain", (), {})])
def test_a_type_that_json_cannot_hold_is_refused_by_name(type_: Any) -> None:
    with pytest.raises(Misconfigured, match=f"response={type_.__name__}"):
        Form(type_)


class Pair(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> Pair:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


@dataclass
class Range:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


@pytest.mark.parametrize("type_", [Pair, Range])
def test_what_only_the_types_own_check_refuses_is_a_misfit_in_its_own_words(type_: type) -> None:
    form = Form(type_)
    check_value({"low": 2, "high": 1}, form.schema, "/values")
    with pytest.raises(Misfit, match="low must not be above high"):
        form.filled({"low": 2, "high": 1})


def test_a_misfit_of_a_member_names_the_member() -> None:
    with pytest.raises(Misfit, match=r"^sent: "):
        Form(Parcel).filled({"sent": "soon", "kg": 1.0})


@pydantic.dataclasses.dataclass
class Strict:
    lines: int

    @pydantic.field_validator("lines")
    @classmethod
    def _is_even(cls, lines: int) -> int:
        if lines % 2:
            raise ValueError("must be even")
        return lines


def test_the_checks_of_a_pydantic_dataclass_are_kept() -> None:
    assert dataclasses.is_dataclass(Strict)
    form: Form[Any] = Form(Strict)
    assert form.filled({"lines": 4}) == Strict(lines=4)
    with pytest.raises(Misfit, match="must be even"):
        form.filled({"lines": 3})


@dataclass
class Quiet:
    name: str
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made = len(self.name)


def test_a_dataclass_sets_what_is_its_own() -> None:
    assert Form(Quiet).filled({"name": "ada"}).made == 3
