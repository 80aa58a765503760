"""One attempt to deliver something: what is sent, what came back, and what that means. Shared by the courier, the kinds
of deliveries and the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from core.errors import AssentError
from core.ledger import Row, Statement
from core.schedule import Retries

RETRYABLE_4XX = frozenset({408, 425, 429})
GONE = 410
ERASED = "its content was erased before it could be sent again"


class Unsendable(AssentError):
    """This delivery cannot be sent, and trying again would not help."""

    code = "unsendable"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST. Every attempt of a delivery has the same `body` and the same message id among its headers.

    `timeout_ms`: for the whole attempt; None for the sender's own. `keep_response`: whether what the receiver says may
    be kept with the attempt.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_ms: int | None = None
    keep_response: bool = True
    retries: Retries = field(default_factory=Retries)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of an attempt. `status` is None when no whole answer came in time; then `error` says so in plain words,
    the same words whatever is or is not listening there. `cause` is for the log alone.
    """

    status: int | None
    took_ms: int
    response: str = ""
    retry_after_ms: int | None = None
    error: str | None = None
    cause: str | None = None


class Sender(Protocol):
    async def send(self, outgoing: Outgoing) -> Receipt:
        """POST it, and wait for the answer no longer than its timeout. Raises nothing for what receivers do."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of delivery: what is to be known for sending it, and how it is then made up.

    `facts` is asked once per claim with `delivery_ids` (a JSON list) and answers one row per `delivery_id`. `render`
    gets the delivery's row, its facts and the time in milliseconds; it raises Unsendable.
    """

    facts: Statement
    render: Callable[[Row, Row, int], Outgoing]


class Meaning(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"  # for good: the same again would be refused again
    GONE = "gone"  # and nothing else is wanted there either


def meaning(receipt: Receipt) -> Meaning:
    """What an answer means (contract of the executors' door, "Webhook")."""
    status = receipt.status
    if status is None:
        return Meaning.RETRY
    if 200 <= status < 300:
        return Meaning.DELIVERED
    if status == GONE:
        return Meaning.GONE
    if 400 <= status < 500 and status not in RETRYABLE_4XX:
        return Meaning.REFUSED
    return Meaning.RETRY  # 5xx, the retryable 4xx, and 3xx, which is never followed
