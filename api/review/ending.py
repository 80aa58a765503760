"""How a case ended: the answer that was given, and the receipt that proves it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from api.review.blocks import Difference, difference_of, label_of
from api.review.content import asks_form, items_of
from api.review.pieces import Fact, Section, parted, scalar, shown
from api.review.strings import Texts, moment_words, span_words
from core import messages, wording
from core.approvals import REMEMBERED
from core.forms import fields_of
from core.model import Case
from core.outcome import item_id
from core.receipts import Receipt
from core.replies import REVIEW_PAGE
from core.rows import with_edits
from core.schedule import MINUTE, iso
from core.states import Status

State = Literal["open", "completed", "expired", "cancelled"]
Tone = Literal["good", "bad", "neutral"]
_GOOD = frozenset({"approve", "confirm", "select", "submit", "retry"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, for machines and for people (in UTC; the page's script says it in the reader's own zone)."""

    iso: str
    words: str


@dataclass(frozen=True, slots=True)
class Check:
    """What was recomputed just now, in words; `good` None where nothing can be said yet."""

    good: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a closed case ended, and what proves it. `edits` are the reviewer's changes to blocks."""

    tone: Tone
    title: str
    hint: str | None
    when: Moment
    receipt: tuple[Fact, ...]
    checks: tuple[Check, ...]
    answers: tuple[Fact, ...]
    sections: tuple[Section, ...]
    edits: tuple[Difference, ...]


def state_of(case: Case, now: int) -> State:
    """What the page shows it as. A case past its deadline is expired, whether or not the clock role has written it."""
    match case.status:
        case Status.COMPLETED:
            return "completed"
        case Status.CANCELLED:
            return "cancelled"
        case Status.EXPIRED:
            return "expired"
        case _:
            return "expired" if now >= case.expires_at else "open"


def moment_of(ms: int, texts: Texts) -> Moment:
    return Moment(iso(ms), moment_words(ms, texts))


def outcome_of(case: Case, state: State, texts: Texts, receipt: Receipt | None) -> Outcome:
    answered: Mapping[str, Any] = case.answered or {}
    title, hint, tone = ending_words(case, state, texts)
    facts = []
    if state == "completed" or _closed_here(case):
        facts.append(Fact(texts["by"], person_words(answered.get("by") or {}, texts)))
        facts.append(Fact(texts["through"], texts["places"].get(answered.get("via", ""), texts["other_place"])))
    if state == "cancelled" and (reason := answered.get("reason")):
        facts.append(Fact(texts["words"]["reason"], shown(str(reason))))
    if case.revision > 1:
        facts.append(Fact(texts["revision"], str(case.revision - 1)))
    if receipt is not None:
        facts.append(Fact(texts["fingerprint"], case.content_digest, code=True))
        facts.append(Fact(texts["ledger_row"], receipt.interaction_id, code=True))
        facts.append(Fact(texts["row_hash"], receipt.row_hash, code=True))
    answers, sections = _answers(case, texts)
    checks = () if receipt is None else tuple(_checks(receipt, texts))
    return Outcome(
        tone="neutral" if any(check.good is False for check in checks) else tone,  # no tick for what nothing proves
        title=title,
        hint=hint,
        when=moment_of(case.closed_at or case.expires_at, texts),
        receipt=tuple(facts),
        checks=checks,
        answers=tuple(answers),
        sections=tuple(sections),
        edits=tuple(_edits(case, texts)),
    )


def _closed_here(case: Case) -> bool:
    """Whether somebody closed it on the page without an answer."""
    return case.status is Status.CANCELLED and (case.answered or {}).get("via") == REVIEW_PAGE


def person_words(by: Mapping[str, Any], texts: Texts) -> str:
    """Whoever answered, as records name them; and for whom, where they stood in."""
    if by.get("platform") == "link":
        return str(texts["link_holder"])
    name = shown(str(by.get("display_name") or by.get("platform_user_id") or texts["somebody"]))
    giver = by.get("on_behalf_of")
    return f"{name} ({texts['session']['behalf'].format(person_words(giver, texts))})" if giver else name


def _checks(receipt: Receipt, texts: Texts) -> list[Check]:
    good = receipt.intact and receipt.agrees
    found = [Check(good, texts["matches" if good else "differs"])]
    if receipt.seal is None or receipt.position is None:
        return [*found, Check(None, texts["unsealed"])]
    words = {True: texts["sealed"], False: texts["seal_wrong"], None: texts["seal_unknown"]}[receipt.seal.good]
    when = moment_words(receipt.seal.sealed_at, texts)
    said = words.format(number=receipt.seal.number, when=when, position=receipt.position)
    return [*found, Check(receipt.seal.good, said)]


def _edits(case: Case, texts: Texts) -> list[Difference]:
    final = with_edits(case.content["blocks"], (case.answered or {}).get("blocks") or {})
    found = [
        difference_of(label_of(was), was["content"], now["content"], texts)
        for was, now in zip(case.original, final, strict=True)
        if now is not was
    ]
    return [one for one in found if one]


def ending_words(case: Case, state: State, texts: Texts) -> tuple[str, str | None, Tone]:
    """How a closed case ended: a title, a hint, and what it means for whoever asked."""
    if state == "completed":
        action = (case.result or {})["action"]
        title = texts["done"].get(action) or texts["done_other"].format(shown(action))
        bad = messages.STYLES.get(action) == "danger"
        title = wording.labelled(case, action, title, texts)
        return title, None, "good" if action in _GOOD else "bad" if bad else "neutral"
    if _closed_here(case):
        return texts["closed"], texts["closed_hint"], "neutral"
    if state == "cancelled":
        return texts["withdrawn"], texts["withdrawn_hint"], "neutral"
    return texts["expired"], texts["ended_as"][case.default_action], "neutral"


def _answers(case: Case, texts: Texts) -> tuple[list[Fact], list[Section]]:
    """The answer that was given, in the words of the form; sensitive values stay hidden."""
    data: dict[str, Any] = dict((case.result or {}).get("data") or {})
    if (case.answered or {}).get("blocks"):
        data.pop("edits", None)  # shown as what they changed
    found: list[Fact] = []
    for form_field in fields_of(case.content["context"]) if asks_form(case) else ():
        if form_field["key"] in data:
            value = data.pop(form_field["key"])
            words = texts["hidden"] if form_field.get("sensitive") else _answer_words(form_field, value, texts)
            found.append(Fact(shown(form_field["label"]), words))
    if items_of(case) and isinstance(data.get("selected"), list):
        names = {item_id(item): shown(messages.item_label(item)) for item in items_of(case)}
        found += [Fact(texts["chosen"], names.get(one, shown(str(one)))) for one in data.pop("selected")]
    for name in ("approver", "feedback", "reason", "note"):
        if isinstance(data.get(name), str):
            found.append(Fact(texts["words"][name], shown(data.pop(name))))
    if isinstance(data.get(REMEMBERED), int):
        span = span_words(data.pop(REMEMBERED) * MINUTE, texts)
        found.append(Fact(texts["guarded"]["remembered"], span))
    facts, sections = parted(data, texts)
    return found + facts, sections


def _answer_words(form_field: Mapping[str, Any], value: Any, texts: Texts) -> str:
    labels = {option["value"]: option["label"] for option in form_field.get("options") or ()}
    if isinstance(value, list):
        return ", ".join(shown(str(labels.get(one, one))) for one in value)
    return shown(str(labels[value])) if isinstance(value, str) and value in labels else scalar(value, texts)
