"""A card as Slack blocks and a line of text. Pure.

Whatever an agent wrote is shown as plain_text, or as rich_text's `text` elements: neither is parsed, so nothing in it
can become markup, a link or a mention. Slack reads two fields as mrkdwn: the summary, which is escaped, and the line
with the deadline, which holds our own words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from adapters.slack import limits
from adapters.slack.limits import Block
from adapters.slack.shapes import actions, bold, code, context, own, plain, quote, rich, section, span, spans, told
from core.messages import Button, Card, Paragraph, fit
from core.notice_words import Notice
from core.told import Told
from core.words import Words

REVIEW = "assent.review"  # the link's action id; those of actions begin with PREFIX, so none can be it
PREFIX = "assent:"
_PERSON = re.compile(r"[UW][A-Z0-9]{1,20}", re.ASCII)
_GROUP = re.compile(r"S[A-Z0-9]{1,20}", re.ASCII)
_ADDRESS = re.compile(
    r"(\bslack:[UW][A-Z0-9]{1,20}\b(?!/)|(?<= user group )S[A-Z0-9]{1,20}\b|(?<=-Nutzergruppe )S[A-Z0-9]{1,20}\b)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a message shows (`blocks`), and the one line for notifications and screen readers (`text`, mrkdwn). `whole`:
    of a card, whether it shows all of the content.
    """

    text: str
    blocks: list[Block]
    whole: bool = True


def draw(card: Card) -> Drawing:
    """The card within all of Slack's limits: its body is cut as far as needed, its buttons never."""
    card, room = _cut(card), limits.MESSAGE
    while True:
        fitted = fit(card, room)
        blocks = _blocks(fitted)
        if limits.fits(blocks) or room == 0:
            return Drawing(summary(card), blocks, fitted.complete)
        room = room * 3 // 4


def summary(card: Card) -> str:
    line = " ".join((f"{card.outcome}: {card.prompt}" if card.outcome else f"{card.title}: {card.prompt}").split())
    return limits.escaped(limits.cut(line, limits.SUMMARY))


def private(what: str | Told) -> Drawing:
    """Something that one person is told."""
    said = limits.fitted(what, limits.PRIVATE)
    return Drawing(limits.escaped(said.text), [told(said)])


def refusal(what: str | Told) -> Drawing:
    """What became of a tap, for one person: who is named by an address is called as Slack calls them. Where nobody else
    sees it, that pings nobody.
    """
    drawing, said = private(what), limits.fitted(what, limits.PRIVATE)
    pieces = _ADDRESS.split(said.text)  # every other one is an address
    if len(pieces) == 1:
        return drawing
    elements: list[Block] = []
    for number, piece in enumerate(pieces):
        elements += [_mention(piece.removeprefix("slack:"))] if number % 2 else spans(piece, said.moments)
    return Drawing(drawing.text, [rich({"type": "rich_text_section", "elements": elements})])


def remind(notice: Notice, whom: Iterable[str]) -> Drawing:
    """The notice; of `whom`, those are mentioned whose ids are those of people or of user groups."""
    words = notice.words
    called = [one for one in dict.fromkeys(whom) if _PERSON.fullmatch(one) or _GROUP.fullmatch(one)][: limits.MENTIONS]
    title, prompt = limits.cut(notice.title, limits.HEADER), limits.cut(notice.prompt, limits.SECTION)
    elements: list[Block] = [span(title, bold=True)]
    for one in called:
        elements += [span(" "), _mention(one)]
    blocks = [
        rich({"type": "rich_text_section", "elements": elements}),
        section(prompt),
        context(own(words["answer_by"].format(limits.cut(notice.deadline, limits.LINE)), notice.moments)),
    ]
    review = [] if notice.review_url is None else [link(notice.review_url, words)]
    if buttons := [*(press(notice, button) for button in notice.buttons), *review]:
        blocks.append(actions(*buttons))
    line = limits.escaped(limits.cut(f"{notice.title}: {notice.prompt}", limits.SUMMARY))
    mentions = (f"<!subteam^{one}>" if one.startswith("S") else f"<@{one}>" for one in called)
    return Drawing(" ".join([*mentions, line]), blocks)


def _mention(one: str) -> Block:
    if one.startswith("S"):
        return {"type": "usergroup", "usergroup_id": one}
    return {"type": "user", "user_id": one}


def metadata(card: Card) -> dict[str, Any]:
    """What tells this card's message from all others, so that a posting with an unknown outcome can be found again."""
    return {
        "event_type": limits.METADATA_EVENT,
        "event_payload": {"card_id": card.card_id, "case_id": card.case_id, "version": card.version},
    }


def _cut(card: Card) -> Card:
    """The card with each of its texts as long as its place allows, and `complete` False when that hid something."""
    prompt = limits.cut(card.prompt, limits.SECTION)
    facts = tuple(
        (limits.cut(label, limits.FACT_LABEL), limits.cut(value, limits.FACT_VALUE))
        for label, value in card.facts[: limits.FACTS]
    )
    body = tuple(
        replace(paragraph, label=limits.cut(paragraph.label, limits.FACT_LABEL)) if paragraph.label else paragraph
        for paragraph in card.body
    )
    fits = limits.size(card.prompt) <= limits.SECTION and (facts, body) == (card.facts, card.body)
    return replace(card, prompt=prompt, facts=facts, body=body, complete=card.complete and fits)


def _blocks(card: Card) -> list[Block]:
    found = [_header(card), section(card.prompt)]
    if card.outcome:
        found.append(quote(Told(limits.cut(card.outcome, limits.LINE), card.moments), bold=True))
    if card.facts:
        found.append(_facts(card.facts))
    found += _body(card.body)
    if not card.complete:
        found.append(bold(card.words[_cut_words(card)]))
    found.append(context(deadline(card), card.words["content"].format(card.digest)))
    if elements := [*(press(card, button) for button in card.offered), *_review(card)]:
        found.append(actions(*elements))
    return found


def _cut_words(card: Card) -> str:
    if card.review_url is None:
        return "cut_closed"
    return "cut" if card.offered == card.buttons else "cut_must_review"


def _header(card: Card) -> Block:
    title = card.words["closed_title"].format(card.title) if card.outcome else card.title
    return {"type": "header", "text": plain(limits.cut(title, limits.HEADER))}


def _facts(facts: tuple[tuple[str, str], ...]) -> Block:
    elements = []
    for label, value in facts:
        elements += [span(f"{label}: ", bold=True), span(value + "\n")]
    elements[-1] = span(facts[-1][1])
    return rich({"type": "rich_text_section", "elements": elements})


def _body(body: tuple[Paragraph, ...]) -> Iterator[Block]:
    for paragraph in _joined(body):
        if paragraph.label:
            yield bold(paragraph.label)
        for piece in limits.pieces(paragraph.text):
            yield code(piece) if paragraph.code else section(piece)


def _joined(body: tuple[Paragraph, ...]) -> Iterator[Paragraph]:
    """Neighbours without a label as one paragraph: a list of a hundred choices is not a hundred blocks."""
    lines: list[str] = []
    for paragraph in body:
        if paragraph.label or paragraph.code:
            if lines:
                yield Paragraph("\n".join(lines))
                lines = []
            yield paragraph
        else:
            lines.append(paragraph.text)
    if lines:
        yield Paragraph("\n".join(lines))


def deadline(card: Card) -> Block:
    """By when to answer, or until when one could."""
    return own(card.words["deadline_was" if card.outcome else "answer_by"].format(card.deadline), card.moments)


def press(card: Card | Notice, button: Button) -> Block:
    """A button that answers the card's case. One that asks for a reason first says so, and in which language: the
    window for it has to be opened before anything can be looked up.
    """
    edition = f":{card.edition}" if card.edition else ""
    asks = f"?{card.language}" if button.asks else ""
    found: Block = {
        "type": "button",
        "action_id": PREFIX + button.action,
        "text": plain(limits.cut(button.label, limits.BUTTON)),
        "value": f"a:{card.card_id}:{button.action}{edition}{asks}",
    }
    return found | ({"style": button.style} if button.style else {})


def _review(card: Card) -> list[Block]:
    if card.review_url is None:
        return []
    review = link(card.review_url, card.words)
    only_way = card.offered != card.buttons or not card.buttons  # to agree; it should look like one
    return [review | {"style": "primary"} if only_way else review]


def link(review_url: str, words: Words) -> Block:
    return {"type": "button", "action_id": REVIEW, "text": plain(words["review"]), "url": review_url}
