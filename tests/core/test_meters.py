"""How things are counted: where a measurement falls, and what a counter tells before anything happened."""

from __future__ import annotations

from sayso.meters import Counter, Histogram, Meters, Spread


def test_a_measurement_falls_under_the_least_bound_that_it_does_not_exceed() -> None:
    histogram = Histogram("seconds", "A test's.", (1.0, 2.0), "kind")
    for measured in (0.5, 1.0, 1.5, 2.0, 2.5, 100.0):
        histogram.add(measured, "a")
    histogram.add(0.0, "b")
    assert histogram.read().samples == (
        (("a",), Spread((1.0, 2.0), (2, 2, 2), 107.5)),
        (("b",), Spread((1.0, 2.0), (1, 0, 0), 0.0)),
    )


def test_what_was_read_does_not_change() -> None:
    histogram, counter = Histogram("seconds", "A test's.", (1.0,)), Counter("things", "A test's.")
    before = histogram.read(), counter.read()
    assert [metric.samples for metric in before] == [(((), Spread((1.0,), (0, 0), 0.0)),), (((), 0),)]
    histogram.add(3.0)
    counter.add()
    assert [metric.samples[0][1] for metric in before] == [Spread((1.0,), (0, 0), 0.0), 0]
    assert [metric.samples[0][1] for metric in (histogram.read(), counter.read())] == [Spread((1.0,), (0, 1), 3.0), 1]


def test_a_counter_begins_at_zero_for_what_is_known() -> None:
    counter = Counter("things", "A test's.", "kind", known=[("a",), ("b",)])
    counter.add("b")
    counter.add("c")
    assert counter.read().samples == ((("a",), 0), (("b",), 1), (("c",), 1))


def test_whatever_counts_adds_itself() -> None:
    first, second = Counter("first", "A test's."), Counter("second", "A test's.")
    meters = Meters(lambda: [first.read()])
    meters.add(lambda: [second.read()])
    assert [metric.name for metric in meters.read()] == ["first", "second"]
