"""What `assent verify` holds against each other outside SQL: what JSON says, and digests. Pure; rows may hold anything,
and what is no JSON is a contradiction and no crash.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from core.digest import digest, sha256_hex
from core.erasure import erasure_in, is_left_so
from core.errors import InvalidInput
from core.gate_answers import payload_of
from core.gate_keys import audit_key, decision_key, prompt_key, result_key
from core.ledger import Row
from core.oracle_list import (
    CHANGED,
    CLOSED_BY_NOBODY,
    ENDED_OTHERWISE,
    ERASED_OTHERWISE,
    NEVER_TOLD,
    REOPENED,
    UNANNOUNCED,
    UNDECIDED,
)
from core.outcome import reason_in
from core.policy import needed
from core.rows import case_of, policy_of, shown_replier, with_edits
from core.sealing import KeyRing
from core.states import GATE_STATE, TERMINAL, Status, Verdict, verdict

_ENDS = {
    "sys:timeout": Status.EXPIRED,
    "sys:cancel": Status.CANCELLED,
    "sys:close": Status.CANCELLED,
}  # by topic; people's replies complete a case


def disagreements(row: Row) -> Iterator[tuple[str, str]]:
    """How a case, its decision, its ledger row and its event contradict each other."""
    written = f"sha256:{sha256_hex(str(row['content']).encode())}"
    if row["erased_at"] is None and written != row["content_digest"]:
        yield CHANGED, "the content is not what its digest says"
    if row["status"] not in set(TERMINAL):
        if row["endings"] or row["decided_by"] is not None:
            yield CHANGED, REOPENED
    elif row["interaction_id"] is None or row["interaction_case_id"] != row["case_id"]:
        yield UNDECIDED, CLOSED_BY_NOBODY
    else:
        yield from _against_ledger(row)


def _against_ledger(row: Row) -> Iterator[tuple[str, str]]:
    said, replier, answered = map(_object, (row["payload"], row["replier"], row["answered"]))
    by = shown_replier(replier)
    if row["agreed_digest"] != _shown_digest(row):
        yield CHANGED, "the content is not the one that was agreed to"
    if row["status"] != _ENDS.get(row["topic"], Status.COMPLETED):
        yield CHANGED, ENDED_OTHERWISE
    if row["closed_at"] != row["agreed_at"]:  # or it would be erased before its time, or never
        yield CHANGED, "it did not end when the ledger says"
    if row["status"] == Status.COMPLETED and _object(row["result"]) != said:
        yield CHANGED, "the result is not the one in the ledger"
    if (answered.get("by"), answered.get("via")) != (by, row["via"]):
        yield CHANGED, "who answered, or from where, is not what the ledger says"
    # What the ledger has of a withdrawal does not say why.
    if row["status"] == Status.COMPLETED and answered.get("reason") != _reason(said):
        yield CHANGED, "the reason is not the one in the ledger"
    outcome = verdict(str(said.get("action")), timed_out=row["topic"] == "sys:timeout")
    if row["decided_by"] is not None and row["settles_at"] is not None:
        yield CHANGED, "this was decided while its answer could still be revised"
    if row["settles_at"] is None and (row["decided_by"] is None) is not (outcome is None):
        yield UNDECIDED, "this case is closed and nothing decided it" if outcome else "nothing was decided here"
    if row["decided_by"] is not None:
        yield from _against_decision(row, said, by, answered.get("reason"), outcome)


def _shown_digest(row: Row) -> str | None:
    """The digest of what the case shows: what the agent sent, with what reviewers made of its blocks."""
    if row["working"] is None:
        return str(row["content_digest"])
    if row["erased_at"] is not None:
        return _object(row["working"]).get("digest")
    content, edits = _object(row["content"]), _object(row["working"]).get("edits")
    try:
        return digest({**content, "blocks": with_edits(content["blocks"], edits)}) if edits else row["content_digest"]
    except (KeyError, TypeError, InvalidInput):
        return None


def _reason(said: dict[str, Any]) -> str | None:
    data = said.get("data")
    return reason_in(data) if isinstance(data, dict) else None


def _needed(row: Row) -> int:
    """How many people had to say what was decided; more than there can be where nobody can tell any more."""
    if str(row["topic"]).startswith("sys:"):
        return 0
    try:
        return needed(policy_of(_object(row["terms"])["policy"]), str(row["decided_action"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return sys.maxsize


def _against_decision(
    row: Row, said: dict[str, Any], by: dict[str, Any], reason: str | None, outcome: Verdict | None
) -> Iterator[tuple[str, str]]:
    decision = _object(row["decision_body"])
    if said.get("action") != row["decided_action"]:
        yield CHANGED, "the decision is not the one in the ledger"
    elif row["voices"] < _needed(row):
        yield CHANGED, "fewer people have said so than had to"
    if outcome != row["verdict"]:
        yield CHANGED, "the verdict does not follow from the reply"
    if [decision.get(name) for name in ("type", "action", "reason", "decided_by", "via")] != [
        row["verdict"], row["decided_action"], reason, by, row["via"],
    ]:  # fmt: skip
        yield CHANGED, "the decision's text is not what the ledger says"
    awaiting = row["guarded"] is not None and row["verdict"] == Verdict.APPROVE and row["dispatched_at"] is None
    if row["source_id"] is not None and row["event_id"] is None and not awaiting:
        yield UNANNOUNCED, NEVER_TOLD
    if row["event_id"] is not None:
        expected = {
            "case_id": row["case_id"],
            "decision": decision,
            "result": said,
            "content_digest": row["agreed_digest"],
            "ledger": {"interaction_id": row["interaction_id"], "row_hash": row["row_hash"]},
        }
        event = _object(row["event_body"])
        if {name: event.get(name) for name in expected} != expected:
            yield CHANGED, "the event does not say what was decided"


def unlike_its_erasure(row: Row, keys: KeyRing) -> str | None:
    """What is wrong with a case that says it was erased, or of which the ledger says so."""
    if row["erased_at"] is None or row["erasure"] is None or row["erased_at"] != row["erasure_at"]:
        return None if row["erased_at"] is row["erasure"] is None else ERASED_OTHERWISE
    erasure = {name: row[name] for name in ("tenant_id", "case_id")}
    emptied = erasure_in({**erasure, "payload": row["erasure"], "created_at": row["erasure_at"]}, keys)
    if emptied is None:
        return "its erasure is not signed with a key that is known here"
    whole = is_left_so(row, row["content_digest"], emptied)
    return None if whole else "something was written into it since it was erased"


# --- runs and their gates ---


def unlike_its_case(row: Row) -> str | None:
    """What an event of a gate says that its case, or the decision, does not."""
    told, decided = _object(row["event_data"]), _object(row["decision_body"])
    try:
        case = case_of(row)
        gate_key, state = case.gate_key, GATE_STATE[case.status]
        expected: dict[str, dict[str, Any]] = {
            prompt_key(gate_key): {"prompt": case.prompt, "content_digest": row["content_digest"]},
            result_key(gate_key): {
                "state": None if state is None else str(state),
                "payload": payload_of(case),
                "interaction_id": row["interaction_id"],
            },
            decision_key(gate_key): {
                "verdict": decided.get("type"),
                "action": decided.get("action"),
                "timed_out": decided.get("timed_out"),
            },
            audit_key(gate_key): {"status": str(case.status)},
        }
        wanted = expected[row["event_key"]]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return "this says nothing that its case could have said"
    wrong = [name for name, value in wanted.items() if told.get(name) != value]
    return f"its {wrong[0]} is not that of its case" if wrong else None


def unlike_its_end(row: Row) -> str | None:
    """What a run that has ended says of it now, and did not say then."""
    told = _object(row["told"])
    wrong = [name for name in ("status", "outcome") if told.get(name) != row[name]]
    return f"its {wrong[0]} is not the one with which it ended" if wrong else None


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object as it was stored; {} for whatever somebody may have put in its place."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
