"""Statements about what was typed on the review page and not sent yet."""

from __future__ import annotations

from core.ledger.statements import Statement

SAVED_ANSWERS = Statement("saved_answers", "SELECT sealed, saved_at FROM saved_answers WHERE case_id = :case_id")
# The last one wins: two people on one link, or two devices of one, see what was saved last.
SAVE_ANSWERS = Statement(
    "save_answers",
    """
    INSERT INTO saved_answers (case_id, sealed, saved_at) VALUES (:case_id, :sealed, :saved_at)
    ON CONFLICT (case_id) DO UPDATE SET sealed = excluded.sealed, saved_at = excluded.saved_at
    """,
)
FORGET_SAVED_ANSWERS = Statement("forget_saved_answers", "DELETE FROM saved_answers WHERE case_id = :case_id")
# A page's answer forgets them itself; this is for cases that ended elsewhere: a tap, the deadline, the agent.
FORGET_SAVED_OF_CLOSED = Statement(
    "forget_saved_of_closed",
    """
    DELETE FROM saved_answers WHERE case_id IN (
        SELECT s.case_id FROM saved_answers s JOIN cases c ON c.case_id = s.case_id
        WHERE c.status IN ('cancelled', 'completed', 'expired'))
    """,
)
