"""Statements about runs through a flow."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_RUN = insert(
    "flow_runs", "workflow_id tenant_id flow inputs last_case_id submit_token result created_at finished_at"
)
# The run that a case belongs to; its columns are NULL for a case of no flow.
RUN_OF_CASE = Statement(
    "run_of_case",
    """
    SELECT r.* FROM cases c LEFT JOIN flow_runs r ON r.workflow_id = c.workflow_id
    WHERE c.case_id = :case_id AND c.tenant_id = :tenant_id
    """,
)
RUN = Statement("run", "SELECT * FROM flow_runs WHERE workflow_id = :workflow_id AND tenant_id = :tenant_id")
# The run that is about to go on, locked until the transaction ends.
LOCK_RUN = Statement("lock_run", "SELECT * FROM flow_runs WHERE workflow_id = :workflow_id {for_update}")
CASES_OF_RUN = Statement("cases_of_run", "SELECT * FROM cases WHERE workflow_id = :workflow_id")
MOVE_RUN = Statement(
    "move_run",
    """
    UPDATE flow_runs SET inputs = :inputs, last_case_id = :last_case_id, submit_token = :submit_token
    WHERE workflow_id = :workflow_id AND finished_at IS NULL
    """,
)
FINISH_RUN = Statement(
    "finish_run",
    """
    UPDATE flow_runs SET result = :result, finished_at = :finished_at
    WHERE workflow_id = :workflow_id AND finished_at IS NULL
    """,
)
