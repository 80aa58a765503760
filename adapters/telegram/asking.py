"""A question for a reason, as its message shows it, and what counts as one. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from telegram import ForceReply, InlineKeyboardButton, InlineKeyboardMarkup, User

from adapters.telegram.limits import cut, utf16_length
from adapters.telegram.markup import plain
from adapters.telegram.messenger import Place
from adapters.telegram.render import Drawn
from core.chat_terms import MAX_REASON_TEXT
from core.wording import visible
from core.words import Words

OWN, NEVER_MIND = "q:own", "q:no"
MAX_LABEL, MAX_NAME, MAX_PLACEHOLDER, MAX_PROMPT = 60, 64, 64, 300


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask what, and where."""

    user: User
    place: Place
    below: int
    card_id: str
    action: str
    edition: int
    label: str
    words: Words

    @property
    def name(self) -> str:
        """The person, called by name: nobody else's client opens a reply."""
        name = visible(self.user.full_name or str(self.user.id))
        return f'<a href="tg://user?id={self.user.id}">{plain(cut(name, MAX_NAME))}</a>'


def ask_why(asking: Asking, offered: tuple[str, ...], prompt: str = "") -> Drawn:
    """Offered reasons first; what does not fit on a button whole stands in the text. `prompt`: what it is about, where
    the card does not stand above it.
    """
    if not offered:
        return in_own_words(asking, prompt)
    long = any(utf16_length(reason) > MAX_LABEL for reason in offered)
    lines = [*_about(prompt), asking.words["choose"].format(asking.name, plain(asking.label))]
    if long:
        lines += ["", *(f"{n}. {plain(visible(reason))}" for n, reason in enumerate(offered, 1))]
    rows = [
        [InlineKeyboardButton(cut(f"{n + 1}. {reason}" if long else reason, MAX_LABEL), callback_data=f"q:{n}")]
        for n, reason in enumerate(map(visible, offered))
    ]
    rows.append([InlineKeyboardButton(asking.words["reason_own"], callback_data=OWN)])
    rows.append([InlineKeyboardButton(asking.words["never_mind"], callback_data=NEVER_MIND)])
    return Drawn("\n".join(lines), InlineKeyboardMarkup(rows))


def in_own_words(asking: Asking, prompt: str = "") -> Drawn:
    lines = [*_about(prompt), asking.words["own_words"].format(asking.name, plain(asking.label))]
    return Drawn("\n".join(lines), reply_box(asking.words))


def _about(prompt: str) -> list[str]:
    return [f"<b>{plain(cut(' '.join(visible(prompt).split()), MAX_PROMPT))}</b>"] if prompt else []


def reply_box(words: Words) -> ForceReply:
    return ForceReply(selective=True, input_field_placeholder=cut(words["reason_title"], MAX_PLACEHOLDER))


def problem_with(text: str | None, words: Words) -> str | None:
    """Why this is no reason, in words for whoever wrote it; None when it is one."""
    if text is None or not any(visible(char) == char and not char.isspace() for char in text):
        return str(words["as_text"])
    if len(text.strip()) > MAX_REASON_TEXT:
        return f"{words['reason_too_long'].format(MAX_REASON_TEXT)} {words['as_text']}"
    return None
