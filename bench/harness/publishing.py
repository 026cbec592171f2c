"""What came out, in the documentation: the runs as JSON, tables between markers, plots."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.harness import results
from bench.harness.built import BENCH
from bench.harness.measuring import Run
from bench.harness.scenarios import SCENARIOS
from bench.harness.tables import summary, table

PAGE: Final = BENCH.parent / "docs/performance.md"
FOLDER: Final = PAGE.with_suffix("")
_BLOCK: Final = re.compile(r"(?P<begin><!-- bench: (?P<name>\S+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Measured:
    """The runs of a scenario, what they were made on, and which servers failed."""

    machine: Mapping[str, str]
    runs: Sequence[Run]
    failed: Sequence[str] = ()


def read(folder: Path = FOLDER) -> dict[str, Measured]:
    """What was published last, by scenario; nothing where nothing was, or before a figure was counted that is today."""
    file = folder / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {
        name: Measured(one["machine"], results.read(one["runs"]), one["failed"])
        for name, one in kept.items()
        if name in SCENARIOS and all(run["result"].keys() >= SCENARIOS[name].figures.keys() for run in one["runs"])
    }


def publish(measured: Mapping[str, Measured], page: Path = PAGE) -> dict[str, Measured]:
    """Puts what was measured in the place of what was published of the same scenarios. Gives all that is there now."""
    folder = page.with_suffix("")
    all = read(folder) | dict(measured)
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(_lines(all))
    page.write_text(filled(page.read_text(), lambda name: _block(name, all)))
    return all


def filled(page: str, block: Callable[[str], str]) -> str:
    """The page with what `block` gives between its markers, `<!-- bench: NAME -->` and `<!-- end -->`."""
    return _BLOCK.sub(lambda found: f"{found['begin']}{block(found['name'])}\n{found['end']}", page)


def _block(name: str, all: Mapping[str, Measured]) -> str:
    """Raises KeyError for a name that is none."""
    if name == "machine":
        return _machines(all)
    if name == "summary":
        return summary({name: one.runs for name, one in all.items()})
    scenario = SCENARIOS[name]
    if name not in all:
        return f"**{scenario.title}** (`{name}`): not measured yet"
    return "\n\n".join((table(scenario, all[name].runs), *(f"Failed: {one}" for one in all[name].failed)))


def _machines(all: Mapping[str, Measured]) -> str:
    """What the figures were measured on; of several, each."""
    different = {tuple(sorted(one.machine.items())): one.machine for one in all.values()}.values()
    lines = [f"- {'; '.join(f'{name}: {said}' for name, said in one.items())}" for one in different]
    runs = [run for one in all.values() for run in one.runs]
    noisy = sum(not run.noise.is_quiet for run in runs)
    busy = [name for name, one in all.items() if not all_quiet(name, one.runs)]
    lines.append(f"- {len(runs)} runs, of which {noisy} were disturbed")
    if busy:
        named = ", ".join(f"`{name}`" for name in busy)
        lines.append(f"- **provisional**: the machine was busy, and disturbed runs count, in {named}")
    return "\n".join(lines)


def all_quiet(name: str, runs: Sequence[Run]) -> bool:
    """Whether the figures of a scenario stand on undisturbed runs alone."""
    return all(row.is_quiet for row in results.rows(SCENARIOS[name], runs))


def _lines(all: Mapping[str, Measured]) -> str:
    """JSON with a run on each line, so that a change can be read."""
    scenarios = []
    for name in (name for name in SCENARIOS if name in all):
        about = json.dumps({"machine": all[name].machine, "failed": all[name].failed}, ensure_ascii=False)
        runs = ",\n".join(json.dumps(run) for run in results.written(all[name].runs))
        scenarios.append(f'"{name}": {about[:-1]}, "runs": [\n{runs}]}}')
    return "{" + ",\n".join(scenarios) + "}\n"
