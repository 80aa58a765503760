"""The parts of docs/ that are made from code, so that they cannot be wrong: settings, states, errors, metrics.

`python -m bot.reference` writes them; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from api.doors import DOORS
from api.errors import FlatError
from api.openapi.errors import error_rows
from bot.metric_families import COUNTED, OF_DATABASE, OF_PROCESS
from bot.settings import Settings
from core.run_states import ENDED, RUN_TRANSITIONS
from core.states import EXPIRY_VERDICTS, GATE_STATE, TRANSITIONS, VERDICTS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def settings_page() -> str:
    """Every setting with its default and meaning."""
    lines = [
        "# Settings",
        "",
        "Set in the environment or in a file `.env` in the folder that Assent is started from; the command line's "
        "`--host`, `--port` and `--database` win over both. A wrong value stops the start and is named.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        plain = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "" if plain in (None, "") else f"`{plain}`"
        lines.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def states_page() -> str:
    """The state machines, drawn from their tables."""
    lines = ["# States", "", "Drawn from `core/states.py`.", "", "## Case", "", "```mermaid", "stateDiagram-v2"]
    lines.append("    [*] --> pending")
    lines += [f"    {status} --> {target}: {event}" for (status, event), target in TRANSITIONS.items()]
    lines += [f"    {status} --> [*]" for status in ("completed", "expired", "cancelled")]
    lines += ["```", "", "## Gate, as a workflow sees it", "", "| case | gate |", "|---|---|"]
    lines += [f"| {status} | {state or 'no result: withdrawn'} |" for status, state in GATE_STATE.items()]
    lines += ["", "## Run", "", "Drawn from `core/run_states.py`.", "", "```mermaid", "stateDiagram-v2"]
    lines += ["    [*] --> queued"]
    lines += [f"    {status} --> {target}: {event}" for (status, event), target in RUN_TRANSITIONS.items()]
    lines += [*(f"    {status} --> [*]" for status in sorted(ENDED)), "```"]
    lines += ["", "## What an action means to executors", "", "| action | verdict |", "|---|---|"]
    lines += [f"| {action} | {verdict} |" for action, verdict in VERDICTS.items()]
    lines += ["| edit | none: it opens the next round |", "| an action of a custom type | DENY |"]
    lines += ["", "When the deadline passes, the default action applies:", "", "| default | verdict |", "|---|---|"]
    lines += [f"| {action} | {verdict} |" for action, verdict in EXPIRY_VERDICTS.items()]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every error that each door answers, in its own words."""
    lines = [
        "# Errors",
        "",
        "What each door answers instead of yes. The lists are closed: the code never says anything else, and the "
        "[OpenAPI document](openapi.md) says which of them a route may answer.",
        "",
        "Where the body is flat, `error` is the code and `message` says it in words, with details beside it; where it "
        "is nested, `error` holds `code`, `message`, `details` and `request_id`. `Retry-After` comes with 429 and 503.",
    ]
    for door in DOORS:
        shape = "flat" if door.vocabulary.model is FlatError else "nested"
        lines += ["", f"## {door.name}", "", f"Body: {shape}.", "", "| status | code | meaning |", "|---|---|---|"]
        lines += [f"| {status} | `{code}` | {' '.join(words)} |" for status, code, words in error_rows(door)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """How metrics are asked for, and every metric."""
    lines = ["# Metrics", "", METRICS_INTRODUCTION.strip()]
    groups = {
        "What each process counts": COUNTED,
        "What each process says of itself": OF_PROCESS,
        "What the database says": OF_DATABASE,
    }
    for title, families in groups.items():
        lines += ["", f"## {title}", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        for one in families:
            labels = ", ".join(f"`{label}`" for label in one.labels)
            lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.about} |")
    return "\n".join(lines) + "\n"


METRICS_INTRODUCTION = """
`GET /metrics` answers in Prometheus' text format, in every process whatever its roles, to whoever brings the token
of `METRICS_TOKEN`. Without that setting there are no metrics (401) and nothing is counted. The token opens nothing
else; it is shown all tenants' figures, so it is the operator's.

```yaml
scrape_configs:
  - job_name: assent
    authorization: {credentials_file: /etc/prometheus/assent-token}
    static_configs: [{targets: ["localhost:8080"]}]
rule_files: [alerts.yaml]  # manifests/prometheus/alerts.yaml
```

[manifests/grafana/assent.json](../manifests/grafana/assent.json) is a dashboard to import: what waits, how long
people take, what they decide and through what, cards, webhooks, and the processes. A test holds it, the alerts and
this page against what is served; another lets a real Prometheus scrape a process at work, and asks it every question of
the dashboard and every alert (`tests/integration/test_prometheus.py`, with promtool from this machine or from Debian's
package). When each alert speaks stands in `tests/integration/prometheus/alerts.yaml`, for `promtool test rules`.

Labels are tenants, sources and words of closed lists; never a case, a person, a token or any text. A metric has at
the most 2,000 series; what else comes is counted under the tenant and source `other`. A source of `""` means cases
without one; Prometheus keeps those without the label.

A series begins with the first thing that it counts, and `increase` does not see that first one. For what is rare, such
as cases that expire, the alerts and the dashboard therefore add what was not there before: `(x unless x offset 1h) or
increase(x[1h])`.

Counters begin at zero with each process and count what was committed there (`sum(rate(…))` over all). What the
database says is the same from every process and read at most every ten seconds, by indexes that hold only what
waits: take a `max`. It is left out while the database cannot be read (`assent_database_up`). What a process has told of
once (a source, a messenger) it goes on telling of, as 0 when nothing waits there any more, until it ends. Beside these
are `process_*` and `python_gc_*`.

Traces are in [traces.md](traces.md).
"""

PAGES = {
    "settings.md": settings_page,
    "states.md": states_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
