"""When reminders are due, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core import notice_words
from core.model import Case, Policy
from core.notice_words import Notice
from core.schedule import DAY, HOUR, MINUTE, SECOND, next_reminder
from core.wording import span
from tests.unit.test_messages import case_with

NOW = 1_800_000_000_000


def reminder(found: Case, platform: str = "slack", url: str | None = "https://assent.test/r") -> Notice:
    return notice_words.reminder(found, NOW, platform=platform, review_url=url)


def case(**changes: Any) -> Case:
    return replace(case_with(), **({"expires_at": NOW + 12 * HOUR} | changes))


@pytest.mark.parametrize(
    ("moments", "after", "expected"),
    [
        ([], 0, None),
        ([10, 20, 30], 0, 10),
        ([30, 10, 20], 10, 20),
        ([10, 20, 30], 25, 30),
        ([10, 20, 30], 30, None),
        ([99], 0, 99),
        ([100], 0, None),
        ([101, 50], 0, 50),
    ],
    ids=str,
)
def test_the_next_reminder_is_the_first_moment_to_come_before_the_deadline(
    moments: list[int], after: int, expected: int | None
) -> None:
    assert expected == next_reminder(moments, after, 100)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (12 * HOUR, "12 hours"),
        (12 * HOUR - SECOND, "12 hours"),
        (12 * HOUR - MINUTE, "11 hours"),
        (7 * DAY, "7 days"),
        (36 * HOUR, "36 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (119 * MINUTE, "119 minutes"),
        (2 * MINUTE, "2 minutes"),
        (59 * SECOND, "59 seconds"),
        (SECOND, "1 second"),
        (0, "0 seconds"),
        (-5, "0 seconds"),
    ],
)
def test_a_span_is_said_in_the_largest_unit_that_there_are_two_of(ms: int, words: str) -> None:
    assert words == span(ms)


def test_a_reminder_says_what_waits_and_until_when() -> None:
    found = reminder(case())
    assert ("Reminder: approval needed", case_with().prompt) == (found.title, found.prompt)
    assert found.deadline.endswith("UTC (in 12 hours)")
    assert "https://assent.test/r" == found.review_url


def test_a_long_prompt_is_one_short_line_of_visible_characters() -> None:
    prompt = "First\n\n  second \u202ereversed " + "and more " * 100
    found = reminder(case(content={**case_with().content, "prompt": prompt}))
    assert found.prompt.startswith("First second [U+202E]reversed and more")
    assert len(found.prompt) <= 200
    assert found.prompt.endswith("…")


def test_those_who_are_named_on_the_platform_are_called() -> None:
    policy = Policy(any_of=("channel", "slack:U1", "link", "telegram:7", "slack:U2"))
    assert ("U1", "U2") == reminder(case(policy=policy)).mentions
    assert ("7",) == reminder(case(policy=policy), "telegram").mentions
    assert () == reminder(case(policy=Policy())).mentions


def test_whoever_asked_is_not_called_where_they_may_not_decide() -> None:
    terms = {**case_with().terms, "requested_by": "slack:U1"}
    policy = Policy(any_of=("slack:U1", "slack:U2"))
    assert ("U1", "U2") == reminder(case(policy=policy, terms=terms)).mentions
    assert ("U2",) == reminder(case(policy=replace(policy, exclude_requester=True), terms=terms)).mentions


def test_whoever_has_voted_is_not_called() -> None:
    vote = {"action": "approve", "by": {"platform": "slack", "platform_user_id": "U2"}, "at": NOW}
    found = case(policy=Policy(any_of=("slack:U1", "slack:U2"), quorum=2), votes=(vote,))
    assert ("U1",) == reminder(found).mentions


@pytest.mark.parametrize(
    ("platform", "title"),
    [
        ("slack", "This still waits, and you are asked as well"),
        ("telegram", "This still waits, and more people are asked now"),
    ],
)
def test_an_escalation_says_you_only_where_it_calls_somebody(platform: str, title: str) -> None:
    found = notice_words.escalation(case(), NOW, ["slack:U1"], platform=platform, review_url=None)
    assert title == found.title
