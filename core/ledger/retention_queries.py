"""What is due to be erased, what that waits for, and the erasing itself, one line each on what it is for."""

from __future__ import annotations

from core.ledger.statements import Statement

# Another case of the workflow of `c`. One that was posted alone shares its workflow with none.
_SHARED = "SELECT 1 FROM cases o WHERE o.workflow_id = c.workflow_id AND o.workflow_id <> o.case_id"
# What still needs the content of a closed case `c`, by a word for it (see `core.retention.WAITS_FOR`). Grants need not
# be asked about: none lasts for as long as a day. A claim is no ack: whoever was killed after it pulls the event again.
_NEEDED_BY = {
    "delivery": "SELECT 1 FROM deliveries d WHERE d.case_id = c.case_id AND d.state = 'waiting'",
    "pull": """
        SELECT 1 FROM decision_events e LEFT JOIN sources s ON s.source_id = e.source_id
        WHERE e.case_id = c.case_id AND e.acked_at IS NULL AND COALESCE(s.mode, '') <> 'WEBHOOK_ONLY'
    """,
    "dispatch": """
        SELECT 1 FROM tasks t
        WHERE t.case_id = c.case_id AND t.approved_at IS NOT NULL AND t.dispatched_at IS NULL AND t.failed_at IS NULL
    """,
    "signal": """
        SELECT 1 FROM signals g
        WHERE g.workflow_id = c.workflow_id AND g.gate_key = c.gate_key AND g.received_at IS NULL
    """,
    "run": "SELECT 1 FROM runs r WHERE r.workflow_id = c.workflow_id AND r.finished_at IS NULL",
    "run_since": "SELECT 1 FROM runs r WHERE r.workflow_id = c.workflow_id AND r.finished_at >= :before",
    "workflow": f"{_SHARED} AND o.closed_at IS NULL",
    "workflow_since": f"{_SHARED} AND o.closed_at >= :before",
    "round": "SELECT 1 FROM cases n WHERE n.case_id = c.next_case_id AND n.closed_at IS NULL",
    "verify": """
        SELECT 1 FROM human_interactions h WHERE h.workflow_id = c.workflow_id AND h.gate_key = c.gate_key
            AND h.topic = 'sys:erase' AND h.dedupe_key = 'erase'
    """,
}
# What is over after a while, whatever people and machines do: every case has a deadline.
_PASSES = "'run_since', 'workflow', 'workflow_since', 'round'"
# NULL: nothing does. Not EXISTS: PostgreSQL may answer that for all cases at once, from whole tables.
_WAITS = f"""
    CASE WHEN c.settles_at IS NOT NULL THEN 'answer'
    {" ".join(f"WHEN ({needed} LIMIT 1) IS NOT NULL THEN '{word}'" for word, needed in _NEEDED_BY.items())} END
"""
_DUE = "c.closed_at IS NOT NULL AND c.erased_at IS NULL AND c.closed_at < :before"
# The cases that were closed before then and not erased, the oldest first, from a place on.
DUE_ERASURES = Statement(
    "due_erasures",
    f"""
    SELECT c.case_id, c.closed_at, {_WAITS} AS waits FROM cases c
    WHERE {_DUE} AND (c.closed_at, c.case_id) > (:after, :after_id)
    ORDER BY c.closed_at, c.case_id LIMIT :limit
    """,  # noqa: S608 - our own text
)
COUNT_DUE = Statement(
    "count_due_erasures",
    f"""
    SELECT w.waits, count(*) AS total, min(w.closed_at) AS oldest
    FROM (SELECT c.closed_at, {_WAITS} AS waits FROM cases c WHERE {_DUE}) AS w GROUP BY w.waits
    """,  # noqa: S608 - our own text
)
# Of the oldest of them, what somebody has to look at: why it is still there, and whose it is.
OVERDUE = Statement(
    "overdue_erasures",
    f"""
    SELECT w.waits, w.source_id, count(*) AS total, min(w.closed_at) AS oldest
    FROM (SELECT c.closed_at, c.source_id, {_WAITS} AS waits FROM cases c WHERE {_DUE}
        ORDER BY c.closed_at, c.case_id LIMIT :limit) AS w
    WHERE w.waits IS NULL OR NOT (w.waits IN ({_PASSES})) GROUP BY w.waits, w.source_id ORDER BY min(w.closed_at)
    """,  # noqa: S608 - our own text
)
COUNT_ERASED = Statement("count_erased", "SELECT count(*) AS total FROM cases WHERE erased_at IS NOT NULL")
# One of them, nobody else's until the transaction ends; none when another process is at it.
LOCK_DUE = Statement(
    "lock_due_erasure",
    f"SELECT c.*, {_WAITS} AS waits FROM cases c WHERE c.case_id = :case_id AND {_DUE} {{skip_locked}}",  # noqa: S608
)

# --- the ledger and what was decided ------------------------------------------------------------------------------

LEDGER_ROWS = Statement(
    "ledger_rows_of_case",
    "SELECT * FROM human_interactions WHERE case_id = :case_id ORDER BY created_at, interaction_id",
)
EVENT_OF_CASE = Statement(
    "decision_event_of_case", "SELECT event_id, body, row_hash FROM decision_events WHERE case_id = :case_id"
)
DECISION_OF_CASE = Statement("decision_of_case", "SELECT body FROM decisions WHERE case_id = :case_id")
ERASE_CASE = Statement(
    "erase_case",
    """
    UPDATE cases SET content = :content, terms = :terms, result = :result, answered = :answered, working = :working,
        progress = NULL, erased_at = :now, version = version + 1
    WHERE case_id = :case_id AND erased_at IS NULL
    """,
)
EMPTY_INTERACTION = Statement(
    "empty_interaction",
    "UPDATE human_interactions SET payload = :text WHERE interaction_id = :id AND row_hash = :row_hash",
)
# What only a webhook was to bring, and never did, is not handed out empty afterwards.
EMPTY_EVENT = Statement(
    "empty_event",
    """
    UPDATE decision_events SET body = :text, acked_at = COALESCE(acked_at, :now)
    WHERE event_id = :id AND row_hash = :row_hash
    """,
)
EMPTY_DECISION = Statement("empty_decision", "UPDATE decisions SET body = :body WHERE case_id = :case_id")

# --- what hangs on a case -----------------------------------------------------------------------------------------

TOLD_OF_CASE = Statement("told_of_case", "SELECT counter, kind, data FROM case_events WHERE case_id = :case_id")
EMPTY_TOLD = Statement(
    "empty_told", "UPDATE case_events SET data = :data WHERE case_id = :case_id AND counter = :counter"
)
# By their names: a workflow may have many gates.
EVENTS_OF_GATE = Statement(
    "events_of_gate",
    """
    SELECT key, data FROM workflow_events
    WHERE workflow_id = :workflow_id AND key IN (:prompt, :result, :decision, :audit)
    """,
)
EMPTY_GATE_EVENT = Statement(
    "empty_gate_event", "UPDATE workflow_events SET data = :data WHERE workflow_id = :workflow_id AND key = :key"
)
# Links go on leading to the case; what they were sealed for is over.
DROP_SEALED_TOKENS = Statement(
    "drop_sealed_tokens", "UPDATE case_tokens SET sealed = NULL WHERE case_id = :case_id AND sealed IS NOT NULL"
)
DROP_SAVED = Statement("drop_saved_answers", "DELETE FROM saved_answers WHERE case_id = :case_id")
EMPTY_DELIVERIES = Statement(
    "empty_deliveries", "UPDATE deliveries SET body = '{}' WHERE case_id = :case_id AND body IS NOT NULL"
)
EMPTY_ATTEMPTS = Statement(
    "empty_attempts",
    """
    UPDATE delivery_attempts SET response = NULL
    WHERE delivery_id IN (SELECT delivery_id FROM deliveries WHERE case_id = :case_id) AND response IS NOT NULL
    """,
)
EMPTY_NOTICES = Statement(
    "empty_notices",
    "UPDATE notices SET data = '{}' WHERE card_id IN (SELECT card_id FROM cards WHERE case_id = :case_id)",
)
EMPTY_TASK = Statement("empty_task", "UPDATE tasks SET payload = '{}', link_sealed = NULL WHERE case_id = :case_id")
# Found by the ledger's rows that gave them: there is no index on the case.
EMPTY_GRANTS = Statement(
    "empty_grants",
    """
    UPDATE grants SET payload = '{}', reason = NULL WHERE interaction_id IN (
        SELECT interaction_id FROM human_interactions WHERE case_id = :case_id)
    """,
)
# The messages that stand in chats are drawn once more, behind what is due before them.
REDRAW_ERASED = Statement(
    "redraw_erased",
    """
    UPDATE cards SET wanted_version = wanted_version + 1, due_at = CASE WHEN due_at < :now THEN :now ELSE due_at END
    WHERE case_id = :case_id AND state = 'live' AND message IS NOT NULL
    """,
)

# --- runs and flows -----------------------------------------------------------------------------------------------

UNERASED_RUN = Statement(
    "unerased_run", "SELECT 1 AS found FROM runs WHERE workflow_id = :workflow_id AND erased_at IS NULL"
)
ERASE_RUN = Statement(
    "erase_run",
    """
    UPDATE runs SET state = '{}', last_error = NULL, erased_at = :now
    WHERE workflow_id = :workflow_id AND erased_at IS NULL
    """,
)
EMPTY_INTENT = Statement(
    "empty_intent",
    """
    UPDATE intents SET body = '{}' WHERE intent_id = (SELECT intent_id FROM runs WHERE workflow_id = :workflow_id)
    """,
)
EMPTY_SIGNALS = Statement(
    "empty_signals",
    "UPDATE signals SET last_error = NULL WHERE workflow_id = :workflow_id AND last_error IS NOT NULL",
)
EMPTY_SIGNAL = Statement(
    "empty_signal", "UPDATE signals SET last_error = NULL WHERE workflow_id = :workflow_id AND gate_key = :gate_key"
)
EMPTY_STEPS = Statement(
    "empty_steps",
    "UPDATE run_steps SET output = '{}' WHERE run_id = (SELECT run_id FROM runs WHERE workflow_id = :workflow_id)",
)
EMPTY_ARTIFACTS = Statement(
    "empty_artifacts",
    "UPDATE artifacts SET body = '' WHERE run_id = (SELECT run_id FROM runs WHERE workflow_id = :workflow_id)",
)
ERASE_FLOW = Statement(
    "erase_flow",
    """
    UPDATE flow_runs SET inputs = :inputs, submit_token = NULL, result = NULL, erased_at = :now
    WHERE workflow_id = :workflow_id AND erased_at IS NULL
    """,
)
# The run behind a case that is due, once it has ended.
ENDED_RUN_OF_CASE = Statement(
    "ended_run_of_case",
    """
    SELECT r.* FROM cases c JOIN runs r ON r.workflow_id = c.workflow_id
    WHERE c.case_id = :case_id AND c.erased_at IS NULL AND c.closed_at < :before AND r.finished_at < :before
    """,
)
# Runs that asked nobody: nothing else would erase them.
LOOSE_RUNS = Statement(
    "loose_runs",
    """
    SELECT r.workflow_id FROM runs r
    WHERE r.finished_at IS NOT NULL AND r.erased_at IS NULL AND r.finished_at < :before
        AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.workflow_id = r.workflow_id)
    ORDER BY r.finished_at LIMIT :limit {skip_locked}
    """,
)
LOOSE_FLOWS = Statement(
    "loose_flows",
    """
    SELECT r.workflow_id FROM flow_runs r
    WHERE r.finished_at IS NOT NULL AND r.erased_at IS NULL AND r.finished_at < :before
        AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.workflow_id = r.workflow_id)
    ORDER BY r.finished_at LIMIT :limit {skip_locked}
    """,
)
