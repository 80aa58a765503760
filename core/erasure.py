"""What erasing leaves of what was written about a case. Pure: what is stored goes in, and comes out without it.

Everything that a person or an agent wrote, or was shown, goes. What stays: ids, types, moments, actions, who decided
and through what, and all hashes. Erasing twice is erasing once.

An erasure is a row of the ledger itself. It names the case and every row that it has emptied, with the hash that was
written with it (it stays, and so does the chain over it) and the hash that it has since; and it is signed, so that
whoever only has the database can call nothing an erasure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.digest import canonical, sha256_hex
from core.errors import InvalidInput
from core.ledger import Row
from core.model import JsonObject
from core.rows import LEDGER_COLUMNS, row_hash, to_json
from core.sealing import KeyRing
from core.wording import moment
from core.words import words_for

TOPIC, DEDUPE_KEY, ACTION = "sys:erase", "erase", "erase"
CASE_COLUMNS = ("content", "terms", "result", "answered", "working")
_GUARDED = ("operation", "task_digest", "approval_valid_ms")  # of a guarded operation's context: a name, a hash, a span
REMINDER = "reminder"
# Of what happened to a case: who did what, and when; not what they wrote.
_TOLD = frozenset({
    "action", "after_ms", "blocks", "by", "code", "content_digest", "expires_at", "level", "levels", "mention",
    "notify", "remind_at", "reminder_at", "reviewers", "tally", "via",
})  # fmt: skip


def erased_words(terms: JsonObject, erased_at: int) -> str:
    """What stands where a case's question stood, in the language that was agreed."""
    words = words_for(terms.get("language") or "en")
    return str(words["erased"]).format(moment(erased_at, words))


def erased_content(content: JsonObject, terms: JsonObject, erased_at: int) -> dict[str, Any]:
    """Content of the same shape that shows nothing of what was asked."""
    shown = _GUARDED if terms.get("guarded") is not None else ()
    found: dict[str, Any] = {
        "type": content["type"],
        "prompt": erased_words(terms, erased_at),
        "message": None,
        "context": {name: content["context"][name] for name in shown},
        "blocks": [],
        "actions": content["actions"],
    }
    return found if content.get("task") is None else found | {"task": _task(content["task"])}


def _task(task: JsonObject) -> dict[str, Any]:
    """What a review task is filtered by; of service and action the id and the type."""
    service, action = task["service"]["id"], task["action"]["type"]
    return {
        "service": {"id": service, "name": service},
        "action": {"type": action, "verb": action},
        "risk_level": task["risk_level"],
        "risk_warning": None,
        "priority": task["priority"],
        "source_service": None,
        "preview": None,
        "interaction_schema": None,
        "deny_reasons": [],
    }


def erased_case(row: Row, erased_at: int) -> dict[str, str | None]:
    """The columns of a case that change, as they are stored since."""
    terms, content = json.loads(row["terms"]), json.loads(row["content"])
    terms |= {"metadata": {}, **({"deny_reasons": []} if "deny_reasons" in terms else {})}
    if gate := terms.get("gate"):
        terms["gate"] = {**gate, "schema": None if gate["schema"] is None else {}, "integers": []}
    result, answered, working = (json.loads(row[name] or "null") for name in ("result", "answered", "working"))
    kept = {
        "result": result and {"action": result["action"], "data": {}},
        "answered": answered and {name: answered[name] for name in answered if name not in ("reason", "blocks")},
        "working": working and {**working, "edits": {}},
    }
    return {
        "content": canonical(erased_content(content, terms, erased_at)).decode(),
        "terms": to_json(terms),
        **{name: None if value is None else to_json(value) for name, value in kept.items()},
    }


def erased_payload(text: str) -> str:
    """Of an answer in the ledger: its action."""
    return canonical({"action": json.loads(text)["action"], "data": {}}).decode()


def erased_decision(text: str) -> str:
    """A decision without its reason."""
    return to_json({**json.loads(text), "reason": None})


def erased_event(text: str) -> str:
    """A decision event of the same shape: what was decided, by whom, and the digests of all that went."""
    body = json.loads(text)
    emptied = {
        "decision": {**body["decision"], "reason": None},
        "original": [],
        "final": [],
        "diff": {"text_diffs": [], "json_patches": []},
        "result": {"action": body["result"]["action"], "data": {}},
        "metadata": {},
    }
    return to_json({**body, **emptied})


def erased_told(kind: str, text: str) -> str:
    """What is kept of something that happened to a case; all of a reminder, which says what time is left."""
    told = json.loads(text)
    kept = told if kind == REMINDER else {name: value for name, value in told.items() if name in _TOLD}
    return text if kept == told else to_json(kept)


def erased_gate_event(text: str, prompt: str, payload: JsonObject | None) -> str:
    """An event of a gate, as its case shows it since: `payload` is the answer in the gate's words."""
    told = json.loads(text)
    if "prompt" in told:
        told |= {"prompt": prompt, "message": None, "schema": None if told["schema"] is None else {}}
    if "payload" in told:
        told["payload"] = payload
    return to_json(told)


# --- the ledger's row of an erasure ---


@dataclass(frozen=True, slots=True)
class Emptied:
    """A ledger row, a decision event or the case, with the hash that it was written with (of the case: of its content)
    and the hash that it has since.
    """

    id: str
    row_hash: str
    erased_hash: str

    def as_json(self) -> dict[str, str]:
        return {"id": self.id, "row_hash": self.row_hash, "erased_hash": self.erased_hash}


def emptied_case(row: Row, erased_at: int) -> tuple[Emptied, dict[str, str | None]]:
    """What an erasure says of its case, and what the columns are since."""
    columns = erased_case(row, erased_at)
    return Emptied(row["case_id"], row["content_digest"], case_hash(columns)), columns


def case_hash(row: Row) -> str:
    """Of what is left of a case: its columns as they are stored, whatever they say."""
    return sha256_hex(canonical({name: row[name] for name in CASE_COLUMNS}))


def is_left_so(row: Row, content_digest: str, emptied: Mapping[str, Emptied]) -> bool:
    """Whether a case's columns are as its erasure has left them; `content_digest` is of what was asked."""
    try:
        return emptied.get(row["case_id"]) == Emptied(row["case_id"], content_digest, case_hash(row))
    except InvalidInput:
        return False


def emptied_interaction(row: Row) -> tuple[Emptied, str]:
    """What an erasure says of a ledger row, and what its payload is since."""
    payload = erased_payload(row["payload"])
    after = {name: row[name] for name in LEDGER_COLUMNS} | {"payload": payload}
    return Emptied(row["interaction_id"], row["row_hash"], row_hash(after)), payload


def emptied_event(row: Row) -> tuple[Emptied, str]:
    """What an erasure says of a decision event, and what its body is since."""
    body = erased_event(row["body"])
    return Emptied(row["event_id"], row["row_hash"], sha256_hex(body.encode())), body


def erasure_data(tenant_id: str, case_id: str, erased_at: int, rows: Sequence[Emptied], keys: KeyRing) -> JsonObject:
    """What the ledger's row of an erasure says."""
    listed = [row.as_json() for row in rows]
    key_id, signature = keys.sign(_message(tenant_id, case_id, erased_at, listed))
    return {"rows": listed, "key_id": key_id, "signature": signature}


def erasure_in(row: Row, keys: KeyRing) -> Mapping[str, Emptied] | None:
    """What a ledger row of that topic has emptied, by id; None when it was not written by this installation."""
    try:
        data = json.loads(row["payload"])["data"]
        message = _message(row["tenant_id"], row["case_id"], row["created_at"], data["rows"])
        if keys.signed(message, data["key_id"], data["signature"]) is not True:
            return None
        return {one["id"]: Emptied(**one) for one in data["rows"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InvalidInput):
        return None


def _message(tenant_id: str, case_id: str, erased_at: int, rows: Sequence[Mapping[str, str]]) -> bytes:
    """What an erasure's signature is over."""
    return f"assent-erasure-v1\n{tenant_id}\n{case_id}\n{erased_at}\n{sha256_hex(canonical(rows))}".encode()
