"""Every text of cards, of what stands beside them and of private answers, one table per language; braces are filled
with `str.format`.

A new language is one more table in `LANGUAGES` with the same keys (a test compares them). What agents write is shown as
they wrote it; how the pieces are put together is `core.messages`' business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from core.words_de import DE

Words = Mapping[str, Any]
Language = Literal["en", "de"]
SPOKEN: tuple[Language, ...] = get_args(Language)

_TITLES = {
    "approval": "Approval needed",
    "selection": "Choice needed",
    "input": "Information needed",
    "confirmation": "Please confirm",
    "escalation": "Something went wrong",
}
_UNITS = {
    "days": "{} days", "hours": "{} hours", "hour": "{} hour", "minutes": "{} minutes", "seconds": "{} seconds",
    "second": "{} second",
}  # fmt: skip
_TASK = (
    "Risk", "Low", "Medium", "⚠️ High", "🛑 Critical", "Warning", "Priority", "High", "Action", "Service", "From",
    "Do this first", "Edited", "a reviewer has changed the content since it was sent",
)  # fmt: skip

EN: Words = {
    "lang": "en",
    "months": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "moment": "{day} {month} {year}, {time} {zone}",
    "decimal": ".",
    "erased": "The content of this case was erased on {}.",  # where its question stood
    "span": _UNITS,
    "within": _UNITS,  # after "in"
    # the card
    "titles": _TITLES,
    "other_title": "Review needed",
    "closed_title": "{} (closed)",
    "actions": {
        "approve": "Approve",
        "reject": "Reject",
        "edit": "Ask for changes",
        "confirm": "Confirm",
        "cancel": "Cancel",
        "retry": "Retry",
        "skip": "Skip",
        "abort": "Abort",
        "select": "Select",
        "submit": "Submit",
    },
    "labelled": "{} (“{}”)",  # what an action or its outcome is, and what its button says
    "review": "Review",
    "asked_by": "Asked by",
    "votes": "Votes",
    "tally": "{action} {done} of {needed}",
    "status": "Status",
    "opened": "somebody is looking at it",
    "in_progress": "somebody is answering it",
    "yes": "yes",
    "no": "no",
    "task": {text: text for text in _TASK},
    "answer_by": "Answer by {}",
    "deadline_was": "Deadline was {}",
    "content": "Fingerprint {}",  # as the review page calls it
    "cut": "This card does not show everything. Open Review to see it all before you answer.",
    "cut_closed": "This card does not show everything.",
    "cut_must_review": "This card does not show everything, so you can agree to it in Review only.",
    "cut_message": "This is not the whole content. Open Review to see all of it.",
    "cut_message_closed": "This is not the whole content. The rest does not fit in a message.",
    "cut_message_must_review": "This is not the whole content, so you can agree to it in Review only.",
    # how it ended
    "done": {
        "approve": "Approved",
        "reject": "Rejected",
        "edit": "Changes requested",
        "confirm": "Confirmed",
        "cancel": "Declined",
        "retry": "Retry chosen",
        "skip": "Skipped",
        "abort": "Aborted",
        "select": "Chosen",
        "submit": "Submitted",
    },
    "done_other": "Answered: {}",
    "decided": "{done} by {who}, {when} {place}",
    "expired": "Expired without an answer, {when}; {ended}",
    "expired_approved": "the default applied: approved",
    "expired_otherwise": "nothing was approved (default: {})",
    "defaults": {"skip": "skip", "reject": "reject", "abort": "abort"},
    "closed": "Closed without an answer by {who}, {when} {place}",
    "withdrawn": "Withdrawn, {when}",
    "because": "{outcome}. Reason: {reason}",
    "places": {
        "slack_block_action": "on Slack",
        "telegram_inline_button": "on Telegram",
        "review_page": "on the review page",
    },
    "other_place": "through the API",
    "nameless": {"link": "a holder of the review link", "key": "a reviewer's API key", "": "somebody"},
    "nameless_by": {"link": "a holder of the review link", "key": "a reviewer's API key", "": "somebody"},  # after "by"
    # reminders
    "reminder": {kind: f"Reminder: {title[:1].lower()}{title[1:]}" for kind, title in _TITLES.items()},
    "other_reminder": "Reminder: review needed",
    "escalated": "This still waits, and you are asked as well",
    "escalated_elsewhere": "This still waits, and more people are asked now",
    "extend": "Give it {} more",
    "snooze": "Remind again in {}",
    "extended": "The deadline is now {}.",
    "snoozed": "You will be reminded again at {}.",
    "behalf": "{} for {}",
    "deadline_in": "{when} (in {span})",
    "for": "For {}",
    "reviewer": "reviewer {}",
    # the digest of a flood
    "digest_one": "1 more question waits here",
    "digest_many": "{} more questions wait here",
    "digest_over": "All questions that waited here are shown.",
    "digest_urgent": "The most urgent:",
    "digest_line": "{title}: {prompt}",
    "digest_pace": "They follow at {} a minute at the most, the most urgent first.",
    "digest_settled_one": "1 of them was settled before it could be shown; such cards come last.",
    "digest_settled_many": "{} of them were settled before they could be shown; such cards come last.",
    "digest_inbox": "See everything that waits for you",
    # what whoever tapped is told
    "unknown_card": "This card is not known here any more.",
    "unknown_button": "This button is not known here any more.",
    "no_button": "This cannot be answered with a button; please use the review link on the card.",
    "recorded": "Recorded: {}.",
    "voted": "Your vote is recorded: {}.",
    "late": "Your tap arrived and is not recorded yet; you will be told as soon as it is.",
    "lost": "Your tap could not be recorded, because the database cannot be reached. Please tap again in a moment.",
    "unchecked": "Your tap was not recorded, because Slack could not be asked who you are. Please tap again in a "
    "moment.",
    "failed": "Your tap may not be recorded, because something went wrong here. Please look at the card again in a "
    "moment.",
    "not_recorded": "Your tap could not be recorded, because something went wrong here. Please use the review link on "
    "the card.",
    "deadline_passed": "The deadline of this has passed; nothing was recorded.",
    "already": {
        "completed": "This was already decided. {}.",
        "expired": "This has expired. {}.",
        "cancelled": "This was withdrawn, nothing is waiting for an answer. {}.",
    },
    "out_of_date": "This card was out of date; it is being redrawn. Please look at it again.",
    "said": (),
    "or": " or ",
    "refused": "{}",
}

LANGUAGES: Mapping[str, Words] = {"en": EN, "de": DE}


def words_for(language: str) -> Words:
    """The words of a language; English for one that nobody has written yet."""
    return LANGUAGES.get(language, EN)


def said(text: str, words: Words) -> str | None:
    """What the core says in English without a code, in another language; None where nobody has translated it."""
    for english, own in words["said"]:
        parts = "(.*)".join(re.escape(part) for part in english.split("{}"))
        if found := re.fullmatch(parts, text, re.DOTALL):
            return str(own).format(*(_listed(group, words) for group in found.groups()))
    return None


def _listed(text: str, words: Words) -> str:
    """What stands in a gap of a sentence: a name, or several that are parted by "or"."""
    return str(words["or"]).join(said(part, words) or part for part in text.split(EN["or"]))
