"""Commands: who writes one is answered in their language, in private where it concerns them alone.

Everything here may be delivered twice and is answered each time: reading changes nothing, and linking, leaving and
coming back twice are the same as once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

import structlog
from telegram import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, Message, MessageEntity, Update, User
from telegram.constants import MessageEntityType
from telegram.error import TelegramError
from telegram.ext import ContextTypes

from adapters.telegram.limits import cut
from adapters.telegram.linking import confirm_linking
from adapters.telegram.listing import SHOWN, past_list, waiting_list
from adapters.telegram.markup import plain
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import LANGUAGES, phrases
from adapters.telegram.render import Drawn, as_text
from adapters.telegram.speakers import identity_of, language_of, place_of, replied_to, speaker
from adapters.telegram.telling import Telling
from core.chat import ChatServices
from core.chat_answers import NAMES, ChatAnswers, name_of
from core.chat_commands import Away, Link, Misunderstood, read_command
from core.errors import AssentError, Unavailable
from core.model import Identity
from core.ports import SendFailed
from core.urls import sign_in_url
from core.wording import visible
from core.words import Words

log = structlog.get_logger()

COMMANDS = ("inbox", "history", "whoami", "link", "away", "back", "web", "help", "start")
PUBLIC = frozenset({"help", "start"})  # said where they were asked, groups included
OPEN = frozenset({"away", "back"})  # said there where it can be said nowhere else
TAKER = "@taker"  # stands for the mention in what was typed


@dataclass(frozen=True, slots=True)
class Asked:
    """One command: who asks, what stands behind it, and in which words and by whose clocks they are answered."""

    message: Message
    user: User
    name: str
    rest: str
    words: Words
    answers: ChatAnswers
    zone: tzinfo

    @property
    def identity(self) -> Identity:
        return identity_of(self.user)

    @property
    def private(self) -> bool:
        return self.message.chat.id == self.user.id


class Commands:
    """The handler of commands. `clock`: seconds since 1970."""

    def __init__(self, services: ChatServices, telling: Telling, *, clock: Callable[[], float] = time.time) -> None:
        self._services = services
        self._telling = telling
        self._clock = clock
        self._handlers: Mapping[str, Callable[[Asked], Awaitable[Drawn]]] = {
            "inbox": self._inbox,
            "history": self._history,
            "whoami": self._whoami,
            "link": self._link,
            "away": self._away,
            "back": self._back,
            "web": self._web,
            "help": self._help,
            "start": self._start,
        }

    async def handle(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        message = update.message
        if message is None or not message.text:
            return
        user = speaker(message)
        if user is None:
            words = phrases(self._services.language)
            await self._telling.first(self._telling.say(place_of(message), Drawn(plain(words["only_people"]))))
            return
        asked = self._asked(message, user)
        try:
            await self._services.people.seen(asked.identity, user.username)
            zone = await self._services.zone_of(asked.identity)
            asked = replace(asked, answers=self.answers(user, zone), zone=zone)
            drawn = await self._handlers[asked.name](asked)
        except AssentError as error:
            log.info("telegram.command_refused", command=asked.name, code=error.code)
            drawn = as_text(asked.answers.explained(error))
        await self._telling.first(self._answer(asked, drawn))

    async def unknown(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Something else that somebody writes to the bot alone."""
        message = update.message
        user = None if message is None else speaker(message)
        if message is None or user is None:
            return
        words, typed = phrases(language_of(user)), message.text or ""
        first = typed.split(maxsplit=1)[0] if typed.startswith("/") else ""
        text = (
            f"{words['unknown_command'].format(visible(first)[:40])} {words['see_help'].format(_written('help'))}"
            if first
            else words["reply_to_me"]
        )
        await self._telling.first(self._telling.say(place_of(message), as_text(text)))

    async def offer(self) -> None:
        """Tell Telegram what to show to whoever types a slash. It changes nothing when that fails."""
        bot = self._telling.messenger.bot
        for language, code in ((self._services.language, None), *((one, one) for one in LANGUAGES)):
            listed = [BotCommand(name, what) for name, what in phrases(language)["commands"].items()]
            try:
                await bot.set_my_commands(listed, language_code=code)
            except TelegramError as error:
                log.warning("telegram.commands_not_offered", reason=type(error).__name__)
                return

    def answers(self, user: User, zone: tzinfo) -> ChatAnswers:
        services = replace(self._services, language=language_of(user), zone=zone)
        return ChatAnswers(services, "telegram", _written)

    def _asked(self, message: Message, user: User) -> Asked:
        typed = (message.text or "").split(maxsplit=1)
        name, rest = typed[0].lstrip("/").partition("@")[0].casefold(), typed[1] if len(typed) > 1 else ""
        if name == "start" and message.chat.id == user.id and rest in COMMANDS:
            name, rest = rest, ""  # a link from a group to where this is answered
        zone = self._services.zone
        return Asked(message, user, name, rest, phrases(language_of(user)), self.answers(user, zone), zone)

    async def _answer(self, asked: Asked, drawn: Drawn) -> None:
        """In the private chat; in a group only that it is there."""
        place = place_of(asked.message)
        below = None if asked.private and asked.name != "link" else asked.message.message_id  # where the code stands
        if asked.private or asked.name in PUBLIC:
            await self._telling.say(place, drawn, below=below)
        elif await self._telling.say(Place(asked.user.id), drawn) is not None:
            return
        elif asked.name in OPEN or (asked.name == "link" and asked.rest):  # nothing in it is for one person alone
            await self._telling.say(place, drawn, below=asked.message.message_id)
        else:
            url = f"https://t.me/{self._telling.messenger.name}?start={asked.name}"
            button = InlineKeyboardButton(asked.words["open_private"], url=url)
            words = Drawn(plain(asked.words["in_private"]), InlineKeyboardMarkup([[button]]))
            await self._telling.say(place, words, below=asked.message.message_id)

    # --- one each ---

    async def _inbox(self, asked: Asked) -> Drawn:
        page = await self._services.inbox.waiting(asked.identity, limit=SHOWN)
        return waiting_list(page, asked.words, self._telling.messenger.way(Place(asked.user.id)), asked.zone)

    async def _history(self, asked: Asked) -> Drawn:
        return past_list(await self._services.inbox.history(asked.identity, limit=SHOWN), asked.words, asked.zone)

    async def _whoami(self, asked: Asked) -> Drawn:
        return as_text(await asked.answers.whoami(asked.identity))

    async def _link(self, asked: Asked) -> Drawn:
        """A code is nothing for a group: who reads it there may be quicker."""
        command = read_command(f"link {asked.rest}", self._now())
        if not isinstance(command, Link) or command.code is None:
            return as_text(await asked.answers.link_code(asked.identity))
        if not asked.private:
            await self._services.people.spoil(command.code)
            return as_text(asked.words["code_in_group"])
        maker = await self._services.people.look_at_code(asked.identity, command.code)
        return confirm_linking(maker, NAMES.get(maker.platform, maker.platform), asked.words)

    async def _away(self, asked: Asked) -> Drawn:
        rest, taker = await self._taker(asked)
        command = read_command(f"away {rest}", self._now(), asked.zone)
        if not isinstance(command, Away):
            raise Misunderstood("away_how")
        if taker is None:
            raise Misunderstood("unknown_taker", visible(command.taker)[:60])
        name = cut(visible(name_of(taker)), 60)
        text = await asked.answers.away(asked.identity, command.until, taker.address, name)
        told = asked.answers.asked_to_answer(asked.identity, command.until, await self._services.zone_of(taker))
        self._telling.beside(self._telling.whisper(int(taker.user_id), told))
        return as_text(text)

    async def _back(self, asked: Asked) -> Drawn:
        return as_text(await asked.answers.back(asked.identity))

    async def _web(self, asked: Asked) -> Drawn:
        language = str(asked.words["lang"])
        code = await self._services.sessions.sign_in_code(asked.identity)
        url = sign_in_url(self._services.public_url, language, code)
        # Shown as text: a button would be pressed in a hurry, and in somebody else's hands signs them in.
        return as_text(f"{asked.words['sign_in']}\n\n{url}")

    async def _help(self, asked: Asked) -> Drawn:
        lines = [f"/{name}: {what}" for name, what in asked.words["commands"].items()]
        more = [asked.words["help_link"], asked.words["help_away"]]
        return as_text("\n".join([asked.words["help"], *lines, "", *more]))

    async def _start(self, asked: Asked) -> Drawn:
        """Who the bot is, and under which address cards come to this chat."""
        place = place_of(asked.message)
        address = f"telegram:{place.chat}" + (f"/{place.topic}" if place.topic else "")
        parts = [asked.words["start"].format(address)]
        if asked.private:
            parts += [asked.words["start_private"], asked.words["see_help"].format(_written("help"))]
        return as_text("\n\n".join(parts))

    async def _taker(self, asked: Asked) -> tuple[str, Identity | None]:
        """Whom a command names, and the command with a name in place of the mention: the first person mentioned, else
        whoever wrote the message that it replies to. None: nobody whom the bot knows.
        """
        for entity, text in asked.message.parse_entities(
            [MessageEntityType.MENTION, MessageEntityType.TEXT_MENTION]
        ).items():
            return _without(asked, entity, text), await self._mentioned(entity, text)
        replied = replied_to(asked.message)
        if replied is None:
            return asked.rest, None
        user = speaker(replied)
        if user is None:
            raise Misunderstood("taker_is_bot", visible(replied.from_user.full_name)[:60] if replied.from_user else "")
        return f"{asked.rest} to {TAKER}", identity_of(user)

    async def _mentioned(self, entity: MessageEntity, text: str) -> Identity | None:
        if entity.user is None:
            return await self._called(text)
        if entity.user.is_bot:
            raise Misunderstood("taker_is_bot", visible(entity.user.full_name)[:60])
        return identity_of(entity.user)

    async def _called(self, name: str) -> Identity | None:
        """Whoever is called so and has written to the bot: Telegram gives a name that somebody let go to others."""
        known = await self._services.people.by_username("telegram", name)
        if known is None:
            return None
        try:
            now = await self._telling.messenger.username_of(int(known.user_id))
        except SendFailed as failed:
            if failed.permanent:
                return None
            raise Unavailable(failed.message) from None
        return known if now is not None and now.casefold() == name.removeprefix("@").casefold() else None

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _without(asked: Asked, entity: MessageEntity, text: str) -> str:
    """What stands behind the command, with a mention by name (which may say anything) as a plain one."""
    return asked.rest if entity.user is None else asked.rest.replace(text, TAKER, 1)


def _written(command: str) -> str:
    """How a command is written here."""
    name, _, rest = command.partition(" ")
    return f"/{ {'waiting': 'inbox', 'inbox': 'web'}.get(name, name) } {rest}".strip()
