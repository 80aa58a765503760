"""A card as Telegram shows it: a text in Telegram's HTML, and the buttons under it. Pure.

Everything in a card is untrusted and is escaped; markup is only what this module writes. When a card is too long, plain
text is cut before it is marked up, so that a cut never hits a tag, the buttons, the deadline or the outcome.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import urlsplit

from telegram import ForceReply, InlineKeyboardButton, InlineKeyboardMarkup, WebAppInfo

from adapters.telegram.limits import BUTTONS_A_ROW, MAX_TEXT, cut, shown_length, utf16_length
from adapters.telegram.markup import plain, timed
from core.messages import Button, Card, Paragraph, fit
from core.notice_words import Notice
from core.told import Told
from core.wording import visible

MAX_TITLE, MAX_LINE, MAX_OUTCOME, MAX_MENTIONS = 120, 80, 600, 20
_PERSON = re.compile(r"[0-9]{1,20}", re.ASCII)
ANSWERS, LISTED = "a", "i"  # a button of a card, and of an item of somebody's inbox, which is no card
STYLES = {"primary": "success", "danger": "danger"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is sent: `text` in HTML; `keyboard` None when there is nothing to press. `whole`: of a card, whether it
    shows all of the content.
    """

    text: str
    keyboard: InlineKeyboardMarkup | ForceReply | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Way:
    """How Review opens: `inside` Telegram as a Mini App (private chats only), through the link of the bot's `app`
    (`https://t.me/<bot>/<app>`), or as a page in the browser.
    """

    inside: bool = False
    app: str | None = None


PLAIN = Way()


def as_text(what: str | Told) -> Drawn:
    """Something that somebody is told."""
    told = Told(what) if isinstance(what, str) else what
    text = cut(visible(told.text), MAX_TEXT)
    over = max(0, shown_length(timed(text, told.moments)) - MAX_TEXT)  # by what keeps names from being calls
    return Drawn(timed(cut(text, utf16_length(text) - over), told.moments))


def draw(card: Card, way: Way = PLAIN) -> Drawn:
    fitted = _fitted(card)
    return Drawn(_text(fitted), _keyboard(fitted, way), fitted.complete)


def remind(notice: Notice, way: Way = PLAIN) -> Drawn:
    """The notice. Whoever is mentioned is called by name, or by the number that the reviewers' list holds where nobody
    knows it yet.
    """
    people = [one for one in dict.fromkeys(notice.mentions) if _PERSON.fullmatch(one)][:MAX_MENTIONS]
    words = notice.words
    lines = [_deadline(notice)]
    if people:
        called = {one: notice.names.get(one) or words["reviewer"].format(one) for one in people}
        links = (f'<a href="tg://user?id={one}">{plain(name)}</a>' for one, name in called.items())
        lines.append(plain(words["for"]).format(", ".join(links)))
    if notice.review_url is not None and not can_be_button(notice.review_url):
        lines.append(f"{plain(words['review'])}: {plain(notice.review_url)}")
    heading = f"<b>⏰ {plain(cut(notice.title, MAX_TITLE))}</b>\n{plain(cut(notice.prompt, MAX_OUTCOME))}".rstrip()
    put_off = [_button(notice, button) for button in notice.buttons]
    rows = [row for row in (put_off, review_button(notice.review_url, words["review"], way)) if row]
    return Drawn(heading + "\n\n" + "\n".join(lines), InlineKeyboardMarkup(rows) if rows else None)


def button_data(card_id: str, action: str, edition: int = 0, kind: str = ANSWERS) -> str:
    """What a button says when it is pressed: of which card it is, and which edition of the blocks that showed. Not
    secret, and anybody can send it: it proves nothing. `kind`: on what it stands.
    """
    return f"{kind}:{card_id}:{action}" + (f":{edition}" if edition else "")


def can_be_button(url: str) -> bool:
    """Telegram refuses URL buttons that lead to this machine or to a name without a dot."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        local = host.endswith(".localhost")
    return parts.scheme in ("http", "https") and "." in host and not local


def _keyboard(card: Card, way: Way) -> InlineKeyboardMarkup | None:
    buttons = [_button(card, button) for button in card.offered]
    rows = [buttons[start : start + BUTTONS_A_ROW] for start in range(0, len(buttons), BUTTONS_A_ROW)]
    if row := review_button(card.review_url, card.words["review"], way):
        rows.append(row)
    return InlineKeyboardMarkup(rows) if rows else None


def review_button(url: str | None, label: str, way: Way) -> list[InlineKeyboardButton]:
    """The button that opens a review link, or none where there is no link, or none that Telegram takes."""
    if url is None or not can_be_button(url):
        return []
    if way.inside and url.startswith("https://"):
        return [InlineKeyboardButton(label, web_app=WebAppInfo(url))]
    if way.app is not None:
        # What the link says is the case: the page inside asks who opened it, and needs no token.
        return [InlineKeyboardButton(label, url=f"{way.app}?startapp={urlsplit(url).path.rpartition('/')[2]}")]
    return [InlineKeyboardButton(label, url=url)]


def _button(card: Card | Notice, button: Button) -> InlineKeyboardButton:
    style = STYLES.get(button.style or "")
    data = button_data(card.card_id, button.action, card.edition)
    return InlineKeyboardButton(button.label, callback_data=data, style=style)


def _fitted(card: Card) -> Card:
    """The card with as much of prompt, facts and body as one message holds; `complete` says whether that is all."""
    bare = replace(card, prompt="", facts=(), body=(), complete=False)
    room = MAX_TEXT - shown_length(_text(bare)) - 8  # the blank lines between the parts
    prompt = cut(card.prompt, room // 2)
    room -= utf16_length(prompt)
    facts = _first(card.facts, room * 2 // 3 if card.body else room)
    whole = (prompt, facts) == (card.prompt, card.facts)
    slim = replace(card, prompt=prompt, facts=facts, complete=card.complete and whole)
    room = MAX_TEXT - shown_length(_text(replace(slim, body=(), complete=False)))
    fitted = fit(slim, room)
    while (over := shown_length(_text(fitted)) - MAX_TEXT) > 0:
        room -= max(8, over // 2)
        fitted = fit(slim, room)
    return fitted


def _first(facts: Sequence[tuple[str, str]], room: int) -> tuple[tuple[str, str], ...]:
    kept = []
    for name, value in facts:
        room -= utf16_length(name) + utf16_length(value) + 3
        if room < 0:
            break
        kept.append((name, value))
    return tuple(kept)


def _text(card: Card) -> str:
    parts = [_heading(card), _facts(card.facts), *_body(card.body), _footing(card)]
    return "\n\n".join(part for part in parts if part)


def _heading(card: Card) -> str:
    """What is asked, under a title; once it is settled, under how it ended."""
    if card.outcome is None:
        title = plain(cut(card.title, MAX_TITLE))
    else:
        title = timed(cut(card.outcome, MAX_OUTCOME), card.moments)
    return f"<b>{title}</b>\n\n{plain(card.prompt)}".rstrip()


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"<b>{plain(name)}:</b> {plain(value)}" for name, value in facts)


def _body(body: Sequence[Paragraph]) -> Iterator[str]:
    """Paragraphs, where neighbours without a label (the choices of a list) are lines of one."""
    for has_shape, neighbours in groupby(body, lambda paragraph: bool(paragraph.label or paragraph.code)):
        shown = map(_paragraph, neighbours)
        yield from shown if has_shape else ["\n".join(shown)]


def _paragraph(paragraph: Paragraph) -> str:
    text = f"<pre>{plain(paragraph.text)}</pre>" if paragraph.code else plain(paragraph.text)
    return f"<b>{plain(paragraph.label)}</b>\n{text}" if paragraph.label else text


def _footing(card: Card) -> str:
    lines, words = [], card.words
    if not card.complete:
        lines.append(f"<b>{plain(words[_cut_words(card)])}</b>\n")
    if card.outcome is None:
        lines.append(_deadline(card))
    lines.append(plain(words["content"]).format(f"<code>{plain(cut(card.digest, MAX_LINE))}</code>"))
    if card.review_url is not None and not can_be_button(card.review_url):
        lines.append(f"\n{plain(words['review'])}: {plain(card.review_url)}")
    return "\n".join(lines)


def _cut_words(card: Card) -> str:
    if card.review_url is None:
        return "cut_message_closed"
    return "cut_message" if card.offered == card.buttons else "cut_message_must_review"


def _deadline(of: Card | Notice) -> str:
    return "⏳ " + timed(of.words["answer_by"].format(cut(of.deadline, MAX_LINE)), of.moments)
