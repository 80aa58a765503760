"""Statements about guarded operations and remembered approvals."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_TASK = insert(
    "tasks",
    "case_id tenant_id source_id key_id operation payload requested_by digest verdict ruling grant_id link_hash "
    "link_sealed created_at approved_at approved_until dispatched_at failed_at failure",
)
# All that policy and the guard need to know before a task is opened: the clock, and where it goes by default.
GUARD_FACTS = Statement(
    "guard_facts",
    "SELECT {now} AS now, t.default_source_id FROM tenants t WHERE t.tenant_id = :tenant_id",
)
_TASK = """
    SELECT t.operation, t.payload, t.requested_by, t.digest, t.verdict, t.ruling, t.grant_id, t.link_sealed, t.key_id,
           t.approved_at, t.approved_until, t.dispatched_at, t.failed_at, t.failure, d.verdict AS decided,
           e.event_id, c.*
    FROM tasks t JOIN cases c ON c.case_id = t.case_id
    LEFT JOIN decisions d ON d.case_id = t.case_id LEFT JOIN decision_events e ON e.case_id = t.case_id
"""
TASK = Statement("guarded_task", f"{_TASK} WHERE t.case_id = :case_id AND t.tenant_id = :tenant_id")
TASK_BY_LINK = Statement("guarded_task_by_link", f"{_TASK} WHERE t.case_id = :case_id AND t.link_hash = :link_hash")
# The newest first, from a place on.
TASKS = Statement(
    "guarded_tasks",
    f"""
    {_TASK} WHERE t.tenant_id = :tenant_id AND (t.created_at, t.case_id) < (:before, :before_id)
        AND (CAST(:source_id AS TEXT) IS NULL OR t.source_id = :source_id)
    ORDER BY t.created_at DESC, t.case_id DESC LIMIT :limit
    """,
)
# The newest, in their order.
CASE_EVENTS = Statement(
    "events_of_case",
    """
    SELECT * FROM (
        SELECT kind, data, created_at, counter FROM case_events WHERE case_id = :case_id
        ORDER BY counter DESC LIMIT :limit) AS newest
    ORDER BY counter
    """,
)
APPROVE_TASK = Statement(
    "approve_task",
    """
    UPDATE tasks SET approved_at = :approved_at, approved_until = :approved_until
    WHERE case_id = :case_id AND approved_at IS NULL
    """,
)

# --- dispatch -------------------------------------------------------------------------------------------------

# Approved tasks that await dispatch; nobody else's until the transaction ends. What was approved by a clock that has
# since been set back waits until it is that time again.
AWAITING_DISPATCH = Statement(
    "awaiting_dispatch",
    """
    SELECT case_id FROM tasks
    WHERE approved_at <= :now AND dispatched_at IS NULL AND failed_at IS NULL
    ORDER BY approved_at LIMIT :limit {skip_locked}
    """,
)
# Everything that an approval is held against: the task, its case, the decision, the ledger row behind it, and whether
# executors were told already; of a grant that let the task through, also what the ledger knows of that.
EVIDENCE = """
    SELECT t.case_id, t.tenant_id, t.source_id, t.operation, t.payload, t.requested_by, t.digest, t.verdict AS ruled,
           t.grant_id, t.approved_at, t.approved_until, t.dispatched_at, t.failed_at,
           d.verdict, d.action, d.decided_at, d.body AS decision_body, e.event_id, g.tenant_id AS grant_tenant_id,
           g.operation AS grant_operation, g.payload_digest AS grant_payload_digest,
           g.created_at AS granted_at, g.expires_at AS grant_expires_at, g.case_id AS grant_case_id,
           gi.tenant_id AS given_tenant_id, gi.case_id AS given_case_id, gi.payload AS given,
           gi.content_digest AS given_digest, gi.created_at AS given_at, gc.content AS grant_content,
           gc.source_id AS grant_source_id,
           gr.created_at AS taken_back_at, i.interaction_id,
           i.tenant_id AS agreed_tenant_id, i.case_id AS agreed_case_id, i.topic, i.payload AS agreed,
           i.content_digest AS agreed_digest, i.row_hash, i.workflow_id AS agreed_workflow_id,
           i.gate_key AS agreed_gate_key, i.dedupe_key, i.origin, i.via, i.replier, i.payload_hash,
           i.created_at AS agreed_at,
           c.tenant_id AS case_tenant_id, c.source_id AS case_source_id, c.status, c.content, c.content_digest,
           c.working, c.result, c.answered, c.terms, c.closed_at, c.erased_at, gc.erased_at AS grant_erased_at
    FROM tasks t LEFT JOIN cases c ON c.case_id = t.case_id LEFT JOIN decisions d ON d.case_id = t.case_id
    LEFT JOIN human_interactions i ON i.interaction_id = d.interaction_id
    LEFT JOIN decision_events e ON e.case_id = t.case_id LEFT JOIN grants g ON g.grant_id = t.grant_id
    LEFT JOIN human_interactions gi ON gi.interaction_id = g.interaction_id
    LEFT JOIN cases gc ON gc.case_id = g.case_id
    LEFT JOIN human_interactions gr ON gr.workflow_id = gc.workflow_id AND gr.gate_key = gc.gate_key
        AND gr.topic = 'sys:revoke' AND gr.dedupe_key = g.grant_id
"""
EVIDENCE_OF_TASK = Statement("evidence_of_task", f"{EVIDENCE} WHERE t.case_id = :case_id")
EVIDENCE_OF_TASKS = Statement(
    "evidence_of_tasks", f"{EVIDENCE} WHERE t.case_id > :after ORDER BY t.case_id LIMIT :limit"
)
DISPATCH_TASK = Statement(
    "dispatch_task",
    """
    UPDATE tasks SET dispatched_at = :now
    WHERE case_id = :case_id AND approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL
    """,
)
REFUSE_TASK = Statement(
    "refuse_task",
    """
    UPDATE tasks SET failed_at = :now, failure = :failure
    WHERE case_id = :case_id AND dispatched_at IS NULL AND failed_at IS NULL
    """,
)
# An approved task waits a moment for its dispatch, never for long.
NEVER_DISPATCHED = Statement(
    "never_dispatched",
    """
    SELECT t.case_id AS key FROM tasks t JOIN decisions d ON d.case_id = t.case_id
    WHERE d.verdict = 'APPROVE' AND d.decided_at < {now} - 10000 AND t.dispatched_at IS NULL AND t.failed_at IS NULL
    """,
)

# --- grants ---------------------------------------------------------------------------------------------------

INSERT_GRANT = insert(
    "grants",
    "grant_id tenant_id operation payload payload_digest reason case_id interaction_id granted_by created_at "
    "expires_at revoked_at revoked_by",
)
# The remembered approvals of just this, those that last longest first. One that was given on a task's page holds for
# that task's source: the same words may mean something else elsewhere.
LIVE_GRANTS = Statement(
    "live_grants",
    """
    SELECT g.* FROM grants g JOIN cases c ON c.case_id = g.case_id
    WHERE g.tenant_id = :tenant_id AND g.operation = :operation AND g.payload_digest = :payload_digest
        AND g.revoked_at IS NULL AND g.expires_at > {now} AND (c.source_id IS NULL OR c.source_id = :source_id)
    ORDER BY g.expires_at DESC LIMIT :limit
    """,
)
# Locked, so that a task is let through before it is revoked, or not at all.
LOCK_GRANT = Statement(
    "lock_grant", "SELECT * FROM grants WHERE grant_id = :grant_id AND tenant_id = :tenant_id {for_update}"
)
GRANT = Statement("grant", "SELECT * FROM grants WHERE grant_id = :grant_id AND tenant_id = :tenant_id")
GRANTS = Statement(
    "grants",
    """
    SELECT * FROM grants WHERE tenant_id = :tenant_id AND (created_at, grant_id) < (:before, :before_id)
        AND (CAST(:live AS INTEGER) = 0 OR (revoked_at IS NULL AND expires_at > {now}))
    ORDER BY created_at DESC, grant_id DESC LIMIT :limit
    """,
)
REVOKE_GRANT = Statement(
    "revoke_grant",
    """
    UPDATE grants SET revoked_at = :now, revoked_by = :revoked_by WHERE grant_id = :grant_id AND revoked_at IS NULL
    """,
)
