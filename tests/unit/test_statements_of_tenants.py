"""Every statement that touches what belongs to a tenant asks for its tenant, or stands here with the reason why not.

Statements that take no id at all are about all tenants on purpose (the clock, the couriers, the sealer, `assent
verify`): no request can make one of them look at something in particular.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import chain

import pytest

import core.ledger
from core.ledger import chat_tables
from core.ledger.statements import Statement

_TOUCHED = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+([a-z_]+)", re.IGNORECASE)
_PARAM = re.compile(r"(?<![:\w]):([a-z_]+)")
_ASKS = re.compile(r"\btenant_id\s*=\s*:tenant_id\b")
# Tables that belong to nobody: who works, what a platform delivered, which proof was used, how often one asked.
NOBODYS = {"chats", "digests", "inbound", "leases", "polls", "rate_windows", "slack_installations", "used_evidence"}
# Parameters that name nothing: moments, sizes, and where an oracle's page begins.
NAMELESS = {
    "after", "after_key", "before", "few", "late", "lease_until", "limit", "now", "platform", "twin", "until", "window",
}  # fmt: skip

EXCEPTIONS = {
    "a secret is asked for, and only its owner has it": """
        guarded_task_by_link key reviewed_case review reply_facts tokens_case
    """,
    "the person was found to be in these entries, or to be allowed to see these cases, whosever they are": """
        ended_cases interactions_of_cases source_names waiting_mark
    """,
    "a worker goes on with what it has claimed; no request comes here": """
        attempts callback_facts card_digests card_moved card_postponed card_shown card_whole claim_deliveries
        claimed_cases count_queued drop_digest move_queue next_queued queue_claimed queue_due queued_of_chat
        urgent_of_chat decision_facts endpoint_works evidence_of_task lock_endpoint move_endpoint noticed_card
        notice_postponed notice_sent place_event place_interaction place_many reminded save_delivery settle_case
        start_chain take_probe
    """,
    "a workflow engine in our own process asks, or is told; no request comes here": """
        await_signal lock_signal message put_off_signal run_of_engine signal_received
    """,
    "a messenger has checked whose tap it is; a card's id leads to its case, and nobody is told more": """
        adopt_card card redraw_card
    """,
    "the case was locked, and held against the tenant or a token, before in the same transaction": """
        approve_task cards_of_case dispatch_task edit_case forget_saved_answers insert_callback
        insert_decision_delivery insert_notices latest_interaction link_next_case move_case note_event redraw_cards
        refuse_task save_answers saved_answers sealed_token supersede_notices
    """,
    "people are known to the whole installation: a messenger vouches for them, whichever tenant asked": """
        by_username departed drop_departed drop_reviewer end_sessions end_taken given givers identities_at
        identity identity_seen linked lock_identity mark_linked merge_reviewers names_at revoke_delegations
        same_people tries unlink username_gone zone_of
    """,
    "a worker looks for people without a name, and tells nobody where they were found": "chats_naming grouped",
    "what was handed out in secret comes back; only its owner has it": "code revoke_session session use_code",
    "a person's own: by identities that a messenger vouches for, or by lists that name them": """
        answered_by answered_since case_answered_by closed_cases closed_since did_answer entries_of_case first_answers
        groups_of places waiting_cases waiting_places
    """,
    "the bot's own message, in a chat that the platform names": "answer_question open_questions question",
    "the case was locked, and the person held against it, in the same transaction": """
        climbed close_inbox extend_inbox extended move_inbox snoozed
    """,
    "it locks, and whoever locks holds what was found against the tenant at once": "lock_case",
    "the run was found with its tenant before": """
        artifacts_of_run cases_of_run finish_run gate gates interactions_of_workflow lock_run lock_workflow move_run
        move_workflow steps stream waiting_gates workflow_event workflow_events
    """,
    "the stream was opened by a reader of the tenant; the question is for all open streams together": """
        case_news changed_cases stream_heads
    """,
    "the source, the event, the task, the grant or the ledger's row was found with its tenant before": """
        change_source claim deliveries_of events_of_case last_attempt pull receipt recent_attempts replay_of
        replay_range revoke_grant standing
    """,
    "the command line: whoever runs it has the database": "erasures owner replay_deliveries tenant_of_key",
    "the clock goes on with what is due to be erased; no request comes here": """
        decision_event_of_case decision_of_case drop_saved_answers drop_sealed_tokens due_erasures
        empty_artifacts empty_attempts empty_decision empty_deliveries empty_event empty_gate_event empty_grants
        empty_intent empty_interaction empty_notices empty_signal empty_signals empty_steps empty_task
        empty_told ended_run_of_case erase_case erase_flow erase_run events_of_gate ledger_rows_of_case
        lock_due_erasure outcome_of_case redraw_erased told_of_case unerased_run
    """,
    "operators: tenants are what they look after": "tenant_page",
    "keys that requests have brought": "known_keys keys_used",
}


def statements() -> Iterator[Statement]:
    for module in pkgutil.iter_modules(core.ledger.__path__):
        for found in vars(importlib.import_module(f"core.ledger.{module.name}")).values():
            if isinstance(found, Statement):
                yield found


ALL = {statement.name: statement for statement in statements()}
EXCUSED = [name for names in EXCEPTIONS.values() for name in names.split()]


def touched(statement: Statement) -> set[str]:
    """The tenants' tables in a statement's text."""
    text = f"{statement.text('sqlite')} {statement.text('postgresql')}"
    return (set(_TOUCHED.findall(text)) & set(chat_tables.metadata.tables)) - NOBODYS


def needs_excuse(statement: Statement) -> bool:
    if statement.table or not touched(statement):
        return False
    texts = [text for text in (statement.text("sqlite"), statement.text("postgresql")) if text]
    if all(_ASKS.search(text) for text in texts):
        return False
    return bool(set(chain.from_iterable(map(_PARAM.findall, texts))) - NAMELESS)


def test_every_statement_asks_for_its_tenant_or_says_why_not() -> None:
    assert len(ALL) > 200
    asking = {name for name, statement in ALL.items() if needs_excuse(statement)}
    assert set() == asking - set(EXCUSED), "ask for the tenant, or write here why that is not needed"
    assert set() == set(EXCUSED) - asking, "no longer needed"
    assert len(EXCUSED) == len(set(EXCUSED))


def test_every_row_of_a_tenant_is_written_with_its_tenant() -> None:
    for statement in ALL.values():
        if statement.table and "tenant_id" in chat_tables.metadata.tables[statement.table].columns:
            assert "tenant_id" in statement.columns, statement.name


@pytest.mark.parametrize(
    ("sql", "needs"),
    [
        ("SELECT * FROM cases WHERE case_id = :case_id", True),
        ("SELECT * FROM cases c WHERE c.case_id = :case_id AND c.tenant_id = :tenant_id", False),
        ("UPDATE cases SET tenant_id = :tenant WHERE case_id = :case_id", True),
        ("SELECT count(*) FROM cases WHERE expires_at < :now", False),
        ("SELECT * FROM leases WHERE name = :name", False),
    ],
)
def test_a_statement_that_forgets_its_tenant_would_show(sql: str, needs: bool) -> None:
    assert needs == needs_excuse(Statement("made_up", sql))
