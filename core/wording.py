"""How a case is put in words for people: its labels, times and persons, how it stands and how it ended. Pure.

All that somebody wrote comes out free of invisible characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from core.model import Case
from core.policy import needed
from core.replies import REVIEW_PAGE
from core.schedule import MINUTE
from core.states import TERMINAL, Status
from core.told import Moment, Told
from core.words import EN, Words, said, words_for

# Fonts show these as nothing at all (Unicode's Default_Ignorable_Code_Point), though they count as letters, marks or
# unassigned. Not among them: U+FE0E and U+FE0F, which choose how the character before them looks.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0d\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


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


def tally_words(case: Case) -> str:
    """How an open quorum stands, with names: `Approve 1 of 2 (Ada)`; before the first vote how many are needed."""
    found, words = [], words_of(case)
    several = [action for action in case.actions if needed(case.policy, action) > 1]
    for action in dict.fromkeys(vote["action"] for vote in case.votes) or several:
        names = [
            _person(vote["by"], words["nameless"], words["behalf"]) for vote in case.votes if vote["action"] == action
        ]
        name = labelled(case, action, words["actions"].get(action, action), words)
        count = words["tally"].format(action=name, done=len(names), needed=needed(case.policy, action))
        found.append(f"{count} ({', '.join(names)})" if names else count)
    return visible("; ".join(found))


def moment(ms: int, words: Words = EN, zone: tzinfo = UTC) -> str:
    """A time for people, and whose clocks say so: `21 Nov 2026, 10:00 UTC`, `21 Nov 2026, 11:00 (Europe/Berlin)`."""
    found = datetime.fromtimestamp(ms / 1000, zone)
    name = found.tzname()  # like CET, which is nothing to everybody
    named = f"({zone.key})" if isinstance(zone, ZoneInfo) and name != "UTC" else name
    month = words["months"][found.month - 1]
    return str(words["moment"]).format(day=found.day, month=month, year=found.year, time=f"{found:%H:%M}", zone=named)


def timed(ms: int, words: Words = EN, zone: tzinfo = UTC) -> Moment:
    """The same as something that messengers can show by each reader's own clocks."""
    return Moment(ms, moment(ms, words, zone))


def ended_at(case: Case, zone: tzinfo = UTC) -> Moment:
    """When a closed case ended, as its `outcome` says it."""
    return timed(case.closed_at or case.expires_at, words_of(case), zone)


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


def outcome(case: Case, zone: tzinfo = UTC) -> str:
    """One line that says how a closed case ended, by whom, when and from where. `zone`: of whoever alone sees it."""
    words = words_of(case)
    when = ended_at(case, zone).text
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


def already(case: Case) -> Told:
    """What a late tap is told."""
    words = words_of(case)
    if case.status in TERMINAL:
        return Told(words["already"][str(case.status)].format(outcome(case)), (ended_at(case),))
    return Told(words["out_of_date"])


def refused(message: str, case: Case) -> str:
    """What whoever may not do this is told; `message` is the core's own."""
    words = words_of(case)
    text = said(message, words) or words["refused"].format(message)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
