"""What a notice beside a card says, before any messenger's markup: a reminder, an escalation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.chat_terms import extension_ms, snooze_ms
from core.mentions import mentioned
from core.messages import MAX_FACT, Button
from core.model import Case
from core.told import Moment, Told
from core.wording import span, timed, visible, words_of
from core.words import Words, words_for


@dataclass(frozen=True, slots=True)
class Notice:
    """A message beside a card: every text is plain, already free of invisible characters, and untrusted.

    `mentions`: ids of people and user groups on this platform, as somebody wrote them; what is no such id is not
    mentioned. `buttons` are of the card `card_id`, and say `edition` when they are pressed, as its own do. `moments`:
    the times in `deadline`.
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
    names: Mapping[str, str] = field(default_factory=dict)  # of people who are mentioned, by their ids
    moments: tuple[Moment, ...] = ()

    @property
    def words(self) -> Words:
        return words_for(self.language)


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
    """What is said below a card whose case has climbed a level of its chain, to those whom that level calls; where it
    calls nobody of this platform, that others are asked.
    """
    mentions = mentioned(case, platform, entries)
    title = words_of(case)["escalated" if mentions else "escalated_elsewhere"]
    return _notice(case, now, title, mentions, review_url, card_id, ())


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
    prompt, until = " ".join(visible(case.prompt).split()), timed(case.expires_at, words)
    return Notice(
        title=title,
        prompt=prompt if len(prompt) <= MAX_FACT else prompt[: MAX_FACT - 1].rstrip() + "…",
        deadline=words["deadline_in"].format(when=until.text, span=span(case.expires_at - now, words["within"])),
        mentions=mentions,
        review_url=review_url,
        language=words["lang"],
        card_id=card_id,
        buttons=buttons,
        edition=case.extended,
        moments=(until,),
    )


def _put_off_buttons(case: Case, words: Words) -> tuple[Button, ...]:
    found = []
    if by := extension_ms(case):
        found.append(Button("extend", words["extend"].format(span(by, words["span"]))))
    if by := snooze_ms(case):
        found.append(Button("snooze", words["snooze"].format(span(by, words["within"]))))
    return tuple(found)


def put_off(case: Case, kind: str, until: int) -> Told:
    """What whoever asked for more time, or for a later reminder, is told."""
    words = words_of(case)
    when = timed(until, words)
    return Told(words["extended" if kind == "extend" else "snoozed"].format(when.text), (when,))
