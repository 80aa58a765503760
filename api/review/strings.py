"""Every text of the review page, one table per language; braces are filled with `str.format`.

A new language is one more table in `LANGUAGES` with the same keys (a test compares them). Texts that cards show as
well (titles, actions, outcomes) are `core.words`'; what is wrong with an answer is worded by `core.forms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.review.german import DE
from core import problems, wording, words
from core.problems import Problem
from core.schedule import DAY, HOUR, MINUTE

Texts = Mapping[str, Any]

EN: Texts = {
    "lang": "en",
    "name": "English",
    "language": "Language",
    "months": words.EN["months"],
    "moment": words.EN["moment"],
    # the head of the page
    "titles": words.EN["titles"],
    "other_title": words.EN["other_title"],
    "closed_titles": {
        "approval": "Approval",
        "selection": "Choice",
        "input": "Information",
        "confirmation": "Confirmation",
        "escalation": "Escalation",
    },
    "other_closed_title": "Review",
    "skip": "Skip to the answer",
    "asked_by": "Asked by",
    "answer_by": "Answer by",
    "left": "{} left",
    "units": ((DAY, "day", "days"), (HOUR, "hour", "hours"), (MINUTE, "minute", "minutes")),
    "moments_left": "less than a minute left",
    "otherwise": {
        "approve": "Without an answer by then it counts as approved.",
        "skip": "Without an answer by then nothing is approved.",
        "reject": "Without an answer by then it counts as rejected.",
        "abort": "Without an answer by then it is aborted.",
    },
    # what is shown
    "product": "Assent",
    "items": "Items",
    "shown": "What was asked",
    "will_run": "What will be carried out",
    "task": words.EN["task"],
    "deny_because": "Or reject it with one of these reasons",
    "will_run_hint": "This is only shown here, never run by this page.",
    "entries": "{} entries",
    "one_entry": "1 entry",
    "nothing": "nothing",
    "yes": "Yes",
    "no": "No",
    "image": "image",
    "source_text": "Source text",
    # what was changed
    "edit": "Edit",
    "edit_hint": "You see your changes before they are sent. They go along when you agree, not when you refuse.",
    "show_changes": "Show my changes",
    "your_changes": "Your changes",
    "no_changes": "You have changed nothing.",
    "check_changes": "Please check your changes",
    "changed_block": "“{}” has been changed. If it is right like this, press your answer again.",
    "bad_json_at": "“{label}” is not valid JSON. Look at line {line}, column {column}.",
    "bad_json": "“{label}” is not valid JSON: {problem}.",
    "changes": {"added": "added", "removed": "removed", "replaced": "changed"},
    "whole_value": "everything",
    "from_line": "Line {}",
    "since_last": "What changed since the last round",
    "last_answer": "The last answer",
    "edited": "Changed by the reviewer",
    # the answer
    "actions": words.EN["actions"],
    "labelled": words.EN["labelled"],
    "your_answer": "Your answer",
    "choose_one": "Choose one",
    "choose_some": "Choose one or more",
    "choose": "Choose…",
    "optional": "optional",
    "needed_to_reject": "needed to reject",
    "thousands": ",",
    "decimal": ".",
    "between": "Between {} and {}.",
    "at_least": "At least {}.",
    "at_most": "At most {}.",
    "not_before": "{} or later.",
    "not_after": "{} or earlier.",
    "kept_secret": "What you type is hidden, and is not shown again.",
    "kept_before": "A value is kept here. Leave this empty to keep it, or give another one.",
    "remove_kept": "Remove the value that is kept",
    "fetching": "A value for this can be fetched.",
    "fetch": "Fetch the values that are known elsewhere",
    "step_of": "Step {} of {}",
    "back": "Back",
    "next": "Next",
    "resumed": "This is what was typed here before. Go on where it stopped.",
    "keep_typed": "Keep this for later",
    "keep_hint": "Kept on the server, encrypted, until this is answered: go on later with the same link, on any "
    "device.",
    "kept_now": "Kept. You can go on later with the same link, on any device.",
    "quoted": "“{}”",
    "only_if": {
        "eq": "Only needed when “{field}” is {value}.",
        "neq": "Only needed unless “{field}” is {value}.",
        "in": "Only needed when “{field}” is one of {value}.",
        "gt": "Only needed when “{field}” is more than {value}.",
        "lt": "Only needed when “{field}” is less than {value}.",
    },
    "words": {
        "feedback": "Feedback",
        "reason": "Reason",
        "note": "Note",
        "answer": "Your answer",
        "approver": "Approver",
    },
    "words_hint": "Kept in the record, and passed on with your answer.",
    "fingerprint": "Fingerprint",
    "fingerprint_hint": "Your answer is bound to exactly what this page shows; cards and records carry the same one.",
    "case": "Case",
    # guarded operations
    "guarded": {
        "kind": "Guarded operation",
        "operation": "Operation",
        "status": "Status",
        "states": {
            "queued": "Answered; the answer can still be changed",
            "hitl_required": "Waits for a person to agree",
            "approved": "Approved; about to be passed on",
            "rejected": "Rejected",
            "expired": "Expired without an answer",
            "dispatched": "Approved, and passed on to be carried out",
            "failed": "Approved, and then not passed on",
        },
        "why": "Why a person is asked",
        "rule": "Rule of the policy",
        "no_rule": "none",
        "good_for": "An approval is good for",
        "failure": "Why it was not passed on",
        "remembered": "Allowed without asking for",
        "allow_same": "Or approve it, and let the same operation with the same arguments through without asking",
        "allow_for": "Approve for {}",
        "only_shown": "This page only shows what is asked. Reviewers sign in to decide.",
        "sign_in": "Sign in to decide",
        "credential": "Reviewer's key or approval token",
        "credential_hint": "It is used once, for this task, and kept nowhere. Whoever asked for the operation cannot "
        "approve it.",
        "go_on": "Go on to the decision",
        "no_entry": "This does not let you in",
        "no_entry_hint": "It is neither a reviewer's key of this tenant nor this task's approval token.",
    },
    # problems with an answer
    "problem": "This is not sent yet",
    "error_prefix": "Problem: ",
    "answer_given": "The answer",
    "missing_action": "Press one of the buttons to answer",
    "refused": "Your answer was not recorded",
    "conflict": "Your answer was not recorded, because this had already ended",
    "content_changed": "The content has changed since you opened this page. Please look at it again before you answer",
    "may_not": "This cannot be decided through this link",
    "not_a_reviewer": "You are not one of the reviewers of this case; it can be decided by {}.",
    "self_approval": "Whoever asked for this cannot be the one who agrees to it.",
    "who": {
        "channel": "the members of the channel that the card was posted to",
        "link": "whoever holds the review link",
        "group": "the group {}",
        "user_group": "the Slack user group {}",
    },
    "or": " or ",
    "problems": (),
    "wrong": problems.WORDS,
    # where several must agree
    "tally": "So far",
    "votes": "{done} of {needed}",
    "voted": "Your answer is recorded",
    "voted_hint": "More people have to answer before this is decided.",
    # changing and closing
    "may_change": "This answer can be changed until",
    "change": "Change the answer",
    "changing": "Change your answer",
    "changing_hint": "The answer that was given stands until you send another one. It can be changed until",
    "keep": "Leave it as it is",
    "not_changed": "Your answer was not changed",
    "not_changed_hint": "It had been changed elsewhere meanwhile, or can no longer be changed. Below is what stands.",
    "close": "Close without answering",
    "close_hint": "Nothing is approved and nothing is carried out. Whoever asked is told. This cannot be undone.",
    "close_reason": "Why it is closed",
    "close_now": "Yes, close it without an answer",
    # how it ended
    "done": words.EN["done"],
    "done_other": "Answered: {}",
    "thanks": "Your answer is recorded. You can close this page.",
    "expired": "Expired without an answer",
    "withdrawn": "Withdrawn",
    "ended_as": {
        "approve": "Nobody answered in time, so it counts as approved, as whoever asked had set.",
        "skip": "Nobody answered in time. Nothing was approved.",
        "reject": "Nobody answered in time, so it counts as rejected.",
        "abort": "Nobody answered in time, so it was aborted.",
    },
    "withdrawn_hint": "Whoever asked no longer needs an answer. Nothing was approved.",
    "closed": "Closed without an answer",
    "closed_hint": "Somebody closed this on its review page. Nothing was approved.",
    "receipt": "Receipt",
    "by": "By",
    "through": "Through",
    "places": {
        "review_page": "the review page",
        "slack_block_action": "Slack",
        "telegram_inline_button": "Telegram",
        "discord_component": "Discord",
        "whatsapp_reply_button": "WhatsApp",
        "teams_adaptive_card": "Teams",
        "timer": "the deadline",
    },
    "other_place": "the API",
    "link_holder": "a holder of the review link",
    "somebody": "somebody",
    "chosen": "Chosen",
    "hidden": "•••••• (hidden)",
    "ledger_row": "Ledger row",
    "row_hash": "Row hash",
    "revision": "Times changed",
    "matches": "Recomputed from the ledger just now: it matches what is shown here.",
    "differs": "Recomputed from the ledger just now: it does not match what is shown here. "
    "Do not rely on this page, and tell whoever runs this service.",
    "sealed": "Under signed seal {number} of {when}, in place {position} of the ledger.",
    "seal_unknown": "Under seal {number} of {when}, which was signed with a key that is not known here.",
    "seal_wrong": "The signature of seal {number} of {when} is wrong. Do not rely on this page, "
    "and tell whoever runs this service.",
    "unsealed": "Not under a signed seal yet; that takes a few seconds.",
    "verify": "That nothing around it was removed is checked over the whole ledger, with {}.",
    # whoever is signed in
    "session": {
        "inbox": "Inbox",
        "signed_in": "Signed in as",
        "sign_out": "Sign out",
        "platforms": {"slack": "Slack", "telegram": "Telegram"},
        "answers_as": "You answer as {} ({}).",
        "over": "You are no longer signed in as this page said. Look at the top of the page, and answer again.",
        "sign_in": "Sign in to answer in your name",
        "by_slack": "Sign in with Slack",
        "ways": "Write one of these to the bot, and open the link that it sends you:",
        "slack_way": "in Slack",
        "telegram_way": "in Telegram",
        "then": "Then open this case in your inbox, or this page again.",
        "may_not": "You cannot answer this",
        "behalf": "for {}",
    },
    # pages without a case
    "wrong_link": "This link does not work",
    "wrong_link_hint": "It may be incomplete, withdrawn or never have been valid. Open the link again from the "
    "message in which you got it, or ask whoever sent it for a new one.",
    "cross_site": "This answer came from another website",
    "cross_site_hint": "Nothing was recorded. Open the review link yourself and answer there.",
    "busy": "This page cannot be shown right now",
    "busy_hint": "The service is busy or restarting. Load the page again in a moment.",
    "unavailable": "Your answer could not be recorded",
    "unavailable_hint": "The service is busy or restarting. Go back and press the button again in a moment: "
    "doing so twice is safe.",
    "unreadable": "This could not be understood",
    "unreadable_hint": "Nothing was recorded. Open the review link again and answer there.",
    "too_large": "This answer is too long",
    "too_large_hint": "Nothing was recorded. Go back and shorten it.",
    # what the page's script says
    "script": {
        "left": "{} left",
        "five_minutes": "Five minutes are left to answer.",
        "sending": "Sending…",
        "not_sent": "This could not be sent. Check your connection and press again; pressing twice is safe.",
        "deadline": "The deadline has passed. This can no longer be answered.",
        "completed": "This has just been answered elsewhere.",
        "cancelled": "This has just been withdrawn. Nothing is waiting for an answer.",
        "look": "Show how it ended",
        "show": "Show",
        "hide": "Hide",
        "say_what": "Say in a few words what should change. Or press “{}” again to send it without.",
        "choose": "Choose at least one.",
        "slider": "{}, slider",
        "hidden": "•••••• (hidden)",
        "nothing": "nothing",
        "yes": "Yes",
        "no": "No",
        "now_asked": "Now also asked: {}",
        "step_problem": "This step is not complete yet",
        "change": "Change",
        "change_step": "Change: {}",
        "kept": "Kept. You can go on later with the same link, on any device.",
        "not_kept": "What you typed could not be kept yet. It is tried again; leaving the page now may lose it.",
        "too_long_to_keep": "This has become too long to be kept. It can still be sent.",
        "not_fetched": "The value that is known elsewhere could not be fetched. Please type it.",
    },
}

LANGUAGES: Mapping[str, Texts] = {"en": EN, "de": DE}


def texts_for(lang: str) -> Texts:
    """The texts of a language; English for one that nobody has written yet."""
    return LANGUAGES.get(lang, EN)


def left_words(left_ms: int, texts: Texts) -> str:
    """`23 hours left`: nobody is promised more time than there is."""
    words = span_words(left_ms, texts)
    return str(texts["left"]).format(words) if words else str(texts["moments_left"])


def span_words(ms: int, texts: Texts) -> str:
    """`23 hours`: the largest unit, rounded down; nothing for less than a minute."""
    for length, one, many in texts["units"]:
        if (count := ms // length) >= 1:
            return f"{count} {one if count == 1 else many}"
    return ""


def moment_words(ms: int, texts: Texts) -> str:
    """A time for people, in UTC: `21 Nov 2026, 10:00 UTC`."""
    return wording.moment(ms, texts)


def number_words(number: float, texts: Texts, *, grouped: bool = True) -> str:
    """A number for people: `4,200.5`."""
    marks = str.maketrans({",": texts["thousands"] if grouped else "", ".": texts["decimal"]})
    return f"{number:,}".translate(marks)


def wrong_words(problem: Problem, texts: Texts) -> str:
    """What is wrong with an answer, in the page's language."""
    params = {
        name: number_words(value, texts) if isinstance(value, (int, float)) else value
        for name, value in problem.params.items()
    }
    return str(texts["wrong"][problem.code]).format(label=problem.label, **params)


def problem_words(problem: str, texts: Texts) -> str:
    """What the core says about an answer, in the page's language; as it is where nobody has translated it."""
    for english, own in texts["problems"]:
        parts = "(.*)".join(re.escape(part) for part in english.split("{}"))
        if found := re.fullmatch(parts, problem, re.DOTALL):
            return str(own).format(*found.groups())
    return problem
