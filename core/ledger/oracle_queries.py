"""Statements of `assent verify` that hold tables against each other. The counted ones must find nothing; they take no
parameters, so that an operator can ask them, too.
"""

from __future__ import annotations

from core.gate_keys import LIKE_DECISION, prompt_key
from core.ledger.statements import Statement

_CLOSED = "('cancelled', 'completed', 'expired')"
_PROMPT = prompt_key("")

# --- cases, decisions, events -------------------------------------------------------------------------------------

# What the database's constraints forbid; asked all the same, because constraints can be dropped.
DUPLICATE_INTERACTIONS = Statement(
    "duplicate_interactions",
    """
    SELECT workflow_id || ' ' || gate_key || ' ' || topic || ' ' || dedupe_key AS key FROM human_interactions
    GROUP BY workflow_id, gate_key, topic, dedupe_key HAVING count(*) > 1
    """,
)
DUPLICATE_DECISIONS = Statement(
    "duplicate_decisions",
    "SELECT workflow_id || ' ' || key AS key FROM decisions GROUP BY workflow_id, key HAVING count(*) > 1",
)
PHANTOM_PROMPTS = Statement(
    "phantom_prompts",
    "SELECT workflow_id || ' ' || gate_key AS key FROM cases GROUP BY workflow_id, gate_key HAVING count(*) > 1",
)
EVENTS_WITHOUT_DECISION = Statement(
    "events_without_decision",
    """
    SELECT e.event_id AS key FROM decision_events e LEFT JOIN decisions d ON d.case_id = e.case_id
    WHERE d.case_id IS NULL
    """,
)
DECISIONS_WITHOUT_CASE = Statement(
    "decisions_without_case",
    "SELECT d.case_id AS key FROM decisions d LEFT JOIN cases c ON c.case_id = d.case_id WHERE c.case_id IS NULL",
)
INTERACTIONS_WITHOUT_CASE = Statement(
    "interactions_without_case",
    """
    SELECT i.interaction_id AS key FROM human_interactions i LEFT JOIN cases c ON c.case_id = i.case_id
    WHERE c.case_id IS NULL
    """,
)
_LEDGER_ROW = """
    i.interaction_id = COALESCE(d.interaction_id, (
        SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic <> 'sys:erase'
        ORDER BY h.created_at DESC LIMIT 1))
"""
CLOSED_BY_NOBODY = Statement(
    "closed_by_nobody",
    f"""
    SELECT c.case_id AS key FROM cases c LEFT JOIN decisions d ON d.case_id = c.case_id
    LEFT JOIN human_interactions i ON {_LEDGER_ROW} AND i.case_id = c.case_id
    WHERE c.status IN {_CLOSED} AND i.interaction_id IS NULL
    """,  # noqa: S608 - our own names
)
DECISIONS_WITHOUT_INTERACTION = Statement(
    "decisions_without_interaction",
    f"""
    SELECT d.case_id AS key FROM decisions d
    LEFT JOIN human_interactions i ON i.interaction_id = d.interaction_id AND i.case_id = d.case_id
        AND i.workflow_id = d.workflow_id AND d.key = '{LIKE_DECISION[:-1]}' || i.gate_key
    WHERE i.interaction_id IS NULL
    """,  # noqa: S608 - our own names
)
# An approved task has its event once it was dispatched.
DECIDED_WITHOUT_EVENT = Statement(
    "decided_without_event",
    """
    SELECT d.case_id AS key FROM decisions d JOIN cases c ON c.case_id = d.case_id
    LEFT JOIN tasks t ON t.case_id = d.case_id LEFT JOIN decision_events e ON e.case_id = d.case_id
    WHERE c.source_id IS NOT NULL AND e.event_id IS NULL
        AND (t.case_id IS NULL OR d.verdict <> 'APPROVE' OR t.dispatched_at IS NOT NULL)
    """,
)
REOPENED = Statement(
    "reopened",
    f"""
    SELECT c.case_id AS key FROM cases c WHERE NOT (c.status IN {_CLOSED}) AND (
        EXISTS (SELECT 1 FROM decisions d WHERE d.case_id = c.case_id)
        OR EXISTS (SELECT 1 FROM case_events v WHERE v.case_id = c.case_id AND v.kind IN {_CLOSED}))
    """,  # noqa: S608 - our own names
)
ENDED_OTHERWISE = Statement(
    "ended_otherwise",
    f"""
    SELECT c.case_id AS key FROM cases c LEFT JOIN decisions d ON d.case_id = c.case_id
    JOIN human_interactions i ON {_LEDGER_ROW} AND i.case_id = c.case_id
    WHERE c.status IN {_CLOSED} AND c.status <> CASE i.topic WHEN 'sys:timeout' THEN 'expired'
        WHEN 'sys:cancel' THEN 'cancelled' WHEN 'sys:close' THEN 'cancelled' ELSE 'completed' END
    """,  # noqa: S608 - our own names
)
# An answer that could be revised for a while, and that the clock should have made count since.
HELD_TOO_LONG = Statement(
    "held_too_long", "SELECT case_id AS key FROM cases WHERE settles_at IS NOT NULL AND settles_at < {now} - 10000"
)

# The ledger and the case say the same of whether it was erased.
ERASED_UNSAID = Statement(
    "erased_unsaid",
    """
    SELECT c.case_id AS key FROM cases c LEFT JOIN human_interactions x ON x.case_id = c.case_id
        AND x.topic = 'sys:erase'
    WHERE (c.erased_at IS NULL) <> (x.interaction_id IS NULL) OR c.erased_at <> x.created_at
        OR (x.workflow_id, x.gate_key, x.dedupe_key) <> (c.workflow_id, c.gate_key, 'erase')
    """,
)
# What the erasures of these cases have emptied.
ERASURES = Statement(
    "erasures",
    """
    SELECT tenant_id, case_id, payload, created_at FROM human_interactions
    WHERE case_id IN (SELECT value FROM json_each(:case_ids)) AND topic = 'sys:erase'
    """,
    """
    SELECT tenant_id, case_id, payload, created_at FROM human_interactions
    WHERE case_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:case_ids AS jsonb)))) AND topic = 'sys:erase'
    """,
)

# --- runs and gates -----------------------------------------------------------------------------------------------

PROMPTS_WITHOUT_CASE = Statement(
    "prompts_without_case",
    f"""
    SELECT e.workflow_id || ' ' || e.key AS key FROM workflow_events e LEFT JOIN cases c
        ON c.case_id = e.case_id AND c.workflow_id = e.workflow_id AND c.gate_key = e.gate_key
    WHERE e.key = '{_PROMPT}' || e.gate_key AND c.case_id IS NULL
    """,  # noqa: S608 - our own names
)
GATES_WITHOUT_PROMPT = Statement(
    "gates_without_prompt",
    f"""
    SELECT c.workflow_id || ' ' || c.gate_key AS key FROM runs r JOIN cases c ON c.workflow_id = r.workflow_id
    LEFT JOIN workflow_events e ON e.workflow_id = c.workflow_id AND e.key = '{_PROMPT}' || c.gate_key
    WHERE e.key IS NULL
    """,  # noqa: S608 - our own names
)
# A run tells its readers of every move in the transaction that makes it, and of its end last.
MOVED_UNTOLD = Statement(
    "moved_untold",
    """
    SELECT r.workflow_id AS key FROM runs r
    LEFT JOIN run_stream s ON s.workflow_id = r.workflow_id AND s.counter = r.last_event
    WHERE r.last_event > 0 AND (s.kind IS NULL OR (s.kind = 'ended') <> (r.finished_at IS NOT NULL))
    UNION
    SELECT r.workflow_id AS key FROM runs r JOIN run_stream s ON s.workflow_id = r.workflow_id
    WHERE s.counter > r.last_event OR (s.kind = 'ended' AND s.counter < r.last_event)
    """,
)

# --- the chain, as far as SQL can tell ----------------------------------------------------------------------------

MISSING_POSITIONS = Statement(
    "missing_positions",
    """
    SELECT tenant_id || ' position ' || (previous + 1) AS key FROM (
        SELECT tenant_id, position, LAG(position, 1, CAST(0 AS BIGINT)) OVER (
            PARTITION BY tenant_id ORDER BY position) AS previous
        FROM (
            SELECT tenant_id, position FROM human_interactions WHERE position IS NOT NULL
            UNION SELECT tenant_id, position FROM decision_events WHERE position IS NOT NULL
            UNION SELECT tenant_id, position + 1 FROM chains) AS placed) AS steps
    WHERE position > previous + 1
    """,
)
DOUBLED_POSITIONS = Statement(
    "doubled_positions",
    """
    SELECT tenant_id || ' position ' || position AS key FROM (
        SELECT tenant_id, position FROM human_interactions WHERE position IS NOT NULL
        UNION ALL SELECT tenant_id, position FROM decision_events WHERE position IS NOT NULL) AS placed
    GROUP BY tenant_id, position HAVING count(*) > 1
    """,
)
MISSING_SEALS = Statement(
    "missing_seals",
    """
    SELECT tenant_id || ' seal ' || (previous + 1) AS key FROM (
        SELECT tenant_id, seal_no, LAG(seal_no, 1, CAST(0 AS BIGINT)) OVER (
            PARTITION BY tenant_id ORDER BY seal_no) AS previous
        FROM (SELECT tenant_id, seal_no FROM seals UNION SELECT tenant_id, seal_no + 1 FROM chains) AS numbered
    ) AS steps
    WHERE seal_no > previous + 1
    """,
)
HEADS_UNLIKE_SEALS = Statement(
    "heads_unlike_seals",
    """
    SELECT c.tenant_id || ' seal ' || c.seal_no AS key FROM chains c
    LEFT JOIN seals s ON s.tenant_id = c.tenant_id AND s.seal_no = c.seal_no
    WHERE c.seal_no > 0 AND (s.seal_no IS NULL OR s.last_position <> c.position OR s.chain_hash <> c.chain_hash)
    UNION
    SELECT s.tenant_id || ' seal ' || s.seal_no AS key FROM seals s
    LEFT JOIN chains c ON c.tenant_id = s.tenant_id WHERE s.seal_no > COALESCE(c.seal_no, 0)
    """,
)

# --- what is compared outside SQL, a page at a time ---------------------------------------------------------------

# A case with what it hangs on, so that each can be held against the others.
_WITH_OUTCOME = """
    SELECT c.case_id, c.status, c.source_id, c.content, c.content_digest, c.working, c.result, c.answered, c.settles_at,
           (SELECT count(*) FROM case_events v
            WHERE v.case_id = c.case_id AND v.kind IN ('cancelled', 'completed', 'expired')) AS endings,
           (SELECT count(*) FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic = i.topic
            AND substr(h.payload, 1, length(d.action) + 13) = '{"action":"' || d.action || '",') AS voices,
           c.terms, d.interaction_id AS decided_by, d.action AS decided_action, d.verdict, d.body AS decision_body,
           i.interaction_id, i.case_id AS interaction_case_id, i.topic, i.via, i.replier, i.payload, i.row_hash,
           i.content_digest AS agreed_digest, i.created_at AS agreed_at, e.event_id, e.body AS event_body,
           t.case_id AS guarded, t.dispatched_at, c.tenant_id, c.closed_at, c.erased_at, x.payload AS erasure,
           x.created_at AS erasure_at
    FROM cases c LEFT JOIN tasks t ON t.case_id = c.case_id
    LEFT JOIN decisions d ON d.case_id = c.case_id
    LEFT JOIN human_interactions i ON i.interaction_id = COALESCE(d.interaction_id, (
        SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic <> 'sys:erase'
        ORDER BY h.created_at DESC LIMIT 1))
    LEFT JOIN decision_events e ON e.case_id = c.case_id
    LEFT JOIN human_interactions x ON x.workflow_id = c.workflow_id AND x.gate_key = c.gate_key
        AND x.topic = 'sys:erase' AND x.dedupe_key = 'erase'
"""
CASES_WITH_OUTCOME = Statement(
    "cases_with_outcome", f"{_WITH_OUTCOME} WHERE c.case_id > :after ORDER BY c.case_id LIMIT :limit"
)
OUTCOME_OF_CASE = Statement("outcome_of_case", f"{_WITH_OUTCOME} WHERE c.case_id = :case_id")
GATE_EVENTS = Statement(
    "gate_events",
    """
    SELECT c.*, e.workflow_id AS of_workflow, e.key AS event_key, e.interaction_id, e.data AS event_data,
           d.body AS decision_body
    FROM workflow_events e JOIN cases c ON c.case_id = e.case_id LEFT JOIN decisions d ON d.case_id = c.case_id
    WHERE (e.workflow_id, e.key) > (:after, :after_key) ORDER BY e.workflow_id, e.key LIMIT :limit
    """,
)
ENDED_RUNS = Statement(
    "ended_runs",
    """
    SELECT r.workflow_id, r.status, r.outcome, s.data AS told FROM runs r
    JOIN run_stream s ON s.workflow_id = r.workflow_id AND s.counter = r.last_event
    WHERE r.finished_at IS NOT NULL AND r.workflow_id > :after ORDER BY r.workflow_id LIMIT :limit
    """,
)
NEWEST_SEALS = Statement(
    "newest_seals",
    """
    SELECT s.* FROM chains c JOIN seals s ON s.tenant_id = c.tenant_id AND s.seal_no = c.seal_no
    ORDER BY s.tenant_id
    """,
)
SEAL = Statement("seal", "SELECT * FROM seals WHERE tenant_id = :tenant_id AND seal_no = :seal_no")
