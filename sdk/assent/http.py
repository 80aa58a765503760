"""One way to ask Assent something: with the key, with patience, and with errors as types."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypedDict
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx

from assent.errors import (
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from assent.pacing import Backoff, Clock, SystemClock, retry_after

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 15.0
FOREVER = float("inf")
_BY_STATUS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    410: Conflict,
    412: Conflict,
    413: InvalidRequest,
    422: Conflict,
    429: RateLimited,
}
_BY_CODE: dict[str, type[Refused]] = {
    "idempotency_mismatch": IdempotencyMismatch,
    "IDEMPOTENCY_MISMATCH": IdempotencyMismatch,
}
_MISMATCH_OF_TASKS = (422, "SCHEMA_VALIDATION_FAILED")  # where the codes are few, it is known by its status
_PASSING_CODES = frozenset({"idempotency_in_flight", "IDEMPOTENCY_IN_FLIGHT"})
_PASSING_STATUSES = frozenset({408, 425, 429})


class Options(TypedDict, total=False):
    """What clients can be told beside the address and the key.

    `connect` makes the HTTP client, for proxies and certificates of your own; `clock` and `backoff` decide when
    something is tried again.
    """

    connect: Callable[[], httpx.AsyncClient]
    clock: Clock
    backoff: Backoff


class Http:
    """Connections are kept per event loop, so that one object serves several loops and threads, one after the other or
    at once.
    """

    def __init__(self, url: str, key: str, options: Options) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("url must be the address of Assent, like https://assent.example.com")
        if not key:
            raise ValueError("key must be an API key of Assent; it begins with ak_")
        self._url = url.rstrip("/")
        self._authorization = {"authorization": f"Bearer {key}"}
        self._connect = options.get("connect", httpx.AsyncClient)
        self.clock: Clock = options.get("clock") or SystemClock()
        self.backoff = options.get("backoff") or Backoff()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> httpx.Response:
        """The answer, 2xx or 304. What is asked must be safe to ask twice: it is, while what fails may pass, for
        `patience` seconds (None: as the backoff says). Raises Refused, Unreachable, UnexpectedAnswer.
        """
        patience = self.backoff.patience if patience is None else patience
        began, failures = self.clock.monotonic(), 0
        timeout = httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS)
        while True:
            try:
                response = await self._client.request(
                    method,
                    self._url + path,
                    timeout=timeout,
                    follow_redirects=False,
                    params=params,
                    headers=self._headers(headers, body),
                    content=body,
                )
                if response.is_success or response.status_code == 304:
                    return response
                raise refusal(response, self.clock.now())
            except (httpx.RequestError, Refused) as error:
                failures += 1
                pause = self.pause(error, failures)
                if pause is None:
                    raise
                if self.clock.monotonic() - began + pause > patience:
                    raise _last(error) from error
            await self.clock.sleep(pause)

    def pause(self, error: Exception, failures: int) -> float | None:
        """Seconds until what failed so many times in a row may be tried again; None when that would not help."""
        if isinstance(error, Refused):
            if not _passing(error):
                return None
            return self.backoff.pause(failures, error.retry_after, luck=_luck())
        return self.backoff.pause(failures, luck=_luck())

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str], silence_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an answer as they come. Raises Refused, UnexpectedAnswer and httpx.RequestError, also when
        nothing has come for `silence_seconds`.
        """
        timeout = httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS)
        async with self._client.stream(
            "GET", self._url + path, headers=self._headers(headers, None), timeout=timeout, follow_redirects=False
        ) as response:
            if not response.is_success:
                await response.aread()
                raise refusal(response, self.clock.now())
            yield response.aiter_bytes()

    async def close(self) -> None:
        """Close the connections of this event loop. It may be used again all the same."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    @property
    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._connect()
        return client

    def _headers(self, more: Mapping[str, str] | None, body: bytes | None) -> dict[str, str]:
        found = {**self._authorization, **(more or {})}
        return found | ({"content-type": "application/json"} if body is not None else {})


def refusal(response: httpx.Response, now: float) -> Exception:
    """What an answer that is neither 2xx nor 304 means, as an error."""
    status = response.status_code
    if status < 400:
        return UnexpectedAnswer(f"Assent answered with a redirect ({status}); is the url its own, with https?")
    code, message, details, request_id = _said(response)
    if (status, code) == _MISMATCH_OF_TASKS:
        code = "IDEMPOTENCY_MISMATCH"
    kind = _BY_CODE.get(code) or (ServerFailed if status >= 500 else _BY_STATUS.get(status, Refused))
    return kind(
        message,
        status=status,
        code=code,
        details=details,
        request_id=request_id or response.headers.get("x-request-id"),
        retry_after=retry_after(response.headers.get("retry-after"), now),
    )


def _said(response: httpx.Response) -> tuple[str, str | None, dict[str, Any], str | None]:
    """Code, message, details and request id, in the words of either door; a proxy in between may say anything."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return "", f"the answer was {response.status_code} {response.reason_phrase}".rstrip(), {}, None
    if isinstance(found.get("error"), dict):
        found = found["error"]
        details = found.get("details")
        details = details if isinstance(details, dict) else {}
        code = found.get("code")
    else:
        details = {name: value for name, value in found.items() if name not in ("error", "message", "request_id")}
        code = found.get("error")
    message, request_id = found.get("message"), found.get("request_id")
    return str(code or ""), None if message is None else str(message), details, request_id and str(request_id)


def _passing(error: Refused) -> bool:
    """Whether the same request may be answered otherwise in a moment."""
    return error.status in _PASSING_STATUSES or error.status >= 500 or error.code in _PASSING_CODES


def _last(error: Exception) -> Exception:
    """What is raised when patience is at its end."""
    if isinstance(error, Refused):
        return error
    return Unreachable(f"Assent could not be reached: {str(error) or type(error).__name__}")


def _luck() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
