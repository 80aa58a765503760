"""What waits for somebody and what was decided, as a message of their private chat. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, tzinfo

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from adapters.telegram.limits import MAX_DATA, MAX_TEXT, cut, shown_length
from adapters.telegram.markup import plain, timed
from adapters.telegram.render import LISTED, STYLES, Drawn, Way, button_data, can_be_button, review_button
from core import messages, wording
from core.inbox import LOOKED_AT, PastPage, Waiting, WaitingPage, risk_of
from core.model import Case
from core.words import Words

SHOWN = 10
MAX_PROMPT, MAX_LABEL, MAX_OUTCOME = 160, 30, 200
MORE = "m:"
OLDER, NEWER = "h:o:", "h:n:"  # followed by where the page begins


def waiting_list(page: WaitingPage, words: Words, way: Way, zone: tzinfo = UTC) -> Drawn:
    """Up to SHOWN cases with their buttons, numbered alike; fewer where links have to be shown as text. `zone`: of
    whoever sees it.
    """
    count = min(SHOWN, len(page.items))
    while shown_length(_waiting_text(page, count, words, zone)) > MAX_TEXT:
        count -= 1
    rows = [_buttons(number, item, way) for number, item in enumerate(page.items[:count], 1)]
    if page.next is not None and len(f"{MORE}{page.next}") <= MAX_DATA:
        rows.append([InlineKeyboardButton(words["more"], callback_data=f"{MORE}{page.next}")])
    rows = [row for row in rows if row]
    return Drawn(_waiting_text(page, count, words, zone), InlineKeyboardMarkup(rows) if rows else None)


def past_list(page: PastPage, words: Words, zone: tzinfo = UTC) -> Drawn:
    length = MAX_OUTCOME
    while shown_length(text := _past_text(page, words, zone, length)) > MAX_TEXT:
        length -= 20
    turns = ((words["newer"], NEWER, page.newer), (words["older"], OLDER, page.next))
    row = [
        InlineKeyboardButton(label, callback_data=f"{turn}{cursor}")
        for label, turn, cursor in turns
        if cursor is not None and len(f"{turn}{cursor}") <= MAX_DATA
    ]
    return Drawn(text, InlineKeyboardMarkup([row]) if row else None)


def _past_text(page: PastPage, words: Words, zone: tzinfo, length: int) -> str:
    heading = words["history" if page.items else "no_history"]
    items = (_past(case, zone, length) for case in page.items[:SHOWN])
    return "\n\n".join([f"<b>{plain(heading)}</b>", *items])


def _past(case: Case, zone: tzinfo, length: int) -> str:
    ended = timed(cut(wording.outcome(case, zone), length), (wording.ended_at(case, zone),))
    return f"{plain(cut(_one_line(case.prompt), MAX_PROMPT))}\n<i>{ended}</i>"


def _waiting_text(page: WaitingPage, count: int, words: Words, zone: tzinfo) -> str:
    if not page.items:
        return plain(words["nothing_waits"])
    heading = words["waiting_at_least" if page.total >= LOOKED_AT else "waiting"].format(page.total)
    items = (_item(number, item, words, zone) for number, item in enumerate(page.items[:count], 1))
    short = [plain(words["shortened"])] if count < min(SHOWN, len(page.items)) else []
    return "\n\n".join([f"<b>{plain(heading)}</b>", *items, *short])


def _item(number: int, item: Waiting, words: Words, zone: tzinfo) -> str:
    card = _card(item, zone)
    small = [timed(card.words["answer_by"].format(card.deadline), card.moments)]
    if (risk := risk_of(item.case)) is not None:
        small.insert(0, plain(words["risk"][risk]))
    if asked := item.case.terms.get("requested_by"):
        small.append(plain(words["asked_by"].format(cut(wording.visible(str(asked)), MAX_LABEL))))
    lines = [
        f"<b>{number}. {plain(card.title)}</b>",
        plain(cut(_one_line(item.case.prompt), MAX_PROMPT)),
        " · ".join(small),
    ]
    if item.on_behalf_of is not None:
        giver = item.on_behalf_of.display_name or item.on_behalf_of.user_id
        lines.append(plain(words["stands_for"].format(cut(wording.visible(giver), MAX_LABEL))))
    if not can_be_button(item.review_url):
        lines.append(plain(item.review_url))
    return "\n".join(lines)


def _buttons(number: int, item: Waiting, way: Way) -> list[InlineKeyboardButton]:
    """A list shows no content, so nobody approves here what they must have seen whole."""
    card = _card(item)
    offered = replace(card, complete=False).offered if item.card_id else ()
    buttons = [
        InlineKeyboardButton(
            f"{number} · {cut(button.label, MAX_LABEL)}",
            callback_data=button_data(card.card_id, button.action, card.edition, LISTED),
            style=STYLES.get(button.style or ""),
        )
        for button in offered
    ]
    return buttons + review_button(item.review_url, f"{number} · {card.words['review']}", way)


def _card(item: Waiting, zone: tzinfo = UTC) -> messages.Card:
    case = item.case
    return messages.card(case, card_id=item.card_id or "", version=case.version, review_url=item.review_url, zone=zone)


def _one_line(text: str) -> str:
    return " ".join(wording.visible(text).split())
