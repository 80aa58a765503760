"""The review page as values: a case in, everything that the templates print out. Pure: `now` comes from the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from api.review import answer
from api.review.answer import FIELD, Posted
from api.review.content import Content, Fact, Option, Section, asks_form, content_of, items_of, parted, scalar, shown
from api.review.form import Group, groups_of
from api.review.strings import Texts, left_words
from core import messages
from core.forms import MAX_TEXT, fields_of
from core.model import HOLDER, Case
from core.outcome import item_id
from core.policy import refusal
from core.schedule import iso
from core.states import Status

SHORT_DIGEST = 12
State = Literal["open", "completed", "expired", "cancelled"]
_GOOD = frozenset({"approve", "confirm", "select", "submit", "retry"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, for machines and for people (in UTC; the page's script says it in the reader's own zone)."""

    iso: str
    words: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a post was not accepted. `fields` says it per field, as `InvalidData` does."""

    title: str
    message: str | None = None
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """One line of the error summary; `target` is the id of what it is about."""

    message: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    multiple: bool
    options: tuple[Option, ...]
    chosen: frozenset[str]
    error: str | None


@dataclass(frozen=True, slots=True)
class Words:
    """The place for words of the reviewer's own."""

    name: str
    label: str
    value: str
    required: bool
    error: str | None
    limit: int = MAX_TEXT


@dataclass(frozen=True, slots=True)
class Button:
    """`unchecked`: pressing it needs no valid form. `wants_words`: it says little without some words."""

    action: str
    label: str
    style: str
    unchecked: bool
    wants_words: bool


@dataclass(frozen=True, slots=True)
class Form:
    options: Options | None
    groups: tuple[Group, ...]
    words: Words | None
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a closed case ended, and what proves it."""

    tone: Literal["good", "bad", "neutral"]
    title: str
    hint: str | None
    when: Moment
    receipt: tuple[Fact, ...]
    answers: tuple[Fact, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One rendering of one case. `form` is None when there is nothing to answer; `refused` says why for an open case.

    `left_ms` is how long it can still be answered; `thanks` when this is the answer to an accepted post.
    """

    case_id: str
    state: State
    version: int
    kind: str
    prompt: str
    asked_by: str | None
    deadline: Moment
    left_ms: int
    left: str
    otherwise: str
    content: Content
    form: Form | None
    refused: str | None
    outcome: Outcome | None
    problem: Problem | None
    errors: tuple[Error, ...]
    thanks: bool
    digest: str
    short_digest: str


def page_of(
    case: Case,
    now: int,
    texts: Texts,
    *,
    ledger_row: tuple[str, str] | None = None,
    posted: Posted | None = None,
    problem: Problem | None = None,
    thanks: bool = False,
) -> Page:
    """The page at `now`. `ledger_row` is the (id, hash) of the row that closed the case; `posted` and `problem` bring
    back what was typed, and say why it was not accepted.
    """
    state = state_of(case, now)
    requested_by = case.terms.get("requested_by")
    refused = refusal(case.policy, HOLDER, in_channel=False, requested_by=requested_by) if state == "open" else None
    content = content_of(case, texts)
    form = None
    if state == "open" and refused is None:
        form = _form(case, content, texts, posted or Posted(), (problem and problem.fields) or {})
    return Page(
        case_id=case.case_id,
        state=state,
        version=case.version,
        kind=_kind(case, state, texts),
        prompt=shown(case.prompt),
        asked_by=shown(str(requested_by)) if requested_by else None,
        deadline=_moment(case.expires_at),
        left_ms=max(0, case.expires_at - now),
        left=left_words(max(0, case.expires_at - now), texts),
        otherwise=texts["otherwise"][case.default_action],
        content=content,
        form=form,
        refused=shown(_sentence(refused.message)) if refused else None,
        outcome=None if state == "open" else _outcome(case, state, texts, ledger_row),
        problem=problem,
        errors=_errors(case, problem) if problem and state == "open" else (),
        thanks=thanks,
        digest=case.content_digest,
        short_digest=case.content_digest.removeprefix("sha256:")[:SHORT_DIGEST],
    )


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


def _kind(case: Case, state: State, texts: Texts) -> str:
    if state == "open":
        return str(texts["titles"].get(case.type, texts["other_title"]))
    return str(texts["closed_titles"].get(case.type, texts["other_closed_title"]))


def _moment(ms: int) -> Moment:
    return Moment(iso(ms), messages.moment(ms))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _form(case: Case, content: Content, texts: Texts, posted: Posted, errors: Mapping[str, str]) -> Form:
    options = None
    if "select" in case.actions and items_of(case):
        options = Options(
            multiple=case.content["context"].get("multiple") is not False,
            options=content.options,
            chosen=frozenset(posted.all("selected")),
            error=errors.get("selected"),
        )
    words = None
    if name := answer.words_field(case):
        required = answer.words_required(case)
        label = texts["words"]["answer" if required else name]
        words = Words(name, label, posted.one(name), required, errors.get(name))
    return Form(
        options=options,
        groups=groups_of(case.content["context"], texts, posted, errors) if asks_form(case) else (),
        words=words,
        buttons=tuple(_button(action, texts) for action in case.actions),
    )


def _button(action: str, texts: Texts) -> Button:
    return Button(
        action=action,
        label=texts["actions"].get(action, shown(action)),
        style=messages.STYLES.get(action, "plain"),
        unchecked=action not in ("select", "submit"),
        wants_words=action == "edit",
    )


def _errors(case: Case, problem: Problem) -> tuple[Error, ...]:
    if not problem.fields:
        return (Error(shown(_sentence(problem.message)), None),) if problem.message else ()
    context = case.content["context"]
    own = {form_field["key"] for form_field in fields_of(context)} if asks_form(case) else set()
    targets = {key: f"{FIELD}{key}" for key in own} | {"selected": "selected"}
    if name := answer.words_field(case):
        targets[name] = name
    return tuple(Error(shown(_sentence(message)), targets.get(key)) for key, message in problem.fields.items())


def _outcome(case: Case, state: State, texts: Texts, ledger_row: tuple[str, str] | None) -> Outcome:
    answered: Mapping[str, Any] = case.answered or {}
    title, hint, tone = _ending(case, state, texts)
    receipt = []
    if state == "completed":
        receipt.append(Fact(texts["by"], messages.decider(case)))
        receipt.append(Fact(texts["through"], texts["places"].get(answered.get("via", ""), texts["other_place"])))
    if state == "cancelled" and (reason := answered.get("reason")):
        receipt.append(Fact(texts["words"]["reason"], shown(str(reason))))
    if ledger_row is not None:
        receipt.append(Fact(texts["ledger_row"], ledger_row[0], code=True))
        receipt.append(Fact(texts["row_hash"], ledger_row[1], code=True))
    answers, sections = _answers(case, texts)
    return Outcome(
        tone=tone,
        title=title,
        hint=hint,
        when=_moment(case.closed_at or case.expires_at),
        receipt=tuple(receipt),
        answers=tuple(answers),
        sections=tuple(sections),
    )


def _ending(case: Case, state: State, texts: Texts) -> tuple[str, str | None, Literal["good", "bad", "neutral"]]:
    if state == "completed":
        action = (case.result or {})["action"]
        title = texts["done"].get(action) or texts["done_other"].format(shown(action))
        bad = messages.STYLES.get(action) == "danger"
        return title, None, "good" if action in _GOOD else "bad" if bad else "neutral"
    if state == "cancelled":
        return texts["withdrawn"], texts["withdrawn_hint"], "neutral"
    return texts["expired"], texts["ended_as"][case.default_action], "neutral"


def _answers(case: Case, texts: Texts) -> tuple[list[Fact], list[Section]]:
    """The answer that was given, in the words of the form; sensitive values stay hidden."""
    data: dict[str, Any] = dict((case.result or {}).get("data") or {})
    found: list[Fact] = []
    for form_field in fields_of(case.content["context"]) if asks_form(case) else ():
        if form_field["key"] in data:
            value = data.pop(form_field["key"])
            words = texts["hidden"] if form_field.get("sensitive") else _answer_words(form_field, value, texts)
            found.append(Fact(shown(form_field["label"]), words))
    if items_of(case) and isinstance(data.get("selected"), list):
        names = {item_id(item): shown(messages.item_label(item)) for item in items_of(case)}
        found += [Fact(texts["chosen"], names.get(one, shown(str(one)))) for one in data.pop("selected")]
    for name in ("feedback", "reason", "note"):
        if isinstance(data.get(name), str):
            found.append(Fact(texts["words"][name], shown(data.pop(name))))
    facts, sections = parted(data, texts)
    return found + facts, sections


def _answer_words(form_field: Mapping[str, Any], value: Any, texts: Texts) -> str:
    labels = {option["value"]: option["label"] for option in form_field.get("options") or ()}
    if isinstance(value, list):
        return ", ".join(shown(str(labels.get(one, one))) for one in value)
    return shown(str(labels[value])) if isinstance(value, str) and value in labels else scalar(value, texts)
