"""What is written when a case opens: the case, its tokens, its cards. Pure but for random ids; the gate does I/O."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core import schedule
from core.chat_terms import TAKEN_OVER, chain_of, next_level, within
from core.digest import canonical, sha256_hex
from core.errors import InvalidInput
from core.floods import chat_of, show_by
from core.forms import check_form
from core.ledger import Tx, Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import inbox_queries as iq
from core.ledger import people_queries as pq
from core.model import INLINE_ACTIONS, Address, Case, Draft, JsonObject, Opened, Policy, Principal
from core.policy import default_policy
from core.rows import address_of, policy_of, to_json
from core.sealing import KeyRing
from core.states import Status
from core.tokens import new_id, new_token, token_hash
from core.verification import with_challenge

MAX_CONTEXT = 256 * 1024
GRACE_MS = 5 * schedule.MINUTE  # for cases without a source; executors of a source wait for no second thoughts


@dataclass(frozen=True, slots=True)
class NewCase:
    """The parts of a new case that do not depend on the database: made once, so that a re-run writes the same."""

    case_id: str
    content: JsonObject
    content_text: str
    review_token: str
    sealed_review_token: str
    submit_token: str | None
    verification_policy: JsonObject | None


def content_of(draft: Draft) -> dict[str, Any]:
    """Everything that is shown, and so agreed: its digest goes on the case, the cards, the page and the decision."""
    found = {
        "type": draft.type,
        "prompt": draft.prompt,
        "message": draft.message,
        "context": draft.context,
        "blocks": list(draft.blocks),
        "actions": list(draft.actions),
    }
    also = {"labels": dict(draft.labels) or None, "task": draft.task}
    return found | {name: value for name, value in also.items() if value is not None}


def new_case(draft: Draft, keys: KeyRing) -> NewCase:
    """Check what only the draft decides and draw the ids and secrets. Raises InvalidInput."""
    check_form(draft.context)
    content = content_of(draft)
    text = canonical(content)
    if len(text) > MAX_CONTEXT and len(canonical(draft.context)) > MAX_CONTEXT:
        raise InvalidInput("context may have 256 KiB", field="context")
    case_id, review_token = new_id("review_"), new_token()
    return NewCase(
        case_id=case_id,
        content=content,
        content_text=text.decode(),
        review_token=review_token,
        sealed_review_token=keys.seal(review_token, about=f"{case_id}:review"),
        submit_token=new_token() if draft.inline_actions else None,
        verification_policy=with_challenge(draft.verification_policy, new_token()),
    )


def source_defaults(draft: Draft, source_settings: str | None, language: str = "en") -> Draft:
    """The draft with the source's route, reviewers and language where it names none of its own, and `language` where
    neither does.
    """
    settings: Mapping[str, Any] = json.loads(source_settings) if source_settings else {}
    chat: Mapping[str, Any] = settings.get("chat", {})
    policy = draft.policy or (policy_of(settings["policy"]) if settings.get("policy") else default_policy(draft.type))
    notify = draft.notify
    if notify is None:
        notify = tuple(address_of(text) for text in settings.get("notify", ())) or draft.wished_notify
    _check_quorum(draft, policy)
    chain = settings.get("escalation_chain", ()) if draft.escalation_chain is None else draft.escalation_chain
    if draft.escalation_chain is not None:
        within(chain_of({"escalation_chain": chain}), draft.timeout_ms)
    grace_ms = draft.grace_ms
    if grace_ms is None:
        grace_ms = GRACE_MS if draft.source_id is None else settings.get("grace_ms", 0)
    return replace(
        draft,
        policy=policy,
        notify=notify,
        grace_ms=grace_ms,
        signed=bool(settings.get("signed")),
        images=bool(settings.get("images")),
        language=draft.language or chat.get("language") or language,
        full_review=bool(chat.get("require_full_review", draft.guarded is not None)),
        pushed=settings.get("pushed_since") is not None,
        # A source knows no deadlines: what would come after this one's never comes.
        escalation_chain=tuple(level for level in chain if level["after_ms"] < draft.timeout_ms),
        chat={**{name: chat[name] for name in TAKEN_OVER if name in chat}, **draft.chat},
    )


def _check_quorum(draft: Draft, policy: Policy) -> None:
    """Several people can agree on a button; answers of their own would hardly ever be the same."""
    if policy.quorum + policy.reject_quorum > 2 and draft.type not in INLINE_ACTIONS:
        raise InvalidInput(
            f"reviewers.quorum: a quorum above 1 is for {', '.join(INLINE_ACTIONS)}, which are answered by a button",
            field="reviewers.quorum",
        )
    if policy.quorum > 1 and draft.task is not None and (draft.task["interaction_schema"] or {}).get("options"):
        raise InvalidInput("interaction_schema.options are for one person to choose from, not for a quorum")


def opening_writes(
    found: NewCase, principal: Principal, draft: Draft, now: int, keys: KeyRing
) -> tuple[Opened, list[Write]]:
    """The case as it opens at `now`, and the rows that make it so."""
    expires_at = now + draft.timeout_ms
    reminders = draft.reminder_at
    if reminders is None:
        reminders = tuple(schedule.default_reminders(now, expires_at))
    assert draft.policy is not None and draft.notify is not None
    case = Case(
        case_id=found.case_id,
        tenant_id=principal.tenant_id,
        workflow_id=draft.workflow_id or found.case_id,
        gate_key=draft.gate_key,
        source_id=draft.source_id,
        type=draft.type,
        status=Status.PENDING,
        content=found.content,
        content_digest="sha256:" + sha256_hex(found.content_text.encode()),
        terms={
            "inline_actions": list(draft.inline_actions),
            "policy": draft.policy.as_json(),
            "requested_by": draft.requested_by,
            "timeout": draft.timeout,
            "default_action": draft.default_action,
            "reminder_at": list(reminders),
            "callback_url": draft.callback_url,
            "metadata": draft.metadata,
            "spec_version": draft.spec_version,
            "language": draft.language,
            "require_full_review": draft.full_review,
            "grace_ms": draft.grace_ms,
            "flow": draft.flow,
            "signed": draft.signed,
            "images": draft.images,
            "pushed": draft.pushed,
            "verification_policy": found.verification_policy,
            "guarded": draft.guarded,
            "gate": draft.gate,
            "escalation_chain": list(draft.escalation_chain or ()),
            "listed": _is_listed(draft),
            **draft.chat,
        },
        policy=draft.policy,
        created_at=now,
        opened_at=None,
        expires_at=expires_at,
        closed_at=None,
        result=None,
        answered=None,
        previous_case_id=draft.previous_case_id,
        next_case_id=None,
        progress=None,
        version=1,
        last_event=0,
    )
    writes = [
        _insert_case(case, found, principal),
        _token(case, "review", "link", found.review_token, found.sealed_review_token),
    ]
    if found.submit_token is not None:
        writes.append(_token(case, "submit", "agent", found.submit_token, None))
    writes += card_writes(case, draft.notify, keys, now)
    writes += inbox_writes(case, draft.policy.any_of, draft.notify)
    if case.previous_case_id is not None:
        link = {"case_id": case.previous_case_id, "next_case_id": case.case_id}
        writes.append(Write(q.LINK_NEXT_CASE, link, rows=None))
    return Opened(case, found.review_token, found.submit_token), writes


def _insert_case(case: Case, found: NewCase, principal: Principal) -> Write:
    return Write(
        q.INSERT_CASE,
        {
            "case_id": case.case_id,
            "tenant_id": case.tenant_id,
            "workflow_id": case.workflow_id,
            "gate_key": case.gate_key,
            "source_id": case.source_id,
            "key_id": principal.key_id,
            "type": case.type,
            "status": str(case.status),
            "content": found.content_text,
            "content_digest": case.content_digest,
            "terms": to_json(case.terms),
            "created_at": case.created_at,
            "opened_at": None,
            "expires_at": case.expires_at,
            "closed_at": None,
            "result": None,
            "answered": None,
            "previous_case_id": case.previous_case_id,
            "next_case_id": None,
            "progress": None,
            "version": case.version,
            "last_event": case.last_event,
            "remind_at": schedule.next_reminder(case.terms["reminder_at"], case.created_at, case.expires_at),
            "escalate_at": next_level(chain_of(case.terms), case.created_at, 0),
        },
    )


def _token(case: Case, kind: str, holder: str, token: str, sealed: str | None) -> Write:
    return Write(
        q.INSERT_TOKEN,
        {
            "token_hash": token_hash(token),
            "case_id": case.case_id,
            "kind": kind,
            "holder": holder,
            "sealed": sealed,
            "revoked_at": None,
        },
    )


def card_writes(
    case: Case, chats: Iterable[Address], keys: KeyRing, now: int, *, connected: Container[str] = ()
) -> list[Write]:
    """A card in each of these chats. `connected`: the messengers that have the case's cards already."""
    writes = []
    addresses = dict.fromkeys(chats)
    if case.inline_actions:
        # Every adapter answers with a token of its own, so that the ledger names the channel and one can be revoked
        # alone.
        for platform in dict.fromkeys(address.platform for address in addresses):
            if platform not in connected:
                token = new_token()
                sealed = keys.seal(token, about=f"{case.case_id}:submit:{platform}")
                writes.append(_token(case, "submit", platform, token, sealed))
    for address in addresses:
        card = {
            "card_id": new_id(),
            "case_id": case.case_id,
            "tenant_id": case.tenant_id,
            "platform": address.platform,
            "channel": address.channel,
            "message": None,
            "wanted_version": 1,
            "shown_version": 0,
            "shown_digest": None,
            "state": "live",
            "attempts": 0,
            "due_at": now,  # first come, first shown
            "lease": 0,
            "started": 0,
            "last_error": None,
            "show_by": show_by(case),
        }
        writes.append(Write(cq.INSERT_CARD, card))
    return writes


def inbox_writes(case: Case, entries: Iterable[str], chats: Iterable[Address]) -> list[Write]:
    """In whose inboxes the case waits: of those whom `entries` name, and of those in its chats who may answer."""
    places = [inbox_entry(entry, case.tenant_id) for entry in entries if entry not in ("channel", "link")]
    if "channel" in case.policy.any_of:
        places += [place_entry(address) for address in chats]
    row = {"case_id": case.case_id, "tenant_id": case.tenant_id, "expires_at": case.expires_at, "closed_at": None}
    return [Write(iq.INSERT_INBOX_ENTRY, row | {"entry": entry}, rows=None) for entry in dict.fromkeys(places)]


def inbox_entry(entry: str, tenant_id: str) -> str:
    """A policy's entry as inboxes know it: two tenants may have a group of one name."""
    return f"group:{tenant_id}:{entry.removeprefix('group:')}" if entry.startswith("group:") else entry


def place_entry(address: Address) -> str:
    """Those who are in this chat; topics are of one chat."""
    return f"in:{address.platform}:{chat_of(address.channel)}"


def _is_listed(draft: Draft) -> bool:
    """Whether the case is in anybody's inbox, now or after an escalation."""
    assert draft.policy is not None
    named = any(entry not in ("channel", "link") for entry in draft.policy.any_of)
    return named or bool(draft.notify) or bool(draft.escalation_chain)


async def with_groups(tx: Tx, tenant_id: str, draft: Draft) -> Draft:
    """The draft, in whose policy stands who is in the groups that it names, now. Raises InvalidInput for a group that
    there is not.
    """
    assert draft.policy is not None
    chain = chain_of({"escalation_chain": draft.escalation_chain})
    entries = [*draft.policy.any_of, *(one for level in chain for one in (*level.reviewers, *level.mention))]
    names = sorted({entry.removeprefix("group:") for entry in entries if entry.startswith("group:")})
    if not names:
        return draft
    members: dict[str, list[str]] = {}
    for row in await tx.all(pq.GROUP_MEMBERS, tenant_id=tenant_id, names=to_json(names)):
        found = members.setdefault(row["name"], [])
        if row["address"] is not None:
            found.append(row["address"])
    if unknown := [name for name in names if name not in members]:
        raise InvalidInput(f"reviewers.any_of: there is no group {unknown[0]!r}", field="reviewers.any_of")
    groups = {f"group:{name}": tuple(found) for name, found in members.items()}
    return replace(draft, policy=replace(draft.policy, groups=groups))
