"""One run of Schemathesis against a server, with keys of every scope and things that are really there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
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
SEEN = 0.6  # how often an id is one that is there
SOME = 6
FEW = 3
# Keys are gone once every replica knows, which takes a second; the documents take a second to read.
SLOW = [
    "admin_revoke_key",
    "admin_rotate_key",
    "reference_openapi",
    "reference_openapi_yaml",
    "reference_openapi_newest",
]


@dataclass
class Facts:
    """What the hooks know: a key for each scope; which keys and tenant must stay as they are; the tokens of cases by
    their ids; and what is there, by the place of a parameter.
    """

    keys: dict[str, str]
    kept_keys: list[str]
    tenant_id: str
    submit_tokens: dict[str, str] = field(default_factory=dict)
    review_tokens: dict[str, str] = field(default_factory=dict)
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
    """A key of each scope, and some of each kind of thing that an address or a body can name."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False) as http:
        tenant_id = _made(http.get("/admin/tenant"))["tenant_id"]
        made = [_made(http.post("/admin/keys", json={"scope": scope})) for scope in ("agent", "executor", "reviewer")]
        keys = {one["scope"]: one["key"] for one in made} | {"admin": key}
        if operator_key is not None:
            keys["operator"] = operator_key
        kept = [one["key_id"] for one in _made(http.get("/admin/keys", params={"limit": 100}))["items"]]
        facts = Facts(keys, kept, tenant_id)
        spare = [_made(http.post("/admin/keys", json={"scope": "agent"}))["key_id"] for _ in range(SOME)]
        sources = [_source(http, url, mode) for mode in ("PULL_ONLY", "WEBHOOK_AND_PULL")]
        cases = [_made(http.post("/api/hitl/cases", json=_CASE))["hitl"] for _ in range(SOME)]
        reviews = [_made(http.post("/review-tasks", json=_review_task(sources[0])))["id"] for _ in range(SOME)]
        _made(http.post(f"/review-tasks/{reviews[0]}/decision", json={"decision": "APPROVE"}))
        events = _made(http.get(f"/sources/{sources[0]}/decision-events", params={"wait": 5}))["items"]
        strict = {"X-Tenant-ID": tenant_id}
        tasks = [
            _made(http.post("/tasks", json=_task(sources[0]), headers=strict | {"Idempotency-Key": f"task-{n}"}))[
                "task_id"
            ]
            for n in range(SOME)
        ]
        runs = [_run(http, workflow) for workflow in ("plan-approval", "external") for _ in range(SOME // 2)]
        facts.submit_tokens = {case["case_id"]: case["submit_token"] for case in cases}
        facts.review_tokens = {case["case_id"]: token_in(case["review_url"]) for case in cases}
        facts.ids = {
            "path.case_id": [*(case["case_id"] for case in cases), *reviews],
            "path.source_id": sources,
            "path.event_id": [event["event_id"] for event in events],
            "path.flow": ["cv-simple"],
            "path.key_id": spare,
            "path.lang": ["en", "de"],
            "path.task_id": tasks,
            "path.workflow_id": runs,
            "path.gate_key": ["plan-approval", "deploy"],
            "query.token": list(facts.review_tokens.values()),
            "body.token": list(facts.review_tokens.values()),
            "body.action": ["approve", "reject", "edit", "confirm"],
            "body.result.action": ["approve", "reject", "edit", "confirm"],
            "body.submitted_via": ["slack_block_action", "telegram_inline_button"],
            "body.type": ["approval", "confirmation", "escalation", "input", "x-own"],
            "body.source_id": sources,
            "body.operation": ["repo.commit", "repo.read", "robot.actuate"],
            "query.source_id": sources,
        }
    return facts


_CASE = {"type": "approval", "prompt": "May this be tested?"}


def _source(http: httpx.Client, url: str, mode: str) -> str:
    """Its webhook is an address of the server itself, which takes no POST there."""
    webhook = {"url": f"{url}/healthz", "enabled": True} if "WEBHOOK" in mode else None
    delivery = {"mode": mode} | ({"webhook": webhook} if webhook else {})
    found: str = _made(http.post("/sources", json={"name": "conformance", "delivery": delivery}))["id"]
    return found


def _review_task(source_id: str) -> dict[str, Any]:
    return {
        "source_id": source_id,
        "title": "May this be tested?",
        "service": {"id": "tests", "name": "Tests"},
        "action": {"type": "test", "verb": "Test"},
        "risk_level": "low",
        "blocks": [{"id": "body", "type": "markdown", "content": "All of it.", "editable": True}],
    }


def _task(source_id: str) -> dict[str, Any]:
    return {"operation": "repo.commit", "payload": {"branch": "main"}, "source_id": source_id}


def _run(http: httpx.Client, workflow: str) -> str:
    intent = _made(http.post("/api/intents", json={"goal": "Test it", "workflow": workflow}))["intentId"]
    run = _made(http.post("/api/runs", json={"intentId": intent, "queuePartitionKey": "tests"}))
    found: str = run["workflowID"]
    if workflow == "external":
        _made(http.post(f"/api/runs/{found}/gates/deploy", json={"prompt": "May this be deployed?"}))
    return found


def token_in(review_url: str) -> str:
    return review_url.partition("?token=")[2]


def _made(response: httpx.Response) -> dict[str, Any]:
    about = f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    assert response.is_success, about
    found: dict[str, Any] = response.json()
    return found


def _settings(facts: Facts, examples: int, steps: int) -> str:
    """schemathesis.toml: how much, and which ids are tried."""
    names = {place: place.replace(".", "_") for place in facts.ids}
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
        *(f'"{place}" = {{ dictionary = "{name}", probability = {SEEN} }}' for place, name in names.items()),
        "[dictionaries]",
        *(f"{name} = {{ values = {json.dumps(facts.ids[place])} }}" for place, name in names.items()),
        "[[operations]]",
        f"include-operation-id = {json.dumps(SLOW)}",
        f"generation.max-examples = {min(examples, FEW)}",
    ]
    return "\n".join(lines) + "\n"
