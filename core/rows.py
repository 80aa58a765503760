"""Rows to frozen types and back: the only place that knows which columns hold JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.digest import canonical, sha256_hex
from core.errors import InvalidInput
from core.ledger import Row
from core.model import Address, CardRef, Case, Identity, JsonObject, Policy, Source, Webhook
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
        separate_duties=tuple(value.get("separate_duties", ())),
        groups={name: tuple(members) for name, members in value.get("groups", {}).items()},
    )


def address_of(text: str) -> Address:
    platform, _, channel = text.partition(":")
    return Address(platform, channel)


def case_of(row: Row) -> Case:
    """The case as it stands: where reviewers have changed its blocks, with these and the digest of what they show."""
    terms, content, working = json.loads(row["terms"]), json.loads(row["content"]), maybe_json(row["working"])
    opened_blocks = None
    if working is not None:
        opened_blocks = tuple(content["blocks"])
        content["blocks"] = with_edits(opened_blocks, working["edits"])
    return Case(
        case_id=row["case_id"],
        tenant_id=row["tenant_id"],
        workflow_id=row["workflow_id"],
        gate_key=row["gate_key"],
        source_id=row["source_id"],
        type=row["type"],
        status=Status(row["status"]),
        content=content,
        content_digest=row["content_digest"] if working is None else working["digest"],
        terms=terms,
        policy=_climbed(policy_of(terms["policy"]), terms, row["escalated"] or 0),
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
        edition=0 if working is None else working["edition"],
        edited_by=None if working is None else working["by"],
        opened_blocks=opened_blocks,
        escalated=row["escalated"] or 0,
        extended=row["extended"] or 0,
        erased_at=row["erased_at"],
    )


def _climbed(policy: Policy, terms: JsonObject, levels: int) -> Policy:
    """The policy with the reviewers of the levels that the case has climbed."""
    if not levels:
        return policy
    more = [entry for level in terms["escalation_chain"][:levels] for entry in level["reviewers"]]
    return replace(policy, any_of=tuple(dict.fromkeys((*policy.any_of, *more))))


def with_edits(blocks: Sequence[JsonObject], edits: JsonObject) -> list[JsonObject]:
    """The blocks with what reviewers made of some, by id."""
    return [{**block, "content": edits[block["id"]]} if block["id"] in edits else block for block in blocks]


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
        webhook=webhook_of(settings.get("webhook")),
        pushed_since=settings.get("pushed_since"),
        escalation_chain=tuple(settings.get("escalation_chain", ())),
        chat=settings.get("chat", {}),
    )


def webhook_of(value: Mapping[str, Any] | None) -> Webhook | None:
    if value is None:
        return None
    old = tuple((str(sealed), int(until)) for sealed, until in value["old_secrets"])
    return Webhook(**{**value, "old_secrets": old})


def source_settings(source: Source) -> str:
    """What the `settings` of a source's row hold."""
    return to_json(
        {
            "notify": [str(address) for address in source.notify],
            "policy": source.policy.as_json() if source.policy else None,
            "grace_ms": source.grace_ms,
            "signed": source.signed,
            "images": source.images,
            "webhook": asdict(source.webhook) if source.webhook else None,
            "pushed_since": source.pushed_since,
            "escalation_chain": list(source.escalation_chain),
            "chat": dict(source.chat),
        }
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
        whole=None if row["whole"] is None else row["whole"] == 1,
    )


def replier_json(identity: Identity) -> str:
    """What the ledger keeps of who replied; canonical, because it is hashed."""
    return canonical(_replier(identity)).decode()


def _replier(identity: Identity) -> dict[str, Any]:
    found = identity.as_json() | {"verified": identity.verified}
    if identity.team:
        found["team"] = identity.team
    if identity.on_behalf_of is not None:
        found["on_behalf_of"] = _replier(identity.on_behalf_of)
    return found


def shown_replier(replier: Mapping[str, Any]) -> dict[str, Any]:
    """Who replied as the doors show it, from what the ledger keeps (see `replier_json`)."""
    found = {name: value for name, value in replier.items() if name not in ("verified", "team")}
    if giver := found.get("on_behalf_of"):
        found["on_behalf_of"] = shown_replier(giver)
    return found


def row_hash(row: Mapping[str, Any] | Row) -> str:
    """SHA-256 of a ledger row's own content (all columns but the hash and the position)."""
    return sha256_hex(canonical({name: row[name] for name in LEDGER_COLUMNS}))


def is_as_written(row: Row) -> bool:
    """Whether a ledger row still has the hashes that it was written with."""
    try:
        return (row_hash(row), sha256_hex(row["payload"].encode())) == (row["row_hash"], row["payload_hash"])
    except (InvalidInput, AttributeError):  # somebody put something in its place that never was a row of ours
        return False


def is_event_as_written(row: Row) -> bool:
    """The same of a decision event."""
    return bool(sha256_hex(str(row["body"]).encode()) == row["row_hash"])
