"""What an approved guarded operation writes beside its decision: that it awaits dispatch, and until when; and the
grant, where whoever agreed lets the same through for a while.

`terms["guarded"]` of such a case holds `valid_ms`, how long its approval may wait for dispatch, and `grant_ms`, for how
long it may be remembered at most (0: not at all).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.admission import admitted_in
from core.digest import canonical, digest
from core.errors import InvalidData, InvalidInput, Refused
from core.ledger import Row, Tx, Write
from core.ledger import guard_queries as g
from core.ledger import people_queries as q
from core.model import Case, Decision, Identity, JsonObject, Principal
from core.rows import to_json
from core.schedule import HOUR, MINUTE
from core.tokens import new_id

MAX_GRANT = 8 * HOUR  # contract: no approval is remembered for longer
MAX_PAYLOAD = 256 * 1024  # bytes of an operation's arguments
REMEMBERED = "grant_minutes"  # in the data of an approval: for how long the same is let through


def guarded(case: Case) -> JsonObject | None:
    """The terms of a guarded operation; None for every other case."""
    found: JsonObject | None = case.terms.get("guarded")
    return found


def payload_text(payload: JsonObject) -> str:
    """The arguments as canonical JSON; its SHA-256 is their digest. Raises InvalidInput when they are too large."""
    text = canonical(payload)
    if len(text) > MAX_PAYLOAD:
        raise InvalidInput("payload may have 256 KiB", field="payload")
    return text.decode()


def operation_of(case: Case) -> tuple[str, JsonObject]:
    """What a guarded case shows: the operation and its arguments."""
    return str(case.content["context"]["operation"]), case.content["blocks"][0]["content"]


def most_remembered(case: Case) -> int:
    """For how many minutes an approval may be remembered; 0 where it may not be, or where several must agree to it:
    each of them speaks for this once.
    """
    terms = guarded(case)
    return 0 if terms is None or case.policy.quorum > 1 else int(terms["grant_ms"]) // MINUTE


def check_remembered(case: Case, action: str, data: Mapping[str, Any]) -> None:
    """Raise InvalidData when an approval asks to be remembered for longer than it may be."""
    if guarded(case) is None or REMEMBERED not in data or action != "approve":
        return
    minutes, most = data[REMEMBERED], most_remembered(case)
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= most:
        words = (
            f"must be a whole number of minutes from 1 to {most}"
            if most
            else "must be left out: nobody may remember this"
        )
        raise InvalidData(f"{REMEMBERED} {words}", fields={REMEMBERED: words})


async def stands_in(tx: Tx, grant: Row, case: Case, poster: Principal) -> bool:
    """Whether a remembered approval stands in for the people whom this case would ask. It is worth no more than what
    whoever gave it could say here themselves: not to what they posted or asked for, under whatever identity, not where
    others or several must agree, and for no longer than the case's rule remembers approvals.
    """
    given = json.loads(grant["granted_by"])
    giver = Identity(given["platform"], given["platform_user_id"], verified=True)
    if giver == Identity("key", poster.key_id, verified=True):
        return False
    until = min(grant["expires_at"], grant["created_at"] + most_remembered(case) * MINUTE)
    if case.created_at >= until:
        return False
    known = await tx.all(q.IDENTITIES_AT, platform=giver.platform, user_id=giver.user_id)
    for reviewer_id in {row["reviewer_id"] for row in known} or {None}:
        found = await admitted_in(
            tx,
            case,
            giver,
            now=case.created_at,
            # A key stands for the reviewers of its tenant, as in `GuardedTasks.approve`; a link for whoever holds it.
            in_channel=giver.platform != "link",
            requested_by=case.terms.get("requested_by"),
            reviewer_id=reviewer_id,
        )
        if isinstance(found, Refused):
            return False
    return True


def approval_writes(case: Case, decision: Decision) -> list[Write]:
    """`case` is closed and approved; its decision is written in the same transaction."""
    terms = guarded(case)
    assert terms is not None
    now = decision.decided_at
    approved = {"case_id": case.case_id, "approved_at": now, "approved_until": now + int(terms["valid_ms"])}
    writes = [Write(g.APPROVE_TASK, approved)]
    data = (case.result or {}).get("data", {})
    if minutes := data.get(REMEMBERED):
        writes.append(grant_write(case, decision, minutes * MINUTE, new_id("grt_")))
    return writes


def grant_write(case: Case, decision: Decision, ms: int, grant_id: str) -> Write:
    """`decision` is by which somebody gave it, of a case that shows the operation."""
    operation, payload = operation_of(case)
    return Write(
        g.INSERT_GRANT,
        {
            "grant_id": grant_id,
            "tenant_id": case.tenant_id,
            "operation": operation,
            "payload": to_json(payload),
            "payload_digest": digest(payload),
            "reason": decision.reason,
            "case_id": case.case_id,
            "interaction_id": decision.interaction_id,
            "granted_by": to_json(decision.decided_by),
            "created_at": decision.decided_at,
            "expires_at": decision.decided_at + ms,
            "revoked_at": None,
            "revoked_by": None,
        },
    )
