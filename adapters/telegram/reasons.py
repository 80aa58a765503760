"""Reasons: whoever presses a button that needs one is asked, below the card, and answers with a button or a message.

A question is for one person. Its message is known to the ledger, so that an answer counts after a restart as well; who
answers is what Telegram says, and the core judges it as it judges every tap.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import structlog
from telegram import CallbackQuery, MaybeInaccessibleMessage, Message, Update, User
from telegram.ext import ContextTypes

from adapters.telegram.asking import NEVER_MIND, OWN, Asking, ask_why, in_own_words, problem_with, reply_box
from adapters.telegram.markup import plain
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import phrases
from adapters.telegram.render import Drawn, as_text
from adapters.telegram.speakers import identity_of, language_of, place_of, replied_to, speaker
from adapters.telegram.taps import VIA, Taps, a_tap
from adapters.telegram.telling import WAIT_SECONDS, Telling
from core.cards import Cards
from core.chat_terms import deny_reasons
from core.errors import Unavailable
from core.questions import Question, Questions
from core.taps import Tap, TapAnswer
from core.told import Told
from core.wording import button_label
from core.words import Words, words_for

log = structlog.get_logger()

PLATFORM = "telegram"
CHOSEN = re.compile(r"q:([0-9]{1,2})", re.ASCII)  # the reason of that number, of those that the question offers


class Reasons:
    """The handlers of what asks for a reason, and of what answers."""

    def __init__(self, taps: Taps, cards: Cards, questions: Questions, telling: Telling) -> None:
        self._taps = taps
        self._cards = cards
        self._questions = questions
        self._telling = telling
        self._asking: set[asyncio.Task[Any]] = set()  # asked, and perhaps not noted down yet

    async def needed(self, query: CallbackQuery, tap: Tap, answer: TapAnswer) -> None:
        """Somebody who may decide pressed a button that needs a reason first."""
        if not answer.asks:
            return
        words = phrases(language_of(query.from_user))
        if query.message is None:
            self._alert(query, words["asked_nowhere"])
            return
        asking = Asking(
            query.from_user,
            _place(query.message),
            query.message.message_id,
            tap.card_id,
            tap.action,
            tap.edition,
            _label(query, tap.action, words["lang"]),
            words,
        )
        await self._begin(self._ask(query, asking))

    async def chosen(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Somebody pressed a button below a question."""
        query = update.callback_query
        if query is None:
            return
        if query.message is None:
            self._taps.unknown(query)
            return
        place, message = _place(query.message), query.message.message_id
        words = phrases(language_of(query.from_user))
        question = await self._about(update, place, message)
        if update.update_id in self._taps.lost:
            return
        if question is None:
            self._alert(query, words["press_card_again"])
        elif question.identity != identity_of(query.from_user).key:
            self._alert(query, words["for_somebody_else"])
        elif query.data == NEVER_MIND:
            self._telling.beside(self._telling.toast(query, words["nothing_recorded"]))
            await self._done(place, message, words)
        elif query.data == OWN:
            await self._begin(self._ask_own(query, question, place, message, words))
        else:
            await self._choose(update, query, question, place, message, words)

    async def replied(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Somebody replied to a message of the bot: to a question, perhaps."""
        message = update.message
        replied = None if message is None else replied_to(message)
        if message is None or replied is None or replied.from_user is None:
            return
        if replied.from_user.username != self._telling.messenger.name:
            return
        place = place_of(message)
        question = await self._about(update, place, replied.message_id)
        user = speaker(message)
        if question is None or user is None:
            return
        words = phrases(language_of(user))
        if question.identity != identity_of(user).key:
            self._telling.beside(self._telling.whisper(user.id, words["for_somebody_else"]))
        elif problem := problem_with(message.text, words):
            asking = Asking(
                user, place, message.message_id, question.card_id, question.action, question.edition, "", words
            )
            await self._begin(self._ask_again(asking, problem, replied.message_id))
        else:
            await self._take(update, message, user, question, place, replied.message_id)

    # --- asking ---

    async def _begin(self, asking: Coroutine[Any, Any, None]) -> None:
        """As `Telling.first`, and whoever answers at once is waited for to be asked."""
        task = self._telling.beside(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        await asyncio.wait({task}, timeout=WAIT_SECONDS)

    async def _ask(self, query: CallbackQuery, asking: Asking) -> None:
        try:
            case = await self._cards.case_of_card(asking.card_id)
            before = await self._questions.open(asking.card_id, identity_of(asking.user))
            offered, prompt = (deny_reasons(case), case.prompt) if case is not None else ((), "")
            private = Place(asking.user.id)
            drawn = ask_why(asking, offered, prompt if asking.place == private else "")
            said = await self._telling.say(asking.place, drawn, below=asking.below)
            if said is None and asking.place != private:  # the chat takes no messages now, but this person may
                said = await self._telling.say(private, ask_why(asking, offered, prompt))
            if said is not None:
                await self._remember(asking, *said)
        except Unavailable:
            await self._telling.tell(query, TapAnswer(asking.words["try_again"]))
            return
        await self._telling.tell(
            query, TapAnswer(asking.words["asked_below" if said else "asked_nowhere"], said is not None)
        )
        for channel, message in before if said else ():
            await self._done(Place(int(channel)), int(message), asking.words)

    async def _ask_own(
        self, query: CallbackQuery, question: Question, place: Place, message: int, words: Words
    ) -> None:
        """In their own words: only a new message makes their client open a reply."""
        try:
            case = await self._cards.case_of_card(question.card_id)
        except Unavailable:
            await self._telling.tell(query, TapAnswer(words["try_again"]))
            return
        standard = words_for(words["lang"] if case is None else case.terms.get("language", words["lang"]))["actions"]
        label = question.action if case is None else button_label(case, question.action, standard)
        asking = Asking(
            query.from_user, place, message, question.card_id, question.action, question.edition, label, words
        )
        await self._telling.toast(query, None)
        said = await self._telling.say(place, in_own_words(asking), below=_card_of(query, message))
        if said is not None:
            await self._remember(asking, *said)
            await self._done(place, message, words)

    async def _ask_again(self, asking: Asking, problem: str, before: int) -> None:
        said = await self._telling.say(
            asking.place, Drawn(f"{asking.name}: {plain(problem)}", reply_box(asking.words)), below=asking.below
        )
        if said is not None:
            await self._remember(asking, *said)
            await self._done(asking.place, before, asking.words)

    async def _remember(self, asking: Asking, place: Place, message: int) -> None:
        who = identity_of(asking.user)
        await self._questions.ask(
            PLATFORM, str(place.chat), str(message), asking.card_id, who, asking.action, asking.edition
        )

    # --- answering ---

    async def _choose(
        self, update: Update, query: CallbackQuery, question: Question, place: Place, message: int, words: Words
    ) -> None:
        found = CHOSEN.fullmatch(query.data or "")
        try:
            offered = await self._cards.reasons(question.card_id)
        except Unavailable:
            self._taps.lost.add(update.update_id)
            return
        if found is None or int(found[1]) >= len(offered):
            self._taps.unknown(query)
            return
        tap = a_tap(
            update,
            query,
            question.card_id,
            question.action,
            question.edition,
            self._taps.since.get(update.update_id, 0),
            listed=place.chat > 0,
            data={"reason": offered[int(found[1])]},
        )
        if await self._taps.record(update, query, tap) is not None:
            await self._done(place, message, words)

    async def _take(
        self, update: Update, message: Message, user: User, question: Question, place: Place, asked: int
    ) -> None:
        tap = Tap(
            platform=PLATFORM,
            card_id=question.card_id,
            action=question.action,
            edition=question.edition,
            identity=identity_of(user),
            channel=str(place.chat),
            via=VIA,
            delivery_id=str(update.update_id),
            tapped_at=int(message.date.timestamp()) * 1000,
            data={"reason": (message.text or "").strip()},
            listed=place.chat > 0,
        )
        answer = await self._taps.record_written(update, tap)
        if answer is None:
            return
        await self._telling.first(self._say_what_became(place, message, user, answer))
        await self._done(place, asked, phrases(language_of(user)))

    async def _say_what_became(self, place: Place, message: Message, user: User, answer: TapAnswer) -> None:
        """Below the reply what everybody may know; in private why somebody may not decide, where they can be told."""
        if (what := answer.told) is None:
            return
        if place.chat < 0 and not answer.recorded:
            if await self._telling.whisper(user.id, what):
                return
            what = Told(phrases(language_of(user))["nothing_recorded"])
        await self._telling.say(place, as_text(what), below=message.message_id)

    async def _about(self, update: Update, place: Place, message: int) -> Question | None:
        """What that message asks. Somebody may be quicker than the note of it."""
        try:
            found = await self._questions.about(PLATFORM, str(place.chat), str(message))
            if found is None and self._asking:
                await asyncio.wait(self._asking, timeout=WAIT_SECONDS)
                found = await self._questions.about(PLATFORM, str(place.chat), str(message))
            return found
        except Unavailable:
            self._taps.lost.add(update.update_id)
            return None

    async def _done(self, place: Place, message: int, words: Words) -> None:
        """The question needs no answer any more, and is taken away; a message that opens a reply cannot be changed."""
        try:
            await self._questions.answered(PLATFORM, str(place.chat), str(message))
        except Unavailable as error:
            log.warning("telegram.question_left_open", reason=error.message)
        self._telling.beside(self._take_away(place, message, words))

    async def _take_away(self, place: Place, message: int, words: Words) -> None:
        if not await self._telling.remove(place, message):  # too old to be taken back
            await self._telling.rewrite(place, message, Drawn(plain(words["question_over"])))

    def _alert(self, query: CallbackQuery, text: str) -> None:
        self._telling.beside(self._telling.tell(query, TapAnswer(text)))


def _label(query: CallbackQuery, action: str, language: str) -> str:
    """What the pressed button says, as its message shows it."""
    message = query.message
    if isinstance(message, Message) and message.reply_markup is not None:
        for row in message.reply_markup.inline_keyboard:
            for one in row:
                if one.callback_data == query.data:
                    return one.text
    return str(words_for(language)["actions"].get(action, action))


def _card_of(query: CallbackQuery, otherwise: int) -> int:
    """The message that the question stands below."""
    replied = query.message.reply_to_message if isinstance(query.message, Message) else None
    return otherwise if replied is None else replied.message_id


def _place(message: MaybeInaccessibleMessage) -> Place:
    return place_of(message) if isinstance(message, Message) else Place(message.chat.id)
