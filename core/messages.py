"""What a card says, before any messenger's markup. Pure: a case in, plain text out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Any, Literal

from core.chat_terms import asks_reason
from core.forms import fields_of, items_of
from core.model import Case
from core.states import TERMINAL, Status, Verdict, verdict
from core.tasks import INTENT, options_of
from core.told import Moment
from core.wording import button_label, ended_at, outcome, tally_words, timed, visible, words_of
from core.words import Words, words_for

STYLES: dict[str, Literal["primary", "danger"]] = {
    "approve": "primary", "confirm": "primary", "retry": "primary", "select": "primary", "submit": "primary",
    "reject": "danger", "abort": "danger", "cancel": "danger",
}  # fmt: skip
_LABEL_KEYS = ("label", "title", "name", "id")
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
    must have been shown all of it. `moments`: the times in `deadline` and `outcome`, and in nothing else.
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
    moments: tuple[Moment, ...] = ()

    @property
    def words(self) -> Words:
        return words_for(self.language)

    @property
    def offered(self) -> tuple[Button, ...]:
        """The buttons that go under this card, once it is fitted: nobody approves what they could not see."""
        if self.complete or not self.full_review:
            return self.buttons
        return tuple(button for button in self.buttons if verdict(button.action) is not Verdict.APPROVE)


def card(case: Case, *, card_id: str, version: int, review_url: str | None, zone: tzinfo = UTC) -> Card:
    """The card of a case as it stands now. `zone`: of whoever alone will see it."""
    open_ = case.status not in TERMINAL
    context, words = case.content["context"], words_of(case)
    deadline = timed(case.expires_at, words, zone)
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
        deadline=deadline.text,
        outcome=None if open_ else outcome(case, zone),
        digest=case.content_digest.removeprefix("sha256:")[:12],
        complete=not fields_of(context) and all(map(_named_whole, items_of(context))) and not options_of(case),
        edition=case.edition,
        language=words["lang"],
        full_review=case.terms.get("require_full_review") is True,
        moments=(deadline,) if open_ else (deadline, ended_at(case, zone)),
    )


def _button(case: Case, action: str) -> Button:
    asks = asks_reason(case) and verdict(action) is Verdict.DENY
    return Button(action, button_label(case, action, words_of(case)["actions"]), STYLES.get(action), asks)


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
    open_, counts = case.status not in TERMINAL, case.policy.counts
    if (case.votes and (open_ or counts)) or (open_ and counts):
        facts.append((words["votes"], tally_words(case)))
    if not case.votes and case.status in (Status.OPENED, Status.IN_PROGRESS):
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
