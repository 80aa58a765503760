"""Getting a payload to the app within Slack's three seconds: signed over HTTP, or through Socket Mode."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import httpx

from bot.sandbox.clock import Clock, SystemClock
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.socket_mode import SocketMode
from bot.sandbox.trust import trust
from bot.sandbox.wire import Json

ACK_SECONDS = 3.0
FORGED_SECONDS = 360
"""How far off a forged time is: a minute more than Slack's limit, so that it stays forged while it is on its way."""


class Forgery(StrEnum):
    """Ways in which somebody who is not Slack could send a payload."""

    WRONG_SECRET = "wrong_secret"  # noqa: S105  # a name
    STALE = "stale"
    """Signed rightly, but long ago."""
    FUTURE = "future"
    """Signed rightly, but far ahead."""
    TEXT_TIMESTAMP = "text_timestamp"
    UNDERSCORED_TIMESTAMP = "underscored_timestamp"
    """A timestamp such as `1_800_000_000`, which `int()` would take."""
    NON_ASCII_SIGNATURE = "non_ascii_signature"
    NO_SIGNATURE = "no_signature"
    NO_TIMESTAMP = "no_timestamp"
    CHANGED_BODY = "changed_body"
    """The signature of another body."""


@dataclass(frozen=True)
class Attempt:
    """One delivery of a payload. `status` is None when no answer came in time or the connection broke."""

    status: int | None
    body: str
    seconds: float
    problem: str = ""

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; None when it is empty."""
        return json.loads(self.body) if self.body.strip() else None


@dataclass
class Tap:
    """What a person did, as sent to the app, and what came back. The properties are the newest attempt's."""

    kind: str
    """`interactive`, `slash_commands` or `events_api`, as Socket Mode names them."""
    user: str
    payload: Json
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def status(self) -> int | None:
        return self.last.status

    @property
    def body(self) -> str:
        return self.last.body

    @property
    def seconds(self) -> float:
        """Until the acknowledgement, on the machine's clock."""
        return self.last.seconds

    @property
    def failed(self) -> bool:
        """The person was told `operation_timeout` or `dispatch_failed`."""
        return not self.last.acknowledged


class Courier:
    def __init__(self, app: SlackApp, sockets: SocketMode, clock: Clock) -> None:
        self._app = app
        self._sockets = sockets
        self._clock = clock
        self._stopwatch = SystemClock()
        self._client = httpx.AsyncClient(trust_env=False, verify=trust(), follow_redirects=False)
        self.ack_seconds = ACK_SECONDS

    async def close(self) -> None:
        await self._client.aclose()

    async def deliver(self, tap: Tap, forgery: Forgery | None = None) -> Attempt:
        """Send the payload once and record the attempt on the tap."""
        started = self._stopwatch.monotonic()
        if self._app.url_for(tap.kind):
            attempt = await self._post(tap, forgery, started)
        else:
            attempt = await self._through_socket(tap, started)
        tap.attempts.append(attempt)
        return attempt

    async def _post(self, tap: Tap, forgery: Forgery | None, started: float) -> Attempt:
        body, kind = encoded(tap)
        headers = {b"Content-Type": kind.encode()} | self.signed(body, forgery) | _retried(tap)
        try:
            response = await self._client.post(
                self._app.url_for(tap.kind), content=body, headers=headers, timeout=self.ack_seconds
            )
        except httpx.TimeoutException:
            return Attempt(None, "", self._since(started), "operation_timeout")
        except httpx.HTTPError as error:
            return Attempt(None, "", self._since(started), type(error).__name__)
        seconds = self._since(started)
        if seconds > self.ack_seconds:
            return Attempt(None, "", seconds, "operation_timeout")
        return Attempt(response.status_code, response.text, seconds)

    async def _through_socket(self, tap: Tap, started: float) -> Attempt:
        accepts_answer = tap.kind == "slash_commands" or tap.payload.get("type") == "view_submission"
        try:
            retries = len(tap.attempts)
            answer = await self._sockets.deliver(tap.kind, tap.payload, accepts_answer, self.ack_seconds, retries)
        except TimeoutError:
            return Attempt(None, "", self._since(started), "operation_timeout")
        return Attempt(200, json.dumps(answer) if answer else "", self._since(started))

    def signed(self, body: bytes, forgery: Forgery | None = None) -> dict[bytes, bytes]:
        """The signature headers for a body, or forged ones. https://docs.slack.dev/authentication/verifying-requests"""
        now = int(self._clock.wall())
        shift = {Forgery.STALE: -FORGED_SECONDS, Forgery.FUTURE: FORGED_SECONDS}.get(forgery, 0) if forgery else 0
        stamp = str(now + shift)
        if forgery is Forgery.TEXT_TIMESTAMP:
            stamp = "yesterday"
        elif forgery is Forgery.UNDERSCORED_TIMESTAMP:
            stamp = f"{now:_}"
        secret = "not the secret" if forgery is Forgery.WRONG_SECRET else self._app.signing_secret
        signed_body = b"payload=%7B%7D" if forgery is Forgery.CHANGED_BODY else body
        digest = hmac.new(secret.encode(), b"v0:%s:%s" % (stamp.encode(), signed_body), hashlib.sha256).hexdigest()
        signature = "v0=ü" if forgery is Forgery.NON_ASCII_SIGNATURE else f"v0={digest}"
        headers = {b"X-Slack-Request-Timestamp": stamp.encode(), b"X-Slack-Signature": signature.encode()}
        if forgery is Forgery.NO_SIGNATURE:
            del headers[b"X-Slack-Signature"]
        if forgery is Forgery.NO_TIMESTAMP:
            del headers[b"X-Slack-Request-Timestamp"]
        return headers

    def _since(self, started: float) -> float:
        return self._stopwatch.monotonic() - started


def _retried(tap: Tap) -> dict[bytes, bytes]:
    """What Slack adds when it sends an event again. https://docs.slack.dev/apis/events-api#retries"""
    if tap.kind != "events_api" or not tap.attempts:
        return {}
    reason = "http_timeout" if tap.last.problem == "operation_timeout" else "http_error"
    return {b"X-Slack-Retry-Num": str(len(tap.attempts)).encode(), b"X-Slack-Retry-Reason": reason.encode()}


def encoded(tap: Tap) -> tuple[bytes, str]:
    """The HTTP body and its content type: events are JSON, commands form fields, the rest one form field."""
    if tap.kind == "events_api":
        return json.dumps(tap.payload).encode(), "application/json"
    fields = tap.payload if tap.kind == "slash_commands" else {"payload": json.dumps(tap.payload)}
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"
