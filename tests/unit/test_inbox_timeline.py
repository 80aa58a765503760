"""Everything that can happen to a case has words of its own on its timeline, in every language."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.inbox.strings import words_for
from api.inbox.timeline import lines_of, spots_of
from api.review.strings import texts_for
from core.model import Case, Policy
from core.records import Kind, Moment, Place, Timeline
from core.states import Status

CASE = Case(
    case_id="review_1", tenant_id="t", workflow_id="review_1", gate_key="review", source_id=None, type="approval",
    status=Status.PENDING,
    content={"type": "approval", "prompt": "Go?", "context": {}, "blocks": [], "actions": ["approve", "reject"]},
    content_digest="sha256:0", terms={"metadata": {}}, policy=Policy(), created_at=0, opened_at=None, expires_at=1,
    closed_at=None, result=None, answered=None, previous_case_id=None, next_case_id=None, progress=None, version=1,
    last_event=1,
)  # fmt: skip
ADA = {"platform": "slack", "platform_user_id": "UADA", "display_name": "Ada"}
EVENTS: list[tuple[Kind, str, dict[str, Any], str]] = [
    ("asked", "asked", {"by": "agent-7"}, "Asked by agent-7"),
    ("asked", "asked", {"by": None}, "Asked"),
    ("event", "opened", {}, "Opened on the review page"),
    ("event", "refused", {"by": ADA, "action": "approve", "via": "slack_block_action"},
     "Ada was not allowed to answer (Approve); through Slack"),
    ("event", "reminder", {}, "Reminded"),
    ("event", "extended", {"by": ADA, "via": "slack_block_action", "expires_at": 60_000},
     "Ada put the deadline off; through Slack · until 1 Jan 1970, 00:01 UTC"),
    ("event", "snoozed", {"by": ADA, "remind_at": 0}, "Ada wants to be reminded later"),
    ("event", "escalated", {"level": 1, "levels": 2}, "Escalated: more people were asked; level 1 of 2"),
    ("event", "edited", {"by": ADA}, "Ada changed the content"),
    ("event", "something\u202enew", {}, "something[U+202E]new"),
    ("answer", "human:review", {"by": ADA | {"on_behalf_of": ADA | {"display_name": "Ben"}}, "action": "reject",
     "reason": "No", "via": "review_page", "interaction_id": "int_1", "row_hash": "h"},
     "Ada (for Ben) answered: Reject; through the review page · “No”"),
    ("answer", "sys:timeout", {"by": {}, "action": "skip", "via": "timer", "interaction_id": "i", "row_hash": "h"},
     "Closed by its deadline: Skip; through the deadline"),
    ("answer", "sys:close", {"by": ADA, "action": "cancelled", "via": "review_page", "interaction_id": "i",
     "row_hash": "h"}, "Closed without an answer by Ada; through the review page"),
    ("delivery", "decision", {"state": "failed", "attempts": 3, "finished_at": None},
     "The decision was to be delivered; failed"),
    ("attempt", "decision", {"number": 1, "status": 503, "took_ms": 5}, "Attempt 1: answered 503"),
    ("attempt", "callback", {"number": 2, "status": None, "took_ms": 5}, "Attempt 2: no answer"),
]  # fmt: skip


def lines(*moments: Moment, lang: str = "en") -> list[str]:
    found = lines_of(CASE, Timeline(moments, ()), texts_for(lang), words_for(lang))
    return [f"{one.what}; {one.detail}" if one.detail else one.what for one in found]


@pytest.mark.parametrize(("kind", "name", "data", "words"), EVENTS)
def test_what_happened_is_said_in_plain_words(kind: Kind, name: str, data: dict[str, Any], words: str) -> None:
    (found,) = lines(Moment(0, kind, name, data))
    assert found.startswith(words)
    (german,) = lines(Moment(0, kind, name, data), lang="de")
    assert "{" not in german


def test_an_event_that_only_repeats_an_answer_is_left_out() -> None:
    answer = Moment(5, "answer", "human:review", dict(EVENTS[10][2]))
    ended, other = Moment(5, "event", "completed", {}), Moment(9, "event", "completed", {})
    assert 1 == len(lines(answer, ended))
    assert ["Decided"] == lines(answer, other)[1:]


def test_cards_say_where_they_stand_and_what_was_said_beside_them() -> None:
    place = Place("slack", "C1", "live", posted=True, notices=(("reminder", "sent"),))
    (spot,) = spots_of(Timeline((), (place,)), words_for("en"))
    assert ("Slack C1", "posted", ["reminder: sent"]) == (spot.where, spot.state, spot.notices)
    assert "not posted yet" == spots_of(Timeline((), (replace(place, posted=False),)), words_for("en"))[0].state
    assert (
        "the messenger refused it" == spots_of(Timeline((), (replace(place, state="dead"),)), words_for("en"))[0].state
    )


def test_a_private_chat_is_named_after_the_person_where_somebody_has_said_their_name() -> None:
    places = (Place("telegram", "1002", "live", True, ()), Place("slack", "C1", "live", True, ()))
    spots = spots_of(Timeline((), places, {"telegram:1002": "Ada (Telegram)"}), words_for("en"))
    assert ["Ada (Telegram)", "Slack C1"] == [spot.where for spot in spots]
