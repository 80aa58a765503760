"""The port to Slack: six methods and a rate card. What Slack refuses is said in words that tell what to do.

Nothing is sent twice here: the SDK's retry handlers are off, and whether a message may have arrived is told to the
worker, which decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from adapters.slack import channels, limits
from adapters.slack.render import Drawing, draw, metadata, private, remind
from adapters.slack.settings import SlackSettings
from core.messages import Card, Notice
from core.model import Address
from core.pacing import Rate
from core.ports import ChannelMoved, Check, SendFailed

T = TypeVar("T")
log = structlog.get_logger()

CALL_SECONDS = 10
CONNECT_SECONDS = 5
HISTORY_PAGES = 3
HISTORY_PAGE = 200
SOCKET_MODE = "Socket Mode"
DEFAULT_RETRY_AFTER = 30  # seconds, when a 429 does not say
SCOPES = ("chat:write", "im:write", "channels:history", "groups:history", "im:history")
# Neither the text nor the links in a card are interpreted: nothing unfurls, no name becomes a mention.
INERT: Mapping[str, Any] = {"parse": "none", "link_names": False}
SILENT: Mapping[str, Any] = {**INERT, "unfurl_links": False, "unfurl_media": False}

# What trying again cannot help, and what does help.
REFUSALS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("channel_not_found", "not_in_channel", "no_permission"),
        "the bot cannot see {where}; check the channel id, and invite the bot there: /invite @{bot}",
    ),
    (("is_archived",), "{where} is archived; unarchive it, or send the cards to another channel"),
    (
        ("message_not_found", "thread_not_found"),
        "the message of this card was deleted in Slack, so it cannot follow its case any more",
    ),
    (("cant_update_message", "edit_window_closed"), "Slack does not let this message be changed any more"),
    (
        ("user_not_found", "users_not_found", "user_not_visible", "user_disabled", "cannot_dm_bot"),
        "Slack knows nobody there to write to; check the user id in {where}",
    ),
    (
        ("invalid_auth", "not_authed", "token_revoked", "token_expired", "not_allowed_token_type"),
        "Slack does not accept {token} ({code}); copy it anew from the pages of your Slack app",
    ),
    (("account_inactive",), "the app was removed from the workspace; install it again and set {token} anew"),
    (
        ("missing_scope",),
        "the app lacks the permission {needed}; add it under OAuth & Permissions and install the app again",
    ),
    (
        (
            "restricted_action", "restricted_action_read_only_channel", "channel_is_limited_access", "access_denied",
            "posting_to_general_channel_denied", "team_access_not_granted", "org_login_required", "ekm_access_denied",
            "messages_tab_disabled",
        ),
        "the workspace's rules keep the bot from writing to {where} ({code}); ask a workspace admin",
    ),
    (
        (
            "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text",
            "invalid_arguments", "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large",
        ),
        "Slack did not take this card ({code}); please report it as a bug of Assent",
    ),
)  # fmt: skip
# Slack's words for "this went wrong half way": part of it may have happened.
UNCERTAIN = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
_WORDS = {code: words for codes, words in REFUSALS for code in codes}
_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def quiet(name: str, level: int = logging.WARNING) -> logging.Logger:
    """A logger for the SDK: at DEBUG it would write whole messages, review links included."""
    logger = logging.getLogger(f"adapters.slack.{name}")
    logger.setLevel(level)
    return logger


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the bot lives, and who it is there. `enterprise` is empty outside Enterprise organisations."""

    team: str
    team_name: str
    enterprise: str
    bot_user: str
    bot_name: str


class SlackMessenger:
    """The messenger for one bot in one workspace."""

    platform = "slack"

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._client = AsyncWebClient(
            token=settings.bot_token,
            base_url=settings.base_url,
            timeout=CALL_SECONDS,
            logger=quiet("sdk"),
            retry_handlers=[],
        )
        self._client.proxy = None  # the SDK took one from the environment, which only the settings read
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        self._workspace: Workspace | None = None
        self._direct: dict[str, str] = {}  # user id -> the channel of the direct message with that person
        self._names = channels.ChannelNames(self._joined)

    @property
    def client(self) -> AsyncWebClient:
        return self._client

    async def start(self) -> None:
        """One connection pool for all calls. Without it every call opens a connection of its own."""
        await self.close()
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        self._session = self._client.session = aiohttp.ClientSession(timeout=timeout, trust_env=False)

    async def close(self, seconds: float = CALL_SECONDS) -> None:
        """Let what is being sent be answered: cut off in the middle, nobody knows whether it arrived."""
        session, self._session, self._client.session = self._session, None, None
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        if session is not None:
            await session.close()

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        return limits.rate_of(address.channel, kind)

    async def post(self, address: Address, card: Card) -> str:
        drawing, channel = draw(card), await self._channel(address)
        answer = await self._ask(
            self._client.chat_postMessage(
                channel=channel,
                text=drawing.text,
                blocks=drawing.blocks,
                metadata=metadata(card),
                **SILENT,
            ),
            where=str(address),
        )
        return str(answer["ts"])

    async def update(self, address: Address, message: str, card: Card) -> None:
        drawing, channel = draw(card), await self._channel(address)
        await self._ask(
            self._client.chat_update(
                channel=channel,
                ts=message,
                text=drawing.text,
                blocks=drawing.blocks,
                metadata=metadata(card),
                **SILENT,
            ),
            where=str(address),
        )

    async def remind(self, address: Address, message: str, notice: Notice) -> str:
        """In the card's thread. Where nobody is mentioned, only those who follow the thread would see it, so it is
        shown in the channel too.
        """
        whom = (address.channel,) if _is_person(address) else notice.mentions
        drawing, channel = remind(notice, whom), await self._channel(address)
        answer = await self._ask(
            self._client.chat_postMessage(
                channel=channel,
                thread_ts=message,
                reply_broadcast="<@" not in drawing.text,
                text=drawing.text,
                blocks=drawing.blocks,
                **SILENT,
            ),
            where=str(address),
        )
        return str(answer["ts"])

    async def notify(self, address: Address, whom: str, text: str) -> None:
        """An ephemeral message; in the direct message with the bot for whoever is not in that channel."""
        drawing, channel = private(text), await self._channel(address)
        try:
            await self._ask(
                self._client.chat_postEphemeral(
                    channel=channel, user=whom, text=drawing.text, blocks=drawing.blocks, **INERT
                ),
                where=str(address),
            )
        except _NotThere:
            await self._write_to(whom, drawing)

    async def find(self, address: Address, card: Card) -> str | None:
        channel, us, cursor = await self._channel(address), await self.workspace(), ""
        wanted = metadata(card)["event_payload"]["card_id"]
        for _ in range(HISTORY_PAGES):
            try:
                page = await self._ask(
                    self._client.conversations_history(
                        channel=channel, limit=HISTORY_PAGE, include_all_metadata=True, cursor=cursor or None
                    ),
                    where=str(address),
                )
            except SendFailed as failed:
                if failed.permanent:
                    log.warning("slack.card_not_looked_for", chat=str(address), reason=failed.message)
                    return None
                raise
            for message in page["messages"]:
                if message.get("user") == us.bot_user and _card_in(message) == wanted:
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None
        return None

    async def check(self) -> Check:
        try:
            answer = await self._ask(self._client.auth_test(), where="Slack")
            await self.try_socket_mode()
        except SendFailed as failed:
            return Check(False, failed.message[:1].upper() + failed.message[1:] + ".")
        us = _workspace(answer)
        granted = set(answer.headers.get("x-oauth-scopes", ",".join(SCOPES)).replace(" ", "").split(","))
        if missing := [scope for scope in SCOPES if scope not in granted]:
            return Check(
                False,
                f"The bot is @{us.bot_name} in {us.team_name}, but lacks {', '.join(missing)}; add them under OAuth & "
                "Permissions and install the app again.",
            )
        way = "through Socket Mode" if self._settings.socket_mode else "over HTTP"
        detail = f"The bot is @{us.bot_name} in {us.team_name}; taps arrive {way}."
        if unread := [scope for scope in channels.SCOPES if scope not in granted]:
            detail += f" Without {' and '.join(unread)} channels can be written to by their ids only."
        return Check(True, detail)

    @property
    def _bot_name(self) -> str:
        return self._workspace.bot_name if self._workspace else "assent"

    # What taps need beyond the port

    async def workspace(self) -> Workspace:
        """Asked once. Raises SendFailed."""
        if self._workspace is None:
            self._workspace = _workspace(await self._ask(self._client.auth_test(), where="Slack"))
        return self._workspace

    async def try_socket_mode(self) -> None:
        """Whether Slack takes the app token, when there is one. Raises SendFailed."""
        if token := self._settings.app_token:
            await self._ask(self._client.apps_connections_open(app_token=token), where=SOCKET_MODE)

    async def is_direct(self, channel: str, user: str) -> bool:
        """Whether this channel is the direct message between the bot and that person, by Slack's own word."""
        return await self._open(user) == channel

    async def reply(self, response_url: str, text: str) -> None:
        """Answer an interaction so that only whoever tapped sees it (5 times within 30 minutes)."""
        drawing = private(text)
        webhook = AsyncWebhookClient(
            response_url, timeout=CALL_SECONDS, session=self._session, logger=quiet("sdk"), retry_handlers=[]
        )
        webhook.proxy = None
        answer: WebhookResponse = await self._ask(
            webhook.send(text=drawing.text, blocks=drawing.blocks, response_type="ephemeral", replace_original=False),
            where="response_url",
        )
        if answer.status_code != 200:
            raise SendFailed(f"Slack did not take the answer to a tap (HTTP {answer.status_code})")

    async def _write_to(self, user: str, drawing: Drawing) -> None:
        channel = await self._open(user)
        await self._ask(
            self._client.chat_postMessage(
                channel=channel,
                text=drawing.text,
                blocks=drawing.blocks,
                **SILENT,
            ),
            where=f"slack:{user}",
        )

    async def _channel(self, address: Address) -> str:
        """Slack's id of the place. A name is worth nothing else than to be told its id, which the card then keeps:
        nothing was sent yet, so whoever dies here loses nothing and doubles nothing.
        """
        if channels.is_name(address.channel):
            raise ChannelMoved(await self._named(address))
        return await self._open(address.channel) if _is_person(address) else address.channel

    async def _named(self, address: Address) -> str:
        if found := await self._names.id_of(address.channel):
            return found
        words = "the bot is in no channel named {where}; check the name, and invite the bot there: /invite @{bot}"
        raise SendFailed(words.format(where=address, bot=self._bot_name), permanent=True)

    async def _joined(self, cursor: str) -> AsyncSlackResponse:
        return await self._ask(
            self._client.users_conversations(
                types="public_channel,private_channel",
                exclude_archived=True,
                limit=channels.PAGE,
                cursor=cursor or None,
            ),
            where="Slack",
        )

    async def _open(self, user: str) -> str:
        if user not in self._direct:
            answer = await self._ask(self._client.conversations_open(users=user), where=f"slack:{user}")
            self._direct[user] = str(answer["channel"]["id"])
        return self._direct[user]

    async def _ask(self, question: Awaitable[T], *, where: str) -> T:
        """Slack's answer, or SendFailed. `where`: what the question is about, for the words of a refusal."""
        asked = asyncio.ensure_future(question)
        self._under_way.add(asked)
        asked.add_done_callback(self._under_way.discard)
        try:
            return await asked
        except SlackApiError as error:
            raise self._refusal(error, where) from None
        except _NEVER_LEFT as error:
            raise SendFailed(f"Slack cannot be reached at {self._settings.base_url} ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendFailed(f"Slack's answer got lost ({type(error).__name__})", uncertain=True) from None
        except (AttributeError, ValueError) as error:  # the SDK stumbles over what is no JSON object
            raise SendFailed(f"Slack's answer made no sense ({type(error).__name__})", uncertain=True) from None

    def _refusal(self, error: SlackApiError, where: str) -> SendFailed:
        status, headers, body = _parts(error.response)
        code = str(body.get("error") or f"HTTP {status}")
        if status == 429 or code in ("ratelimited", "rate_limited"):
            return SendFailed(f"Slack asks for a pause in {where}", retry_after_ms=1000 * _retry_after(headers))
        if code == "user_not_in_channel":
            return _NotThere(f"this person is not in {where}", permanent=True)
        if words := _WORDS.get(code):
            bot = self._bot_name
            token = "SLACK_APP_TOKEN" if where == SOCKET_MODE else "SLACK_BOT_TOKEN"
            needed = body.get("needed") or "that this needs"
            return SendFailed(words.format(code=code, where=where, bot=bot, token=token, needed=needed), permanent=True)
        unclear = status >= 500 or (status < 400 and not body) or code in UNCERTAIN
        return SendFailed(f"Slack did not do it ({code})", uncertain=unclear)


class _NotThere(SendFailed):
    """Somebody is not in the channel where they were to be told something."""


def _workspace(answer: AsyncSlackResponse) -> Workspace:
    return Workspace(
        team=str(answer["team_id"]),
        team_name=str(answer.get("team") or answer["team_id"]),
        enterprise=str(answer.get("enterprise_id") or ""),
        bot_user=str(answer["user_id"]),
        bot_name=str(answer.get("user") or "assent"),
    )


def _is_person(address: Address) -> bool:
    """Whether a card stands in the direct message with somebody."""
    return address.channel[:1] in ("U", "W")


def _card_in(message: Mapping[str, Any]) -> str | None:
    """The id of the card that a message of a channel's history shows."""
    found = message.get("metadata") or {}
    if found.get("event_type") != limits.METADATA_EVENT:
        return None
    return str((found.get("event_payload") or {}).get("card_id"))


def _parts(response: Any) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
    """Status, headers and body; the SDK attaches its own response or, for what is no JSON, aiohttp's."""
    if isinstance(response, AsyncSlackResponse):
        return response.status_code, response.headers, response.data if isinstance(response.data, dict) else {}
    return int(getattr(response, "status", 0)), getattr(response, "headers", {}), {}


def _retry_after(headers: Mapping[str, str]) -> int:
    """Seconds. Header names come in any case."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return max(1, int(value)) if value.isascii() and value.isdigit() else DEFAULT_RETRY_AFTER
