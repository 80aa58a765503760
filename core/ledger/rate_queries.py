"""Rate windows: so many requests counted until then, on the database's clock. Shared by the replicas on PostgreSQL."""

from __future__ import annotations

from core.ledger.statements import Statement

# A window begins with its first hit. The clock is read once the row is ours: whoever waited for it may find that its
# window has ended. One that ends later than it could have begun was left by a clock that has since been set back.
HIT_RATE_WINDOW = Statement(
    "hit_rate_window",
    """
    INSERT INTO rate_windows AS w (key, count, expires_at) VALUES (:key, :amount, {now} + :length)
    ON CONFLICT (key) DO UPDATE SET (count, expires_at) = (
        SELECT CASE WHEN n.live THEN w.count + excluded.count ELSE excluded.count END,
            CASE WHEN n.live THEN w.expires_at ELSE n.now + :length END
        FROM (SELECT c.now, c.now < w.expires_at AND w.expires_at <= c.now + :length AS live
            FROM (SELECT {now} AS now) c) n)
    RETURNING count, expires_at - {now} AS left_ms
    """,
)
RATE_WINDOW = Statement(
    "rate_window",
    "SELECT count, expires_at - {now} AS left_ms FROM rate_windows WHERE key = :key AND expires_at > {now}",
)
CLEAR_RATE_WINDOW = Statement("clear_rate_window", "DELETE FROM rate_windows WHERE key = :key")
CLEAR_RATE_WINDOWS = Statement("clear_rate_windows", "DELETE FROM rate_windows")
FORGET_RATE_WINDOWS = Statement("forget_rate_windows", "DELETE FROM rate_windows WHERE expires_at < :before")
