"""The verbs of the gate on both databases: what they write, what they refuse, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.digest import canonical, sha256_hex
from core.errors import (
    ActionNotInline,
    AlreadyDecided,
    AssentError,
    CaseCancelled,
    CaseExpired,
    Conflict,
    ContentChanged,
    IdempotencyMismatch,
    InvalidAction,
    InvalidData,
    InvalidInput,
    InvalidToken,
    NotAReviewer,
    NotFound,
    SelfApproval,
)
from core.model import Idempotency, Identity, Opened, Policy
from core.outcome import MAX_DEDUPE_KEY
from core.states import Event, Status
from core.strictjson import loads
from core.tokens import new_token, token_hash
from tests.support.gates import MINUTE, SECOND, World, draft, reviewer, slack, telegram
from tests.unit.test_digest import VALUES

FORM = {"form": {"fields": [{"key": "amount", "label": "Amount", "type": "number", "required": True}]}}
ITEMS = {"items": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]}


async def refused(here: World, opened: Opened, error: type[AssentError], *args: Any, **changes: Any) -> AssentError:
    """The reply is refused with exactly this error, and nothing is changed by it."""
    before = await here.truth()
    with pytest.raises(error) as caught:
        await here.answer(opened, *args, **changes)
    assert error is type(caught.value)
    assert before == await here.truth()
    return caught.value


# --- open ---


async def test_an_opened_case_waits_with_all_that_was_asked(here: World) -> None:
    opened = await here.open(context={"total": 5}, requested_by="slack:U9", metadata={"ticket": 7}, notify=(slack(),))
    row = await here.case_row(opened)
    assert "pending" == row["status"]
    assert row["expires_at"] == row["created_at"] + 60 * MINUTE
    assert row["case_id"] == row["workflow_id"]
    assert "review" == row["gate_key"]
    assert here.agent.key_id == row["key_id"]
    assert "sha256:" + sha256_hex(row["content"].encode()) == row["content_digest"] == opened.case.content_digest
    assert {"ticket": 7} == json.loads(row["terms"])["metadata"]
    assert await here.views.case(here.agent.tenant_id, opened.case.case_id) == opened.case
    assert [] == await here.findings()


async def test_only_hashes_of_tokens_are_kept_and_cards_have_tokens_of_their_own(here: World) -> None:
    opened = await here.open(notify=(slack("C1"), slack("C2"), telegram()))
    assert opened.submit_token is not None
    rows = await here.rows("case_tokens")
    assert {("review", "link"), ("submit", "agent"), ("submit", "slack"), ("submit", "telegram")} == {
        (row["kind"], row["holder"]) for row in rows
    }
    hashes = {row["token_hash"] for row in rows}
    assert {token_hash(opened.review_token), token_hash(opened.submit_token)} <= hashes
    stored = json.dumps([await here.rows(table) for table in ("cases", "case_tokens", "cards", "case_events")])
    assert opened.review_token not in stored
    assert opened.submit_token not in stored
    assert opened.review_token == await here.views.review_token(opened.case.case_id)


async def test_a_type_that_is_answered_on_the_page_only_has_no_submit_token(here: World) -> None:
    opened = await here.open("input", context=FORM, notify=(slack(),))
    assert opened.submit_token is None
    assert ["review"] == [row["kind"] for row in await here.rows("case_tokens")]


async def test_the_same_chat_named_twice_gets_one_card(here: World) -> None:
    await here.open(notify=(slack("C1"), slack("C1"), telegram()))
    assert {("slack", "C1"), ("telegram", "-1001")} == {
        (row["platform"], row["channel"]) for row in await here.rows("cards")
    }


async def test_a_source_gives_its_route_and_reviewers_to_a_case_that_names_none(here: World) -> None:
    source = await here.sources.create(
        here.agent,
        name="routed",
        description=None,
        mode="PULL_ONLY",
        notify=(slack("C7"),),
        policy=Policy(any_of=("slack:U7",)),
    )
    routed = await here.open(source_id=source.source_id, notify=None)
    own = await here.open(source_id=source.source_id, notify=(), policy=Policy(any_of=("link",)))
    assert ["C7"] == [row["channel"] for row in await here.rows("cards", "case_id = :c", c=routed.case.case_id)]
    assert ("slack:U7",) == routed.case.policy.any_of
    assert [] == await here.rows("cards", "case_id = :c", c=own.case.case_id)
    assert ("link",) == own.case.policy.any_of


@pytest.mark.parametrize("case_type", ["approval", "escalation", "confirmation"])
async def test_without_any_policy_the_default_of_the_type_is_copied_onto_the_case(here: World, case_type: str) -> None:
    opened = await here.open(case_type)
    assert Policy(exclude_requester=case_type != "confirmation") == opened.case.policy


async def test_a_case_cannot_be_opened_for_a_source_or_a_case_of_somebody_else(here: World) -> None:
    _, stranger = await here.keys.create("agent", "11111111-2222-3333-4444-555555555555")
    theirs = await here.new_source(stranger)
    other = await here.gate.open(stranger, draft())
    assert isinstance(other, Opened)
    before = await here.truth()
    for field, value in (
        ("source_id", theirs),
        ("source_id", "src_none"),
        ("previous_case_id", other.case.case_id),
        ("previous_case_id", "review_none"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await here.gate.open(here.agent, draft(**{field: value}))
        assert field == caught.value.details["field"]
    assert before == await here.truth()


async def test_rounds_are_linked_both_ways(here: World) -> None:
    first = await here.open()
    await here.answer(first, "edit", {"note": "shorter"}, door="page")
    second = await here.open(previous_case_id=first.case.case_id)
    assert first.case.case_id == (await here.case_row(second))["previous_case_id"]
    row = await here.case_row(first)
    assert second.case.case_id == row["next_case_id"]
    assert 3 == row["version"], "whoever polls the first round sees that there is a next one"


async def test_a_second_case_cannot_wait_behind_the_same_gate(here: World) -> None:
    await here.open(workflow_id="run-1", gate_key="plan")
    before = await here.truth()
    with pytest.raises(Conflict):
        await here.open(workflow_id="run-1", gate_key="plan")
    assert before == await here.truth()
    await here.open(workflow_id="run-1", gate_key="plan.2")
    await here.open(workflow_id="run-2", gate_key="plan")


async def test_context_beyond_256_kib_is_refused(here: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        await here.open(context={"text": "x" * (256 * 1024)})
    assert "context" == caught.value.details["field"]
    await here.open(context={"text": "x" * (255 * 1024)})


# --- idempotency ---


async def test_the_same_request_is_answered_byte_for_byte_as_the_first_time(here: World) -> None:
    first = await here.open_once("key-1", "body")
    assert [first] * 3 == [await here.open_once("key-1", "body") for _ in range(3)]
    assert 1 == len(await here.rows("cases"))
    assert "case" not in (await here.row("idempotency"))["answer"], "the answer holds tokens and is kept sealed"


async def test_another_body_under_the_same_key_conflicts(here: World) -> None:
    await here.open_once("key-1", "body")
    before = await here.truth()
    with pytest.raises(IdempotencyMismatch):
        await here.open_once("key-1", "other body")
    assert before == await here.truth()


async def test_a_key_belongs_to_its_door_and_its_tenant(here: World) -> None:
    answers = {await here.open_once("key-1", "body"), await here.open_once("key-1", "body", door="tasks")}
    _, here.agent = await here.keys.create("agent", "11111111-2222-3333-4444-555555555555")
    answers.add(await here.open_once("key-1", "body"))
    assert 3 == len(answers)


async def test_fifty_requests_at_once_open_one_case(here: World) -> None:
    answers = await asyncio.gather(*(here.open_once("key-1", "body") for _ in range(50)))
    assert 1 == len(set(answers))
    assert 1 == len(await here.rows("cases"))


async def test_of_fifty_requests_with_different_bodies_one_wins_and_all_others_conflict(here: World) -> None:
    answers = await asyncio.gather(*(here.open_once("key-1", f"body {n}") for n in range(50)), return_exceptions=True)
    assert 1 == sum(isinstance(answer, str) for answer in answers)
    assert 49 == sum(isinstance(answer, IdempotencyMismatch) for answer in answers)
    assert 1 == len(await here.rows("cases"))


# --- respond ---


async def test_an_answer_writes_its_row_the_decision_and_the_event_together(here: World) -> None:
    opened = await here.open(metadata={"ticket": 7}, blocks=({"id": "b", "type": "text", "content": "words"},))
    answered = await here.answer(opened, "reject", {"reason": "too early"})
    assert not answered.replay
    interaction = await here.row("human_interactions")
    assert answered.interaction_id == interaction["interaction_id"]
    assert ("human:review", "slack:U1") == (interaction["topic"], interaction["dedupe_key"])
    assert ("webhook", "slack_block_action") == (interaction["origin"], interaction["via"])
    assert canonical({"action": "reject", "data": {"reason": "too early"}}).decode() == interaction["payload"]
    assert sha256_hex(interaction["payload"].encode()) == interaction["payload_hash"]
    assert opened.case.content_digest == interaction["content_digest"]
    decision = await here.row("decisions")
    assert ("DENY", "reject", "decision:review") == (decision["verdict"], decision["action"], decision["key"])
    assert interaction["interaction_id"] == decision["interaction_id"]
    event = json.loads((await here.row("decision_events"))["body"])
    assert "DENY" == event["decision"]["type"]
    assert "too early" == event["decision"]["reason"]
    assert {"action": "reject", "data": {"reason": "too early"}} == event["result"]
    assert {"ticket": 7} == event["metadata"]
    assert interaction["row_hash"] == event["ledger"]["row_hash"]
    assert opened.case.content_digest == event["content_digest"]
    row = await here.case_row(opened)
    assert "completed" == row["status"]
    assert {"action": "reject", "data": {"reason": "too early"}} == json.loads(row["result"])
    assert interaction["created_at"] == row["closed_at"] == decision["decided_at"]
    assert ["completed"] == await here.kinds(opened)
    assert [] == await here.findings()


@pytest.mark.parametrize(
    ("case_type", "action", "verdict"),
    [
        ("approval", "approve", "APPROVE"), ("approval", "reject", "DENY"), ("confirmation", "confirm", "APPROVE"),
        ("confirmation", "cancel", "DENY"), ("escalation", "retry", "APPROVE"), ("escalation", "skip", "APPROVE"),
        ("escalation", "abort", "DENY"), ("selection", "select", "APPROVE"), ("input", "submit", "APPROVE"),
        ("x-custom", "submit", "APPROVE"),
    ],
)  # fmt: skip
async def test_every_action_has_its_verdict(here: World, case_type: str, action: str, verdict: str) -> None:
    opened = await here.open(case_type)
    answered = await here.answer(opened, action, door="page")
    assert Status.COMPLETED is answered.case.status
    assert verdict == (await here.row("decisions"))["verdict"]
    assert verdict == json.loads((await here.row("decision_events"))["body"])["decision"]["type"]


async def test_edit_completes_the_case_and_decides_nothing(here: World) -> None:
    opened = await here.open()
    answered = await here.answer(opened, "edit", {"note": "shorter"}, door="page")
    assert Status.COMPLETED is answered.case.status
    assert 1 == len(await here.rows("human_interactions"))
    assert [] == await here.rows("decisions")
    assert [] == await here.rows("decision_events")
    assert [] == await here.findings()


async def test_without_a_source_there_is_a_decision_and_no_event(here: World) -> None:
    opened = await here.open(sourced=False)
    await here.answer(opened)
    assert 1 == len(await here.rows("decisions"))
    assert [] == await here.rows("decision_events")


async def test_the_same_reply_again_gets_the_first_answer_and_changes_nothing(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    first = await here.answer(opened)
    before = await here.truth()
    for _ in range(3):
        again = await here.answer(opened)
        assert again.replay
        assert first.interaction_id == again.interaction_id
        assert first.case.result == again.case.result
    assert before == await here.truth()
    assert ["completed", "replayed", "replayed", "replayed"] == await here.kinds(opened)


async def test_a_replay_is_known_however_late(here: World) -> None:
    opened = await here.open()
    first = await here.answer(opened)
    here.clock.forward(90 * MINUTE)
    again = await here.answer(opened)
    assert (first.interaction_id, True) == (again.interaction_id, again.replay)


async def test_a_replay_of_an_answer_to_a_form_is_known_though_hidden_fields_differ(here: World) -> None:
    fields = [
        {"key": "why", "label": "Why", "type": "text"},
        {
            "key": "more",
            "label": "More",
            "type": "text",
            "conditional": {"field": "why", "operator": "eq", "value": "x"},
        },
    ]
    opened = await here.open("input", context={"form": {"fields": fields}})
    await here.answer(opened, "submit", {"why": "y", "more": "dropped"}, door="page")
    assert {"action": "submit", "data": {"why": "y"}} == json.loads((await here.case_row(opened))["result"])
    assert (await here.answer(opened, "submit", {"why": "y"}, door="page")).replay


async def test_the_same_person_with_another_answer_conflicts(here: World) -> None:
    opened = await here.open()
    await here.answer(opened)
    await refused(here, opened, AlreadyDecided, "reject")
    await refused(here, opened, AlreadyDecided, "approve", {"note": "on second thought"})


async def test_somebody_else_with_the_same_answer_is_told_that_it_is_decided(here: World) -> None:
    opened = await here.open()
    await here.answer(opened)
    await refused(here, opened, AlreadyDecided, by=reviewer(2))


async def test_people_on_two_platforms_with_the_same_id_are_two_people(here: World) -> None:
    opened = await here.open()
    await here.answer(opened, by=reviewer(1, "slack"))
    await refused(here, opened, AlreadyDecided, by=reviewer(1, "telegram"))
    await refused(here, opened, AlreadyDecided, by=replace(reviewer(1), team="T2"))


async def test_a_delivery_that_comes_twice_is_one_reply(here: World) -> None:
    opened = await here.open()
    assert not (await here.answer(opened, delivery_id="d1")).redelivered
    again = await here.answer(opened, delivery_id="d1")
    assert again.replay
    assert again.redelivered
    assert ["completed"] == await here.kinds(opened)
    tapped_again = await here.answer(opened, delivery_id="d2")
    assert tapped_again.replay
    assert not tapped_again.redelivered


async def test_a_very_long_identity_still_has_one_dedupe_key(here: World) -> None:
    opened = await here.open()
    somebody = Identity(platform="slack", user_id="U" * 1_000, verified=True)
    await here.answer(opened, by=somebody)
    assert len((await here.row("human_interactions"))["dedupe_key"]) <= MAX_DEDUPE_KEY
    assert (await here.answer(opened, by=somebody)).replay


async def test_an_unknown_case_is_not_found(here: World) -> None:
    opened = await here.open()
    await refused(here, opened, NotFound, case_id="review_unknown")


@pytest.mark.parametrize("case_id", ["", "'; DROP TABLE cases; --", "x" * 100_000, "\U0001f600"])
async def test_any_text_may_be_asked_for_as_a_case(here: World, case_id: str) -> None:
    opened = await here.open()
    await refused(here, opened, NotFound, case_id=case_id)
    with pytest.raises(NotFound):
        await here.views.case(here.agent.tenant_id, case_id)
    with pytest.raises(NotFound):
        await here.gate.cancel(here.agent, case_id, None)


@pytest.mark.parametrize("case_id", ["review_\x00", "review_\ud800"])
async def test_text_that_no_database_holds_is_not_found_or_invalid(here: World, case_id: str) -> None:
    opened = await here.open()
    before = await here.truth()
    for ask in (
        here.answer(opened, case_id=case_id),
        here.views.case(here.agent.tenant_id, case_id),
        here.gate.cancel(here.agent, case_id, None),
    ):
        with pytest.raises((NotFound, InvalidInput)):
            await ask
    assert before == await here.truth()


async def test_only_the_cases_own_token_of_the_right_kind_opens_it(here: World) -> None:
    opened, other = await here.open(), await here.open()
    for token in (new_token(), "", "ä\x00", opened.review_token, other.submit_token, other.review_token):
        await refused(here, opened, InvalidToken, token=token)
    for token in (new_token(), opened.submit_token, other.review_token, other.submit_token):
        await refused(here, opened, InvalidToken, door="page", token=token)


async def test_a_revoked_token_is_as_invalid_as_any_and_the_others_still_work(here: World) -> None:
    opened = await here.open()
    assert opened.submit_token is not None
    unknown = await refused(here, opened, InvalidToken, token=new_token())
    await here.execute("UPDATE case_tokens SET revoked_at = 1 WHERE kind = 'submit'")
    revoked = await refused(here, opened, InvalidToken)
    assert (unknown.message, unknown.details) == (revoked.message, revoked.details)
    assert not (await here.answer(opened, door="page")).replay


async def test_a_token_says_nothing_about_a_decided_case_to_who_does_not_hold_it(here: World) -> None:
    opened = await here.open()
    await here.answer(opened)
    await refused(here, opened, InvalidToken, token=new_token())


@pytest.mark.parametrize("action", ["edit", "explode", ""])
async def test_an_action_without_a_button_is_answered_on_the_page(here: World, action: str) -> None:
    opened = await here.open()
    await refused(here, opened, ActionNotInline, action)


@pytest.mark.parametrize("action", ["submit", "explode", ""])
async def test_the_page_takes_only_the_cases_actions(here: World, action: str) -> None:
    opened = await here.open(actions=("approve", "reject"))
    await refused(here, opened, InvalidAction, action, door="page")
    await refused(here, opened, InvalidAction, "edit", door="page")


async def test_narrowed_inline_actions_hold(here: World) -> None:
    opened = await here.open(inline_actions=("reject",))
    await refused(here, opened, ActionNotInline, "approve")
    assert Status.COMPLETED is (await here.answer(opened, "reject")).case.status


async def test_content_that_changed_since_it_was_shown_is_not_agreed_to(here: World) -> None:
    opened = await here.open()
    await refused(here, opened, ContentChanged, content_digest="sha256:" + "0" * 64)
    await here.answer(opened, content_digest=opened.case.content_digest)


async def test_answers_that_do_not_fit_the_form_are_refused_with_the_field(here: World) -> None:
    opened = await here.open("input", context=FORM)
    for data in ({}, {"amount": "5"}, {"amount": 5, "more": 1}):
        error = await refused(here, opened, InvalidData, "submit", data, door="page")
        assert error.details["fields"]
    await here.answer(opened, "submit", {"amount": 5}, door="page")


async def test_only_options_that_were_shown_can_be_selected(here: World) -> None:
    opened = await here.open("selection", context=ITEMS | {"multiple": False})
    for chosen in (None, [], ["c"], ["a", "a"], ["a", "b"], "a", [["a"]], [1]):
        await refused(here, opened, InvalidData, "select", {"selected": chosen}, door="page")
    await here.answer(opened, "select", {"selected": ["b"]}, door="page")


async def test_who_is_no_reviewer_is_refused_and_the_attempt_is_on_record(here: World) -> None:
    opened = await here.open(policy=Policy(any_of=("slack:U7",)), notify=(slack(),))
    await refused(here, opened, NotAReviewer)
    await refused(here, opened, NotAReviewer, door="page")
    await refused(here, opened, NotAReviewer, by=replace(reviewer(7), verified=False))
    assert ["refused"] * 3 == await here.kinds(opened)
    noted = json.loads((await here.rows("case_events"))[0]["data"])
    assert ("not_a_reviewer", "approve") == (noted["code"], noted["action"])
    assert not (await here.answer(opened, by=reviewer(7))).replay


async def test_a_refused_delivery_that_comes_twice_is_told_and_recorded_once(here: World) -> None:
    opened = await here.open(policy=Policy(any_of=("slack:U7",)), notify=(slack(),))
    with pytest.raises(NotAReviewer) as first:
        await here.answer(opened, delivery_id="d1")
    again = await refused(here, opened, NotAReviewer, delivery_id="d1")
    assert ("redelivered" in first.value.details, again.details["redelivered"]) == (False, True)
    assert ["refused"] == await here.kinds(opened)
    with pytest.raises(NotAReviewer) as tapped_again:
        await here.answer(opened, delivery_id="d2")
    assert "redelivered" not in tapped_again.value.details
    assert ["refused"] * 2 == await here.kinds(opened)


async def test_the_requester_cannot_approve_and_the_attempt_is_on_record(here: World) -> None:
    opened = await here.open(requested_by="slack:U1")
    error = await refused(here, opened, SelfApproval)
    assert "self_approval" == error.code
    assert ["refused"] == await here.kinds(opened)
    noted = json.loads((await here.row("case_events"))["data"])
    assert {"platform": "slack", "platform_user_id": "U1", "display_name": "Reviewer 1"} == noted["by"]
    await here.answer(opened, by=reviewer(2))


async def test_checks_come_in_the_promised_order(here: World) -> None:
    opened = await here.open(requested_by="slack:U1", context=FORM, inline_actions=())
    bad: dict[str, Any] = {"by": reviewer(1), "content_digest": "sha256:other", "door": "page"}
    await refused(here, opened, InvalidToken, "explode", token=new_token(), **bad)
    await refused(here, opened, InvalidAction, "explode", **bad)
    await refused(here, opened, ContentChanged, **bad)
    await refused(here, opened, SelfApproval, **bad | {"content_digest": None})
    here.clock.forward(60 * MINUTE)
    await refused(here, opened, CaseExpired, "explode", **bad)


# --- cancel ---


async def test_a_withdrawn_case_is_denied_and_says_why(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    case = await here.gate.cancel(here.agent, opened.case.case_id, "no longer needed")
    assert Status.CANCELLED is case.status
    assert "no longer needed" == (case.answered or {})["reason"]
    decision = await here.row("decisions")
    assert ("DENY", "cancelled") == (decision["verdict"], decision["action"])
    interaction = await here.row("human_interactions")
    assert ("sys:cancel", "api-shim") == (interaction["topic"], interaction["origin"])
    assert 2 == (await here.row("cards"))["wanted_version"]
    assert [] == await here.findings()


async def test_withdrawing_twice_is_withdrawing_once(here: World) -> None:
    opened = await here.open()
    first = await here.gate.cancel(here.agent, opened.case.case_id, "once")
    before = await here.truth()
    assert first == await here.gate.cancel(here.agent, opened.case.case_id, "twice")
    assert before == await here.truth()


async def test_a_withdrawn_case_takes_no_answer(here: World) -> None:
    opened = await here.open()
    await here.gate.cancel(here.agent, opened.case.case_id, None)
    await refused(here, opened, CaseCancelled)


async def test_what_is_closed_cannot_be_withdrawn(here: World) -> None:
    decided, expired = await here.open(), await here.open(timeout_ms=10 * SECOND)
    await here.answer(decided)
    here.clock.forward(10 * SECOND)
    await here.gate.expire_due()
    before = await here.truth()
    for opened, error in ((decided, AlreadyDecided), (expired, CaseExpired)):
        with pytest.raises(error):
            await here.gate.cancel(here.agent, opened.case.case_id, None)
    assert before == await here.truth()


async def test_the_case_of_another_tenant_is_as_unknown_as_one_that_never_was(here: World) -> None:
    opened = await here.open()
    _, stranger = await here.keys.create("agent", "11111111-2222-3333-4444-555555555555")
    said = []
    for principal, case_id in ((stranger, opened.case.case_id), (here.agent, "review_none")):
        with pytest.raises(NotFound) as caught:
            await here.gate.cancel(principal, case_id, None)
        said.append((caught.value.message, caught.value.details))
    assert said[0] == said[1]
    assert "pending" == (await here.case_row(opened))["status"]


# --- expire ---


@pytest.mark.parametrize(
    ("default", "verdict"), [("approve", "APPROVE"), ("skip", "DENY"), ("reject", "DENY"), ("abort", "DENY")]
)
async def test_a_deadline_applies_the_default_action(here: World, default: str, verdict: str) -> None:
    opened = await here.open(default_action=default, notify=(slack(),))
    assert 0 == await here.gate.expire_due()
    here.clock.forward(60 * MINUTE)
    assert 1 == await here.gate.expire_due()
    assert 0 == await here.gate.expire_due()
    row = await here.case_row(opened)
    assert ("expired", None) == (row["status"], row["result"])
    decision = await here.row("decisions")
    assert (verdict, default) == (decision["verdict"], decision["action"])
    event = json.loads((await here.row("decision_events"))["body"])
    assert (verdict, True) == (event["decision"]["type"], event["decision"]["timed_out"])
    interaction = await here.row("human_interactions")
    assert ("sys:timeout", "engine-dbos") == (interaction["topic"], interaction["origin"])
    assert ["expired"] == await here.kinds(opened)
    assert [] == await here.findings()


async def test_deadlines_are_judged_on_the_databases_clock(here: World) -> None:
    opened = await here.open(timeout_ms=10 * SECOND)
    here.clock.forward(10 * SECOND)
    await refused(here, opened, CaseExpired)
    here.clock.forward(-1 * SECOND)
    assert Status.COMPLETED is (await here.answer(opened)).case.status


async def test_the_next_deadline_is_that_of_the_case_that_waits_the_shortest(here: World) -> None:
    assert await here.gate.next_deadline() is None
    first = await here.open(timeout_ms=10 * SECOND)
    await here.open(timeout_ms=20 * SECOND)
    due = await here.gate.next_deadline()
    assert due is not None
    assert 5 * SECOND < due <= 10 * SECOND
    await here.answer(first)
    later = await here.gate.next_deadline()
    assert later is not None
    assert 10 * SECOND < later <= 20 * SECOND
    here.clock.forward(MINUTE)
    assert 0 == await here.gate.next_deadline()


async def test_many_cases_expire_in_batches_and_each_once(here: World) -> None:
    await asyncio.gather(*(here.open(timeout_ms=10 * SECOND) for _ in range(120)))
    await here.open()
    here.clock.forward(10 * SECOND)
    closed = 0
    while found := sum(await asyncio.gather(*(here.gate.expire_due() for _ in range(4)))):
        closed += found
    assert 120 == closed
    assert 120 == len(await here.rows("decisions"))
    assert [("pending",)] == [(row["status"],) for row in await here.rows("cases", "closed_at IS NULL")]


async def test_at_the_boundary_exactly_one_of_decision_and_expiry_wins(here: World) -> None:
    """The clock jumps onto the deadline while replies and the expiry run against each other."""
    cases = await asyncio.gather(*(here.open() for _ in range(40)))

    async def jump() -> None:
        await asyncio.sleep(0)
        here.clock.forward(60 * MINUTE)

    def race(opened: Opened) -> list[Any]:
        return [here.answer(opened), here.gate.expire_due()]

    work = [task for opened in cases for task in race(opened)]
    answers = await asyncio.gather(*work[:40], jump(), *work[40:], return_exceptions=True)
    assert [] == [a for a in answers if isinstance(a, BaseException) and not isinstance(a, CaseExpired)]
    while await here.gate.expire_due():
        pass
    for opened in cases:
        row = await here.case_row(opened)
        (interaction,) = await here.rows("human_interactions", "case_id = :c", c=opened.case.case_id)
        expected = "human:review" if row["status"] == "completed" else "sys:timeout"
        assert expected == interaction["topic"]
        assert (row["closed_at"] >= row["expires_at"]) is (row["status"] == "expired")
    assert 40 == len(await here.rows("decisions")) == len(await here.rows("decision_events"))
    assert [] == await here.findings()


# --- report ---


async def test_an_opened_page_shows_on_the_case_once(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    case = await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    assert Status.OPENED is case.status
    assert case.opened_at is not None
    assert case == await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    assert ["opened"] == await here.kinds(opened)
    assert 2 == (await here.row("cards"))["wanted_version"]


async def test_progress_shows_on_the_case_and_repeats_cost_nothing(here: World) -> None:
    opened = await here.open("input", context=FORM)
    case = await here.gate.report(opened.case.case_id, opened.review_token, Event.PROGRESS, {"step": 1})
    assert (Status.IN_PROGRESS, {"step": 1}) == (case.status, case.progress)
    again = await here.gate.report(opened.case.case_id, opened.review_token, Event.PROGRESS, {"step": 1})
    assert case == again
    further = await here.gate.report(opened.case.case_id, opened.review_token, Event.PROGRESS, {"step": 2})
    assert {"step": 2} == further.progress
    assert ["in_progress", "in_progress"] == await here.kinds(opened)
    assert Status.COMPLETED is (await here.answer(opened, "submit", {"amount": 1}, door="page")).case.status


async def test_a_report_needs_the_review_link(here: World) -> None:
    opened, other = await here.open(), await here.open()
    before = await here.truth()
    for token in (new_token(), opened.submit_token or "", other.review_token):
        with pytest.raises(InvalidToken):
            await here.gate.report(opened.case.case_id, token, Event.OPEN)
    assert before == await here.truth()


async def test_a_report_about_a_closed_or_overdue_case_changes_nothing(here: World) -> None:
    decided, overdue = await here.open(), await here.open(timeout_ms=10 * SECOND)
    await here.answer(decided)
    here.clock.forward(10 * SECOND)
    before = await here.truth()
    for opened in (decided, overdue):
        await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
        await here.gate.report(opened.case.case_id, opened.review_token, Event.PROGRESS, {"step": 1})
    assert before == await here.truth()


# --- whatever an agent sends ---


@given(
    context=st.dictionaries(st.text(max_size=8), VALUES, max_size=4) | st.fixed_dictionaries({"items": VALUES}),
    content=VALUES,
    data=st.dictionaries(st.text(max_size=8), VALUES, max_size=3),
    default=st.sampled_from(["approve", "skip"]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_doors_let_in_can_be_shown_answered_and_expired(
    context: dict[str, Any], content: Any, data: dict[str, Any], default: str, sqlite_url: str
) -> None:
    """No content may be so odd that its case can never end, or that the cards of all others stop."""
    try:
        sent = loads(json.dumps({"context": context, "content": content, "data": data}).encode())
    except AssentError:
        return

    async def walk() -> None:
        from tests.support.gates import world

        async with world(sqlite_url) as here:
            changes: dict[str, Any] = {
                "context": sent["context"],
                "blocks": ({"id": "b", "type": "json", "content": sent["content"]},),
                "metadata": sent["data"],
                "default_action": default,
                "notify": (slack(),),
            }
            try:
                case_type = "selection" if "items" in sent["context"] else "approval"
                answered, left = await here.open(case_type, **changes), await here.open(**changes)
            except InvalidInput:
                return
            assert 2 == len(await here.cards.claim("slack", 10))
            action = "select" if case_type == "selection" else "approve"
            try:
                await here.answer(answered, action, sent["data"], door="page")
            except InvalidData:
                assert case_type == "selection"
            here.clock.forward(60 * MINUTE)
            await here.gate.expire_due()
            assert "expired" == (await here.case_row(left))["status"]
            await here.seal()
            assert [] == await here.findings()
            await here.execute("DELETE FROM cards")

    asyncio.run(walk())


async def test_the_key_of_an_idempotent_request_may_be_any_text(here: World) -> None:
    for key in ("", "ä", "'--", "x" * 10_000):
        answer = await here.gate.open(here.agent, draft(), Idempotency("cases", key, "body"))
        assert isinstance(answer, Opened)
