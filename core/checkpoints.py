"""Named places at which a crash would be most awkward. In production each is a no-op; the chaos suite kills the
process there.
"""

from __future__ import annotations

from collections.abc import Callable


def _nothing(name: str) -> None:
    return None


reached: Callable[[str], None] = _nothing

NAMES = (
    "open.before_commit",
    "open.after_commit",
    "respond.after_begin",
    "respond.after_insert",
    "respond.after_commit",
    "card.before_send",
    "card.after_send",
    "card.after_save",
    "ack.before_commit",
    "ack.after_commit",
)
# Where only an Idempotency-Key comes by for anything but a case.
ONCE_NAMES = ("once.before_commit",)
# Where only an approved task comes by.
DISPATCH_NAMES = ("dispatch.before_commit", "dispatch.after_commit")
# Where only an event comes by that is claimed.
CLAIM_NAMES = ("claim.before_commit", "claim.after_commit")
# Where only a case comes by whose agent is called back.
DELIVERY_NAMES = ("delivery.before_send", "delivery.after_send", "delivery.after_save")
# Where only a case comes by that is reminded of.
REMINDER_NAMES = (
    "remind.before_commit",
    "remind.after_commit",
    "notice.before_send",
    "notice.after_send",
    "notice.after_save",
)
# Where only a case comes by that climbs its escalation chain.
ESCALATION_NAMES = ("escalate.before_commit", "escalate.after_commit")
# Where only a case comes by whose content is erased.
RETENTION_NAMES = ("erase.before_commit", "erase.after_commit")
# Where only a digest comes by: of more cards than a chat should get at once.
DIGEST_NAMES = ("digest.before_send", "digest.after_send", "digest.after_save")
# Where only a run comes by.
RUN_NAMES = (
    "run.after_claim",
    "step.before_commit",
    "step.after_commit",
    "signal.before_commit",
    "signal.after_commit",
    "expire.before_commit",
    "expire.after_commit",
)
EVERY = frozenset(
    name
    for names in (
        NAMES,
        ONCE_NAMES,
        DISPATCH_NAMES,
        CLAIM_NAMES,
        DELIVERY_NAMES,
        REMINDER_NAMES,
        ESCALATION_NAMES,
        RETENTION_NAMES,
        DIGEST_NAMES,
        RUN_NAMES,
    )
    for name in names
)


def checkpoint(name: str) -> None:
    reached(name)
