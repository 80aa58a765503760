"""What the engine is told: where its tables are, under which names its workflows wait, and how many may."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DbosSettings:
    """`database_url`: PostgreSQL. A workflow that waits is found again by an executor of this `executor_id` (one
    process, and the same after a restart), and by no other. `waiters`: how many may run in this process at once.
    """

    database_url: str = field(repr=False)
    executor_id: str
    waiters: int
