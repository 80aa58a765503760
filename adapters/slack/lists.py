"""A person's inbox on Slack: the list that `/assent` answers with, and App Home."""

from __future__ import annotations

import structlog

from adapters.slack.inbox_view import SHOWN, link_button, past_list, waiting_list
from adapters.slack.limits import Block
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Place
from adapters.slack.render import Drawing, private
from adapters.slack.shapes import actions, context
from adapters.slack.telling import tell
from adapters.slack.windows import Windows
from core.chat import ChatServices
from core.chat_answers import standing_in
from core.command_words import command_words
from core.errors import AssentError
from core.model import Identity
from core.ports import SendFailed
from core.urls import inbox_url, sign_in_url
from core.words import Words

log = structlog.get_logger()


class Lists:
    def __init__(self, messenger: SlackMessenger, services: ChatServices) -> None:
        self._messenger = messenger
        self._services = services
        self._windows = Windows(messenger)

    @property
    def words(self) -> Words:
        return command_words(self._services.language)

    async def waiting(self, identity: Identity, note: str = "") -> Drawing:
        """What waits for them, with buttons. Raises AssentError."""
        page = await self._services.inbox.waiting(identity, limit=SHOWN)
        url = await self.sign_in_url(identity) if page.total > SHOWN else ""
        return waiting_list(page, self.words, note=note, sign_in_url=url)

    async def past(self, identity: Identity) -> Drawing:
        """Raises AssentError."""
        return past_list(await self._services.inbox.history(identity, limit=SHOWN), self.words)

    async def sign_in_url(self, identity: Identity) -> str:
        """An address that signs them in, once. Raises AssentError."""
        code = await self._services.sessions.sign_in_code(identity)
        return sign_in_url(self._services.public_url, self._services.language, code)

    async def publish(self, identity: Identity, note: str = "") -> None:
        """Their home tab, as things stand."""
        try:
            blocks = await self._home(identity, note)
        except AssentError as error:
            log.info("slack.home_not_read", user=identity.user_id, reason=error.message)
            blocks = private(note or self.words["try_again"]).blocks
        try:
            await self._windows.publish(identity.user_id, blocks)
        except SendFailed as failed:
            log.warning("slack.home_not_published", user=identity.user_id, reason=failed.message)

    async def refresh(self, place: Place, identity: Identity, note: str) -> None:
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

    async def _home(self, identity: Identity, note: str) -> list[Block]:
        page = await self._services.inbox.waiting(identity, limit=SHOWN)
        lines = standing_in(await self._services.people.delegations(identity), self._services.language)
        web = link_button(self.words["open_inbox"], inbox_url(self._services.public_url, self._services.language))
        foot = [{"type": "divider"}, *(context(line) for line in lines[:10]), actions(web)]
        return waiting_list(page, self.words, note=note, foot=foot).blocks
