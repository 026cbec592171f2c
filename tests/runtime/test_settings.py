"""What the settings mean, and which of them cannot work."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from sayso.compose import shown
from sayso.errors import Misconfigured
from sayso.settings import checked_drain, checked_origins, checked_retention, drain, retention, store


@pytest.mark.parametrize(
    ("origin", "kept"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://APP.example.com/", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_a_browser_writes_it(origin: str, kept: str) -> None:
    assert checked_origins([origin]) == (kept,)


def test_origins_may_come_from_any_iterable_and_there_may_be_none() -> None:
    assert checked_origins(iter(["https://a.example", "https://b.example"])) == (
        "https://a.example",
        "https://b.example",
    )
    assert checked_origins(()) == ()


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "",
        "null",
        "app.example.com",
        "app.example.com:8000",
        "ftp://app.example.com",
        "https://",
        "https://app.example.com/page",
        "https://app.example.com?a=b",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://app.example.com:port",
        "https://app.example.com\n",
        " https://app.example.com",
        "http://[",
        "http://[::1",
        "http://bücher.example",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused_by_name(origin: str) -> None:
    with pytest.raises(Misconfigured, match="is no origin; write it as") as refused:
        checked_origins(["https://app.example.com", origin])
    assert repr(origin.rstrip("/")) in refused.value.detail


def test_one_origin_that_is_no_list_is_refused_and_told_how_to_write_it() -> None:
    with pytest.raises(Misconfigured, match=r"\['https://app\.example\.com'\]"):
        checked_origins("https://app.example.com")


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        (30, timedelta(days=30)),
        ("7", timedelta(days=7)),
        (0.5, timedelta(hours=12)),
        (1 / 24, timedelta(hours=1)),
        (math.inf, None),
        ("inf", None),
    ],
)
def test_a_retention_is_a_number_of_days_or_for_ever(days: float | str, kept: timedelta | None) -> None:
    assert checked_retention(days, "retention") == kept


@pytest.mark.parametrize("days", [0, -1, 0.041, "a month", "", math.nan, -math.inf, 1e300, None])
def test_a_retention_that_is_none_is_refused_and_quoted(days: float | str) -> None:
    with pytest.raises(Misconfigured, match=r"retention is .*; it is a number of days"):
        checked_retention(days, "retention")


def test_the_retention_of_the_environment_stands_in_for_thirty_days(monkeypatch: pytest.MonkeyPatch) -> None:
    assert retention() == timedelta(days=30)
    monkeypatch.setenv("SAYSO_RETENTION", " 90 ")
    assert retention() == timedelta(days=90)
    monkeypatch.setenv("SAYSO_RETENTION", "inf")
    assert retention() is None
    monkeypatch.setenv("SAYSO_RETENTION", "never")
    with pytest.raises(Misconfigured, match="SAYSO_RETENTION is 'never'"):
        retention()


@pytest.mark.parametrize(("seconds", "kept"), [(0, 0.0), ("10", 10.0), (0.5, 0.5), (3_600, 3_600.0)])
def test_a_drain_is_a_number_of_seconds(seconds: float | str, kept: float) -> None:
    assert checked_drain(seconds, "drain") == kept


@pytest.mark.parametrize("seconds", [-1, 3_601, "a while", "", math.nan, math.inf, 10**400, None])
def test_a_drain_that_is_none_is_refused_and_quoted(seconds: float | str) -> None:
    with pytest.raises(Misconfigured, match=r"drain is .*; it is a number of seconds"):
        checked_drain(seconds, "drain")


def test_the_drain_of_the_environment_stands_in_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drain() == 0
    monkeypatch.setenv("SAYSO_DRAIN", " 10 ")
    assert drain() == 10
    monkeypatch.setenv("SAYSO_DRAIN", "soon")
    with pytest.raises(Misconfigured, match="SAYSO_DRAIN is 'soon'"):
        drain()


def test_the_store_of_the_environment_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store() is None
    file = tmp_path / "store"
    monkeypatch.setenv("SAYSO_STORE_FILE", str(file))
    with pytest.raises(Misconfigured, match=r"SAYSO_STORE_FILE names .*store, which cannot be read"):
        store()
    file.write_text("\n")
    with pytest.raises(Misconfigured, match=r"SAYSO_STORE_FILE names .*store, whose first line is empty"):
        store()
    file.write_text(" sqlite:///a.db \n")
    assert store() == "sqlite:///a.db"
    monkeypatch.setenv("SAYSO_STORE", ":memory:")
    assert store() == ":memory:"


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (":memory:", ":memory:"),
        ("sqlite:////var/lib/sayso/questions@home.db", "sqlite:////var/lib/sayso/questions@home.db"),
        ("postgresql://db/sayso", "postgresql://db/sayso"),
        ("postgresql://sayso@db/sayso", "postgresql://sayso@db/sayso"),
        ("postgresql://sayso:se:c@ret@db:5432/sayso", "postgresql://sayso@db:5432/sayso"),
        ("postgresql://sayso:secret@db/sayso?password=secret", "postgresql://sayso@db/sayso"),
        ("postgresql://db/sayso?user=sayso&password=secret", "postgresql://db/sayso"),
    ],
)
def test_a_stores_url_is_shown_without_its_password(url: str, seen: str) -> None:
    assert shown(url) == seen
