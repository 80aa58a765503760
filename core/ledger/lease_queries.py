"""The statements of leases: what only one process may do at a time."""

from __future__ import annotations

from core.ledger.statements import Statement

TAKE_LEASE = Statement(
    "take_lease",
    """
    INSERT INTO leases (name, holder, until, state) VALUES (:name, :holder, :until, NULL)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leases.holder = excluded.holder OR leases.until < :now
    """,
)
LEASE = Statement("lease", "SELECT holder, until, state FROM leases WHERE name = :name")
SAVE_LEASE_STATE = Statement(
    "save_lease_state", "UPDATE leases SET state = :state WHERE name = :name AND holder = :holder"
)
DROP_LEASE = Statement("drop_lease", "UPDATE leases SET until = 0 WHERE name = :name AND holder = :holder")
