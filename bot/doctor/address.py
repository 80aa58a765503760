"""PUBLIC_URL: whether this very server answers there, and lets the messengers in. Pure but for `Asking`."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.doctor.findings import Finding, broken, ok, warning
from bot.settings import Settings
from core.destinations import LOCAL_NAMES

SECONDS = 8.0
TELEGRAM_PORTS = (443, 80, 88, 8443)
_CERTIFICATE = (
    "Give the server a certificate that is publicly trusted, with its whole chain; Slack and Telegram take no other."
)
_RUNS = "Look whether `assent serve` runs and whether your proxy leads {url} to it."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from an address. `status` None: nothing did, and `problem` says why."""

    status: int | None
    problem: str = ""
    fix: str = ""  # what helps against the problem, where it is known
    body: Any = None  # of JSON; None for everything else


class Asking:
    """Asks the server at `url` (without a trailing slash) as everybody else would."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def get(self, path: str) -> Answer:
        return await self._ask("GET", path, {}, b"")

    async def slack_door(self, signing_secret: str) -> Answer:
        """Ask it as Slack asks a new address whether it is the app's."""
        challenge, stamp = secrets.token_hex(8), str(int(time.time()))
        body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()
        signed = hmac.new(signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signed}",
        }
        return await self._ask("POST", "/slack/events", headers, body)

    async def telegram_door(self, secret: str) -> Answer:
        """Hand in what is no update: whoever knows the secret is told so, everybody else is turned away."""
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
        return await self._ask("POST", "/telegram/webhook", headers, b"{}")

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            response = await self._http.request(method, self.url + path, headers=headers, content=body)
        except httpx.TimeoutException:
            return Answer(None, f"there was no answer within {SECONDS:g} seconds")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Answer(None, *_why(error))
        try:
            return Answer(response.status_code, body=response.json())
        except ValueError:
            return Answer(response.status_code)


def _why(error: BaseException) -> tuple[str, str]:
    """What is wrong, and what helps where that is known."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})", _CERTIFICATE
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "nobody listens there, or the name leads nowhere", ""
    return f"it broke off ({type(error).__name__})", ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server at PUBLIC_URL says of itself. `keys` is what its results are signed with, `ours` what ours are;
    the doors are None where there is none to be asked.
    """

    alive: Answer
    ready: Answer
    keys: Answer
    ours: Mapping[str, Any] | None
    slack: Answer | None = None
    telegram: Answer | None = None


async def look(asking: Asking, settings: Settings, ours: Mapping[str, Any] | None) -> Seen:
    alive = await asking.get("/healthz")
    if alive.status is None:
        return Seen(alive, alive, alive, ours)
    signing, secret = settings.slack_signing_secret, settings.telegram_webhook_secret
    over_http = signing is not None and settings.slack_app_token is None
    return Seen(
        alive,
        await asking.get("/readyz"),
        await asking.get("/.well-known/jwks.json"),
        ours,
        await asking.slack_door(signing.get_secret_value()) if signing is not None and over_http else None,
        await asking.telegram_door(secret.get_secret_value()) if secret is not None else None,
    )


def chosen(settings: Settings) -> Iterator[Finding]:
    """What the address itself says, before it is asked."""
    from_outside = [
        name
        for name, wanted in (
            ("Slack over HTTP", settings.slack_signing_secret is not None and settings.slack_app_token is None),
            ("Telegram's webhook", settings.telegram_webhook_secret is not None),
        )
        if wanted
    ]
    parts = urlsplit(settings.public_url)
    genuine = not (_is_local(settings.slack_base_url) or _is_local(settings.telegram_base_url))  # no stand-in
    if parts.scheme != "https" and from_outside and genuine:
        what = " and ".join(from_outside)
        shown = settings.public_url or f"http://localhost:{settings.port}"
        yield broken(
            "address.public",
            f"{what} need an address that the internet reaches, and PUBLIC_URL is {shown}.",
            "Set PUBLIC_URL to the https address under which this server is reached. Without one, use SLACK_APP_TOKEN "
            "(Socket Mode), and leave TELEGRAM_WEBHOOK_SECRET away (polling).",
        )
    elif not settings.public_url and (settings.slack_bot_token or settings.telegram_bot_token):
        yield warning(
            "address.public",
            f"PUBLIC_URL is not set, so links on cards begin with http://localhost:{settings.port} and open on this "
            "machine only.",
            "Set PUBLIC_URL to the https address under which people reach this server.",
        )
    if settings.telegram_webhook_secret is not None and parts.port not in (None, *TELEGRAM_PORTS) and genuine:
        yield broken(
            "address.port",
            f"PUBLIC_URL has the port {parts.port}, and Telegram sends to {_any_of(TELEGRAM_PORTS)} only.",
            "Give the server an address with one of these ports.",
        )


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in LOCAL_NAMES


def answers(url: str, seen: Seen, *, given: bool) -> Iterator[Finding]:
    """`given`: whether somebody has set this address."""
    runs = _RUNS.format(url=url)
    if seen.alive.status is None:
        say = broken if given else warning
        yield say(
            "address.reachable", f"{url} does not answer from here: {seen.alive.problem}.", seen.alive.fix or runs
        )
        return
    if seen.alive.status != httpx.codes.OK or seen.alive.body != {"status": "ok"}:
        yield broken(
            "address.reachable", f"Something else than Assent answers at {url} (HTTP {seen.alive.status}).", runs
        )
        return
    if seen.ours is not None and seen.keys.status == httpx.codes.OK and seen.keys.body != seen.ours:
        yield broken(
            "address.ours",
            f"Another Assent answers at {url}: its secret key is not the one that is set here.",
            "Check PUBLIC_URL, and that this command sees the settings of that server: ASSENT_SECRET_KEY, or the key "
            "file beside its database (run it in the folder that the server was started from).",
        )
    else:
        yield ok("address.reachable", f"{url} answers, and is this installation.")
    if seen.ready.status != httpx.codes.OK:
        yield broken("address.ready", f"The server at {url} is not ready: {_unready(seen.ready)}.", "Read its log.")


def _unready(answer: Answer) -> str:
    checks = answer.body.get("checks", {}) if isinstance(answer.body, dict) else {}
    failing = [str(name) for name, fine in checks.items() if not fine]
    return f"{', '.join(failing)} {'fails' if len(failing) == 1 else 'fail'}" if failing else f"HTTP {answer.status}"


def slack_door(url: str, answer: Answer | None) -> Iterator[Finding]:
    """Whether what Slack posts is let in there; `answer` None where that was not asked."""
    where = f"{url}/slack/interactions"
    if answer is None or answer.status == httpx.codes.OK:
        return
    if answer.status == httpx.codes.UNAUTHORIZED:
        yield broken(
            "slack.door",
            f"{where} refuses requests that are signed with this SLACK_SIGNING_SECRET.",
            "The server was started with another secret, or its clock is more than five minutes off: restart it with "
            "the settings of now.",
        )
    else:
        yield broken(
            "slack.door",
            f"Taps in Slack cannot arrive: {where} answers {_status(answer)}.",
            f"Restart `assent serve` with Slack's settings, and let your proxy pass on {where}.",
        )


def telegram_door(url: str, answer: Answer | None) -> Iterator[Finding]:
    """Whether what Telegram posts is let in there; `answer` None where that was not asked."""
    where = f"{url}/telegram/webhook"
    if answer is None or answer.status == httpx.codes.BAD_REQUEST:  # let in, and found to be no update
        return
    fix = "Restart `assent serve` with the settings of now"
    if answer.status == httpx.codes.UNAUTHORIZED:
        yield broken("telegram.door", f"{where} does not know this TELEGRAM_WEBHOOK_SECRET.", f"{fix}.")
    else:
        what = f"Taps in Telegram cannot arrive: {where} answers {_status(answer)}."
        yield broken("telegram.door", what, f"{fix}, and let your proxy pass on {where}.")


def _status(answer: Answer) -> str:
    return f"HTTP {answer.status}" if answer.status is not None else f"nothing ({answer.problem})"


def _any_of(ports: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, ports[:-1]))} or {ports[-1]}"
