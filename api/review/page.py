"""The review page as values: a case in, everything that the templates print out. Pure: `now` comes from the caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.review import answer
from api.review.answer import FIELD
from api.review.asking import Form, all_translated, form_of
from api.review.blocks import (
    BLOCK,
    CHANGES,
    PROBLEM,
    Difference,
    Edits,
    changes_between,
    editable,
    edits_of,
    label_of,
    text_of,
)
from api.review.content import Content, asks_form, content_of
from api.review.drafts import Saved, as_posted, shown_again
from api.review.ending import Moment, Outcome, State, moment_of, outcome_of, state_of
from api.review.pieces import Fact, shown
from api.review.posted import Posted
from api.review.strings import Texts, left_words, problem_words
from core import wording
from core.errors import Refused, SelfApproval
from core.forms import fields_of
from core.model import Case
from core.names import Names
from core.persons import is_user_group
from core.policy import NO_NAMES, needed, refusal
from core.replies import HOLDER
from core.reviewing import Standing
from core.views import Review

SHORT_DIGEST = 12
NOTHING_SAVED = Saved()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a post was not accepted. `fields` says it per field, as `InvalidData` does; `calm` when nothing is wrong."""

    title: str
    message: str | None = None
    fields: Mapping[str, str] | None = None
    calm: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """One line of the error summary; `target` is the id of what it is about."""

    message: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One rendering of one case. `form` is None when there is nothing to answer; `refused` says why for an open case.

    `left_ms` is how long it can still be answered; `thanks` when this is the answer to an accepted post. `tally` is how
    an open quorum stands, `voted` when this link has had its say. `may_change`: until when the answer can be revised;
    `revising` while it is being revised. `rounds` is what changed since the round before, and `last_answer` how that
    one was answered.
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
    rounds: tuple[Difference, ...]
    last_answer: tuple[Fact, ...]
    tally: tuple[Fact, ...]
    voted: bool
    form: Form | None
    refused: str | None
    may_change: Moment | None
    revising: bool
    outcome: Outcome | None
    problem: Problem | None
    errors: tuple[Error, ...]
    thanks: bool
    digest: str
    short_digest: str


def page_of(
    review: Review,
    texts: Texts,
    *,
    saved: Saved = NOTHING_SAVED,
    posted: Posted | None = None,
    problem: Problem | None = None,
    thanks: bool = False,
    revising: bool = False,
    compared: bool = False,
    standing: Standing | None = None,
    names: Names = NO_NAMES,
) -> Page:
    """The page at the review's `now`, for whoever is signed in (`standing`), or for whoever holds the link. `saved` is
    what was typed before and not sent. `posted` and `problem` bring back what was typed, and say why it was not
    accepted; `revising` asks for another answer where one may still be given; `compared` leads to what was edited.
    `names`: of the people whom the policy names.
    """
    case, now = review.case, review.now
    state = state_of(case, now)
    requested_by = case.terms.get("requested_by")
    refused = _refused(case, standing)
    changeable = refused is None and may_revise(case, now)
    revising = revising and changeable
    voted = state == "open" and _has_voted(case, standing)
    answering = revising or (state == "open" and refused is None and not voted)
    resumed = answering and posted is None and problem is None and not revising and bool(saved.values)
    posted = (posted or (given_answer(case) if revising else shown_again(case, saved))) if answering else Posted()
    edits = edits_of(case, posted, texts) if answering else None
    if compared and edits is not None:
        problem = _compared(case, edits, texts)
    fields = (problem and not problem.calm and problem.fields) or {}
    content = content_of(case, texts, edits, fields)
    ending = state != "open" and not revising
    return Page(
        case_id=case.case_id,
        state=state,
        version=case.version,
        kind=texts["changing"] if revising else _kind(case, state, texts),
        prompt=shown(case.prompt),
        asked_by=shown(str(requested_by)) if requested_by else None,
        deadline=moment_of(case.expires_at, texts),
        left_ms=max(0, case.expires_at - now),
        left=left_words(max(0, case.expires_at - now), texts),
        otherwise=texts["otherwise"][case.default_action],
        content=content,
        rounds=changes_between(review.previous, case, texts) if review.previous else (),
        last_answer=_last_answer(review.previous, texts),
        tally=_tally(case, texts) if state == "open" else (),
        voted=voted,
        form=None
        if edits is None
        else form_of(case, content, texts, posted, fields, edits, saved, keeps=not revising, resumed=resumed),
        refused=_refusal(refused, case, texts, names) if refused and state == "open" else None,
        may_change=moment_of(case.settles_at, texts) if changeable and case.settles_at else None,
        revising=revising,
        outcome=outcome_of(case, state, texts, review.receipt) if ending else None,
        problem=problem,
        errors=_errors(case, problem, texts) if problem and answering else (),
        thanks=thanks,
        digest=case.content_digest,
        short_digest=case.content_digest.removeprefix("sha256:")[:SHORT_DIGEST],
    )


def _refused(case: Case, standing: Standing | None) -> Refused | None:
    if standing is None:
        return refusal(case.policy, HOLDER, in_channel=False, requested_by=case.terms.get("requested_by"))
    return standing.ruling if isinstance(standing.ruling, Refused) else None


def _has_voted(case: Case, standing: Standing | None) -> bool:
    if standing is not None:
        return standing.voted
    return any(vote["by"]["platform"] == HOLDER.platform for vote in case.votes)


def may_revise(case: Case, now: int) -> bool:
    """Whether the answer may still be changed: the gate has the last word, and says so if it may not."""
    return case.settles_at is not None and now < case.settles_at and case.next_case_id is None


def given_answer(case: Case) -> Posted:
    """The answer that was given, as its form would post it; without what is sensitive, which is never shown again."""
    data: Mapping[str, Any] = (case.result or {}).get("data") or {}
    values: dict[str, list[str]] = {"revision": [str(case.revision)]}
    secret = {field["key"] for field in fields_of(case.content["context"]) if field.get("sensitive")}
    for name, value in data.items():
        field = FIELD + name if asks_form(case) else name
        if name in secret or isinstance(value, Mapping):
            continue
        values[field] = as_posted(value)
    blocks = (case.answered or {}).get("blocks") or {}
    for n, block in editable(case):
        if block["id"] in blocks:
            values[f"{BLOCK}{n}"] = [text_of(blocks[block["id"]])]
    return Posted(values)


def _compared(case: Case, edits: Edits, texts: Texts) -> Problem:
    """What a post that asks to see the changes is shown: where they are, or why they cannot be shown."""
    if edits.problems:
        return Problem(texts["problem"], fields=edits.problems)
    labels = {PROBLEM + block["id"]: label_of(block) for _, block in editable(case) if block["id"] in edits.changed}
    return Problem(texts["your_changes" if labels else "no_changes"], fields=labels, calm=True)


def _kind(case: Case, state: State, texts: Texts) -> str:
    if state == "open":
        return str(texts["titles"].get(case.type, texts["other_title"]))
    return str(texts["closed_titles"].get(case.type, texts["other_closed_title"]))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _refusal(refused: Refused, case: Case, texts: Texts, names: Names) -> str:
    if isinstance(refused, SelfApproval):
        return str(texts["self_approval"])
    if case.policy.separate_duties:
        return shown(_sentence(problem_words(refused.message, texts))) + "."
    who = texts["or"].join(_who(entry, texts, names) for entry in case.policy.any_of)
    return str(texts["not_a_reviewer"]).format(who)


def _who(entry: str, texts: Texts, names: Names) -> str:
    """An entry of a policy in words; of somebody of whom nobody knows what they are called, as it stands."""
    kind, _, name = entry.partition(":")
    if kind == "group" or is_user_group(entry):
        return shown(str(texts["who"]["group" if kind == "group" else "user_group"]).format(name))
    return shown(texts["who"].get(entry) or names.get(entry) or entry)


def _tally(case: Case, texts: Texts) -> tuple[Fact, ...]:
    """How many have given each answer, of how many that are needed; nothing where one answer decides."""
    if case.policy.quorum == case.policy.reject_quorum == 1:
        return ()
    counts = Counter(vote["action"] for vote in case.votes)
    lines = [action for action in case.actions if needed(case.policy, action) > 1 or counts[action]]
    return tuple(
        Fact(
            wording.labelled(case, action, texts["actions"].get(action, shown(action)), texts),
            texts["votes"].format(done=counts[action], needed=needed(case.policy, action)),
        )
        for action in lines
    )


def _last_answer(previous: Case | None, texts: Texts) -> tuple[Fact, ...]:
    """How the round before was answered: the action, and the words that came with it."""
    if previous is None or previous.result is None:
        return ()
    action = previous.result["action"]
    done = texts["done"].get(action) or texts["done_other"].format(shown(action))
    found = [Fact(texts["last_answer"], wording.labelled(previous, action, done, texts))]
    words = previous.result["data"]
    return (
        *found,
        *(
            Fact(texts["words"][name], shown(words[name]))
            for name in ("feedback", "reason", "note")
            if not asks_form(previous) and isinstance(words.get(name), str)
        ),
    )


def _errors(case: Case, problem: Problem, texts: Texts) -> tuple[Error, ...]:
    if not problem.fields:
        return (Error(shown(_sentence(problem_words(problem.message, texts))), None),) if problem.message else ()
    context = case.content["context"]
    own = {form_field["key"] for form_field in fields_of(context)} if asks_form(case) else set()
    targets = {key: f"{FIELD}{key}" for key in own} | {"selected": "selected"}
    shows = CHANGES if problem.calm else ""
    targets |= {f"{PROBLEM}{block['id']}": f"block-{n}{shows}" for n, block in editable(case)}
    if name := answer.words_field(case):
        targets |= {name: name, "reason": name}
    problems = all_translated(problem.fields, texts)
    return tuple(Error(shown(_sentence(message)), targets.get(key)) for key, message in problems.items())
