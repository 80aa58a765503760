"""The statements of runs and their gates."""

from __future__ import annotations

from core.gate_keys import LIKE_DECISION, LIKE_ESCALATION, LIKE_RESULT
from core.ledger.statements import Statement, insert

_ENDED = "('cancelled', 'completed', 'failed')"
_CLOSED = "('cancelled', 'completed', 'expired')"
_RESULTS = "' || '".join((LIKE_RESULT[:5], LIKE_RESULT[5:]))  # in two parts: a colon before a word is a parameter

# --- intents and runs ---------------------------------------------------------------------------------------------

INSERT_INTENT = insert("intents", "intent_id tenant_id key_id key source_id body body_hash created_at")
INTENT = Statement("intent", "SELECT * FROM intents WHERE intent_id = :intent_id AND tenant_id = :tenant_id")
INTENT_BY_KEY = Statement("intent_by_key", "SELECT * FROM intents WHERE tenant_id = :tenant_id AND key = :key")
_RUN_COLUMNS = (
    "workflow_id run_id tenant_id key_id source_id intent_id queue_partition_key kind status next_action outcome "
    "state step attempts due_at lease last_event last_error created_at updated_at finished_at"
)
INSERT_RUN = insert("runs", _RUN_COLUMNS)
INSERT_RUN_ONCE = insert("runs", _RUN_COLUMNS, conflict="ON CONFLICT (workflow_id) DO NOTHING")
# `waits`: the gates of the run that people have not answered yet, how many.
RUN = Statement(
    "run_state",
    f"""
    SELECT r.*, (
        SELECT count(*) FROM cases c WHERE c.workflow_id = r.workflow_id AND NOT (c.status IN {_CLOSED})) AS waits
    FROM runs r WHERE r.workflow_id = :workflow_id AND r.tenant_id = :tenant_id
    """,  # noqa: S608 - our own names
)
# As a workflow engine asks: the run, and the gate that it opened last.
RUN_OF_ENGINE = Statement(
    "run_of_engine",
    """
    SELECT r.*, (SELECT c.gate_key FROM cases c WHERE c.workflow_id = r.workflow_id
                 ORDER BY c.created_at DESC LIMIT 1) AS gate_key
    FROM runs r WHERE r.workflow_id = :workflow_id
    """,
)
LOCK_RUN = Statement("lock_workflow", "SELECT * FROM runs WHERE workflow_id = :workflow_id {for_update}")
# What a worker may do, and when the next of it is due.
NEXT_WORK = Statement(
    "next_work",
    """
    SELECT {now} AS now, (SELECT min(due_at) FROM runs WHERE due_at IS NOT NULL) AS run_due,
           (SELECT min(due_at) FROM signals WHERE received_at IS NULL) AS signal_due
    """,
)
CLAIM_RUNS = Statement(
    "claim_runs",
    """
    UPDATE runs SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1
    WHERE workflow_id {any_of}
        SELECT workflow_id FROM runs WHERE due_at <= :now ORDER BY due_at LIMIT :limit {skip_locked}{end}
    RETURNING *
    """,
)
# A run goes on, from where its worker took it; what has ended stays, whoever comes late.
MOVE_RUN = Statement(
    "move_workflow",
    f"""
    UPDATE runs SET status = :status, next_action = :next_action, outcome = :outcome, state = :state, step = :step,
        attempts = :attempts, due_at = :due_at, lease = :lease, last_event = :last_event, last_error = :last_error,
        updated_at = :updated_at, finished_at = :finished_at
    WHERE workflow_id = :workflow_id AND lease = :was_lease AND last_event = :was_event AND NOT (status IN {_ENDED})
    """,  # noqa: S608 - our own names
)
WAITING_GATES = Statement(
    "waiting_gates",
    f"""
    SELECT * FROM cases WHERE workflow_id = :workflow_id AND NOT (status IN {_CLOSED})
    ORDER BY gate_key
    """,  # noqa: S608 - our own names
)

# --- gates --------------------------------------------------------------------------------------------------------

INSERT_EVENT = insert("workflow_events", "workflow_id key gate_key case_id interaction_id data created_at")
INSERT_SIGNAL = insert("signals", "workflow_id gate_key kind due_at attempts created_at received_at last_error")
DUE_SIGNALS = Statement(
    "due_signals",
    """
    SELECT workflow_id, gate_key FROM signals WHERE received_at IS NULL AND due_at <= :now
    ORDER BY due_at LIMIT :limit
    """,
)
LOCK_SIGNAL = Statement(
    "lock_signal",
    """
    SELECT * FROM signals WHERE workflow_id = :workflow_id AND gate_key = :gate_key AND received_at IS NULL
    {skip_locked}
    """,
)
PUT_OFF_SIGNAL = Statement(
    "put_off_signal",
    """
    UPDATE signals SET due_at = :due_at, attempts = attempts + 1, last_error = :error
    WHERE workflow_id = :workflow_id AND gate_key = :gate_key
    """,
)
# As a workflow engine asks, which has been told of it.
AWAIT_SIGNAL = Statement(
    "await_signal",
    """
    SELECT * FROM signals WHERE workflow_id = :workflow_id AND gate_key = :gate_key AND received_at IS NULL {for_update}
    """,
)
# What a signal tells a workflow engine, and the dedupe key of the reply that ended the gate.
MESSAGE = Statement(
    "message",
    """
    SELECT i.dedupe_key, r.data AS result FROM workflow_events a
    JOIN human_interactions i ON i.interaction_id = a.interaction_id
    LEFT JOIN workflow_events r ON r.workflow_id = a.workflow_id AND r.key = :result_key
    WHERE a.workflow_id = :workflow_id AND a.key = :audit_key
    """,
)
SIGNAL_RECEIVED = Statement(
    "signal_received",
    """
    UPDATE signals SET received_at = :now, attempts = attempts + 1
    WHERE workflow_id = :workflow_id AND gate_key = :gate_key AND received_at IS NULL
    """,
)
GATE = Statement("gate", "SELECT * FROM cases WHERE workflow_id = :workflow_id AND gate_key = :gate_key")
GATES = Statement("gates", "SELECT * FROM cases WHERE workflow_id = :workflow_id ORDER BY created_at, gate_key")
EVENTS_OF = Statement(
    "workflow_events", "SELECT * FROM workflow_events WHERE workflow_id = :workflow_id ORDER BY created_at, key"
)
EVENT = Statement("workflow_event", "SELECT * FROM workflow_events WHERE workflow_id = :workflow_id AND key = :key")
INTERACTIONS_OF = Statement(
    "interactions_of_workflow",
    """
    SELECT * FROM human_interactions WHERE workflow_id = :workflow_id
    ORDER BY created_at, interaction_id LIMIT :limit
    """,
)
# What waits for people, the most urgent first; of some sources only, where `sources` lists any.
INBOX = Statement(
    "inbox",
    f"""
    SELECT c.*, {{now}} AS now FROM cases c
    WHERE c.tenant_id = :tenant_id AND NOT (c.status IN {_CLOSED})
        AND (:bound = 0 OR c.source_id IN (SELECT value FROM json_each(:sources)))
    ORDER BY c.expires_at LIMIT :limit
    """,  # noqa: S608 - our own names
    f"""
    SELECT c.*, {{now}} AS now FROM cases c
    WHERE c.tenant_id = :tenant_id AND NOT (c.status IN {_CLOSED})
        AND (CAST(:bound AS INTEGER) = 0
             OR c.source_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:sources AS jsonb)))))
    ORDER BY c.expires_at LIMIT :limit
    """,  # noqa: S608 - our own names
)

# --- what a run leaves --------------------------------------------------------------------------------------------

INSERT_STEP = insert("run_steps", "run_id step_id attempt status output started_at finished_at")
INSERT_ARTIFACT = insert("artifacts", "run_id step_id task_key attempt idx media_type body digest created_at")
STEPS = Statement(
    "steps", "SELECT * FROM run_steps WHERE run_id = :run_id ORDER BY started_at, finished_at, step_id, attempt"
)
ARTIFACTS = Statement(
    "artifacts_of_run", "SELECT * FROM artifacts WHERE run_id = :run_id ORDER BY created_at, step_id, task_key, idx"
)
INSERT_STREAM = insert("run_stream", "workflow_id counter kind data created_at")
STREAM = Statement(
    "stream",
    "SELECT * FROM run_stream WHERE workflow_id = :workflow_id AND counter > :after ORDER BY counter LIMIT :limit",
)
# Which of the watched streams have something new: one question for all of them.
STREAM_HEADS = Statement(
    "stream_heads",
    "SELECT workflow_id, last_event FROM runs WHERE workflow_id IN (SELECT value FROM json_each(:workflow_ids))",
    """
    SELECT workflow_id, last_event FROM runs
    WHERE workflow_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:workflow_ids AS jsonb))))
    """,
)

# --- verification: each must find nothing -------------------------------------------------------------------------

DUPLICATE_STEPS = Statement(
    "duplicate_steps",
    """
    SELECT run_id || ' ' || step_id || ' ' || attempt AS key FROM run_steps
    GROUP BY run_id, step_id, attempt HAVING count(*) > 1
    """,
)
DUPLICATE_ARTIFACTS = Statement(
    "duplicate_artifacts",
    """
    SELECT run_id || ' ' || step_id || ' ' || task_key || ' ' || attempt || ' ' || idx AS key FROM artifacts
    GROUP BY run_id, step_id, task_key, attempt, idx HAVING count(*) > 1
    """,
)
DUPLICATE_GATE_EVENTS = Statement(
    "duplicate_gate_events",
    "SELECT workflow_id || ' ' || key AS key FROM workflow_events GROUP BY workflow_id, key HAVING count(*) > 1",
)
DUPLICATE_ESCALATIONS = Statement(
    "duplicate_escalations",
    f"""
    SELECT workflow_id AS key FROM runs WHERE workflow_id LIKE '{LIKE_ESCALATION}'
    GROUP BY workflow_id HAVING count(*) > 1
    """,  # noqa: S608 - our own names
)
RESULTS_WITHOUT_INTERACTION = Statement(
    "results_without_interaction",
    f"""
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e
    LEFT JOIN human_interactions i ON i.interaction_id = e.interaction_id AND i.case_id = e.case_id
    WHERE (e.key LIKE '{_RESULTS}' OR e.key LIKE '{LIKE_DECISION}') AND i.interaction_id IS NULL
    """,  # noqa: S608 - our own names
)
BRANCHES_UNLIKE_DECISIONS = Statement(
    "branches_unlike_decisions",
    f"""
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e
    LEFT JOIN decisions d ON d.workflow_id = e.workflow_id AND d.key = e.key AND d.interaction_id = e.interaction_id
    WHERE e.key LIKE '{LIKE_DECISION}' AND d.case_id IS NULL
    """,  # noqa: S608 - our own names
)
# A gate that people have ended (or the clock has) and that its workflow could never hear of.
ENDED_GATES_UNTOLD = Statement(
    "ended_gates_untold",
    f"""
    SELECT c.workflow_id || ' ' || c.gate_key AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    LEFT JOIN signals s ON s.workflow_id = c.workflow_id AND s.gate_key = c.gate_key
    WHERE c.status IN {_CLOSED} AND c.settles_at IS NULL AND s.gate_key IS NULL
    """,  # noqa: S608 - our own names
)
RESULTS_OF_WITHDRAWN_GATES = Statement(
    "results_of_withdrawn_gates",
    f"""
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e JOIN cases c ON c.case_id = e.case_id
    WHERE c.status NOT IN ('completed', 'expired') AND (e.key LIKE '{_RESULTS}' OR e.key LIKE '{LIKE_DECISION}')
    """,  # noqa: S608 - our own names
)
# Due from the first; that sending was put off since does not excuse it.
UNSENT_SIGNALS = Statement(
    "unsent_signals",
    """
    SELECT workflow_id || ' ' || gate_key AS key FROM signals
    WHERE received_at IS NULL AND created_at < {now} - 10000
    """,
)
RUNS_CHANGED_AFTER_THE_END = Statement(
    "runs_changed_after_the_end",
    f"""
    SELECT workflow_id AS key FROM runs
    WHERE (status IN {_ENDED}) <> (finished_at IS NOT NULL) OR updated_at > finished_at
    UNION
    SELECT r.workflow_id AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    WHERE r.finished_at IS NOT NULL AND NOT (c.status IN {_CLOSED})
    """,  # noqa: S608 - our own names
)
# Whoever waits, waits for somebody: a gate is open, or what became of it is on its way.
WAITS_FOR_NOBODY = Statement(
    "waits_for_nobody",
    f"""
    SELECT r.workflow_id AS key FROM runs r
    WHERE r.status = 'waiting_input'
        AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.workflow_id = r.workflow_id AND NOT (c.status IN {_CLOSED}))
        AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.workflow_id = r.workflow_id AND s.received_at IS NULL)
    """,  # noqa: S608 - our own names
)
ESCALATIONS_WITHOUT_TIMEOUT = Statement(
    "escalations_without_timeout",
    f"""
    SELECT workflow_id AS key FROM runs
    WHERE workflow_id LIKE '{LIKE_ESCALATION}' AND workflow_id NOT IN (
        SELECT '{LIKE_ESCALATION[:-1]}' || c.workflow_id || ':' || c.gate_key FROM cases c WHERE c.status = 'expired')
    """,  # noqa: S608 - our own names
)
