"""What on the review page asks for the answer, as values: choices, fields, words of one's own, buttons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.review import answer
from api.review.blocks import Edits, editable
from api.review.content import Content, asks_form, items_of
from api.review.drafts import Saved, kept_secrets, step_typed, unfetched
from api.review.form import Group, Start, groups_of, step_of
from api.review.options import Option
from api.review.pieces import shown
from api.review.posted import Posted
from api.review.strings import Texts, problem_words, span_words
from core import messages, wording
from core.approvals import most_remembered
from core.chat_terms import asks_reason
from core.forms import MAX_TEXT
from core.model import Case
from core.schedule import MINUTE
from core.tasks import options_of

GRANTS = (15, 60, 480)  # minutes for which the page offers to remember an approval


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
    """What asks for the answer. `revision` is the answer that it would replace, 0 when there is none yet; `seen` stands
    for the changes to blocks that this page shows. `reasons` are buttons that deny: name and words of each; `grants`
    are buttons that approve and let the same through for a while: minutes and words of each. `step` is the one of a
    form's steps to begin with; `keeps` says that what is typed can be kept, `resumed` that some of it was; `fetches`
    that others hold values for it; `asks_reason` that nobody refuses without one.
    """

    revision: int
    seen: str
    editable: bool
    options: Options | None
    groups: tuple[Group, ...]
    words: Words | None
    buttons: tuple[Button, ...]
    reasons: tuple[tuple[str, str], ...]
    grants: tuple[tuple[int, str], ...]
    step: int
    keeps: bool
    fetches: bool
    resumed: bool
    asks_reason: bool


def form_of(
    case: Case,
    content: Content,
    texts: Texts,
    posted: Posted,
    errors: Mapping[str, str],
    edits: Edits,
    saved: Saved,
    *,
    keeps: bool,
    resumed: bool,
) -> Form:
    """The form with what was typed so far (`posted`, `saved`) and what is wrong with it (`errors`, by field)."""
    context = case.content["context"]
    fetched = frozenset(one["key"] for one in unfetched(case, saved)) if keeps else frozenset()
    start = Start(posted, all_translated(errors, texts), kept_secrets(case, saved), fetched)
    options = None
    if options_of(case) or ("select" in case.actions and items_of(case)):
        options = Options(
            multiple=not options_of(case) and case.content["context"].get("multiple") is not False,
            options=content.options,
            chosen=frozenset(posted.all("selected")),
            error=_translated(errors.get("selected"), texts),
        )
    most = most_remembered(case)
    words = None
    if name := answer.words_field(case):
        required = answer.words_required(case)
        label, error = texts["words"]["answer" if required else name], errors.get(name) or errors.get("reason")
        words = Words(name, label, posted.one(name), required, _translated(error, texts))
    return Form(
        revision=case.revision,
        seen=edits.mark,
        editable=bool(editable(case)),
        options=options,
        groups=groups_of(context, texts, start) if asks_form(case) else (),
        words=words,
        buttons=tuple(_button(case, action, texts) for action in case.actions),
        reasons=tuple((name, shown(label)) for name, label in answer.reasons_of(case)),
        grants=tuple((minutes, _for_a_while(minutes, texts)) for minutes in GRANTS if minutes <= most),
        step=(step_of(context, errors) if asks_form(case) else None) or step_typed(case, posted) or saved.step,
        keeps=keeps,
        fetches=bool(fetched),
        resumed=resumed,
        asks_reason=asks_reason(case),
    )


def _button(case: Case, action: str, texts: Texts) -> Button:
    return Button(
        action=action,
        label=wording.button_label(case, action, texts["actions"]),
        style=messages.STYLES.get(action, "plain"),
        unchecked=action not in ("select", "submit"),
        wants_words=action == "edit",
    )


def _for_a_while(minutes: int, texts: Texts) -> str:
    return str(texts["guarded"]["allow_for"]).format(span_words(minutes * MINUTE, texts))


def _translated(problem: str | None, texts: Texts) -> str | None:
    return None if problem is None else problem_words(problem, texts)


def all_translated(problems: Mapping[str, str], texts: Texts) -> dict[str, str]:
    """Problems by field, in the page's language."""
    return {name: problem_words(problem, texts) for name, problem in problems.items()}
