"""One run of Schemathesis against a server, with keys of every scope and things that are really there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
HOOKS = "tests.conformance.openapi.hooks"
FACTS = "ASSENT_OPENAPI_FACTS"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
LEFT_OUT = {
    "positive_data_acceptance": "what a schema cannot say is answered with 400, too: a source that is not there, a "
    "deadline in the past, fields that exclude each other",
    "object_level_authorization": "it needs a second tenant; the isolation test walks those",
    "use_after_free": "nothing is deleted here",
}
SEEN = 0.5  # how often an id is one that is there


@dataclass
class Facts:
    """What the hooks know: a key for each scope; which keys and tenant must stay as they are; ids by parameter."""

    keys: dict[str, str]
    kept_keys: list[str]
    tenant_id: str
    ids: dict[str, list[str]] = field(default_factory=dict)


def run(
    url: str,
    key: str,
    folder: Path,
    *,
    operator_key: str | None = None,
    examples: int = 100,
    seed: int = 1,
    phases: Sequence[str] = PHASES,
    steps: int = 6,
    more: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Test the server at `url`; `key` is an admin's there. Files go to `folder`."""
    facts = prepare(url, key, operator_key)
    (folder / "facts.json").write_text(json.dumps(asdict(facts)))
    (folder / "schemathesis.toml").write_text(_settings(facts, examples, steps))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={folder / 'schemathesis.toml'}",
        "run",
        f"{url}/openapi-3.1.json",
        f"--url={url}",
        f"--phases={','.join(phases)}",
        f"--seed={seed}",
        "--checks=all",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        "--continue-on-failure",
        "--request-timeout=30",
        "--suppress-health-check=all",
        "--warnings=off",
        *more,
    ]
    environment = os.environ | {FACTS: str(folder / "facts.json"), "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def prepare(url: str, key: str, operator_key: str | None) -> Facts:
    """A key of each scope, and one thing of each kind that an address can name."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False) as http:
        tenant_id = _made(http.get("/admin/tenant"))["tenant_id"]
        made = [_made(http.post("/admin/keys", json={"scope": scope})) for scope in ("agent", "executor", "reviewer")]
        keys = {one["scope"]: one["key"] for one in made} | {"admin": key}
        if operator_key is not None:
            keys["operator"] = operator_key
        kept = [one["key_id"] for one in _made(http.get("/admin/keys", params={"limit": 100}))["items"]]
        source = _made(http.post("/sources", json={"name": "conformance"}))["id"]
        case = _made(http.post("/api/hitl/cases", json={"type": "approval", "prompt": "May this be tested?"}))
        spare = _made(http.post("/admin/keys", json={"scope": "agent", "name": "to be revoked"}))["key_id"]
        facts = Facts(keys, kept, tenant_id)
        facts.ids = {
            "case_id": [case["hitl"]["case_id"]],
            "source_id": [source],
            "flow": ["cv-simple"],
            "key_id": [spare],
            "lang": ["en", "de"],
        }
        strict = {"X-Tenant-ID": tenant_id, "Idempotency-Key": uuid.uuid4().hex}
        task = {"operation": "repo.commit", "payload": {"branch": "main"}, "source_id": source}
        facts.ids["task_id"] = [_made(http.post("/tasks", json=task, headers=strict))["task_id"]]
    return facts


def _made(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, (
        f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    )
    found: dict[str, Any] = response.json()
    return found


def _settings(facts: Facts, examples: int, steps: int) -> str:
    """schemathesis.toml: how much, and which ids are tried."""
    lines = [
        "max-stream-events = 1",  # a stream of a case that waits goes on for ever
        "[generation]",
        f"max-examples = {examples}",
        "deterministic = true",
        'database = "none"',
        "[phases.stateful]",
        f"max-steps = {steps}",
        "[parameters]",
        f'"header.X-Tenant-ID" = {json.dumps(facts.tenant_id)}',
    ]
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = {SEEN} }}' for name in facts.ids]
    lines += ["[dictionaries]"]
    lines += [f"{name} = {{ values = {json.dumps(values)} }}" for name, values in facts.ids.items()]
    return "\n".join(lines) + "\n"


def said(output: str) -> str:
    """What a person wants to read of a run's output."""
    with suppress(ValueError):
        return output[output.index("= FAILURES =") :]
    return output
