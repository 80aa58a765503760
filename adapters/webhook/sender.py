"""One POST to a receiver that may be slow, broken or hostile, and the receipt for it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from adapters.webhook.exchange import Http, NoAnswer, NotSentTo
from adapters.webhook.resolver import Unresolved
from core.schedule import SECOND
from core.sending import Outgoing, Receipt

MAX_RESPONSE = 64 * 1024
# What went wrong beyond the name is not told apart: whoever may name a URL must not learn from us what listens where.
NO_ANSWER = "no whole answer came in time"
NO_NAME = "the name leads nowhere"
REFUSED = "the address is not one that is sent to"
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class WebhookSender:
    """`timeout_seconds`: for a whole attempt, from the name's resolution to the last byte that is read."""

    def __init__(self, http: Http, timeout_seconds: float) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds

    async def send(self, outgoing: Outgoing) -> Receipt:
        """POST it. Whatever the receiver does, the receipt is there when the timeout is over."""
        seconds = self._timeout_seconds
        if outgoing.timeout_ms is not None:
            seconds = min(seconds, outgoing.timeout_ms / SECOND)
        began = time.monotonic()
        try:
            answer = await self._http.exchange(
                "POST", outgoing.url, outgoing.headers, outgoing.body, seconds=seconds, limit=MAX_RESPONSE
            )
        except (NoAnswer, NotSentTo, Unresolved) as error:
            words = {NoAnswer: NO_ANSWER, NotSentTo: REFUSED, Unresolved: NO_NAME}[type(error)]
            return Receipt(None, _since(began), error=words, cause=str(error))
        text = answer.body.decode("utf-8", "replace")
        return Receipt(answer.status, _since(began), response=text, retry_after_ms=_retry_after(answer.headers))


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """`Retry-After` in milliseconds, from its seconds or its date; None when there is none that can be read."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return int(value) * SECOND
    try:
        return max(0, round((parsedate_to_datetime(value).timestamp() - time.time()) * SECOND))
    except (ValueError, OverflowError):
        return None


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
