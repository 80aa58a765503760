"""A card that asks nothing: to see whether cards reach a chat, and whether taps come back. Pure.

No case stands behind it; whoever taps is told that the tap arrived.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from core.messages import Button, Card, Paragraph
from core.schedule import MINUTE
from core.wording import timed

_PREFIX = "test-card-"
TAPPED = "Your tap has arrived. This is a test card: nothing waits for an answer, and nothing was recorded."
SEEN = "Taps come back"


def new_test_card(now: int) -> Card:
    """A card with a button, as it is posted."""
    deadline = timed(now + 10 * MINUTE)
    return Card(
        card_id=_PREFIX + secrets.token_hex(6),  # 22 characters, as every card's id
        case_id="test",
        version=1,
        title="Test card",
        prompt="This is a test. Nothing waits for an answer.",
        facts=(("Posted by", "assent doctor"),),
        body=(Paragraph("Tap the button: you are told in private that your tap has arrived."),),
        buttons=(Button("confirm", SEEN, "primary"),),
        review_url=None,
        deadline=deadline.text,
        outcome=None,
        digest="0" * 12,
        moments=(deadline,),
    )


def finished(card: Card, now: int) -> Card:
    """The same card once the test is over."""
    when = timed(now)
    outcome = f"Test finished, {when.text}. Cards can be posted here and follow their cases"
    return replace(card, version=card.version + 1, buttons=(), outcome=outcome, moments=(*card.moments, when))


def is_test(card_id: str) -> bool:
    return card_id.startswith(_PREFIX)
