"""Every statement of a hot path uses an index on a database that has been in use: the plan is read, not guessed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg
import pytest

from core.gate_keys import event_keys
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import climbing_queries as clq
from core.ledger import delivery_queries as dq
from core.ledger import executor_queries as exq
from core.ledger import flood_queries as fq
from core.ledger import guard_queries as gq
from core.ledger import inbox_queries as ib
from core.ledger import kept_queries as keptq
from core.ledger import lease_queries as lq
from core.ledger import metric_queries as mq
from core.ledger import oracle_queries as oq
from core.ledger import people_queries as pq
from core.ledger import record_queries as recq
from core.ledger import reminder_queries as rq
from core.ledger import retention_queries as retq
from core.ledger import run_queries as runq
from core.ledger import seal_queries as slq
from core.ledger import source_queries as sq
from core.ledger import task_queries as tq
from core.ledger import tenant_queries as kq
from core.ledger.receipt_queries import RECEIPT
from core.ledger.statements import Statement, for_postgres, for_sqlite
from tests.support.gates import as_superuser

ROWS = 20_000
NOW = 1_800_000_000_000
TENANT, SOURCE = "t1", "s1"
TASKS = {
    "tenant_id": TENANT, "source_id": None, "risk_level": None, "service_id": None, "action_type": None,
    "status": None, "archived_before": NOW,
}  # fmt: skip

# Row `n` of each table, in SQL that both databases understand: mostly decided, sealed, shown and acked, as it is after
# a while. A backlog turns that round.
QUIET, BACKLOG = "n % 1000 = 0", "n % 10 <> 0"


def tables(waiting: str) -> dict[str, dict[str, str]]:
    closed = f"CASE WHEN {waiting} THEN NULL ELSE {NOW} END"
    erased = f"CASE WHEN {waiting} OR n % 10 = 1 THEN NULL ELSE {NOW} END"
    return {
        "tenants": {"tenant_id": "'t' || n", "created_at": "n"},
        "api_keys": {
            "key_id": "'k' || n", "tenant_id": "'t' || n", "key_hash": "'h' || n", "sealed": "'x'", "scope": "'agent'",
            "created_at": "n",
        },
        "sources": {
            "source_id": "'s' || n", "tenant_id": "'t' || (n % 50)", "name": "'x'", "mode": "'PULL_ONLY'",
            "settings": "'{}'", "created_at": "n",
        },
        "cases": {
            "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)", "workflow_id": "'c' || n", "gate_key": "'review'",
            "type": "'approval'", "source_id": "'s' || (n % 100)",
            "status": f"CASE WHEN {waiting} THEN 'pending' ELSE 'completed' END",
            "content": "'{}'", "content_digest": "'x'", "terms": "'{}'", "created_at": f"{NOW} - n",
            "expires_at": f"{NOW} - 5000 + n", "closed_at": closed,
            "result": f"CASE WHEN {waiting} THEN NULL ELSE '{{}}' END", "version": "1", "last_event": "1",
            "remind_at": f"CASE WHEN {waiting} THEN {NOW} - 9000 + n ELSE NULL END",
            "escalate_at": f"CASE WHEN {waiting} THEN {NOW} - 9000 + n ELSE NULL END", "erased_at": erased,
        },
        "flow_runs": {
            "workflow_id": "'f' || n", "tenant_id": "'t' || (n % 50)", "flow": "'x'", "inputs": "'{}'",
            "created_at": "n", "finished_at": closed, "erased_at": erased,
        },
        "reviewers": {"reviewer_id": "'rev' || n", "created_at": "n"},
        "identities": {
            "identity": "'slack:U' || n", "reviewer_id": "'rev' || n", "platform": "'slack'", "user_id": "'U' || n",
            "username": "'u' || n", "seen_at": "n", "failed_tries": "0",
        },
        "departed": {"address": "'slack:U' || n", "departed_at": "n"},
        "groups": {"tenant_id": "'t' || n", "name": "'g'", "created_at": "n", "updated_at": "n"},
        "group_members": {"tenant_id": "'t' || n", "name": "'g'", "address": "'slack:U' || n"},
        "delegations": {
            "delegation_id": "'del' || n", "giver": "'slack:U' || n", "taker": "'slack:V' || n", "created_at": "n",
            "until": f"{NOW} + n",
        },
        "codes": {
            "code_hash": "'h' || n", "kind": "'link'", "data": "'{}'", "created_at": "n", "expires_at": f"{NOW} + n",
        },
        "sessions": {
            "session_hash": "'h' || n", "identity": "'slack:U' || n", "person": "'{}'", "how": "'chat_link'",
            "created_at": "n", "expires_at": f"{NOW} + n",
        },
        "inbox_entries": {
            "entry": "'slack:U' || (n % 1000)", "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)",
            "expires_at": f"{NOW} - 5000 + n", "closed_at": closed,
        },
        "review_tasks": {
            "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)", "source_id": "'s' || (n % 100)",
            "service_id": "'mail'", "action_type": "'send'", "risk_level": "'low'", "created_at": f"{NOW} - n",
        },
        "claims": {
            "event_id": "'e' || n", "claim_id": "'cl' || n", "tenant_id": "'t' || (n % 50)", "claimer_id": "'x'",
            "key_id": "'k'", "final_digest": "'x'", "claimed_at": f"{NOW}",
        },
        "case_tokens": {
            "token_hash": "'h' || n", "case_id": "'c' || n", "kind": "'review'", "holder": "'link'", "sealed": "'x'",
        },
        "case_events": {
            "case_id": "'c' || n", "counter": "1", "kind": "'completed'", "data": "'{}'", "created_at": "n",
        },
        "human_interactions": {
            "interaction_id": "'i' || n", "tenant_id": "'t' || (n % 50)", "case_id": "'c' || n",
            "workflow_id": "'c' || n", "gate_key": "'review'", "topic": "'human:review'",
            "dedupe_key": "'slack:U' || n",
            "origin": "'webhook'", "via": "'x'", "replier": "'{}'", "payload": "'{}'", "payload_hash": "'x'",
            "content_digest": "'x'", "created_at": f"{NOW} - n", "row_hash": "'x'",
            "position": "CASE WHEN n % 1000 = 1 THEN NULL ELSE n END",
        },
        "decisions": {
            "case_id": "'c' || n", "workflow_id": "'c' || n", "key": "'decision:review'", "verdict": "'APPROVE'",
            "action": "'approve'", "interaction_id": "'i' || n", "body": "'{}'", "decided_at": "n",
        },
        "decision_events": {
            "event_id": "'e' || n", "tenant_id": "'t' || (n % 50)", "source_id": "'s' || (n % 100)",
            "case_id": "'c' || n", "body": "'{}'", "row_hash": "'x'", "created_at": f"{NOW} - n",
            "position": "CASE WHEN n % 1000 = 1 THEN NULL ELSE n END",
            "acked_at": f"CASE WHEN {waiting} THEN NULL ELSE {NOW} END",
        },
        "cards": {
            "card_id": "'d' || n", "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)", "platform": "'slack'",
            "channel": "'C1'", "wanted_version": "2", "shown_version": f"CASE WHEN {waiting} THEN 1 ELSE 2 END",
            "state": "'live'", "attempts": "0", "due_at": f"{NOW} - 5000 + n", "lease": "0", "started": "0",
            "queue": "CASE WHEN n % 20 = 3 THEN 'C' || (n % 400) END", "show_by": "n",
        },
        "questions": {
            "platform": "'telegram'", "channel": "'5'", "message": "'' || n", "card_id": "'d' || n",
            "identity": "'telegram:5'", "action": "'reject'", "edition": "0", "asked_at": "n",
        },
        "chats": {
            "platform": "'slack'", "chat": "'C' || n", "moments": "'[]'", "used_at": f"{NOW} - n",
            "next_at": f"CASE WHEN {waiting} THEN {NOW} - 5000 + n ELSE NULL END",
        },
        "digests": {
            "platform": "'slack'", "chat": "'C' || n", "began_at": "n", "message": "'m'", "attempts": "0",
            "due_at": f"{NOW} - 5000 + n", "lease": "0", "started": "0",
        },
        "notices": {
            "notice_id": "'n' || n", "card_id": "'d' || n", "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)",
            "platform": "'slack'", "kind": "'reminder'", "key": "'x'", "data": "'{}'",
            "state": f"CASE WHEN {waiting} THEN 'waiting' ELSE 'sent' END", "attempts": "0",
            "due_at": f"{NOW} - 5000 + n", "lease": "0",
        },
        "endpoints": {
            "endpoint_id": "'cb_' || n", "tenant_id": "'t' || (n % 50)", "state": "'active'", "failures": "0",
            "open_until": "0", "changed_at": "n",
        },
        "deliveries": {
            "delivery_id": "'dlv_' || n", "tenant_id": "'t' || (n % 50)", "endpoint_id": "'cb_' || (n % 1000 + 1)",
            "kind": "'callback'", "case_id": "'c' || n", "key_id": "'k' || n", "url": "'x'", "body": "'{}'",
            "message_id": "'c' || n", "state": f"CASE WHEN {waiting} THEN 'waiting' ELSE 'delivered' END",
            "attempts": "0", "due_at": f"{NOW} - 5000 + n", "lease": "0", "created_at": "n",
        },
        "delivery_attempts": {"delivery_id": "'dlv_' || n", "number": "1", "started_at": "n", "took_ms": "1"},
        "inbound": {"platform": "'slack'", "delivery_id": "'d' || n", "received_at": "n"},
        "idempotency": {
            "tenant_id": "'t' || (n % 50)", "door": "'cases'", "key": "'k' || n", "body_hash": "'x'", "answer": "'x'",
            "created_at": "n",
        },
        "chains": {"tenant_id": "'t' || n", "position": "n", "seal_no": "1", "chain_hash": "'x'"},
        "seals": {
            "tenant_id": "'t' || (n % 50)", "seal_no": "n", "last_position": "n", "chain_hash": "'x'", "sealed_at": "n",
            "key_id": "'x'", "signature": "'x'",
        },
        "leases": {"name": "'l' || n", "holder": "'x'", "until": "n"},
        "tasks": {
            "case_id": "'c' || n", "tenant_id": "'t' || (n % 50)", "source_id": "'s' || (n % 100)", "key_id": "'k'",
            "operation": "'a.b'", "payload": "'{}'", "digest": "'x'", "verdict": "'require'", "ruling": "'{}'",
            "link_hash": "'h' || n", "created_at": f"{NOW} - n", "approved_at": f"{NOW} - n", "dispatched_at": closed,
        },
        "grants": {
            "grant_id": "'g' || n", "tenant_id": "'t' || (n % 50)", "operation": "'a.b'", "payload": "'{}'",
            "payload_digest": "'x' || (n % 1000)", "case_id": "'c' || n", "interaction_id": "'i' || n",
            "granted_by": "'{}'", "created_at": f"{NOW} - n", "expires_at": f"{NOW} - n + 60000",
        },
        "intents": {
            "intent_id": "'n' || n", "tenant_id": "'t' || (n % 50)", "key_id": "'k'", "key": "'x' || n",
            "body": "'{}'", "body_hash": "'x'", "created_at": "n",
        },
        "runs": {
            "workflow_id": "'c' || n", "run_id": "'r' || n", "tenant_id": "'t' || (n % 50)", "key_id": "'k'",
            "intent_id": "'n' || n", "queue_partition_key": "'p'", "kind": "'external'",
            "status": f"CASE WHEN {waiting} THEN 'running' ELSE 'completed' END", "state": "'{}'", "attempts": "0",
            "due_at": f"CASE WHEN {waiting} THEN {NOW} - 5000 + n END", "lease": "0", "last_event": "1",
            "created_at": "n", "updated_at": f"{NOW}", "finished_at": closed, "erased_at": erased,
        },
        "workflow_events": {
            "workflow_id": "'c' || n", "key": "'ui:review'", "gate_key": "'review'", "case_id": "'c' || n",
            "data": "'{}'", "created_at": "n",
        },
        "signals": {
            "workflow_id": "'c' || n", "gate_key": "'review'", "kind": "'result'", "due_at": f"{NOW} - 5000 + n",
            "attempts": "0", "created_at": "n", "received_at": closed,
        },
        "run_steps": {
            "run_id": "'r' || n", "step_id": "'s'", "attempt": "1", "status": "'completed'", "output": "'{}'",
            "started_at": "n", "finished_at": "n",
        },
        "artifacts": {
            "run_id": "'r' || n", "step_id": "'s'", "task_key": "'t'", "attempt": "1", "idx": "0", "media_type": "'x'",
            "body": "'x'", "digest": "'x'", "created_at": "n",
        },
        "run_stream": {
            "workflow_id": "'c' || n", "counter": "1", "kind": "'step'", "data": "'{}'", "created_at": "n",
        },
    }  # fmt: skip


HOT: dict[Statement, dict[str, Any]] = {
    q.LOCK_CASE: {"case_id": "c7"},
    q.CASE: {"case_id": "c7", "tenant_id": TENANT},
    q.OPEN_FACTS: {
        "tenant_id": TENANT, "key_id": "k7", "door": "cases", "key": "k7", "lock": 7, "source_id": SOURCE,
        "previous_case_id": "c7",
    },
    q.REPLY_FACTS: {
        "token_hash": "h7", "case_id": "c7", "workflow_id": "c7", "gate_key": "review", "topic": "human:review",
        "dedupe_key": "slack:U1", "platform": "slack", "delivery_id": "d7", "identity": "slack:U7",
        "address": "slack:U7", "bare": "slack:U7",
    },
    pq.IDENTITY: {"identity": "slack:U7"},
    pq.DEPARTED: {"address": "slack:U7", "bare": "slack:U7"},
    pq.IDENTITIES_AT: {"platform": "slack", "user_id": "U7"},
    pq.ZONE_OF: {"identity": "slack:U7"},
    pq.NAMES_AT: {"platform": "slack", "user_ids": '["U7", "U8"]'},
    pq.GROUPED: {"first": "slack:", "last": "slack;", "limit": 500},
    pq.CHATS_NAMING: {"platform": "slack", "entries": '["slack:U7"]'},
    pq.BY_USERNAME: {"platform": "slack", "username": "u7"},
    pq.LINKED: {"reviewer_id": "rev7"},
    pq.SAME_PEOPLE: {"identities": '["slack:U7", "slack:U8"]'},
    pq.GROUP_MEMBERS: {"tenant_id": TENANT, "names": '["g"]'},
    pq.GROUPS_OF: {"addresses": '["slack:U7", "slack:U8"]'},
    pq.GIVERS: {"addresses": '["slack:V7", "slack:V8"]', "now": NOW},
    pq.GIVEN: {"reviewer_id": "rev7", "now": NOW},
    pq.CODE: {"code_hash": "h7", "kind": "link"},
    pq.SESSION: {"session_hash": "h7"},
    pq.ANSWERED_CASE: {"case_id": "c7", "tenant_id": TENANT},
    pq.ANSWERED_GATE: {"workflow_id": "c7", "gate_key": "review", "tenant_id": TENANT},
    pq.ANSWERED_WORKFLOW: {"workflow_id": "c7", "gate_key": "review", "tenant_id": TENANT},
    pq.CASE_ANSWERED_BY: {"case_id": "c7"},
    ib.CLOSE_INBOX: {"case_id": "c7", "now": NOW},
    ib.ENTRIES_OF_CASE: {"case_id": "c7"},
    ib.WAITING_CASES: {
        "entries": '["slack:U7", "slack:U8"]', "now": NOW, "after": 0, "after_id": "", "limit": 200,
    },
    ib.CLOSED_CASES: {"entries": '["slack:U7", "slack:U8"]', "at": NOW, "case_id": "c7", "limit": 200},
    ib.CLOSED_SINCE: {"entries": '["slack:U7", "slack:U8"]', "at": NOW - 9, "case_id": "c7", "limit": 200},
    ib.ANSWERED_BY: {"repliers": '["slack:U7"]', "at": NOW, "case_id": "c7", "limit": 200},
    ib.ANSWERED_SINCE: {"repliers": '["slack:U7"]', "at": NOW - 9, "case_id": "c7", "limit": 200},
    ib.FIRST_ANSWERS: {"case_ids": '["c7", "c8"]', "repliers": '["slack:U7"]'},
    ib.DID_ANSWER: {"case_id": "c7", "repliers": '["slack:U7"]'},
    ib.WAITING_PLACES: {"first": "in:", "last": "in;", "limit": 300},
    recq.WAITING_MARK: {"entries": '["slack:U7", "in:slack:C1"]', "now": NOW - 9000, "limit": 500},
    recq.CASE_TIMELINE: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.INTERACTIONS_OF_CASE: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.CARDS_ON_RECORD: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.NOTICES_ON_RECORD: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.DELIVERIES_ON_RECORD: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.ATTEMPTS_ON_RECORD: {"case_id": "c7", "tenant_id": "t7", "limit": 500},
    recq.INTERACTIONS_OF_CASES: {"case_ids": '["c7", "c8"]'},
    recq.SOURCE_NAMES: {"source_ids": '["s7"]'},
    ib.PLACES: {"first": "in:", "last": "in;", "limit": 300},
    ib.QUESTION: {"platform": "telegram", "channel": "5", "message": "7"},
    ib.OPEN_QUESTIONS: {"card_id": "d7", "identity": "telegram:5"},
    q.REVIEWED_CASE: {"case_id": "c7", "token_hash": "h7"},
    q.REVIEW: {"case_id": "c7", "token_hash": "h7"},
    RECEIPT: {"interaction_id": "i7"},
    q.SEALED_TOKEN: {"case_id": "c7", "kind": "review", "holder": "link"},
    q.CASE_NEWS: {"watched": json.dumps({"c7": 0, "c8": 0})},
    q.RECENT_CASES: {"tenant_id": TENANT, "limit": 20},
    q.CHANGED_CASES: {"case_ids": '["c7", "c8"]'},
    kq.KEY: {"key_hash": "h7"},
    kq.KEY_BY_ID: {"key_id": "k7", "tenant_id": TENANT},
    kq.KEY_PAGE: {"tenant_id": TENANT, "made": NOW, "after_id": "", "limit": 51},
    kq.END_KEY: {"key_id": "k7", "tenant_id": TENANT, "revoked_at": NOW},
    kq.OTHER_ADMIN_KEYS: {"tenant_id": TENANT, "key_id": "k7"},
    kq.KNOWN_KEYS: {"key_ids": '["k7", "k8"]'},
    kq.KEYS_USED: {"used": json.dumps({"k7": NOW, "k8": NOW})},
    sq.SOURCE: {"source_id": SOURCE, "tenant_id": TENANT},
    cq.CARD: {"card_id": "d7"},
    cq.CARDS_OF_CASE: {"case_id": "c7"},
    cq.REDRAW_CARDS: {"case_id": "c7"},
    cq.REDRAW_CARD: {"card_id": "d7"},
    cq.CARD_DIGESTS: {"digests": json.dumps({"d7": "x", "d8": "x"})},
    cq.CARD_WHOLE: {"card_id": "d7", "lease": 1, "whole": 1},
    cq.CLAIMED_CASES: {"case_ids": '["c7", "c8"]'},
    fq.HUSH_CHAT: {"platform": "slack", "chat": "C3", "until": NOW},
    fq.SAVE_CHAT: {"platform": "slack", "chat": "C3", "moments": "[]", "next_at": None, "now": NOW},
    fq.FORGET_CHATS: {"before": NOW - ROWS + 10},
    fq.MOVE_QUEUE: {"platform": "slack", "chat": "C3", "was": "C3", "channel": "C4", "limit": 100},
    fq.DIGEST_SHOWN: {"platform": "slack", "chat": "C3", "lease": 1, "message": "x", "due_at": NOW},
    fq.DROP_DIGEST: {"platform": "slack", "chat": "C3", "lease": 1},
    dq.CLAIM_DELIVERIES: {"delivery_ids": '["dlv_7", "dlv_8"]', "now": NOW, "lease_until": NOW},
    dq.CALLBACK_FACTS: {"delivery_ids": '["dlv_7", "dlv_8"]'},
    dq.SAVE_DELIVERY: {
        "delivery_id": "dlv_7", "lease": 1, "state": "waiting", "due_at": NOW, "finished_at": None, "status": 500,
        "error": "x",
    },
    dq.LOCK_ENDPOINT: {"endpoint_id": "cb_7"},
    dq.ENDPOINT_WORKS: {"endpoint_id": "cb_7", "now": NOW},
    sq.SOURCE_WITH_ENDPOINT: {"source_id": SOURCE, "tenant_id": TENANT},
    sq.INSERT_DECISION_DELIVERY: {
        "delivery_id": "dlv_x", "case_id": "c7", "event_id": "e7", "source_id": SOURCE, "now": NOW,
    },
    sq.DECISION_FACTS: {"delivery_ids": '["dlv_7", "dlv_8"]'},
    sq.STANDING: {"endpoint_id": "cb_7"},
    sq.LAST_ATTEMPT: {"endpoint_id": "cb_7"},
    sq.DELIVERIES_OF: {"endpoint_id": "cb_7", "state": None, "made": NOW, "delivery_id": "", "limit": 50},
    sq.RECENT_ATTEMPTS: {"delivery_ids": '["dlv_7", "dlv_8"]', "few": 5},
    sq.REPLAY_OF: {"endpoint_id": "cb_7", "ids": '["dlv_7", "c7"]', "now": NOW},
    rq.REMINDED: {"case_id": "c7", "was_version": 1, "remind_at": NOW, "now": NOW, "last_event": 2},
    rq.SUPERSEDE_NOTICES: {"case_id": "c7", "kind": "reminder"},
    rq.INSERT_NOTICES: {"case_id": "c7", "kind": "reminder", "key": "x", "data": "{}", "now": NOW},
    rq.NOTICED_CARD: {"card_id": "d7"},
    rq.NOTICE_SENT: {"notice_id": "n7", "lease": 1, "message": "x"},
    rq.NOTICE_POSTPONED: {
        "notice_id": "n7", "lease": 1, "due_at": NOW, "unused": 0, "state": "waiting", "error": None,
    },
    tq.TASK: {"case_id": "c7", "tenant_id": TENANT},
    tq.TASKS: TASKS | {"before": NOW, "before_id": "", "limit": 51},
    tq.COUNT_TASKS: {name: value for name, value in TASKS.items() if name not in ("status", "archived_before")},
    tq.COUNT_TASKS_BY_STATUS: TASKS | {"status": "PENDING"},
    tq.EDIT_CASE: {"case_id": "c7", "was_version": 1, "working": "{}", "last_event": 2},
    slq.UNSEALED_TENANTS: {},
    slq.UNSEALED: {"tenant_id": TENANT, "limit": 500},
    slq.LOCK_CHAIN: {"tenant_id": TENANT},
    slq.PLACE_INTERACTION: {"position": 1, "id": "i7"},
    slq.PLACE_EVENT: {"position": 1, "id": "e7"},
    exq.ACK: {"event_id": "e7", "source_id": SOURCE, "tenant_id": TENANT, "now": NOW},
    lq.LEASE: {"name": "l7"},
    q.FORGET_INBOUND: {"before": 10},
    keptq.FORGET_IDEMPOTENCY: {"before": 10},
    gq.GUARD_FACTS: {"tenant_id": TENANT},
    gq.TASK: {"case_id": "c7", "tenant_id": TENANT},
    gq.TASK_BY_LINK: {"case_id": "c7", "link_hash": "h7"},
    gq.CASE_EVENTS: {"case_id": "c7", "limit": 200},
    gq.APPROVE_TASK: {"case_id": "c7", "approved_at": NOW, "approved_until": NOW},
    gq.EVIDENCE_OF_TASK: {"case_id": "c7"},
    gq.DISPATCH_TASK: {"case_id": "c7", "now": NOW},
    gq.REFUSE_TASK: {"case_id": "c7", "now": NOW, "failure": "x"},
    gq.LIVE_GRANTS: {"tenant_id": TENANT, "operation": "a.b", "payload_digest": "x7", "source_id": "s7", "limit": 5},
    gq.LOCK_GRANT: {"grant_id": "g7", "tenant_id": TENANT},
    gq.REVOKE_GRANT: {"grant_id": "g7", "now": NOW, "revoked_by": "x"},
    runq.RUN: {"workflow_id": "c7", "tenant_id": TENANT},
    runq.LOCK_RUN: {"workflow_id": "c7"},
    runq.INTENT: {"intent_id": "n7", "tenant_id": TENANT},
    runq.INTENT_BY_KEY: {"tenant_id": TENANT, "key": "x7"},
    runq.WAITING_GATES: {"workflow_id": "c7"},
    runq.GATE: {"workflow_id": "c7", "gate_key": "review"},
    runq.GATES: {"workflow_id": "c7"},
    runq.EVENT: {"workflow_id": "c7", "key": "x"},
    runq.EVENTS_OF: {"workflow_id": "c7"},
    runq.INTERACTIONS_OF: {"workflow_id": "c7", "limit": 100},
    runq.STEPS: {"run_id": "r7"},
    runq.ARTIFACTS: {"run_id": "r7"},
    runq.STREAM: {"workflow_id": "c7", "after": 1, "limit": 100},
    runq.STREAM_HEADS: {"workflow_ids": '["c7", "c8"]'},
    runq.RUN_OF_ENGINE: {"workflow_id": "c7"},
    runq.AWAIT_SIGNAL: {"workflow_id": "c7", "gate_key": "review"},
    runq.MESSAGE: {"workflow_id": "c7", "result_key": "x", "audit_key": "y"},
    runq.LOCK_SIGNAL: {"workflow_id": "c7", "gate_key": "review"},
    runq.PUT_OFF_SIGNAL: {"workflow_id": "c7", "gate_key": "review", "due_at": NOW, "error": "x"},
    runq.SIGNAL_RECEIVED: {"workflow_id": "c7", "gate_key": "review", "now": NOW},
    slq.INTERACTIONS_BETWEEN: {"tenant_id": TENANT, "after": 100, "upto": 200},
    slq.EVENTS_BETWEEN: {"tenant_id": TENANT, "after": 100, "upto": 200},
    oq.ERASURES: {"case_ids": '["c7", "c8"]'},
    oq.OUTCOME_OF_CASE: {"case_id": "c7"},
    retq.LOCK_DUE: {"case_id": "c7", "before": NOW + 1},
    retq.ENDED_RUN_OF_CASE: {"case_id": "c7", "before": NOW},
    retq.LEDGER_ROWS: {"case_id": "c7"},
    retq.EVENT_OF_CASE: {"case_id": "c7"},
    retq.EMPTY_INTERACTION: {"id": "i7", "row_hash": "x", "text": "{}"},
    retq.EMPTY_EVENT: {"id": "e7", "row_hash": "x", "text": "{}", "now": NOW},
    retq.TOLD_OF_CASE: {"case_id": "c7"},
    retq.EVENTS_OF_GATE: {"workflow_id": "c7", **event_keys("review")},
    retq.UNERASED_RUN: {"workflow_id": "c7"},
    retq.EMPTY_SIGNAL: {"workflow_id": "c7", "gate_key": "review"},
    retq.DROP_SEALED_TOKENS: {"case_id": "c7"},
    retq.EMPTY_DELIVERIES: {"case_id": "c7"},
    retq.EMPTY_ATTEMPTS: {"case_id": "c7"},
    retq.EMPTY_NOTICES: {"case_id": "c7"},
    retq.EMPTY_GRANTS: {"case_id": "c7"},
    retq.REDRAW_ERASED: {"case_id": "c7", "now": NOW},
    retq.ERASE_RUN: {"workflow_id": "c7", "now": NOW},
    retq.EMPTY_INTENT: {"workflow_id": "c7"},
    retq.EMPTY_SIGNALS: {"workflow_id": "c7"},
    retq.EMPTY_STEPS: {"workflow_id": "c7"},
    retq.EMPTY_ARTIFACTS: {"workflow_id": "c7"},
}  # fmt: skip
# These must also do when almost everything waits.
ALSO_BUSY: dict[Statement, dict[str, Any]] = {
    q.DUE_CASES: {"now": NOW, "limit": 50},
    q.NEXT_DEADLINE: {},
    clq.DUE_ESCALATIONS: {"now": NOW, "limit": 20},
    clq.NEXT_ESCALATION: {"now": NOW},
    cq.CLAIM_CARDS: {"platform": "slack", "now": NOW, "lease_until": NOW, "limit": 20},
    cq.NEXT_CARD_DUE: {"platform": "slack"},
    fq.DUE_CHATS: {"platform": "slack", "now": NOW, "limit": 20},
    fq.QUEUE_CLAIMED: {"chat": "C3", "now": NOW, "card_ids": '["d7", "d8"]'},
    fq.QUEUE_DUE: {"chat": "C3", "now": NOW, "platform": "slack", "limit": 1000},
    fq.NEXT_QUEUED: {"platform": "slack", "chat": "C3", "lease_until": NOW, "late": 0, "limit": 3},
    fq.COUNT_QUEUED: {"platform": "slack", "chat": "C3", "limit": 11},
    fq.QUEUED_OF_CHAT: {"platform": "slack", "chat": "C3"},
    fq.URGENT_OF_CHAT: {"platform": "slack", "chat": "C3", "limit": 10},
    fq.CLAIM_DIGESTS: {"platform": "slack", "now": NOW, "lease_until": NOW, "limit": 20},
    fq.NEXT_DIGEST_DUE: {"platform": "slack"},
    dq.LANES: {"after": "", "window": 500, "now": NOW, "few": 8},
    rq.DUE_REMINDERS: {"now": NOW, "limit": 50},
    rq.NEXT_REMINDER: {"now": NOW},
    rq.CLAIM_NOTICES: {"platform": "slack", "now": NOW, "lease_until": NOW, "limit": 20},
    rq.NEXT_NOTICE_DUE: {"platform": "slack"},
    exq.PULL: {"source_id": SOURCE, "after": 500, "limit": 100},
    gq.AWAITING_DISPATCH: {"now": NOW, "limit": 20},
    gq.TASKS: {"tenant_id": TENANT, "source_id": None, "before": NOW, "before_id": "", "limit": 50},
    gq.GRANTS: {"tenant_id": TENANT, "before": NOW, "before_id": "", "limit": 50, "live": 1},
    retq.DUE_ERASURES: {"before": NOW + 1, "after": 0, "after_id": "", "limit": 20},
    retq.COUNT_DUE: {"before": NOW + 1},
    retq.OVERDUE: {"before": NOW + 1, "limit": 2_000},
    retq.LOOSE_RUNS: {"before": NOW, "limit": 20},
    retq.LOOSE_FLOWS: {"before": NOW, "limit": 20},
    runq.NEXT_WORK: {},
    runq.DUE_SIGNALS: {"now": NOW, "limit": 10},
    runq.CLAIM_RUNS: {"now": NOW, "lease_until": NOW, "limit": 20},
    runq.INBOX: {"tenant_id": TENANT, "bound": 0, "sources": "[]", "limit": 50},
}


# These walk, on purpose and so far, indexes that hold nothing but what waits.
WALKS: dict[Statement, dict[str, Any]] = {
    mq.WAITING_CASES: {"limit": 200_000},
    mq.WAITING_CARDS: {"limit": 200_000},
    mq.QUEUED_CARDS: {"limit": 200_000},
    mq.WAITING_NOTICES: {"limit": 200_000},
    mq.WAITING_DELIVERIES: {"limit": 200_000},
    mq.UNACKED_EVENTS: {"window": 200, "few": 1_000},
    mq.WAITING_RUNS: {"limit": 200_000},
    mq.UNSEALED: {"limit": 1_000},
}


@pytest.fixture(params=[QUIET, BACKLOG], ids=["quiet", "backlog"])
def used_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database with many rows in every table, and with the statistics that it gathers by itself after a while."""
    on_postgres = database_url.startswith("postgresql:")
    numbers = (
        f"generate_series(1, {ROWS}) AS n"
        if on_postgres
        else f"(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {ROWS}) SELECT n FROM r)"
    )
    filling = [
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {numbers}"
        for table, columns in tables(request.param).items()
    ]
    asyncio.run(as_superuser(database_url, *filling, "ANALYZE"))
    return database_url


def plan_of(url: str, statement: Statement, params: dict[str, Any]) -> list[str]:
    """The steps of a plan that look at a table, in words."""
    if url.startswith("postgresql:"):
        return asyncio.run(_plan_on_postgres(url, statement, params))
    rendered = for_sqlite(statement)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {rendered.sql}", rendered.args(params))
        return [str(step[3]) for step in steps]


async def _plan_on_postgres(url: str, statement: Statement, params: dict[str, Any]) -> list[str]:
    rendered = for_postgres(statement)
    connection = await asyncpg.connect(url)
    try:
        prepared = await connection.prepare(rendered.sql)
        plan = await prepared.explain(*rendered.args(params))
    finally:
        await connection.close()
    return list(_steps(json.loads(plan)[0]["Plan"] if isinstance(plan, str) else plan[0]["Plan"]))


def _steps(node: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        yield f"{node['Node Type']} on {node['Relation Name']} {node.get('Index Name', '')}".strip()
    for child in node.get("Plans", ()):
        yield from _steps(child)


def without_index(steps: list[str]) -> list[str]:
    """The steps that look through a whole table. (In SQLite's words: SCAN without an index; a constant row, a JSON list
    and a subquery are no tables.)"""
    # The tenants are few, and gone through on purpose. A SCAN that USES an index walks all of it.
    on_postgres = [step for step in steps if step.startswith("Seq Scan") and "on tenants" not in step]
    on_sqlite = [step for step in steps if step.startswith("SCAN ") and step.split()[1] != "t"]
    names = {*tables(QUIET), "c", "k", "i", "d", "e", "s", "p", "h", "rt", "cl", "dv", "r", "wt", "oc"}
    return on_postgres + [step for step in on_sqlite if step.split()[1] in names]


# Whether a workflow goes on is asked for each of its cases, and there may be many: not by looking through them all.
OF_WORKFLOWS = (retq.DUE_ERASURES, retq.COUNT_DUE, retq.OVERDUE, retq.LOCK_DUE)


def through_workflows(statement: Statement, steps: list[str]) -> bool:
    return statement in OF_WORKFLOWS and not any("ix_cases_shared" in step for step in steps)


PARTIAL = (
    "cases_inbox", "cards_behind", "cards_queue", "notices_due", "deliveries_due", "decision_events_waiting",
    "runs_waiting", "human_interactions_unsealed",
)  # fmt: skip


def walks_through_a_table(steps: list[str]) -> bool:
    """Whether any table of a plan is read without one of the indexes of what waits; endpoints and sources are few."""
    few = (" on endpoints", " on sources")
    tables_read = [step for step in steps if step.startswith("Seq Scan") and not step.endswith(few)]
    scans = [step for step in steps if step.startswith("SCAN ") and step.split()[1] in tables(QUIET)]
    return bool(tables_read) or not all(any(f" ix_{one}" in scan for one in PARTIAL) for scan in scans)


def test_no_hot_statement_looks_through_a_whole_table(used_url: str, request: pytest.FixtureRequest) -> None:
    busy = "backlog" in request.node.name
    bad = {}
    for statement, params in (ALSO_BUSY if busy else HOT | ALSO_BUSY).items():
        steps = plan_of(used_url, statement, params)
        if not steps or without_index(steps) or through_workflows(statement, steps):
            bad[statement.name] = steps
    # Where most of a table waits, PostgreSQL may as well read the table, so far.
    for statement, params in ({} if busy else WALKS).items():
        steps = plan_of(used_url, statement, params)
        if not steps or walks_through_a_table(steps):
            bad[statement.name] = steps
    assert {} == bad


def test_sqlite_plans_so_without_statistics_too(sqlite_url: str) -> None:
    """Nobody analyses an embedded database."""
    plans = {statement: plan_of(sqlite_url, statement, params) for statement, params in (HOT | ALSO_BUSY).items()}
    bad = {one.name: steps for one, steps in plans.items() if without_index(steps) or through_workflows(one, steps)}
    assert {} == bad


def test_a_statement_without_an_index_would_show(database_url: str) -> None:
    asyncio.run(as_superuser(database_url, "ANALYZE"))
    everything = Statement("everything", "SELECT * FROM cases WHERE content = :content")
    assert without_index(plan_of(database_url, everything, {"content": "x"}))
