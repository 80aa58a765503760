"""Fetches what agents point to, through the same guard as webhooks go out."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.webhook.exchange import Http, NoAnswer, NotSentTo
from adapters.webhook.resolver import Unresolved
from core.ports import FetchFailed


class GuardedFetcher:
    """A Fetcher."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def fetch(self, url: str, *, headers: Mapping[str, str], limit_bytes: int, timeout: float) -> bytes:
        """The body of a 200 answer. Raises FetchFailed."""
        try:
            answer = await self._http.exchange("GET", url, headers, b"", seconds=timeout, limit=limit_bytes)
        except (NoAnswer, NotSentTo, Unresolved):
            raise FetchFailed("it could not be fetched") from None
        if answer.status != 200 or answer.cut:
            raise FetchFailed("it could not be fetched")
        return answer.body
