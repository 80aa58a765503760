"""The suite's results as a table of requirements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from tests.conformance.hitl.requirements import BINDING, REQUIREMENTS, Requirement

UNSEEN = "not visible"
NOT_RUN = "not run"
STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow", NOT_RUN: "bold red", UNSEEN: "dim"}
WORST_FIRST = ("failed", "skipped", "passed")


@dataclass(frozen=True, slots=True)
class Line:
    requirement: Requirement
    result: str
    why: str = ""


class Results:
    """A pytest plugin that takes down how each test went: by its name, the worst of its runs."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        name = report.location[2].partition("[")[0]
        known = self.results.get(name, "passed")
        if WORST_FIRST.index(report.outcome) <= WORST_FIRST.index(known):
            self.results[name] = report.outcome
            if not report.passed:
                self.reasons[name] = _reason(report)


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # of a skip: file, line, words
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message).partition("\n")[0] if crash else ""


def lines(results: Mapping[str, str], reasons: Mapping[str, str] | None = None) -> list[Line]:
    """One line for every requirement, in the order of the specification."""
    found = []
    for one in REQUIREMENTS:
        if one.test is None:
            found.append(Line(one, UNSEEN, one.unseen or ""))
        else:
            found.append(Line(one, results.get(one.test, NOT_RUN), (reasons or {}).get(one.test, "")))
    return found


def exit_status(found: Sequence[Line], *, strict: bool = False) -> int:
    """0 when all that binds is kept; `strict`: all that is recommended or stated as well."""
    bad = [line for line in found if line.result in ("failed", NOT_RUN)]
    return int(any(strict or line.requirement.level in BINDING for line in bad))


def show(found: Sequence[Line], console: Console) -> None:
    table = Table(box=box.SIMPLE, title="HITL Protocol v0.8")
    for head in ("id", "section", "level", "requirement", "result"):
        table.add_column(head, no_wrap=head != "requirement")
    for line in found:
        says = line.requirement.says + (f"\n[dim]{line.why}[/]" if line.why else "")
        result = f"[{STYLES[line.result]}]{line.result}[/]"
        table.add_row(line.requirement.id, line.requirement.section, line.requirement.level, says, result)
    console.print(table)
    counts = Counter(line.result for line in found)
    console.print(", ".join(f"{count} {result}" for result, count in counts.most_common()))
