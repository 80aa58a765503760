"""What a digest says: how much waits for a busy chat, and what of it is the most urgent. Pure, before any markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.model import Case
from core.told import Moment
from core.wording import timed, visible, words_of
from core.words import Words, words_for

LINES = 10
MAX_PROMPT = 80


@dataclass(frozen=True, slots=True)
class Line:
    """One question that waits, until when, and the link to answer it. The text is plain, visible and untrusted."""

    text: str
    until: Moment
    review_url: str | None


@dataclass(frozen=True, slots=True)
class Digest:
    """The one message in a busy chat about what is not shown there yet. Every text is plain and visible.

    `card_id` tells its message from all others. Without `lines` it says how it ended, or that nothing is left to
    answer.
    """

    card_id: str
    title: str
    urgent: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    inbox: str
    inbox_url: str
    over: bool


def digest(
    card_id: str,
    urgent: Sequence[tuple[Case, str | None]],
    *,
    waiting: int,
    settled: int,
    a_minute: int,
    language: str,
    inbox_url: str,
) -> Digest:
    """`urgent`: the most urgent cases that wait, each with its review link. `waiting`: how many cards there are in all,
    `settled` of them of closed cases. `a_minute`: how many are shown in a minute.
    """
    words = words_for(language)
    notes = []
    if waiting:
        notes.append(words["digest_pace"].format(a_minute))
    if settled:
        notes.append(_counted(words, "digest_settled", settled))
    return Digest(
        card_id=card_id,
        title=_counted(words, "digest", waiting) if waiting else words["digest_over"],
        urgent=words["digest_urgent"],
        lines=tuple(_line(case, link, words) for case, link in urgent),
        notes=tuple(notes),
        inbox=words["digest_inbox"],
        inbox_url=inbox_url,
        over=not waiting,
    )


def _counted(words: Words, key: str, count: int) -> str:
    return str(words[f"{key}_one" if count == 1 else f"{key}_many"].format(count))


def _line(case: Case, link: str | None, words: Words) -> Line:
    own = words_of(case)
    title = own["titles"].get(case.type, own["other_title"])
    prompt = " ".join(visible(case.prompt).split())
    cut = prompt if len(prompt) <= MAX_PROMPT else prompt[: MAX_PROMPT - 1].rstrip() + "…"
    return Line(words["digest_line"].format(title=title, prompt=cut), timed(case.expires_at, words), link)
