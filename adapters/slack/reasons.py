"""Asking for a reason: a window is opened at once, what is offered is put into it when that is known, and what was
entered goes the way of a tap.

Who submits is whom Slack says; what the window remembers was sealed for that person when it was opened.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.errands import ACK_SECONDS, Errands
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.modals import OWN, entered, reason_form, recall, remember, told
from adapters.slack.payloads import Tapped, identity_of, read_who, text_at
from adapters.slack.recording import Recorder
from adapters.slack.refusals import TooLate
from adapters.slack.telling import tell
from adapters.slack.windows import Window, Windows
from core import wording
from core.cards import Cards
from core.chat_terms import deny_reasons
from core.command_words import command_words
from core.errors import Unavailable
from core.model import Case
from core.ports import SendFailed
from core.states import TERMINAL
from core.tap_desk import Taken
from core.told import Told
from core.words import Words

log = structlog.get_logger()


class Reasons:
    """`secret`: what seals the windows' memory."""

    def __init__(
        self,
        messenger: SlackMessenger,
        recorder: Recorder,
        lists: Lists,
        cards: Cards,
        errands: Errands,
        secret: str,
    ) -> None:
        self._messenger = messenger
        self._windows = Windows(messenger)
        self._recorder = recorder
        self._lists = lists
        self._cards = cards
        self._errands = errands
        self._secret = secret

    async def ask(self, tapped: Tapped) -> None:
        """Open the window, before anything else is done: Slack lets us for three seconds."""
        words, remembered = command_words(tapped.asks or "en"), remember(tapped, self._secret)
        try:
            window = await self._windows.open(tapped.trigger, reason_form(words, remembered))
        except SendFailed as failed:
            log.info("slack.window_not_opened", card_id=tapped.card_id, reason=failed.message)
            self._errands.forget(tapped.delivery_id)
            text = words["press_again"] if isinstance(failed, TooLate) else words["window_failed"]
            await tell(self._messenger, tapped.place, text)
            return
        try:
            case = await self._cards.case_of_card(tapped.card_id)
        except Unavailable as error:
            log.info("slack.reasons_not_read", card_id=tapped.card_id, reason=error.message)
        else:
            await self._fill(window, tapped, remembered, case, words)
        await self._recorder.adopt(tapped)

    async def _fill(self, window: Window, tapped: Tapped, remembered: str, case: Case | None, words: Words) -> None:
        if case is None:
            view = told(words, self._cards.words(tapped.card_id)["unknown_card"])
        elif case.status in TERMINAL:
            view = told(words, wording.already(case).text)
        else:
            label = wording.button_label(case, tapped.action, wording.words_of(case)["actions"])
            why = f"{wording.visible(case.prompt)}\n\n{words['reason_why'].format(label)}"
            view = reason_form(words, remembered, why=why, offered=deny_reasons(case))
        try:
            await self._windows.update(window, view)
        except SendFailed as failed:  # it was closed or submitted meanwhile
            log.info("slack.window_not_filled", card_id=tapped.card_id, reason=failed.message)

    async def submitted(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Returns once the submission is acknowledged: recorded, refused, sent back, or under way."""
        view, who = body.get("view"), read_who(body)
        tapped = None if who is None else recall(text_at(view, "private_metadata"), who.user, self._secret)
        if who is None or tapped is None:
            words = await self._lists.words(text_at(body, "user", "id"))
            await ack(response_action="update", view=told(words, words["form_out_of_date"]))
            return
        words = command_words(tapped.asks or "en")
        reason, problem = entered(view, words)
        if problem is not None:
            await ack(response_action="errors", errors={OWN: problem})
            return
        delivery_id = text_at(body, "trigger_id") or f"{text_at(view, 'id')}:{text_at(view, 'hash')}"
        tapped = replace(tapped, delivery_id=delivery_id)
        if not self._errands.is_new(delivery_id):
            await ack()
            return
        taking = self._errands.run(self._recorder.take(tapped, {"reason": reason}), before_ack=True)
        await asyncio.wait({taking}, timeout=ACK_SECONDS)
        what, late = self._outcome(tapped, taking, words)
        if what is None:
            await ack()
        else:
            await ack(response_action="update", view=told(words, what.text))
        self._errands.run(self._follow(tapped, taking, what, late=late))

    def _outcome(self, tapped: Tapped, taking: asyncio.Task[Taken], words: Words) -> tuple[Told | None, bool]:
        """What the window says, and whether there is more to be told later."""
        if not taking.done():
            return Told(words["form_late"]), True
        if (error := taking.exception()) is not None:
            log.warning("slack.submission_failed", card_id=tapped.card_id, exc_info=error)
            self._errands.forget(tapped.delivery_id)
            known = self._cards.words(tapped.card_id)
            return Told(known["unchecked" if isinstance(error, SendFailed) else "failed"]), False
        answer = taking.result().answer
        return (Told(words["form_late"]), True) if answer is None else (answer.told, False)

    async def _follow(self, tapped: Tapped, taking: asyncio.Task[Taken], what: Told | None, *, late: bool) -> None:
        """What the window could not say, and the list from which it was opened."""
        if late:
            try:
                what = (await (await taking).finished).told
            except SendFailed as failed:
                log.warning("slack.tap_not_checked", card_id=tapped.card_id, reason=failed.message)
                what = Told(self._cards.words(tapped.card_id)["unchecked"])
            except Exception:
                log.exception("slack.tap_failed", card_id=tapped.card_id)
                what = Told(self._cards.words(tapped.card_id)["failed"])
        if what is None:
            return
        if tapped.place.surface != "message":
            home = await self._messenger.workspace()
            await self._lists.refresh(tapped.place, identity_of(tapped.who, home), what)
        elif late:
            await tell(self._messenger, tapped.place, what)
