"""The dashboard and the alerts ask for metrics that are there; and whoever asks for none loads nothing for them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.metric_families import FAMILIES, Family

MANIFESTS = Path(__file__).parents[2] / "manifests"
DASHBOARD = json.loads((MANIFESTS / "grafana" / "assent.json").read_text())
ALERTS = yaml.safe_load((MANIFESTS / "prometheus" / "alerts.yaml").read_text())
_SERIES = re.compile(r"\b(assent_\w+)(?:\{([^}]*)\})?")
_LABELS = re.compile(r"(\w+)\s*(?:=~|!=|!~|=)")
_BY = re.compile(r"\bby \(([^)]*)\)")
OF_EVERY_PROCESS = {"instance", "job"}


def exposed(family: Family) -> dict[str, set[str]]:
    """The names under which a metric is served, with their labels."""
    labels = set(family.labels)
    if family.kind != "histogram":
        return {family.name: labels}
    return {f"{family.name}_bucket": labels | {"le"}, f"{family.name}_sum": labels, f"{family.name}_count": labels}


SERVED = {name: labels for family in FAMILIES for name, labels in exposed(family).items()}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Everything that the dashboard and the alerts ask Prometheus, with where it stands."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["definition"]
    for rule in RULES:
        yield f"alert {rule['alert']}", rule["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_what_is_asked_for_is_served_with_these_labels(place: str, expression: str) -> None:
    found = _SERIES.findall(expression)
    assert found or "process_" in expression, "it asks for nothing of ours"
    known = set[str]()
    for name, given in found:
        assert name in SERVED, f"{place}: there is no metric {name}"
        assert set(_LABELS.findall(given)) <= SERVED[name] | OF_EVERY_PROCESS, place
        known |= SERVED[name]
    grouped = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
    assert grouped <= known | OF_EVERY_PROCESS, place


def test_a_metric_that_is_not_there_would_show() -> None:
    with pytest.raises(AssertionError, match="there is no metric assent_cases_lost"):
        test_what_is_asked_for_is_served_with_these_labels("here", "sum(assent_cases_lost)")
    with pytest.raises(AssertionError):
        test_what_is_asked_for_is_served_with_these_labels("here", "sum by (person) (assent_cases_waiting)")


def test_every_metric_is_on_the_dashboard() -> None:
    asked = {name for _, expression in expressions() for name, _ in _SERIES.findall(expression)}
    assert [] == [one.name for one in FAMILIES if not asked & set(exposed(one))]


def test_panels_have_places_of_their_own_and_alerts_say_what_to_look_at() -> None:
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place: dict[str, int] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    texts: list[Any] = [rule["annotations"]["summary"] for rule in RULES]
    assert all(isinstance(text, str) and len(text) > 30 for text in texts)
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_no_label_can_name_a_case_or_a_person() -> None:
    labels = {label for family in FAMILIES for label in family.labels}
    assert {
        "tenant", "source", "type", "outcome", "verdict", "via", "how", "platform", "kind", "way", "door", "route",
        "method", "status", "revision", "database", "worker", "state",
    } == labels  # fmt: skip


def test_a_process_that_nobody_watches_loads_nothing_for_it() -> None:
    code = (
        "import sys, bot.serve\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'prometheus_client')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=MANIFESTS.parent
    )
    assert "[]" == done.stdout.strip()
