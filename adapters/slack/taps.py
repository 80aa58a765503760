"""Taps: what Slack sends when somebody presses a button becomes a Tap, and whoever tapped is told what became of it.

Slack wants its acknowledgement within three seconds, we give it within one. What a person is told goes out beside it
and holds nothing up; nothing says "recorded" before the commit.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.errands import ACK_SECONDS, Errands
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Tapped, identity_of, read_tap
from adapters.slack.reasons import Reasons
from adapters.slack.recording import Recorder
from adapters.slack.render import refusal
from adapters.slack.telling import tell
from core.cards import Cards
from core.ports import SendFailed
from core.tap_desk import Taken
from core.told import Told

log = structlog.get_logger()


class Taps:
    """The listener for presses of buttons."""

    def __init__(
        self,
        messenger: SlackMessenger,
        recorder: Recorder,
        reasons: Reasons,
        lists: Lists,
        cards: Cards,
        errands: Errands,
    ) -> None:
        self._messenger = messenger
        self._recorder = recorder
        self._reasons = reasons
        self._lists = lists
        self._cards = cards
        self._errands = errands

    async def tapped(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Returns once the tap is acknowledged: recorded, refused, or under way."""
        tapped = read_tap(body)
        if tapped is None or not self._errands.is_new(tapped.delivery_id):
            await ack()
            return
        if tapped.asks is not None:
            await ack()
            self._errands.run(self._reasons.ask(tapped))
            return
        taking = self._errands.run(self._recorder.take(tapped), before_ack=True)
        await asyncio.wait({taking}, timeout=ACK_SECONDS)
        await ack()
        self._errands.run(self._follow(tapped, taking))

    async def _follow(self, tapped: Tapped, taking: asyncio.Task[Taken]) -> None:
        """Tell the person what became of the tap, now or as soon as it is known."""
        on_card = tapped.place.surface == "message"
        try:
            answer = taking.result().answer if taking.done() else None
            late = answer is None
            if answer is None:
                await self._tell(tapped, self._cards.words(tapped.card_id)["late"], at_once=True)
                answer = await (await taking).finished
            what: Told | str | None = answer.told if late or not (answer.shown and on_card) else None
        except SendFailed as failed:
            log.warning("slack.tap_not_checked", card_id=tapped.card_id, reason=failed.message)
            what = self._cards.words(tapped.card_id)["unchecked"]
            self._errands.forget(tapped.delivery_id)
        except Exception:
            log.exception("slack.tap_failed", card_id=tapped.card_id)
            what = self._cards.words(tapped.card_id)["failed"]
            self._errands.forget(tapped.delivery_id)
        if what is not None:
            await self._tell(tapped, what)
        await self._recorder.adopt(tapped)

    async def _tell(self, tapped: Tapped, what: Told | str, *, at_once: bool = False) -> None:
        """In private; where they pressed a button in a list, in that list, which is read anew, unless it is to be told
        `at_once`.
        """
        if tapped.place.surface == "message" or (at_once and tapped.place.response_url):
            await tell(self._messenger, tapped.place, refusal(what))
            return
        try:
            home = await self._messenger.workspace()
        except SendFailed as failed:
            log.warning("slack.not_told", user=tapped.who.user, reason=failed.message)
        else:
            await self._lists.refresh(tapped.place, identity_of(tapped.who, home), what)
