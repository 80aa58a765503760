"""The port to Slack: seven methods and a rate card. What Slack refuses is said in words that tell what to do.

Nothing is sent twice here: the SDK's retry handlers are off, and whether a message may have arrived is told to the
worker, which decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from adapters.slack import channels, limits
from adapters.slack.calls import CALL_SECONDS, SlackCalls, quiet, workspace_of
from adapters.slack.digests import digest_metadata, draw_digest
from adapters.slack.refusals import NotThere
from adapters.slack.render import Drawing, draw, metadata, private, remind
from adapters.slack.settings import SlackSettings
from core.digest_words import Digest
from core.messages import Card
from core.model import Address
from core.notice_words import Notice
from core.pacing import Rate
from core.ports import ChannelMoved, Check, SendFailed
from core.told import Told

log = structlog.get_logger()

HISTORY_PAGES = 3
HISTORY_PAGE = 200
SCOPES = ("chat:write", "im:write", "channels:history", "groups:history", "im:history")
# What the rest is needed for.
LOST_WITHOUT: tuple[tuple[tuple[str, ...], str], ...] = (
    (channels.SCOPES, "channels can be written to by their ids only"),
    (("commands",), "the command /assent does not exist"),
    (("usergroups:read",), "nobody is in a user group that is named as reviewers"),
    (("users:read",), "nobody can use /assent and the home tab"),
)
# Neither the text nor the links in a card are interpreted: nothing unfurls, no name becomes a mention.
INERT: Mapping[str, Any] = {"parse": "none", "link_names": False}
SILENT: Mapping[str, Any] = {**INERT, "unfurl_links": False, "unfurl_media": False}


class SlackMessenger(SlackCalls):
    """The messenger for one bot in one workspace."""

    platform = "slack"

    def __init__(self, settings: SlackSettings) -> None:
        super().__init__(settings)
        self._direct: dict[str, str] = {}  # user id -> the channel of the direct message with that person
        self._names = channels.ChannelNames(self._joined)

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        return limits.rate_of(address.channel, kind)

    async def post(self, address: Address, card: Card) -> str:
        drawing, channel = draw(card), await self._channel(address)
        answer = await self.ask(
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

    def shows_whole(self, card: Card) -> bool:
        return draw(card).whole

    async def update(self, address: Address, message: str, card: Card) -> None:
        drawing, channel = draw(card), await self._channel(address)
        await self.ask(
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
        answer = await self.ask(
            self._client.chat_postMessage(
                channel=channel,
                thread_ts=message,
                reply_broadcast=not drawing.text.startswith(("<@", "<!subteam^")),
                text=drawing.text,
                blocks=drawing.blocks,
                **SILENT,
            ),
            where=str(address),
        )
        return str(answer["ts"])

    async def notify(self, address: Address, whom: str, what: str | Told) -> None:
        """An ephemeral message; in the direct message with the bot for whoever is not in that channel."""
        await self.whisper(address, whom, private(what))

    async def whisper(self, address: Address, whom: str, drawing: Drawing) -> None:
        """As `notify`, whatever it looks like."""
        channel = await self._channel(address)
        try:
            await self.ask(
                self._client.chat_postEphemeral(
                    channel=channel, user=whom, text=drawing.text, blocks=drawing.blocks, **INERT
                ),
                where=str(address),
            )
        except NotThere:
            await self.write_to(whom, drawing)

    async def digest(self, address: Address, digest: Digest, message: str | None = None) -> str:
        drawing, channel = draw_digest(digest), await self._channel(address)
        said = {"text": drawing.text, "blocks": drawing.blocks, "metadata": digest_metadata(digest), **SILENT}
        if message is None:
            call = self._client.chat_postMessage(channel=channel, **said)
        else:
            call = self._client.chat_update(channel=channel, ts=message, **said)
        return str((await self.ask(call, where=str(address)))["ts"])

    async def find(self, address: Address, card: Card | Digest) -> str | None:
        channel, us, cursor = await self._channel(address), await self.workspace(), ""
        wanted = card.card_id
        for _ in range(HISTORY_PAGES):
            try:
                page = await self.ask(
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
            answer = await self.ask(self._client.auth_test(), where="Slack")
            await self.try_socket_mode()
        except SendFailed as failed:
            return Check(False, failed.message[:1].upper() + failed.message[1:] + ".")
        us = workspace_of(answer)
        granted = set(answer.headers.get("x-oauth-scopes", ",".join(SCOPES)).replace(" ", "").split(","))
        if missing := [scope for scope in SCOPES if scope not in granted]:
            return Check(
                False,
                f"The bot is @{us.bot_name} in {us.team_name}, but lacks {', '.join(missing)}; add them under OAuth & "
                "Permissions and install the app again.",
            )
        way = "through Socket Mode" if self._settings.socket_mode else "over HTTP"
        detail = f"The bot is @{us.bot_name} in {us.team_name}; taps arrive {way}."
        for scopes, lost in LOST_WITHOUT:
            if unread := [scope for scope in scopes if scope not in granted]:
                detail += f" Without {' and '.join(unread)} {lost}."
        return Check(True, detail)

    # What taps need beyond the port

    async def is_direct(self, channel: str, user: str) -> bool:
        """Whether this channel is the direct message between the bot and that person, by Slack's own word."""
        return await self._open(user) == channel

    async def reply(self, response_url: str, drawing: Drawing, *, replace: bool = False) -> None:
        """Answer an interaction so that only whoever tapped sees it (5 times within 30 minutes); with `replace`, in the
        place of the message that was used.
        """
        webhook = AsyncWebhookClient(
            response_url, timeout=CALL_SECONDS, session=self._session, logger=quiet("sdk"), retry_handlers=[]
        )
        webhook.proxy = None
        answer: WebhookResponse = await self.ask(
            webhook.send(text=drawing.text, blocks=drawing.blocks, response_type="ephemeral", replace_original=replace),
            where="response_url",
        )
        if answer.status_code != 200:
            raise SendFailed(f"Slack did not take the answer to a tap (HTTP {answer.status_code})")

    async def write_to(self, user: str, drawing: Drawing) -> None:
        """In the direct message between the bot and somebody."""
        channel = await self._open(user)
        await self.ask(
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
        return await self.ask(
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
            answer = await self.ask(self._client.conversations_open(users=user), where=f"slack:{user}")
            self._direct[user] = str(answer["channel"]["id"])
        return self._direct[user]


def _is_person(address: Address) -> bool:
    """Whether a card stands in the direct message with somebody."""
    return address.channel[:1] in ("U", "W")


def _card_in(message: Mapping[str, Any]) -> str | None:
    """The id of the card that a message of a channel's history shows."""
    found = message.get("metadata") or {}
    if found.get("event_type") != limits.METADATA_EVENT:
        return None
    return str((found.get("event_payload") or {}).get("card_id"))
