"""A person's inbox on Slack: the list that `/assent` answers with, and App Home."""

from __future__ import annotations

from datetime import tzinfo

import structlog

from adapters.slack.directory import SlackDirectory
from adapters.slack.inbox_view import SHOWN, link_button, past_list, waiting_list
from adapters.slack.limits import Block
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Place, parted
from adapters.slack.render import Drawing, private
from adapters.slack.shapes import actions, told
from adapters.slack.telling import tell
from adapters.slack.windows import Windows
from core.chat import ChatServices
from core.chat_answers import standing_in
from core.command_words import command_words
from core.errors import AssentError
from core.inbox import PastPage
from core.model import Identity
from core.ports import SendFailed
from core.told import Told
from core.urls import inbox_url, sign_in_url
from core.words import Words

log = structlog.get_logger()


class Lists:
    def __init__(self, messenger: SlackMessenger, directory: SlackDirectory, services: ChatServices) -> None:
        self._messenger = messenger
        self._directory = directory
        self._services = services
        self._windows = Windows(messenger)

    async def language(self, user: str) -> str:
        """In which language this person is answered."""
        return await self._directory.language(parted(user)[1], self._services.language)

    async def words(self, user: str) -> Words:
        return command_words(await self.language(user))

    async def waiting(self, identity: Identity, note: str | Told = "") -> Drawing:
        """What waits for them, with buttons. Raises AssentError."""
        page = await self._services.inbox.waiting(identity, limit=SHOWN)
        url = await self.sign_in_url(identity) if page.total > SHOWN else ""
        words, zone = await self.words(identity.user_id), await self._zone(identity)
        return waiting_list(page, words, note=note, sign_in_url=url, zone=zone)

    async def past(self, identity: Identity) -> Drawing:
        """What was decided lately. Raises AssentError."""
        return await self._past(await self._services.inbox.history(identity, limit=SHOWN), identity)

    async def turned(self, identity: Identity, cursor: str, *, newer: bool) -> Drawing:
        """Another page of that. Raises AssentError."""
        page = await self._services.inbox.turned(identity, cursor, newer=newer, limit=SHOWN)
        return await self._past(page, identity)

    async def _past(self, page: PastPage, identity: Identity) -> Drawing:
        return past_list(page, await self.words(identity.user_id), await self._zone(identity))

    async def _zone(self, identity: Identity) -> tzinfo:
        return await self._directory.zone(parted(identity.user_id)[1], self._services.zone)

    async def sign_in_url(self, identity: Identity) -> str:
        """An address that signs them in, once. Raises AssentError."""
        code = await self._services.sessions.sign_in_code(identity)
        return sign_in_url(self._services.public_url, await self.language(identity.user_id), code)

    async def publish(self, identity: Identity, note: str | Told = "") -> None:
        """Their home tab, as things stand."""
        try:
            blocks = await self._home(identity, note)
        except AssentError as error:
            log.info("slack.home_not_read", user=identity.user_id, reason=error.message)
            blocks = private(note or (await self.words(identity.user_id))["try_again"]).blocks
        try:
            await self._windows.publish(parted(identity.user_id)[1], blocks)
        except SendFailed as failed:
            log.warning("slack.home_not_published", user=identity.user_id, reason=failed.message)

    async def refresh(self, place: Place, identity: Identity, note: str | Told) -> None:
        """The list in which somebody has pressed a button, with what became of that."""
        if place.surface == "home":
            await self.publish(identity, note)
            return
        try:
            drawing = await self.waiting(identity, note)
        except AssentError as error:
            log.info("slack.list_not_read", user=identity.user_id, reason=error.message)
            await tell(self._messenger, place, note)
        else:
            await tell(self._messenger, place, drawing, replace=True)

    async def _home(self, identity: Identity, note: str | Told) -> list[Block]:
        page, language = (
            await self._services.inbox.waiting(identity, limit=SHOWN),
            await self.language(identity.user_id),
        )
        words, url = command_words(language), inbox_url(self._services.public_url, language)
        zone = await self._zone(identity)
        lines = standing_in(await self._services.people.delegations(identity), language, zone)[:10]
        web = link_button(words["open_inbox"], url)
        foot = [{"type": "divider"}, *map(told, lines), actions(web)]
        return waiting_list(page, words, note=note, foot=foot, zone=zone).blocks
