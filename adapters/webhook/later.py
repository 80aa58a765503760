"""HTTP whose client is loaded when there is something to send: 7 MB that a server without webhooks does not pay."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from adapters.webhook.exchange import Exchanged, Http
from core.destinations import Destinations


class HttpLater:
    """As `GuardedHttp`, which it becomes."""

    def __init__(self, destinations: Destinations, *, ca_file: str | None = None) -> None:
        self._destinations = destinations
        self._ca_file = ca_file
        self._loading = asyncio.Lock()
        self._http: Http | None = None

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, limit: int
    ) -> Exchanged:
        async with self._loading:
            if self._http is None:  # beside the loop: it takes a tenth of a second
                self._http = await asyncio.to_thread(self._load)
        return await self._http.exchange(method, url, headers, body, seconds=seconds, limit=limit)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    def _load(self) -> Http:
        from adapters.webhook.guarded import GuardedHttp

        return GuardedHttp(self._destinations, ca_file=self._ca_file)
