"""Linking: a code from the other messenger is confirmed with a button, under the name of whoever made it.

The code stands in the message that the confirmation replies to, never in a button.
"""

from __future__ import annotations

from dataclasses import replace

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.ext import ContextTypes

from adapters.telegram.limits import MAX_DATA, MAX_TEXT, cut
from adapters.telegram.markup import plain
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import phrases
from adapters.telegram.render import Drawn
from adapters.telegram.speakers import identity_of, language_of
from adapters.telegram.telling import Telling
from core.chat import ChatServices
from core.chat_answers import ChatAnswers, described
from core.chat_commands import Link, Misunderstood, read_command
from core.errors import AssentError, InvalidInput
from core.model import Identity
from core.wording import visible
from core.words import Words

MAX_NAME = 200
YES, NO = "l:", "l:no"  # YES is followed by whose code it is: an identity's key


def confirm_linking(maker: Identity, platform: str, words: Words) -> Drawn:
    """Whose code it is, and what follows. The button says who, so that pressed twice it finds the same person."""
    asks = words["asks_link"].format(who=cut(visible(described(maker)), MAX_NAME), platform=platform)
    text = f"{plain(asks)}\n\n{plain(words['link_warning'])}"
    yes = InlineKeyboardButton(words["link_yes"], callback_data=f"{YES}{maker.key}"[:MAX_DATA])
    no = InlineKeyboardButton(words["link_no"], callback_data=NO)
    return Drawn(text, InlineKeyboardMarkup([[yes, no]]))


class Linking:
    def __init__(self, services: ChatServices, telling: Telling) -> None:
        self._services = services
        self._telling = telling

    async def pressed(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Somebody has confirmed a link, or not."""
        query = update.callback_query
        if query is None or query.message is None or query.message.chat.id != query.from_user.id:
            return
        words, identity = phrases(language_of(query.from_user)), identity_of(query.from_user)
        code = _code(query.message) if isinstance(query.message, Message) else None
        if code is None:
            text = words["link_again"]
        elif query.data == NO:
            await self._services.people.spoil(code)
            text = words["left_alone"]
        else:
            text = await self._link(identity, code, (query.data or "").removeprefix(YES), words)
        self._telling.beside(self._telling.toast(query, None))
        place, message = Place(query.message.chat.id), query.message.message_id
        await self._telling.first(self._telling.rewrite(place, message, Drawn(plain(cut(text, MAX_TEXT)))))

    async def _link(self, identity: Identity, code: str, maker: str, words: Words) -> str:
        people = self._services.people
        try:
            linked = await people.link(identity, code)
        except AssentError as error:
            linked = await people.linked(identity)
            # Delivered once more: the code was used then, for just this.
            same = maker and any(one.key.startswith(maker) for one in linked[1:])
            if not (isinstance(error, InvalidInput) and same):
                return ChatAnswers(replace(self._services, language=words["lang"]), "telegram", str).explained(error)
        return str(words["linked"]).format(", ".join(visible(described(one)) for one in linked))


def _code(message: Message) -> str | None:
    """The code that was typed; None when that message is gone."""
    typed = message.reply_to_message
    if typed is None or not typed.text:
        return None
    try:
        command = read_command(f"link {typed.text.partition(' ')[2]}", 0)
    except Misunderstood:
        return None
    return command.code if isinstance(command, Link) else None
