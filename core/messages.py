"""What a card and a private answer say, before any messenger's markup. Pure: a case in, plain text out."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from core.forms import fields_of, items_of
from core.model import REVIEW_PAGE, Case
from core.policy import needed
from core.schedule import MINUTE
from core.states import TERMINAL, Status
from core.tasks import INTENT, options_of

TITLES = {
    "approval": "Approval needed",
    "selection": "Choice needed",
    "input": "Information needed",
    "confirmation": "Please confirm",
    "escalation": "Something went wrong",
}
LABELS = {
    "approve": "Approve", "reject": "Reject", "edit": "Ask for changes", "confirm": "Confirm", "cancel": "Cancel",
    "retry": "Retry", "skip": "Skip", "abort": "Abort", "select": "Select", "submit": "Submit",
}  # fmt: skip
DONE = {
    "approve": "Approved", "reject": "Rejected", "edit": "Changes requested", "confirm": "Confirmed",
    "cancel": "Declined", "retry": "Retry chosen", "skip": "Skipped", "abort": "Aborted", "select": "Chosen",
    "submit": "Submitted",
}  # fmt: skip
STYLES: dict[str, Literal["primary", "danger"]] = {
    "approve": "primary", "confirm": "primary", "retry": "primary", "select": "primary", "submit": "primary",
    "reject": "danger", "abort": "danger", "cancel": "danger",
}  # fmt: skip
_PLACES = {
    "slack_block_action": "on Slack",
    "telegram_inline_button": "on Telegram",
    "review_page": "on the review page",
}
_NAMELESS = {"link": "a holder of the review link", "key": "a reviewer's API key"}
_LABEL_KEYS = ("label", "title", "name", "id")
# Fonts show these as nothing at all (Unicode's Default_Ignorable_Code_Point), though they count as letters, marks or
# unassigned. Not among them: U+FE0E and U+FE0F, which choose how the character before them looks.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0d\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
MAX_FACT = 200
_GUARDED = frozenset({"requested_by", "task_digest", "approval_valid_ms"})  # said elsewhere, or for machines to compare
_SIGNS = {"high": "⚠️ ", "critical": "🛑 "}


@dataclass(frozen=True, slots=True)
class Button:
    action: str
    label: str
    style: Literal["primary", "danger"] | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A piece of the content. `code` is shown in a fixed-width face and never as markup."""

    text: str
    label: str | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A case as a message: every text is plain, already free of invisible characters, and untrusted.

    `complete` is False when the body does not show all of the content. `outcome` is set once the case is closed; then
    there are no buttons. `review_url` None means that there is nothing left to open.
    """

    card_id: str
    case_id: str
    version: int
    title: str
    prompt: str
    facts: tuple[tuple[str, str], ...]
    body: tuple[Paragraph, ...]
    buttons: tuple[Button, ...]
    review_url: str | None
    deadline: str
    outcome: str | None
    digest: str
    complete: bool = True
    edition: int = 0  # of the blocks; a button says which one it was drawn for


@dataclass(frozen=True, slots=True)
class Notice:
    """A message beside a card: every text is plain, already free of invisible characters, and untrusted.

    `mentions`: ids of people on this platform, as somebody wrote them; what is no such id is not mentioned.
    """

    title: str
    prompt: str
    deadline: str
    mentions: tuple[str, ...]
    review_url: str | None


def visible(text: str) -> str:
    """Text in which control, bidirectional and zero-width characters are made visible as [U+202E]."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_char(char) for char in text)


def _visible_char(char: str) -> str:
    hidden = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or _IGNORABLE.match(char)
    if char in "\n\t" or not hidden:
        return char
    # The joiner inside emoji sequences is harmless on its own, but nothing tells it from one that hides a word.
    return f"[U+{ord(char):04X}]"


def card(case: Case, *, card_id: str, version: int, review_url: str | None) -> Card:
    """The card of a case as it stands now."""
    open_ = case.status not in TERMINAL
    context = case.content["context"]
    return Card(
        card_id=card_id,
        case_id=case.case_id,
        version=version,
        title=TITLES.get(case.type, "Review needed"),
        prompt=visible(case.prompt),
        facts=tuple(_facts(case)),
        body=tuple(_body(case)),
        buttons=tuple(_button(action) for action in case.inline_actions) if open_ else (),
        review_url=review_url,
        deadline=moment(case.expires_at),
        outcome=None if open_ else outcome(case),
        digest=case.content_digest.removeprefix("sha256:")[:12],
        complete=not fields_of(context) and all(map(_named_whole, items_of(context))) and not options_of(case),
        edition=case.edition,
    )


def _button(action: str) -> Button:
    return Button(action, LABELS.get(action, action), STYLES.get(action))


def _facts(case: Case) -> list[tuple[str, str]]:
    facts = []
    if requester := case.terms.get("requested_by"):
        facts.append(("Asked by", visible(str(requester))))
    facts += [(label, visible(value)) for label, value in task_facts(case)]
    for key, value in plain_context(case).items():
        if isinstance(value, (str, int, float, bool)) and len(str(value)) <= MAX_FACT:
            facts.append((visible(key.replace("_", " ").capitalize()), visible(_plain(value))))
    if case.votes and case.status not in TERMINAL:
        facts.append(("Votes", tally_words(case)))
    elif case.status is Status.OPENED:
        facts.append(("Status", "somebody is looking at it"))
    elif case.status is Status.IN_PROGRESS:
        facts.append(("Status", "somebody is answering it"))
    return facts


def task_facts(case: Case) -> list[tuple[str, str]]:
    """What a review task says of itself, in a few words each; risk first."""
    task = case.task
    if task is None:
        return []
    risk = task["risk_level"].capitalize()
    schema = task.get("interaction_schema") or {}
    found = [
        ("Risk", f"{_SIGNS.get(task['risk_level'], '')}{risk}"),
        ("Warning", task.get("risk_warning")),
        ("Priority", None if task["priority"] == "NORMAL" else task["priority"].capitalize()),
        ("Action", _with_icon(task["action"], "verb")),
        ("Service", _with_icon(task["service"], "name")),
        ("From", _with_icon(task["source_service"], "name") if task.get("source_service") else None),
        ("Do this first", schema.get("external_url")),
    ]
    if case.edition:
        found.append(("Edited", "a reviewer has changed the content since it was sent"))
    return [(label, value) for label, value in found if value]


def _with_icon(thing: Mapping[str, Any], name: str) -> str:
    return f"{thing.get('icon') or ''} {thing[name]}".strip()


def tally_words(case: Case) -> str:
    """How an open quorum stands, with names: `Approve 1 of 2 (Ada)`."""
    found = []
    for action in dict.fromkeys(vote["action"] for vote in case.votes):
        names = [_person(vote["by"]) for vote in case.votes if vote["action"] == action]
        found.append(f"{LABELS.get(action, action)} {len(names)} of {needed(case.policy, action)} ({', '.join(names)})")
    return visible("; ".join(found))


def plain_context(case: Case) -> Mapping[str, Any]:
    """The context as people see it."""
    context: Mapping[str, Any] = case.content["context"]
    if case.terms.get("guarded") is None:
        return context
    return {key: value for key, value in context.items() if key not in _GUARDED}


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _body(case: Case) -> list[Paragraph]:
    found = []
    if message := case.content.get("message"):
        found.append(Paragraph(visible(message)))
    context = plain_context(case)
    for key, value in context.items():
        if isinstance(value, (str, int, float, bool)) and len(str(value)) <= MAX_FACT:
            continue
        if key == "form" or (key == "items" and isinstance(value, list)):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        found.append(
            Paragraph(visible(text), visible(key.replace("_", " ").capitalize()), code=not isinstance(value, str))
        )
    for item in [*items_of(context), *options_of(case)]:
        found.append(Paragraph(visible("• " + item_label(item))))
    for form_field in fields_of(context):
        found.append(Paragraph(visible("• " + form_field["label"])))
    # What will be carried out comes before what it is about: a card may be cut at its end.
    for block in sorted(case.content["blocks"], key=lambda block: block["id"] != INTENT):
        content = block["content"]
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
        found.append(
            Paragraph(visible(text), visible(str(block.get("label") or block["id"])), code=block["type"] == "json")
        )
    return found


def item_label(item: Any) -> str:
    """The name of a choice: its label, title, name or id."""
    key = _label_key(item)
    return str(item if key is None else item[key])


def _label_key(item: Any) -> str | None:
    return next((key for key in _LABEL_KEYS if item.get(key)), None) if isinstance(item, Mapping) else None


def _named_whole(item: Any) -> bool:
    """Whether a choice's label is all that there is to see of it."""
    key = _label_key(item)
    return key is None or not set(item) - {key, "id", "value"}


def moment(ms: int) -> str:
    """A time for people: `21 Nov 2026, 10:00 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%-d %b %Y, %H:%M UTC")


def reminder(case: Case, now: int, *, platform: str, review_url: str | None) -> Notice:
    """What is said below a card that still waits at `now`, to those who are named as its reviewers on this platform and
    have not answered yet.
    """
    title = TITLES.get(case.type, "Review needed")
    asked = case.terms.get("requested_by") if case.policy.exclude_requester else None
    voted = [f"{vote['by'].get('platform')}:{vote['by'].get('platform_user_id')}" for vote in case.votes]
    named = [entry for entry in case.policy.any_of if entry not in (asked, *voted)]
    prompt = " ".join(visible(case.prompt).split())
    return Notice(
        title=f"Reminder: {title[:1].lower()}{title[1:]}",
        prompt=prompt if len(prompt) <= MAX_FACT else prompt[: MAX_FACT - 1].rstrip() + "…",
        deadline=f"{moment(case.expires_at)} (in {span(case.expires_at - now)})",
        mentions=tuple(entry.removeprefix(f"{platform}:") for entry in named if entry.startswith(f"{platform}:")),
        review_url=review_url,
    )


def span(ms: int) -> str:
    """How long something still lasts, for people: `12 hours`, never more than it is (but for half a minute)."""
    minutes = round(ms / MINUTE)
    for count, unit in ((minutes // (24 * 60), "days"), (minutes // 60, "hours"), (minutes, "minutes")):
        if count >= 2:
            return f"{count} {unit}"
    seconds = max(0, ms // 1000)
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def outcome(case: Case) -> str:
    """One line that says how a closed case ended, by whom, when and from where."""
    when = moment(case.closed_at or case.expires_at)
    answered = case.answered or {}
    if case.status is Status.COMPLETED and case.result is not None:
        done = DONE.get(case.result["action"], f"Answered: {case.result['action']}")
        text = f"{done} by {decider(case)}, {when} {_PLACES.get(answered.get('via', ''), 'through the API')}"
    elif case.status is Status.EXPIRED:
        default = case.default_action
        ended = (
            "the default applied: approved" if default == "approve" else f"nothing was approved (default: {default})"
        )
        text = f"Expired without an answer, {when}; {ended}"
    elif answered.get("via") == REVIEW_PAGE:
        text = f"Closed without an answer by {decider(case)}, {when} {_PLACES.get(REVIEW_PAGE, '')}".rstrip()
    else:
        text = f"Withdrawn, {when}"
    reason = answered.get("reason")
    return visible(f"{text}. Reason: {reason}" if reason else text)


def decider(case: Case) -> str:
    """Whom the card names: the display name, else the platform's id, else what kind of link or key it was."""
    return visible(_person((case.answered or {}).get("by") or {}))


def _person(by: Mapping[str, Any]) -> str:
    if nameless := _NAMELESS.get(str(by.get("platform"))):
        return nameless
    return str(by.get("display_name") or by.get("platform_user_id") or "somebody")


def already(case: Case) -> str:
    """What a late tap is told."""
    match case.status:
        case Status.COMPLETED:
            return f"This was already decided. {outcome(case)}."
        case Status.EXPIRED:
            return f"This has expired. {outcome(case)}."
        case Status.CANCELLED:
            return f"This was withdrawn, nothing is waiting for an answer. {outcome(case)}."
        case _:
            return "This card was out of date; it is being redrawn. Please look at it again."


def fit(found: Card, limit: int) -> Card:
    """The card with its body cut to about `limit` characters, `complete` False when that hid something."""
    left, kept = limit, []
    for paragraph in found.body:
        size = len(paragraph.text) + len(paragraph.label or "") + 2
        if size > left:
            if left > 80:
                kept.append(replace(paragraph, text=paragraph.text[: left - 40].rstrip() + " …"))
            return replace(found, body=tuple(kept), complete=False)
        left -= size
        kept.append(paragraph)
    return found
