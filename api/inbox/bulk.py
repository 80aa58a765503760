"""Alike cases, answered together: each is shown whole, and each answer is one of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from api.inbox.queue import alike, kind_of, short, source_of, why_alone
from api.inbox.strings import Words
from api.review.content import Content, content_of
from api.review.ending import Moment, moment_of
from api.review.pieces import Node, Section, shown
from api.review.strings import Texts
from core import messages, wording
from core.chat_terms import asks_reason
from core.model import Case
from core.states import Verdict, verdict

MOST = 50
ANSWERS = {"approval": ("approve", "reject"), "confirmation": ("confirm", "cancel")}


@dataclass(frozen=True, slots=True)
class Whole:
    """One of the cases, with everything that it shows and the digest of that."""

    case_id: str
    kind: str
    prompt: str
    asked_by: str
    source: str
    deadline: Moment
    content: Content
    digest: str


@dataclass(frozen=True, slots=True)
class Left:
    """One that was asked for and is not among them: what it is as far as that may be said, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is answered together, and what is not, by the names of the reasons."""

    cases: Sequence[Case]
    left: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Press:
    """A button for all of them."""

    action: str
    label: str
    style: str


def chosen(asked: Sequence[str], waiting: Mapping[str, Case]) -> Chosen:
    """Of the cases that were asked for (ids), those that wait for this person and ask the same as the first one."""
    cases: list[Case] = []
    left: list[tuple[str, str]] = []
    for case_id in dict.fromkeys(asked):
        case = waiting.get(case_id)
        if case is None:
            left.append((case_id, "gone"))
        elif why := why_alone(case):
            left.append((case_id, why))
        elif cases and alike(case) != alike(cases[0]):
            left.append((case_id, "other"))
        elif len(cases) == MOST:
            left.append((case_id, "many"))
        else:
            cases.append(case)
    return Chosen(cases, left)


def whole(case: Case, names: Mapping[str, str], texts: Texts, words: Words) -> Whole:
    requested_by = case.terms.get("requested_by")
    return Whole(
        case_id=case.case_id,
        kind=kind_of(case, words),
        prompt=shown(case.prompt),
        asked_by=shown(str(requested_by)) if requested_by else "",
        source=source_of(case, names),
        deadline=moment_of(case.expires_at, texts),
        content=_unfolded(content_of(case, texts)),
        digest=case.content_digest,
    )


def left_words(left: Sequence[tuple[str, str]], waiting: Mapping[str, Case], words: Words) -> list[Left]:
    """A case that does not wait for this person is named by what they asked for, and by nothing else."""
    return [
        Left(short(waiting[name].prompt if name in waiting else name, 120), words["why_left"][why].format(MOST))
        for name, why in left
    ]


def presses(cases: Sequence[Case], texts: Texts, words: Words) -> list[Press]:
    """The buttons under alike cases; in the words of their own labels, where they have any."""
    first = cases[0]
    return [
        Press(action, _label(first, action, len(cases), texts, words), messages.STYLES[action])
        for action in ANSWERS[first.type]
        if action in first.actions
    ]


def lacks_reason(cases: Sequence[Case], action: str, reason: str) -> bool:
    return verdict(action) is Verdict.DENY and not reason and any(map(asks_reason, cases))


def _label(case: Case, action: str, count: int, texts: Texts, words: Words) -> str:
    standard = str(words["bulk_buttons"][action]).format(count)
    own = wording.labels_of(case).get(action)
    return standard if own is None else f"{wording.button_label(case, action, texts['actions'])} ({count})"


def _unfolded(content: Content) -> Content:
    return replace(content, sections=tuple(map(_open_section, content.sections)))


def _open_section(section: Section) -> Section:
    return section if section.tree is None else replace(section, tree=_open(section.tree))


def _open(node: Node) -> Node:
    return replace(node, unfolded=True, children=tuple(map(_open, node.children)))
