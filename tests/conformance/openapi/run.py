"""One run of Schemathesis against a server, with keys of every scope and things that are really there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.conformance.openapi.things import Maker

ROOT = Path(__file__).resolve().parents[3]
HOOKS = "tests.conformance.openapi.hooks"
FACTS = "ASSENT_OPENAPI_FACTS"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
NOT_CHECKED = {
    "positive_data_acceptance": "what a schema cannot say is answered with 400, too: a source that is not there, a "
    "deadline in the past, fields that exclude each other",
    "object_level_authorization": "the walk over all routes with foreign ids does that, for every scope",
    "use_after_free": "nothing is deleted here",
}
NOT_ASKED = {
    "reference_openapi_yaml": "reading it takes Schemathesis a second each time; a test holds it against /openapi"
}
SEEN = 0.6  # how often an id is one that is there
SOME = 4
STEPS = 6


@dataclass
class Facts:
    """What the hooks know: where the server is; a key for each scope; the tenant and the keys that must stay as they
    are; the review tokens of cases; a source; and what is there, by the place of a parameter.
    """

    url: str
    keys: dict[str, str]
    kept_keys: list[str]
    tenant_id: str
    source_id: str
    ids: dict[str, list[str]] = field(default_factory=dict)


def run(
    url: str,
    key: str,
    folder: Path,
    *,
    operator_key: str | None = None,
    examples: int = 100,
    seed: int | None = None,
    phases: Sequence[str] = PHASES,
    more: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Test the server at `url`; `key` is an admin's there. Files go to `folder`. Without a seed, what is tried follows
    from the document alone.
    """
    facts = prepare(url, key, operator_key)
    (folder / "facts.json").write_text(json.dumps(asdict(facts)))
    (folder / "schemathesis.toml").write_text(_settings(facts, examples, derandomized=seed is None))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={folder / 'schemathesis.toml'}",
        "run",
        f"{url}/openapi-3.1.json",
        f"--url={url}",
        f"--phases={','.join(phases)}",
        *([] if seed is None else [f"--seed={seed}"]),
        "--checks=all",
        f"--exclude-checks={','.join(NOT_CHECKED)}",
        *(f"--exclude-operation-id={name}" for name in NOT_ASKED),
        "--continue-on-failure",
        "--request-timeout=30",
        "--suppress-health-check=all",
        "--warnings=off",
        *more,
    ]
    environment = os.environ | {FACTS: str(folder / "facts.json"), "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def prepare(url: str, key: str, operator_key: str | None) -> Facts:
    """A key of each scope, and some of each kind of thing that an address or a body can name."""
    maker = Maker(url, key)
    try:
        keys = {scope: maker.key(scope)["key"] for scope in ("agent", "executor", "reviewer")} | {"admin": key}
        if operator_key is not None:
            keys["operator"] = operator_key
        kept, spare = maker.keys(), [maker.key("agent")["key_id"] for _ in range(SOME)]
        sources = [maker.source(mode) for mode in ("PULL_ONLY", "WEBHOOK_AND_PULL")]
        facts = Facts(url, keys, kept, maker.tenant(), sources[0])
        cases = [maker.case()["case_id"] for _ in range(SOME)]
        facts.ids = {
            "path.case_id": [*cases, maker.review_task(sources[0])],
            "path.event_id": [maker.event(sources[0])],
            "path.flow": ["cv-simple"],
            "path.gate_key": ["plan-approval", "deploy"],
            "path.key_id": spare,
            "path.lang": ["en", "de"],
            "path.name": ["review.css"],
            "path.source_id": sources,
            "path.task_id": [maker.task(facts.tenant_id, sources[0]) for _ in range(SOME)],
            "path.workflow_id": [maker.run(workflow) for workflow in ("plan-approval", "external")],
            "body.action": ["approve", "reject", "edit", "confirm"],
            "body.result.action": ["approve", "reject", "edit", "confirm"],
            "body.operation": ["repo.commit", "repo.read", "robot.actuate"],
            "body.source_id": sources,
            "body.submitted_via": ["slack_block_action", "telegram_inline_button"],
            "body.type": ["approval", "confirmation", "escalation", "input", "x-own"],
            "query.source_id": sources,
        }
    finally:
        maker.close()
    return facts


def _settings(facts: Facts, examples: int, *, derandomized: bool) -> str:
    """schemathesis.toml: how much, and which ids are tried."""
    names = {place: place.replace(".", "_") for place in facts.ids}
    lines = [
        "max-stream-events = 1",  # a stream of a case that waits goes on for ever
        "[generation]",
        f"max-examples = {examples}",
        f"deterministic = {str(derandomized).lower()}",
        'database = "none"',
        "[phases.stateful]",
        f"max-steps = {STEPS}",
        "[parameters]",
        f'"header.X-Tenant-ID" = {json.dumps(facts.tenant_id)}',
        *(f'"{place}" = {{ dictionary = "{name}", probability = {SEEN} }}' for place, name in names.items()),
        "[dictionaries]",
        *(f"{name} = {{ values = {json.dumps(facts.ids[place])} }}" for place, name in names.items()),
    ]
    return "\n".join(lines) + "\n"
