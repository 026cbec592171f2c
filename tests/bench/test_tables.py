"""Tables, and the page that they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness import publishing, results
from bench.harness.measuring import Run
from bench.harness.noise import Noise
from bench.harness.publishing import Measured, filled, publish
from bench.harness.scenarios import SCENARIOS
from bench.harness.tables import summary, table

QUIET = Noise(0.1, 0.0, 1.0)
LOUD = Noise(1.5, 0.0, 1.0)
FANS = SCENARIOS["ws-1000"]
PAGE = "# Page\n<!-- bench: ws-1000 -->\nold\n<!-- end -->\nprose\n<!-- bench: machine -->\n<!-- end -->\n"


def run(row: str, number: int, figure: float, noise: Noise = QUIET) -> Run:
    return Run("ws-1000", row, number, figure, noise, {"messages_per_s": figure, "messages_per_cpu_s": 2 * figure})


RUNS = [
    *(run("transport", number, figure) for number, figure in enumerate((150_000.0, 160_000.0, 90_000.0))),
    *(run("nchan", number, figure) for number, figure in enumerate((100_000.0, 100_000.0, 50_000.0))),
]


def test_a_row_has_its_median_its_range_and_its_ratio_to_the_reference_round_by_round() -> None:
    lines = table(FANS, RUNS).splitlines()
    assert lines[0] == "**WebSocket, 1 → 1,000** (`ws-1000`; more is better)"
    assert lines[2] == (
        "| | messages/s | range | times nchan | range | for each second of processor | times nchan | runs | discarded |"
    )
    assert lines[4] == (
        "| sayso, transport alone | 150,000 | 90,000–160,000 | 1.60x | 1.50–1.80 | 300,000 | 1.60x | 3 | 0 |"
    )
    assert lines[5] == "| nchan | 100,000 | 50,000–100,000 | 1.00x | 1.00–1.00 | 200,000 | 1.00x | 3 | 0 |"
    assert len(lines) == 6


def test_disturbed_runs_are_counted_and_do_not_count() -> None:
    lines = table(FANS, [*RUNS, run("transport", 0, 1.0, LOUD)]).splitlines()
    assert lines[4] == (
        "| sayso, transport alone | 150,000 | 90,000–160,000 | 1.60x | 1.50–1.80 | 300,000 | 1.60x | 3 | 1 |"
    )


def test_where_disturbed_runs_count_it_is_said() -> None:
    lines = table(FANS, [run("transport", 0, 12.5, LOUD), run("transport", 0, 13.5, LOUD)]).splitlines()
    assert lines[4] == "| sayso, transport alone (on a busy machine) | 13.0 | 12.5–13.5 | – | – | 26.0 | – | 2 | 0 |"


def test_every_figure_of_a_scenario_is_there() -> None:
    scenario = SCENARIOS["latency"]
    runs = [Run("latency", "nchan", 0, 90.0, QUIET, {"p50_us": 90.0, "p99_us": 1_234.5})]
    lines = table(scenario, runs).splitlines()
    assert lines[2] == "| | µs (median) | range | times nchan | range | µs (99 %) | times nchan | runs | discarded |"
    assert lines[4] == "| nchan | 90.0 | 90.0–90.0 | 1.00x | 1.00–1.00 | 1,234 | 1.00x | 1 | 0 |"


def test_the_summary_has_nchans_figure_and_everybody_elses_ratio() -> None:
    lines = summary({"ws-1000": RUNS, "asks-1": []}).splitlines()
    assert lines[2] == "| WebSocket, 1 → 1,000 | 100,000 messages/s | 1.60x | – | – | – | – | – |"
    assert len(lines) == 3


def test_only_what_stands_between_markers_is_replaced() -> None:
    assert filled(PAGE, lambda name: f"new {name}") == (
        "# Page\n<!-- bench: ws-1000 -->\nnew ws-1000\n<!-- end -->\nprose\n"
        "<!-- bench: machine -->\nnew machine\n<!-- end -->\n"
    )


def test_runs_are_the_same_when_they_are_read_again() -> None:
    assert results.read(results.written(RUNS)) == RUNS


def test_what_is_published_takes_the_place_of_the_same_scenario_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    publish({"ws-1000": Measured({"machine": "old"}, RUNS[:3]), "burst": Measured({"machine": "old"}, [])}, page)
    publish({"ws-1000": Measured({"machine": "new"}, RUNS, ["fastapi: gone"])}, page)
    kept = publishing.read(tmp_path / "performance")
    assert kept["ws-1000"] == Measured({"machine": "new"}, RUNS, ["fastapi: gone"])
    assert set(kept) == {"ws-1000", "burst"}
    text = page.read_text()
    assert "| nchan | 100,000 |" in text
    assert "Failed: fastapi: gone" in text
    assert "- machine: new\n- machine: old\n" in text or "- machine: old\n- machine: new\n" in text
    assert "provisional" not in text


def test_what_was_published_before_a_figure_was_counted_is_not_read(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    publish({"burst": Measured({"machine": "one"}, []), "ws-1000": Measured({"machine": "one"}, RUNS)}, page)
    file = tmp_path / "performance/results.json"
    file.write_text(file.read_text().replace('"messages_per_cpu_s"', '"something_else"'))
    assert set(publishing.read(tmp_path / "performance")) == {"burst"}


def test_figures_of_a_busy_machine_are_provisional(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    publish({"ws-1000": Measured({"machine": "one"}, [run("nchan", 0, 1.0, LOUD)])}, page)
    assert "**provisional**" in page.read_text()


def test_the_page_has_a_place_for_every_scenario_and_for_nothing_else() -> None:
    asked = list[str]()

    def note(name: str) -> str:
        asked.append(name)
        return ""

    filled(publishing.PAGE.read_text(), note)
    assert sorted(asked) == sorted([*SCENARIOS, "machine", "summary"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_compared_with_one_of_its_own_rows(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.reference in (None, *scenario.rows)
