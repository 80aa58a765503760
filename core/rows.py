"""Rows to frozen types and back: the only place that knows which columns hold JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.digest import canonical, sha256_hex
from core.ledger import Row
from core.model import Address, CardRef, Case, Identity, Policy, Source
from core.states import Status

LEDGER_COLUMNS = (
    "interaction_id", "tenant_id", "case_id", "workflow_id", "gate_key", "topic", "dedupe_key", "origin", "via",
    "replier", "payload", "payload_hash", "content_digest", "created_at",
)  # fmt: skip


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def maybe_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def policy_of(value: Mapping[str, Any]) -> Policy:
    return Policy(
        any_of=tuple(value["any_of"]),
        exclude_requester=bool(value["exclude_requester"]),
        quorum=int(value["quorum"]),
        reject_quorum=int(value["reject_quorum"]),
    )


def address_of(text: str) -> Address:
    platform, _, channel = text.partition(":")
    return Address(platform, channel)


def case_of(row: Row) -> Case:
    terms = json.loads(row["terms"])
    return Case(
        case_id=row["case_id"],
        tenant_id=row["tenant_id"],
        workflow_id=row["workflow_id"],
        gate_key=row["gate_key"],
        source_id=row["source_id"],
        type=row["type"],
        status=Status(row["status"]),
        content=json.loads(row["content"]),
        content_digest=row["content_digest"],
        terms=terms,
        policy=policy_of(terms["policy"]),
        created_at=row["created_at"],
        opened_at=row["opened_at"],
        expires_at=row["expires_at"],
        closed_at=row["closed_at"],
        result=maybe_json(row["result"]),
        answered=maybe_json(row["answered"]),
        previous_case_id=row["previous_case_id"],
        next_case_id=row["next_case_id"],
        progress=maybe_json(row["progress"]),
        version=row["version"],
        last_event=row["last_event"],
        reminder_sent_at=row["reminder_sent_at"],
        settles_at=row["settles_at"],
        votes=tuple(maybe_json(row["votes"]) or ()),
    )


def source_of(row: Row) -> Source:
    settings = json.loads(row["settings"])
    return Source(
        source_id=row["source_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        description=row["description"],
        mode=row["mode"],
        notify=tuple(address_of(text) for text in settings.get("notify", ())),
        policy=policy_of(settings["policy"]) if settings.get("policy") else None,
        created_at=row["created_at"],
        grace_ms=int(settings.get("grace_ms", 0)),
        signed=bool(settings.get("signed")),
        images=bool(settings.get("images")),
    )


def card_of(row: Row) -> CardRef:
    return CardRef(
        card_id=row["card_id"],
        case_id=row["case_id"],
        tenant_id=row["tenant_id"],
        address=Address(row["platform"], row["channel"]),
        message=row["message"],
        wanted_version=row["wanted_version"],
        shown_version=row["shown_version"],
        shown_digest=row["shown_digest"],
        attempts=row["attempts"],
        lease=row["lease"],
        doubtful=row["started"] > 1,
        state=row["state"],
        last_error=row["last_error"],
    )


def replier_json(identity: Identity) -> str:
    """What the ledger keeps of who replied; canonical, because it is hashed."""
    found = identity.as_json() | {"verified": identity.verified}
    return canonical(found | ({"team": identity.team} if identity.team else {})).decode()


def row_hash(row: Mapping[str, Any] | Row) -> str:
    """SHA-256 of a ledger row's own content (all columns but the hash and the position)."""
    return sha256_hex(canonical({name: row[name] for name in LEDGER_COLUMNS}))
