"""The alert rules and the dashboard: of metrics that there are, in a language that Prometheus reads, and right."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.notify.receiver import SECRET, configuration
from tests.promtool import promtool
from tests.server.keyholder import call
from tests.server.scraped import samples

_ROOT = Path(__file__).parents[2]
_RULES = _ROOT / "deploy/prometheus/rules.yml"
_DASHBOARD = _ROOT / "deploy/grafana/sayso.json"
_OF_PROMETHEUS = {"up": {"job", "instance"}}
_WORDS = {"and", "or", "unless", "by", "on", "without", "ignoring"}
_ADDED = {"job", "instance"}
"""Labels that Prometheus puts on what it scrapes."""


def _alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(_RULES.read_text())["groups"] for rule in group["rules"]]


def _of_alerts() -> list[str]:
    return [rule["expr"] for rule in _alerts()]


def _of_panels() -> list[str]:
    panels = json.loads(_DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def _of_variables() -> list[str]:
    queries = [
        one["definition"] for one in json.loads(_DASHBOARD.read_text())["templating"]["list"] if one["type"] == "query"
    ]
    return [re.sub(r"^label_values\((.*), \w+\)$", r"\1", query) for query in queries]


def _selected(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The metrics that a PromQL expression names, with what it wants of their labels."""
    bare = re.sub(r"\[[^]]*\]|\b(?:by|on|without|ignoring) *\([^)]*\)", "", expression)
    for found in re.finditer(r"\b([a-zA-Z_]\w*)\b(?! *\()(?:\{([^}]*)\})?", bare):
        if found[1] not in _WORDS:
            yield found[1], dict(re.findall(r'(\w+)=~?"([^"]*)"', found[2] or ""))


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, dict[str, set[str]]]]:
    """What a server with some life behind it tells: by name, the values of each label."""
    import tempfile

    with (
        tempfile.TemporaryDirectory() as folder,
        ExitStack() as stack,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOOK_SECRET", SECRET)
        notify = configuration(Path(folder) / "notify.toml", "http://127.0.0.1:9/")
        store = f"sqlite:///{folder}/a.db"
        server = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False, notify=notify)
        stack.enter_context(server)
        for body in ({"human_feedback": "yes"}, None):
            asked = call("POST", f"{server.url}/requests", KEY, json={"execution_id": "run-1", "prompt": "Ship it?"})
            if body:
                call("POST", f"{server.url}/requests/{asked.json()['request_id']}/answer", KEY, json=body)
        found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name in samples(server.url):
            for label, value in re.findall(r'(\w+)="([^"]*)"', name) or [("", "")]:
                found[name.partition("{")[0]][label].add(value)
        yield found


@pytest.mark.promise("METRIC-3")
@pytest.mark.parametrize("of", [_of_alerts, _of_panels, _of_variables])
def test_what_is_asked_for_is_told(of: Callable[[], list[str]], told: dict[str, dict[str, set[str]]]) -> None:
    asked = [(expression, name, wanted) for expression in of() for name, wanted in _selected(expression)]
    assert len(asked) >= len(of()) >= 2
    for expression, name, wanted in asked:
        labels = told.get(name, _OF_PROMETHEUS.get(name))
        assert labels is not None, (name, expression)
        for label in set(wanted) - _ADDED:
            assert set(wanted[label].split("|")) <= told[name][label], (label, expression)


@pytest.mark.promise("METRIC-3")
def test_the_check_sees_a_name_or_a_label_that_is_none(told: dict[str, dict[str, set[str]]]) -> None:
    seen = dict(
        _selected('sum by (le, a) (rate(sayso_nothing_total{job="sayso", code=~"a|b"}[5m])) > 0.1 and on (job) up')
    )
    assert seen == {"sayso_nothing_total": {"job": "sayso", "code": "a|b"}, "up": {}}
    assert "sayso_nothing_total" not in told
    assert "unauthorised" in told["sayso_refusals_total"]["code"]


@pytest.mark.promise("METRIC-3")
def test_every_metric_of_ours_is_shown_or_watched_and_documented(told: dict[str, dict[str, set[str]]]) -> None:
    asked = {name for expression in (*_of_alerts(), *_of_panels()) for name, _ in _selected(expression)}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in told if name.startswith("sayso_")}
    assert families <= {re.sub("_(bucket|count|sum)$", "", name) for name in asked}
    page = (_ROOT / "docs/monitoring.md").read_text()
    assert set(re.findall(r"^\| `(sayso_\w+)", page, re.MULTILINE)) == families


@pytest.mark.promise("METRIC-3")
def test_prometheus_reads_the_rules_and_they_do_what_they_say(tmp_path: Path) -> None:
    checked = promtool("check", "rules", str(_RULES))
    assert (checked.returncode, "FAILED" in checked.stdout + checked.stderr) == (0, False)
    tests = tmp_path / "rules.yml"
    tests.write_text(Path(__file__).with_name("rules.yml").read_text().replace("RULES", str(_RULES)))
    tested = promtool("test", "rules", str(tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    for rule in _alerts():
        assert rule["alert"] in tests.read_text()
        assert {"summary", "description"} <= set(rule["annotations"])


@pytest.mark.promise("METRIC-3")
def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    variables = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
    rules = []
    for number, expression in enumerate(_of_panels()):
        for name, value in variables.items():
            expression = expression.replace(name, value)  # noqa: PLW2901
        rules.append({"record": f"panel:{number}", "expr": expression})
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout
    file.write_text(file.read_text().replace("sum(", "sum((", 1))
    assert promtool("check", "rules", str(file)).returncode == 1


def test_the_panels_lie_beside_each_other() -> None:
    panels = json.loads(_DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        squares = {
            (place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])
        }
        assert not squares & taken
        assert place["x"] + place["w"] <= 24
        taken |= squares
    assert len({panel["id"] for panel in panels}) == len(panels)
