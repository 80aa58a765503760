"""The second look at an approved task, before executors hear of it: do the task, its case, the decision and the ledger
row still say the same thing? Pure, and fail closed: what cannot be established is an objection.

Held against each other are texts as they are stored; whoever edits one of them in the database would have to forge the
ledger row's hash, and then the chain that seals it (see `core.oracles`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.approvals import REMEMBERED
from core.digest import canonical, digest, sha256_hex
from core.errors import InvalidInput
from core.ledger import Row
from core.rows import row_hash, shown_replier
from core.schedule import MINUTE, iso
from core.states import Status, Verdict

AGREEING = frozenset({"approve"})
UNREADABLE = "what is stored about this task cannot be read"


def task_digest(
    tenant_id: str, source_id: str, operation: str, payload: Mapping[str, Any], requested_by: str | None
) -> str:
    """What a task asks for, in one figure: on its row, and in the content that people agree to."""
    return digest(
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "operation": operation,
            "payload": payload,
            "requested_by": requested_by,
        }
    )


def metadata_of(operation: str) -> dict[str, str]:
    """What executors get beside the decision."""
    return {"operation": operation}


def objection(row: Row, now: int | None = None) -> str | None:
    """Why this task must not go to executors, in plain words; None when nothing speaks against it. `row` is of
    EVIDENCE_OF_TASK. Without `now` (looking back) it may have expired, been dispatched, and lost its content, since.
    """
    erased = row["erased_at"] is not None
    if now is not None and (erased or row["grant_erased_at"] is not None):
        return "its content was erased, so nobody can tell what was agreed to"
    try:
        return (None if erased else _altered(row)) or _not_agreed(row) or (None if now is None else _too_late(row, now))
    except (ValueError, TypeError, KeyError, LookupError, AttributeError, RecursionError, InvalidInput):
        return UNREADABLE


def _altered(row: Row) -> str | None:
    content = json.loads(row["content"])
    shown = content["context"]
    payload = json.loads(row["payload"])
    asked = task_digest(row["tenant_id"], row["source_id"], row["operation"], payload, row["requested_by"])
    if canonical(payload).decode() != row["payload"] or asked != row["digest"]:
        return "the task was altered after it was posted"
    if row["content_digest"] != f"sha256:{sha256_hex(row['content'].encode())}" or row["working"] is not None:
        return "the case was altered after it was opened"
    if shown["task_digest"] != asked or shown["operation"] != row["operation"]:
        return "the task is not the one that its case shows"
    if content["blocks"][0]["content"] != payload:
        return "the arguments are not those that its case shows"
    if json.loads(row["terms"])["metadata"] != metadata_of(row["operation"]):
        return "the case's metadata were altered after it was opened"
    if row["tenant_id"] != row["case_tenant_id"] or row["source_id"] != row["case_source_id"]:
        return "the task and its case belong to different tenants or sources"
    return None


def _not_agreed(row: Row) -> str | None:
    if row["verdict"] != Verdict.APPROVE or row["status"] != Status.COMPLETED or row["action"] not in AGREEING:
        return "there is no approval of this task"
    if row["interaction_id"] is None or row["agreed_case_id"] != row["case_id"]:
        return "the ledger has no row that approved this task"
    if row["agreed_tenant_id"] != row["tenant_id"]:
        return "the approval belongs to another tenant"
    if row["erased_at"] is None and _ledger_hash(row) != row["row_hash"]:
        return "the approval's ledger row was altered"
    if json.loads(row["agreed"])["action"] not in AGREEING:
        return "the ledger row does not approve"
    if row["agreed_digest"] != row["content_digest"]:
        return "what was approved is not what the case shows"
    if json.loads(row["result"]) != json.loads(row["agreed"]) or _answered(row) != _decided(row):
        return "the answer was altered after it was given"
    return _not_remembered(row) if row["grant_id"] is not None else None


def _not_remembered(row: Row) -> str | None:
    """A task that a grant let through: the grant was of just this, and good at that moment."""
    if row["grant_tenant_id"] != row["tenant_id"] or row["grant_operation"] != row["operation"]:
        return "the grant that let this through is not of this operation"
    if row["grant_source_id"] not in (None, row["source_id"]):
        return "the grant that let this through is of another source"
    if row["erased_at"] is None and row["grant_payload_digest"] != digest(json.loads(row["payload"])):
        return "the grant that let this through is not of these arguments"
    if not row["granted_at"] <= row["decided_at"] < row["grant_expires_at"]:
        return "the grant that let this through had expired"
    return _not_given(row)


def _not_given(row: Row) -> str | None:
    """The grant is what the ledger says that somebody gave, and nobody had taken it back."""
    if (row["given_tenant_id"], row["given_case_id"]) != (row["tenant_id"], row["grant_case_id"]):
        return "the ledger has no row that gave the grant which let this through"
    if row["grant_erased_at"] is None and (problem := _given_otherwise(row)) is not None:
        return problem
    if row["granted_at"] != row["given_at"]:
        return "the grant that let this through was given for another time"
    if row["taken_back_at"] is not None and row["taken_back_at"] < row["decided_at"]:
        return "the grant that let this through had been revoked"
    return None


def _given_otherwise(row: Row) -> str | None:
    """What the ledger and the content say of the grant, as long as they have not been erased."""
    content, given = json.loads(row["grant_content"]), json.loads(row["given"])
    shown = content["context"]["operation"], digest(content["blocks"][0]["content"])
    agreed = row["given_digest"] == f"sha256:{sha256_hex(row['grant_content'].encode())}"
    if not agreed or shown != (row["operation"], row["grant_payload_digest"]):
        return "the grant that let this through was given for something else"
    minutes = {"approve": given["data"], "confirm": content["context"]}[given["action"]][REMEMBERED]
    if row["grant_expires_at"] > row["given_at"] + minutes * MINUTE:
        return "the grant that let this through was given for another time"
    return None


def _by(row: Row) -> dict[str, Any]:
    return shown_replier(json.loads(row["replier"]))


def _answered(row: Row) -> tuple[Any, ...]:
    """What the case says of its answer, as far as executors get it. Nobody can edit the arguments with an answer."""
    answered = json.loads(row["answered"])
    edits = answered.get("blocks")
    return answered["by"], answered["via"], answered.get("reason"), iso(row["closed_at"]), row["closed_at"], edits


def _decided(row: Row) -> tuple[Any, ...]:
    """The same as the ledger and the decision have it."""
    decision = json.loads(row["decision_body"])
    return _by(row), row["via"], decision["reason"], decision["decided_at"], row["decided_at"], None


def _ledger_hash(row: Row) -> str:
    names = {
        "tenant_id": "agreed_tenant_id",
        "case_id": "agreed_case_id",
        "workflow_id": "agreed_workflow_id",
        "gate_key": "agreed_gate_key",
        "payload": "agreed",
        "content_digest": "agreed_digest",
        "created_at": "agreed_at",
    }
    same = ("interaction_id", "topic", "dedupe_key", "origin", "via", "replier", "payload_hash")
    return row_hash({name: row[column] for name, column in names.items()} | {name: row[name] for name in same})


def _too_late(row: Row, now: int) -> str | None:
    if row["event_id"] is not None or row["dispatched_at"] is not None:
        return "this approval was used already"
    valid_ms = json.loads(row["content"])["context"]["approval_valid_ms"]
    if not row["approved_at"] <= now < row["decided_at"] + valid_ms:
        return "this approval is no longer good; ask again"
    return None
