"""What waits for a person, and what they may look back on, as Slack blocks. Pure.

A list shows less than a card does: what may only be approved by who has seen all of it is not approved here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, tzinfo

from adapters.slack import limits
from adapters.slack.limits import Block
from adapters.slack.render import Drawing, deadline, link, press
from adapters.slack.shapes import actions, bold, context, plain, quote, section, told
from core import messages, wording
from core.chat_answers import name_of
from core.inbox import LOOKED_AT, PastPage, Waiting, WaitingPage, risk_of
from core.model import Case
from core.told import Told
from core.words import Words

SHOWN = 10
PROMPT = 400
FACTS = 4
OUTCOME, LEAST = 600, 100
INBOX = "assent.inbox"
OLDER, NEWER = "assent.older", "assent.newer"  # their value: where the page begins


def waiting_list(
    page: WaitingPage,
    words: Words,
    *,
    note: str | Told = "",
    sign_in_url: str = "",
    foot: Sequence[Block] = (),
    zone: tzinfo = UTC,
) -> Drawing:
    """As many as Slack takes, SHOWN at the most; how many more there are is said. `note`: what has just happened.
    `zone`: of whoever sees it.
    """
    count, said = min(SHOWN, len(page.items)), limits.fitted(note, limits.LINE) if note else None
    summary = _heading(page, words) if said is None else said.text
    while True:
        blocks = _list(page, count, words, said, sign_in_url, zone) + list(foot)
        if limits.fits(blocks) or count == 0:
            return Drawing(limits.escaped(limits.cut(summary, limits.SUMMARY)), blocks)
        count -= 1


def _list(
    page: WaitingPage, count: int, words: Words, said: Told | None, sign_in_url: str, zone: tzinfo
) -> list[Block]:
    found = [] if said is None else [told(said)]
    found.append(bold(_heading(page, words)))
    for item in page.items[:count]:
        found += _item(item, words, zone)
    if page.total > count and count:
        found.append(context(words["and_more"].format(page.total - count)))
    if page.total > count and sign_in_url:
        found += web_link(words, sign_in_url)
    return found


def _heading(page: WaitingPage, words: Words) -> str:
    if not page.items:
        return str(words["nothing_waits"])
    return str(words["waiting_at_least" if page.total >= LOOKED_AT else "waiting"].format(page.total))


def _item(item: Waiting, words: Words, zone: tzinfo) -> list[Block]:
    case = item.case
    card = messages.card(case, card_id=item.card_id or "", version=case.version, review_url=item.review_url, zone=zone)
    prompt = limits.cut(card.prompt, PROMPT)
    facts = [f"{limits.cut(label, limits.FACT_LABEL)}: {limits.cut(value, 150)}" for label, value in card.facts[:FACTS]]
    risk = risk_of(case)
    if risk is not None and case.task is None:
        facts.insert(0, words["risk"][risk])
    if item.source is not None:
        facts.insert(0, words["source"].format(limits.cut(wording.visible(item.source), limits.FACT_LABEL)))
    if item.on_behalf_of is not None:
        facts.insert(0, words["stands_for"].format(limits.cut(name_of(item.on_behalf_of), limits.FACT_LABEL)))
    small = [limits.cut(" · ".join(facts), limits.LINE), deadline(card)] if facts else [deadline(card)]
    if card.body or not card.complete or len(card.facts) > FACTS or prompt != card.prompt:
        small.append(words["more_in_review"])
    buttons = replace(card, complete=False).offered if item.card_id else ()
    review = link(item.review_url, card.words)
    return [
        {"type": "divider"},
        section(f"{card.title}: {prompt}"),
        context(*small),
        actions(*(press(card, button) for button in buttons), review),
    ]


def past_list(page: PastPage, words: Words, zone: tzinfo = UTC) -> Drawing:
    """As many as a page has, with as much of how each ended as Slack takes of them all."""
    length = OUTCOME
    while not limits.fits(blocks := _past(page, words, zone, length)) and length > LEAST:
        length -= LEAST
    return Drawing(limits.escaped(words["history" if page.items else "no_history"]), blocks)


def _past(page: PastPage, words: Words, zone: tzinfo, length: int) -> list[Block]:
    blocks = [bold(words["history" if page.items else "no_history"])]
    for case in page.items[:SHOWN]:
        ended = Told(limits.cut(wording.outcome(case, zone), length), (wording.ended_at(case, zone),))
        blocks += [section(limits.cut(_oneline(case), PROMPT)), quote(ended)]
    turns = ((words["newer"], NEWER, page.newer), (words["older"], OLDER, page.next))
    buttons = [
        {"type": "button", "action_id": turn, "text": plain(label), "value": cursor}
        for label, turn, cursor in turns
        if cursor is not None
    ]
    return [*blocks, actions(*buttons)] if buttons else blocks


def _oneline(case: Case) -> str:
    return " ".join(wording.visible(case.prompt).split())


def web_link(words: Words, url: str) -> list[Block]:
    """A link that signs somebody in, and what to know of it."""
    return [context(words["sign_in"]), actions(link_button(words["open_inbox"], url))]


def link_button(label: str, url: str) -> Block:
    return {"type": "button", "action_id": INBOX, "text": plain(label), "url": url}
