"""From what Slack described to the ledger: a press, or a submitted window, becomes a Tap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Tapped, identity_of
from core.cards import Cards
from core.errors import Unavailable
from core.hub import Hub
from core.tap_desk import Taken, TapDesk
from core.taps import Tap

log = structlog.get_logger()


class Recorder:
    def __init__(self, messenger: SlackMessenger, desk: TapDesk, cards: Cards, hub: Hub) -> None:
        self._messenger = messenger
        self._desk = desk
        self._cards = cards
        self._hub = hub

    async def take(self, tapped: Tapped, data: Mapping[str, Any] | None = None) -> Taken:
        """Raises SendFailed when Slack cannot be asked who we are, or whose direct message this is."""
        home, place = await self._messenger.workspace(), tapped.place
        # A card for a person stands in the direct message with that person; its address names the person.
        direct = place.channel.startswith("D") and await self._messenger.is_direct(place.channel, tapped.who.user)
        return await self._desk.take(
            Tap(
                platform="slack",
                card_id=tapped.card_id,
                action=tapped.action,
                identity=identity_of(tapped.who, home),
                channel=home.prefix + (tapped.who.user if direct else place.channel),
                via="slack_block_action",
                delivery_id=tapped.delivery_id,
                tapped_at=tapped.tapped_at,
                edition=tapped.edition,
                data=data or {},
                listed=place.surface != "message",
            )
        )

    async def adopt(self, tapped: Tapped) -> None:
        """The card may have been posted without our learning its message's id; whoever taps it shows where it is."""
        if not tapped.message or not tapped.is_card:
            return
        try:
            await self._cards.adopt(tapped.card_id, tapped.message)
        except Unavailable as error:
            log.info("slack.not_adopted", card_id=tapped.card_id, reason=error.message)
        else:
            self._hub.wake("cards")

    async def drain(self, seconds: float) -> None:
        """Let the taps under way reach the ledger."""
        await self._desk.drain(seconds)
