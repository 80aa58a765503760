"""What a card and a private answer say, before any messenger's markup. Pure: a case in, plain text out."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from core.chat_terms import asks_reason, extension_ms, snooze_ms
from core.forms import fields_of, items_of
from core.mentions import mentioned
from core.model import REVIEW_PAGE, Case
from core.policy import needed
from core.schedule import MINUTE
from core.states import TERMINAL, Status, Verdict, verdict
from core.tasks import INTENT, options_of
from core.words import EN, Words, said, words_for

STYLES: dict[str, Literal["primary", "danger"]] = {
    "approve": "primary", "confirm": "primary", "retry": "primary", "select": "primary", "submit": "primary",
    "reject": "danger", "abort": "danger", "cancel": "danger",
}  # fmt: skip
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
    """`asks`: before it counts, whoever pressed it is asked for a reason."""

    action: str
    label: str
    style: Literal["primary", "danger"] | None = None
    asks: bool = False


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
    there are no buttons. `review_url` None means that there is nothing left to open. `full_review`: whoever approves
    must have been shown all of it.
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
    language: str = "en"
    full_review: bool = False

    @property
    def words(self) -> Words:
        return words_for(self.language)

    @property
    def offered(self) -> tuple[Button, ...]:
        """The buttons that go under this card, once it is fitted: nobody approves what they could not see."""
        if self.complete or not self.full_review:
            return self.buttons
        return tuple(button for button in self.buttons if verdict(button.action) is not Verdict.APPROVE)


@dataclass(frozen=True, slots=True)
class Notice:
    """A message beside a card: every text is plain, already free of invisible characters, and untrusted.

    `mentions`: ids of people and user groups on this platform, as somebody wrote them; what is no such id is not
    mentioned. `buttons` are of the card `card_id`, and say `edition` when they are pressed, as its own do.
    """

    title: str
    prompt: str
    deadline: str
    mentions: tuple[str, ...]
    review_url: str | None
    language: str = "en"
    card_id: str = ""
    buttons: tuple[Button, ...] = ()
    edition: int = 0

    @property
    def words(self) -> Words:
        return words_for(self.language)


def words_of(case: Case) -> Words:
    """The words of the language that was agreed when the case opened."""
    return words_for(case.terms.get("language", "en"))


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
    context, words = case.content["context"], words_of(case)
    return Card(
        card_id=card_id,
        case_id=case.case_id,
        version=version,
        title=words["titles"].get(case.type, words["other_title"]),
        prompt=visible(case.prompt),
        facts=tuple(_facts(case)),
        body=tuple(_body(case)),
        buttons=tuple(_button(case, action) for action in case.inline_actions) if open_ else (),
        review_url=review_url,
        deadline=moment(case.expires_at, words),
        outcome=None if open_ else outcome(case),
        digest=case.content_digest.removeprefix("sha256:")[:12],
        complete=not fields_of(context) and all(map(_named_whole, items_of(context))) and not options_of(case),
        edition=case.edition,
        language=words["lang"],
        full_review=case.terms.get("require_full_review") is True,
    )


def _button(case: Case, action: str) -> Button:
    asks = asks_reason(case) and verdict(action) is Verdict.DENY
    return Button(action, button_label(case, action, words_of(case)["actions"]), STYLES.get(action), asks)


def button_label(case: Case, action: str, standard: Mapping[str, str]) -> str:
    """What the button of an action says: the case's own label, else the `standard` one."""
    return visible(str(labels_of(case).get(action) or standard.get(action, action)))


def labels_of(case: Case) -> Mapping[str, str]:
    """The case's own labels, by action."""
    found: Mapping[str, str] = case.content.get("labels") or {}
    return found


def labelled(case: Case, action: str, meaning: str, words: Words) -> str:
    """What an action or its outcome means, and what its button says where that is something else: `Approved (“Ship
    it”)`.
    """
    label = labels_of(case).get(action)
    return meaning if label is None else str(words["labelled"]).format(meaning, visible(label))


def _facts(case: Case) -> list[tuple[str, str]]:
    facts, words, context = [], words_of(case), plain_context(case)
    if requester := case.terms.get("requested_by"):
        facts.append((words["asked_by"], visible(str(requester))))
    task = words["task"]
    facts += [(task.get(label, label), visible(task.get(value, value))) for label, value in task_facts(case)]
    for key, value in context.items():
        if key == "multiple" and items_of(context):
            continue  # how to choose: the page offers it so
        if isinstance(value, (str, int, float, bool)) and len(str(value)) <= MAX_FACT:
            facts.append((visible(key.replace("_", " ").capitalize()), visible(_plain(value, words))))
    if case.votes and (case.status not in TERMINAL or case.policy.counts):
        facts.append((words["votes"], tally_words(case)))
    elif case.status in (Status.OPENED, Status.IN_PROGRESS):
        facts.append((words["status"], words[str(case.status)]))
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
    found, words = [], words_of(case)
    for action in dict.fromkeys(vote["action"] for vote in case.votes):
        names = [
            _person(vote["by"], words["nameless"], words["behalf"]) for vote in case.votes if vote["action"] == action
        ]
        name = labelled(case, action, words["actions"].get(action, action), words)
        count = {"done": len(names), "needed": needed(case.policy, action)}
        found.append(words["tally"].format(action=name, names=", ".join(names), **count))
    return visible("; ".join(found))


def plain_context(case: Case) -> Mapping[str, Any]:
    """The context as people see it."""
    context: Mapping[str, Any] = case.content["context"]
    if case.terms.get("guarded") is None:
        return context
    return {key: value for key, value in context.items() if key not in _GUARDED}


def _plain(value: object, words: Words) -> str:
    if isinstance(value, bool):
        return str(words["yes" if value else "no"])
    return str(value).replace(".", words["decimal"]) if isinstance(value, float) else str(value)


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
        label = visible(key.replace("_", " ").capitalize())
        if _is_plain_list(value):
            found.append(Paragraph("\n".join(f"• {visible(one)}" for one in value), label))
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        found.append(Paragraph(visible(text), label, code=not isinstance(value, str)))
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


def _is_plain_list(value: object) -> bool:
    """Whether this reads well as a list, each entry a line of its own that can be told from the others."""
    return isinstance(value, list) and bool(value) and all(map(_is_line, value))


def _is_line(one: object) -> bool:
    return isinstance(one, str) and one.strip() == one != "" and one.splitlines() == [one] and "•" not in one


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


def moment(ms: int, words: Words = EN) -> str:
    """A time for people, in UTC: `21 Nov 2026, 10:00 UTC`."""
    found = datetime.fromtimestamp(ms / 1000, UTC)
    month = words["months"][found.month - 1]
    return str(words["moment"]).format(day=found.day, month=month, year=found.year, time=f"{found:%H:%M}")


def reminder(case: Case, now: int, *, platform: str, review_url: str | None, card_id: str = "") -> Notice:
    """What is said below a card that still waits at `now`, to those who are named as its reviewers on this platform and
    have not answered yet; with ways to put it off, where the source lets people.
    """
    words = words_of(case)
    title = words["reminder"].get(case.type, words["other_reminder"])
    mentions = mentioned(case, platform, case.policy.any_of)
    return _notice(case, now, title, mentions, review_url, card_id, _put_off_buttons(case, words))


def escalation(
    case: Case, now: int, entries: Sequence[str], *, platform: str, review_url: str | None, card_id: str = ""
) -> Notice:
    """What is said below a card whose case has climbed a level of its chain, to those whom that level calls."""
    title = words_of(case)["escalated"]
    return _notice(case, now, title, mentioned(case, platform, entries), review_url, card_id, ())


def _notice(
    case: Case,
    now: int,
    title: str,
    mentions: tuple[str, ...],
    review_url: str | None,
    card_id: str,
    buttons: tuple[Button, ...],
) -> Notice:
    words = words_of(case)
    prompt = " ".join(visible(case.prompt).split())
    return Notice(
        title=title,
        prompt=prompt if len(prompt) <= MAX_FACT else prompt[: MAX_FACT - 1].rstrip() + "…",
        deadline=words["deadline_in"].format(
            when=moment(case.expires_at, words), span=span(case.expires_at - now, words["within"])
        ),
        mentions=mentions,
        review_url=review_url,
        language=words["lang"],
        card_id=card_id,
        buttons=buttons,
        edition=case.extended,
    )


def _put_off_buttons(case: Case, words: Words) -> tuple[Button, ...]:
    found = []
    if by := extension_ms(case):
        found.append(Button("extend", words["extend"].format(span(by, words["span"]))))
    if by := snooze_ms(case):
        found.append(Button("snooze", words["snooze"].format(span(by, words["within"]))))
    return tuple(found)


def put_off(case: Case, kind: str, until: int) -> str:
    """What whoever asked for more time, or for a later reminder, is told."""
    words = words_of(case)
    return str(words["extended" if kind == "extend" else "snoozed"].format(moment(until, words)))


def span(ms: int, units: Mapping[str, str] = EN["span"]) -> str:
    """How long something still lasts, for people: `12 hours`, never more than it is (but for half a minute). `units`:
    the words' `span`, or `within` where it stands behind "in".
    """
    minutes = round(ms / MINUTE)
    if minutes == 60:
        return units["hour"].format(1)
    for count, unit in ((minutes // (24 * 60), "days"), (minutes // 60, "hours"), (minutes, "minutes")):
        if count >= 2:
            return units[unit].format(count)
    seconds = max(0, ms // 1000)
    return units["second" if seconds == 1 else "seconds"].format(seconds)


def outcome(case: Case) -> str:
    """One line that says how a closed case ended, by whom, when and from where."""
    words = words_of(case)
    when = moment(case.closed_at or case.expires_at, words)
    answered = case.answered or {}
    if case.status is Status.COMPLETED and case.result is not None:
        place = words["places"].get(answered.get("via", ""), words["other_place"])
        text = words["decided"].format(done=done(case, words), who=decider(case), when=when, place=place)
    elif case.status is Status.EXPIRED:
        default = case.default_action
        ended = (
            words["expired_approved"]
            if default == "approve"
            else words["expired_otherwise"].format(words["defaults"].get(default, default))
        )
        text = words["expired"].format(when=when, ended=ended)
    elif answered.get("via") == REVIEW_PAGE:
        text = words["closed"].format(who=decider(case), when=when, place=words["places"][REVIEW_PAGE])
    else:
        text = words["withdrawn"].format(when=when)
    reason = answered.get("reason")
    return visible(words["because"].format(outcome=text, reason=reason) if reason else text)


def done(case: Case, words: Words) -> str:
    """What was decided, in plain words and those of the button: `Approved (“Ship it”)`."""
    action = str((case.result or {}).get("action", ""))
    return labelled(case, action, words["done"].get(action) or words["done_other"].format(action), words)


def decider(case: Case) -> str:
    """Whom the card names: the display name, else the platform's id, else what kind of link or key it was."""
    words = words_of(case)
    return visible(_person((case.answered or {}).get("by") or {}, words["nameless_by"], words["behalf"]))


def _person(by: Mapping[str, Any], nameless: Mapping[str, str], behalf: str) -> str:
    if (platform := str(by.get("platform"))) in nameless:
        return nameless[platform]
    name = str(by.get("display_name") or by.get("platform_user_id") or nameless[""])
    giver = by.get("on_behalf_of")
    return behalf.format(name, _person(giver, nameless, behalf)) if giver else name


def already(case: Case) -> str:
    """What a late tap is told."""
    words = words_of(case)
    if case.status in TERMINAL:
        return str(words["already"][str(case.status)]).format(outcome(case))
    return str(words["out_of_date"])


def refused(message: str, case: Case) -> str:
    """What whoever may not do this is told; `message` is the core's own."""
    words = words_of(case)
    text = said(message, words) or words["refused"].format(message)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


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
