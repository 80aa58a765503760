"""Guarded operations in the core: policy's answers, people's, remembered ones; and the second look before dispatch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from core.dispatch import Dispatcher
from core.errors import InvalidData, InvalidInput, InvalidToken, NotFound, SelfApproval
from core.events import Events
from core.grants import Grant, Grants
from core.guard.conditions import Operation
from core.guard.holder import Policies
from core.guard.rules import PolicySet, Ruling
from core.guarded import GuardedTasks, WantedTask
from core.guarded_views import TaskState, TaskView
from core.model import Address, Idempotency, Policy, Principal
from core.replies import page_reply
from core.schedule import DAY, HOUR, MINUTE
from tests.support.gates import World, reviewer

PAYLOAD = {"repo": "web", "branch": "main", "amount": 3}


class Saying(PolicySet):
    """A policy that says the same of everything."""

    def __init__(self, **ruling: Any) -> None:
        super().__init__()
        self.ruling = Ruling(policy="tests", rule="always", reason="the test says so", **ruling)

    def rule(self, operation: Operation, now: int) -> Ruling:
        return self.ruling


@dataclass
class Guarded:
    world: World
    tasks: GuardedTasks
    grants: Grants
    policies: Policies
    dispatcher: Dispatcher
    reviewer: Principal
    reviewer_key: str
    agent_key: str

    def says(self, verdict: str, **more: Any) -> None:
        self.policies.current = Saying(verdict=verdict, **more)

    async def post(self, operation: str = "repo.commit", key: str | None = None, **more: Any) -> TaskView:
        wanted = WantedTask(operation, more.pop("payload", PAYLOAD), **more)
        once = None if key is None else Idempotency("tasks", key, json.dumps(repr(wanted)))
        task_id = await self.tasks.open(self.world.agent, wanted, once, lambda task: task.task_id)
        return await self.get(task_id)

    async def get(self, task_id: str) -> TaskView:
        return await self.tasks.get(self.world.agent.tenant_id, task_id)

    async def decide(self, task: TaskView, decision: Any = "approve", **more: Any) -> TaskView:
        given = {"reason": None, "approver": "Reviewer 1", "approval_token": None, "idempotency": None} | more
        principal = given.pop("principal", self.reviewer)
        await self.tasks.approve(principal, task.task_id, decision, render=lambda task: task.task_id, **given)
        return await self.get(task.task_id)

    async def dispatch(self, task: TaskView) -> TaskView:
        await self.dispatcher.dispatch_due()
        return await self.get(task.task_id)

    async def events(self, task: TaskView) -> list[dict[str, Any]]:
        await self.world.seal()
        events = Events(self.world.database, self.world.hub, self.world.ring)
        return [json.loads(item) for item in (await events.pull(task.source_id, 0, 10, 0)).items]


@pytest.fixture
async def guarded(here: World) -> Guarded:
    policies = Policies(PolicySet())
    tasks = GuardedTasks(
        here.database, here.gate, here.views, here.keys, here.sources, here.ring, here.hub, policies, "http://localhost"
    )
    reviewer_key, reviewer = await here.keys.create("reviewer", here.agent.tenant_id)
    agent_key, here.agent = await here.keys.create("agent", here.agent.tenant_id)
    grants, dispatcher = Grants(here.database, here.gate), Dispatcher(here.database, here.hub)
    return Guarded(here, tasks, grants, policies, dispatcher, reviewer, reviewer_key, agent_key)


async def no_findings(guarded: Guarded) -> None:
    await guarded.world.seal()
    assert [] == await guarded.world.findings()


# --- what policy says ---


async def test_an_allowed_operation_is_approved_by_policy_in_the_ledger_and_dispatched(guarded: Guarded) -> None:
    guarded.says("allow")
    task = await guarded.post("repo.read")
    assert TaskState.APPROVED == task.status
    row = await guarded.world.row("human_interactions", "case_id = :case_id", case_id=task.task_id)
    assert ("policy", "sys:policy", "api-shim") == (row["via"], row["topic"], row["origin"])
    assert TaskState.DISPATCHED == (await guarded.dispatch(task)).status
    (event,) = await guarded.events(task)
    assert ("APPROVE", task.task_id, PAYLOAD) == (
        event["decision"]["type"],
        event["task_id"],
        event["final"][0]["content"],
    )
    assert {"operation": "repo.read"} == event["metadata"]
    assert 0 == len(await guarded.world.rows("cards", "case_id = :case_id", case_id=task.task_id))
    await no_findings(guarded)


async def test_a_denied_operation_is_rejected_in_the_ledger_and_executors_hear_so(guarded: Guarded) -> None:
    guarded.says("deny")
    task = await guarded.post()
    assert TaskState.REJECTED == task.status
    assert 0 == await guarded.dispatcher.dispatch_due()
    (event,) = await guarded.events(task)
    assert ("DENY", "the test says so") == (event["decision"]["type"], event["decision"]["reason"])
    await no_findings(guarded)


async def test_an_operation_that_no_rule_knows_waits_for_a_person(guarded: Guarded) -> None:
    task = await guarded.post("moon.land")
    assert TaskState.HITL_REQUIRED == task.status
    assert task.approval_link is not None
    assert ["created", "policy_require"] == [event["event"] for event in task.events]
    assert 0 == await guarded.dispatcher.dispatch_due()
    await no_findings(guarded)


async def test_a_task_without_a_source_goes_to_the_tenants_default_one(guarded: Guarded) -> None:
    first, second = await guarded.post(), await guarded.post()
    assert first.source_id == second.source_id
    source = await guarded.world.sources.get(guarded.world.agent.tenant_id, first.source_id)
    assert ("default", "PULL_ONLY") == (source.name, source.mode)
    with pytest.raises(InvalidInput):
        await guarded.post(source_id="src_none")


# --- people ---


async def test_a_reviewers_approval_is_dispatched_once(guarded: Guarded) -> None:
    task = await guarded.decide(await guarded.post(), reason="looks right")
    assert TaskState.APPROVED == task.status
    assert TaskState.DISPATCHED == (await guarded.dispatch(task)).status
    assert 0 == await guarded.dispatcher.dispatch_due()
    (event,) = await guarded.events(task)
    assert ("APPROVE", "looks right") == (event["decision"]["type"], event["decision"]["reason"])
    assert "Reviewer 1" == event["result"]["data"]["approver"]
    assert guarded.reviewer.key_id == event["decision"]["decided_by"]["platform_user_id"]
    done = await guarded.get(task.task_id)
    assert ["created", "policy_require", "completed", "dispatched"] == [one["event"] for one in done.events]
    assert done.approval_link is None
    await no_findings(guarded)


async def test_a_rejection_reaches_executors_too(guarded: Guarded) -> None:
    task = await guarded.decide(await guarded.post(), "reject", reason="not today")
    assert TaskState.REJECTED == task.status
    assert ["DENY"] == [event["decision"]["type"] for event in await guarded.events(task)]
    await no_findings(guarded)


async def test_the_token_of_the_review_link_approves_and_any_other_does_not(guarded: Guarded) -> None:
    task = await guarded.post()
    token = await guarded.world.views.review_token(task.task_id)
    assert token is not None
    link = str(task.approval_link).partition("token=")[2]
    for wrong in ("", "x" * 43, link, guarded.agent_key):
        with pytest.raises(InvalidToken):
            await guarded.decide(task, approval_token=wrong, principal=guarded.world.agent)
    with pytest.raises(InvalidToken, match="approval_token"):
        await guarded.decide(task, principal=guarded.world.agent)
    assert TaskState.HITL_REQUIRED == (await guarded.get(task.task_id)).status
    task = await guarded.decide(task, approval_token=token, principal=guarded.world.agent)
    assert TaskState.APPROVED == task.status
    await no_findings(guarded)


async def test_a_reviewers_key_serves_as_the_approval_token(guarded: Guarded) -> None:
    task = await guarded.decide(
        await guarded.post(), approval_token=guarded.reviewer_key, principal=guarded.world.agent
    )
    assert TaskState.APPROVED == task.status


async def test_nobody_approves_a_task_of_their_own(guarded: Guarded) -> None:
    admin_key, admin = await guarded.world.keys.create("admin", guarded.world.agent.tenant_id)
    guarded.world.agent = admin
    task = await guarded.post()
    for changes in ({"principal": admin}, {"approval_token": admin_key}):
        with pytest.raises(SelfApproval):
            await guarded.decide(task, **changes)
    named = await guarded.post(requested_by=f"key:{guarded.reviewer.key_id}")
    with pytest.raises(SelfApproval):
        await guarded.decide(named)


async def test_the_approval_link_shows_the_task_and_a_reviewer_signs_in_from_there(guarded: Guarded) -> None:
    task = await guarded.post()
    link = str(task.approval_link).partition("token=")[2]
    assert task.task_id == (await guarded.tasks.by_link(task.task_id, link)).task_id
    token = await guarded.tasks.sign_in(task.task_id, link, guarded.reviewer_key)
    assert token == await guarded.world.views.review_token(task.task_id)
    assert token == await guarded.tasks.sign_in(task.task_id, link, token)
    for wrong in (guarded.agent_key, link, "ak_x", ""):
        with pytest.raises(InvalidToken):
            await guarded.tasks.sign_in(task.task_id, link, wrong)
    with pytest.raises(InvalidToken):
        await guarded.tasks.by_link(task.task_id, token)


async def test_where_policy_names_the_chats_whoever_asks_cannot_choose_others(guarded: Guarded) -> None:
    mine, theirs = Address("slack", "C0AGENT"), Address("slack", "C0POLICY")
    await guarded.post(notify=(mine,))
    guarded.says("require", notify=(theirs,))
    await guarded.post(notify=(mine,))
    await guarded.post()
    cards = await guarded.world.rows("cards")
    assert ["C0AGENT", "C0POLICY", "C0POLICY"] == sorted(card["channel"] for card in cards)


async def test_whoever_the_request_names_as_requester_cannot_agree_and_is_not_silenced(guarded: Guarded) -> None:
    task = await guarded.post(requested_by="slack:U1", notify=(Address("slack", "C1"),))
    card = await guarded.world.row("cards")
    await guarded.world.cards.claim("slack", 10)
    agreed = await guarded.world.tap(card["card_id"], "approve", reviewer())
    denied = await guarded.world.tap(card["card_id"], "reject", reviewer())
    assert (False, True) == (agreed.recorded, denied.recorded)
    assert TaskState.REJECTED == (await guarded.get(task.task_id)).status
    await no_findings(guarded)


async def test_where_the_source_names_the_chats_whoever_asks_cannot_choose_others(guarded: Guarded) -> None:
    mine, theirs = Address("slack", "C0AGENT"), Address("slack", "C0SOURCE")
    source = await guarded.world.sources.create(guarded.world.agent, name="deploys", notify=(theirs,))
    for notify in ((mine,), (), None):
        task = await guarded.post(source_id=source.source_id, notify=notify)
        cards = await guarded.world.rows("cards", "case_id = :case_id", case_id=task.task_id)
        assert ["C0SOURCE"] == [card["channel"] for card in cards]


async def test_a_task_that_nobody_decides_expires(guarded: Guarded) -> None:
    guarded.says("require", timeout_ms=HOUR)
    task = await guarded.post()
    guarded.world.clock.forward(HOUR + MINUTE)
    await guarded.world.gate.expire_due()
    assert TaskState.EXPIRED == (await guarded.get(task.task_id)).status
    assert ["DENY"] == [event["decision"]["type"] for event in await guarded.events(task)]
    await no_findings(guarded)


async def test_a_task_shows_the_newest_of_very_many_events(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.guarded.MAX_EVENTS", 3)
    task = await guarded.decide(await guarded.post())
    for _ in range(4):
        await guarded.decide(task)
    await guarded.dispatch(task)
    shown = [event["event"] for event in (await guarded.get(task.task_id)).events]
    assert ["created", "policy_require", "replayed", "replayed", "replayed", "dispatched"] == shown


async def test_another_tenants_task_is_not_there(guarded: Guarded) -> None:
    task = await guarded.post()
    _, stranger = await guarded.world.keys.create("admin", "6f6c3b62-57a0-4c9c-8a07-0f9d4c9a2f10")
    with pytest.raises(NotFound):
        await guarded.tasks.get(stranger.tenant_id, task.task_id)
    with pytest.raises(NotFound):
        await guarded.decide(task, principal=stranger)


# --- the second look ---

ALTERED = {
    "the payload": 'UPDATE tasks SET payload = \'{"amount":3000,"branch":"main","repo":"web"}\'',
    "the payload's spelling": "UPDATE tasks SET payload = payload || ' '",
    "the payload into nonsense": "UPDATE tasks SET payload = '{'",
    "the operation": "UPDATE tasks SET operation = 'repo.delete'",
    "who asked": "UPDATE tasks SET requested_by = 'slack:U9'",
    "the digest": "UPDATE tasks SET digest = 'sha256:00'",
    "the tenant": "UPDATE tasks SET tenant_id = '6f6c3b62-57a0-4c9c-8a07-0f9d4c9a2f10'",
    "the source": "UPDATE tasks SET source_id = 'src_other'",
    "the content": "UPDATE cases SET content = REPLACE(content, '\"amount\":3', '\"amount\":4')",
    "the content's digest": "UPDATE cases SET content_digest = 'sha256:00'",
    "the metadata": "UPDATE cases SET terms = REPLACE(terms, 'repo.commit', 'repo.delete')",
    "the result": 'UPDATE cases SET result = \'{"action":"approve","data":{}}\'',
    "who answered": "UPDATE cases SET answered = REPLACE(answered, 'key_', 'kei_')",
    "the reason": 'UPDATE cases SET answered = REPLACE(answered, \'"via"\', \'"reason":"so be it","via"\')',
    "the edits": 'UPDATE cases SET answered = REPLACE(answered, \'"via"\', \'"blocks":{"payload":{}},"via"\')',
    "when it was answered": "UPDATE cases SET closed_at = closed_at - 1",
    "the decision": "UPDATE decisions SET verdict = 'DENY'",
    "the ledger row": "UPDATE human_interactions SET payload = REPLACE(payload, 'Reviewer 1', 'Reviewer 2')",
    "the ledger row's hash": "UPDATE human_interactions SET row_hash = 'x'",
}


@pytest.mark.parametrize("what", ALTERED)
async def test_a_task_altered_after_its_approval_is_refused_and_reported(guarded: Guarded, what: str) -> None:
    task = await guarded.decide(await guarded.post())
    await guarded.world.execute(ALTERED[what])
    (row,) = await guarded.world.rows("tasks")
    assert 1 == await guarded.dispatcher.dispatch_due()
    (row,) = await guarded.world.rows("tasks")
    assert (None, True) == (row["dispatched_at"], row["failure"] is not None)
    assert [] == await guarded.world.rows("decision_events")
    assert task.task_id in {finding.key for finding in await guarded.world.findings()}


async def test_a_task_altered_before_its_approval_is_not_dispatched_either(guarded: Guarded) -> None:
    task = await guarded.post()
    await guarded.world.execute(ALTERED["the payload"])
    assert TaskState.FAILED == (await guarded.dispatch(await guarded.decide(task))).status
    assert "altered" in str((await guarded.get(task.task_id)).failure)


async def test_an_approval_that_waited_too_long_is_not_dispatched(guarded: Guarded) -> None:
    guarded.says("require", approval_valid_ms=HOUR)
    task = await guarded.decide(await guarded.post())
    guarded.world.clock.forward(HOUR + MINUTE)
    await guarded.world.execute("UPDATE tasks SET approved_until = approved_until + :more", more=DAY)
    failed = await guarded.dispatch(task)
    assert (TaskState.FAILED, "this approval is no longer good; ask again") == (failed.status, failed.failure)


async def test_a_clock_that_was_set_back_delays_dispatch_and_refuses_nothing(guarded: Guarded) -> None:
    task = await guarded.decide(await guarded.post())
    guarded.world.clock.forward(-MINUTE)
    assert 0 == await guarded.dispatcher.dispatch_due()
    guarded.world.clock.forward(MINUTE)
    assert TaskState.DISPATCHED == (await guarded.dispatch(task)).status


async def test_an_approval_is_used_once_even_when_the_database_says_otherwise(guarded: Guarded) -> None:
    task = await guarded.dispatch(await guarded.decide(await guarded.post()))
    await guarded.world.execute("UPDATE tasks SET dispatched_at = NULL")
    assert TaskState.FAILED == (await guarded.dispatch(task)).status
    assert 1 == len(await guarded.world.rows("decision_events"))


async def test_an_altered_task_does_not_hold_up_the_others(guarded: Guarded) -> None:
    bad, good = await guarded.decide(await guarded.post()), await guarded.decide(await guarded.post())
    await guarded.world.execute("UPDATE tasks SET payload = '{' WHERE case_id = :case_id", case_id=bad.task_id)
    assert 2 == await guarded.dispatcher.dispatch_due()
    assert TaskState.DISPATCHED == (await guarded.get(good.task_id)).status


# --- remembered approvals ---


async def remembered(guarded: Guarded, minutes: int = 60) -> TaskView:
    task = await guarded.post()
    token = await guarded.world.views.review_token(task.task_id)
    reply = page_reply(task.task_id, str(token), "approve", {"grant_minutes": minutes}, None)
    await guarded.world.gate.respond(reply)
    return await guarded.get(task.task_id)


async def test_a_remembered_approval_lets_the_same_through_and_names_itself(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    first = await remembered(guarded)
    (grant,) = await guarded.grants.list(first.tenant_id)
    assert (first.task_id, HOUR) == (grant.case_id, grant.expires_at - grant.created_at)
    again = await guarded.post()
    assert (TaskState.APPROVED, grant.grant_id) == (again.status, again.grant_id)
    assert TaskState.DISPATCHED == (await guarded.dispatch(again)).status
    assert TaskState.HITL_REQUIRED == (await guarded.post(payload=PAYLOAD | {"amount": 4})).status
    assert TaskState.HITL_REQUIRED == (await guarded.post("repo.delete")).status
    guarded.world.clock.forward(HOUR)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status
    await no_findings(guarded)


async def test_what_is_remembered_for_one_source_lets_nothing_through_for_another(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    await remembered(guarded)
    other = await guarded.world.new_source(guarded.world.agent)
    assert TaskState.HITL_REQUIRED == (await guarded.post(source_id=other)).status
    again = await guarded.post()
    assert TaskState.APPROVED == again.status
    await guarded.world.execute("UPDATE cases SET source_id = :other WHERE type = 'approval'", other=other)
    await guarded.world.execute("UPDATE tasks SET source_id = :other", other=other)
    assert TaskState.FAILED == (await guarded.dispatch(again)).status


async def test_policy_bounds_how_long_an_approval_is_remembered(guarded: Guarded) -> None:
    guarded.says("require", grants=HOUR)
    for minutes in (0, 61, 481, True, "60"):
        with pytest.raises(InvalidData, match="grant_minutes"):
            await remembered(guarded, minutes)  # type: ignore[arg-type]
    guarded.says("require", grants=0)
    with pytest.raises(InvalidData, match="nobody"):
        await remembered(guarded)
    assert [] == await guarded.world.rows("grants")


async def test_denial_and_a_policy_without_grants_win_over_what_is_remembered(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    await remembered(guarded)
    guarded.says("deny")
    assert TaskState.REJECTED == (await guarded.post()).status
    guarded.says("require", grants=0)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status


async def test_a_grant_by_a_reviewers_key_is_a_ledger_row_and_can_be_revoked(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    found: list[Grant] = []

    def render(grant: Grant) -> str:
        found.append(grant)
        return grant.grant_id

    once = Idempotency("grants", "k1", "h")
    given = (guarded.reviewer, "repo.commit", PAYLOAD, 2 * HOUR, "release day", once, render)
    grant_id = await guarded.grants.give(*given)
    assert grant_id == await guarded.grants.give(*given)
    assert [grant_id] == [one.grant_id for one in await guarded.grants.list(guarded.reviewer.tenant_id)]
    stored = await guarded.grants.get(guarded.reviewer.tenant_id, grant_id)
    assert found[0] == stored
    row = await guarded.world.row("human_interactions", "interaction_id = :it", it=stored.interaction_id)
    assert ("sys:grant", guarded.reviewer.key_id) == (row["topic"], json.loads(row["replier"])["platform_user_id"])
    let_through = await guarded.post()
    assert grant_id == let_through.grant_id
    revoked = await guarded.grants.revoke(guarded.reviewer, grant_id)
    assert revoked.revoked_at is not None
    assert revoked == await guarded.grants.revoke(guarded.reviewer, grant_id)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status
    assert [] == await guarded.grants.list(guarded.reviewer.tenant_id, live=True)
    assert TaskState.DISPATCHED == (await guarded.dispatch(let_through)).status  # it was let through before
    assert ["sys:grant", "sys:revoke"] == sorted(
        row["topic"] for row in await guarded.world.rows("human_interactions", "case_id = :c", c=stored.case_id)
    )
    await no_findings(guarded)


async def given(guarded: Guarded, by: Principal, ms: int = 2 * HOUR) -> str:
    return await guarded.grants.give(by, "repo.commit", PAYLOAD, ms, None, None, lambda grant: grant.grant_id)


async def test_a_grant_by_the_key_that_posts_the_task_lets_nothing_through(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    others = await given(guarded, guarded.reviewer, HOUR)
    _, guarded.world.agent = await guarded.world.keys.create("admin", guarded.world.agent.tenant_id)
    await given(guarded, guarded.world.agent, 8 * HOUR)
    assert others == (await guarded.post()).grant_id
    await guarded.grants.revoke(guarded.reviewer, others)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status
    await no_findings(guarded)


async def test_a_grant_takes_no_more_arguments_than_a_task(guarded: Guarded) -> None:
    with pytest.raises(InvalidInput, match="256 KiB"):
        await guarded.grants.give(
            guarded.reviewer, "repo.commit", {"x": "x" * 256 * 1024}, HOUR, None, None, lambda grant: grant.grant_id
        )


async def test_a_grant_lasts_no_longer_than_the_rule_remembers_approvals(guarded: Guarded) -> None:
    guarded.says("require", grants=10 * MINUTE)
    grant_id = await given(guarded, guarded.reviewer, 8 * HOUR)
    assert grant_id == (await guarded.post()).grant_id
    guarded.world.clock.forward(11 * MINUTE)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status


@pytest.mark.parametrize(
    "reviewers",
    [
        Policy(quorum=2),
        Policy(any_of=("slack:U0ANA",)),
        Policy(any_of=("link",)),
    ],
)
async def test_a_grant_is_worth_no_more_than_the_approval_of_whoever_gave_it(
    guarded: Guarded, reviewers: Policy
) -> None:
    guarded.says("require", grants=8 * HOUR, reviewers=reviewers)
    await given(guarded, guarded.reviewer)
    assert TaskState.HITL_REQUIRED == (await guarded.post()).status


async def test_whoever_asks_cannot_be_let_through_by_a_grant_of_their_own(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    await given(guarded, guarded.reviewer)
    asked = await guarded.post(requested_by=f"key:{guarded.reviewer.key_id}")
    assert TaskState.HITL_REQUIRED == asked.status


async def test_a_grant_that_was_altered_lets_nothing_go_to_executors(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    await remembered(guarded)
    await guarded.dispatcher.dispatch_due()
    again = await guarded.post()
    await guarded.world.execute("UPDATE grants SET operation = 'repo.read'")
    assert TaskState.FAILED == (await guarded.dispatch(again)).status


FORGED = {
    "longer": "UPDATE grants SET expires_at = expires_at + 3600000",
    "made later": "UPDATE grants SET created_at = created_at + 60000, expires_at = expires_at + 60000",
    "of another case": "UPDATE grants SET case_id = (SELECT case_id FROM tasks WHERE operation = 'repo.read')",
    "of another reply": "UPDATE grants SET interaction_id = "
    "(SELECT interaction_id FROM decisions JOIN tasks USING (case_id) WHERE operation = 'repo.read')",
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("button", [True, False])
async def test_a_grant_that_is_not_as_the_ledger_has_it_lets_nothing_go_to_executors(
    guarded: Guarded, what: str, button: bool
) -> None:
    guarded.says("require", grants=8 * HOUR)
    await (remembered(guarded) if button else given(guarded, guarded.reviewer))
    await guarded.decide(await guarded.post("repo.read"))
    await guarded.dispatcher.dispatch_due()
    await guarded.world.execute(FORGED[what])
    if what == "made later":
        guarded.world.clock.forward(2 * MINUTE)
    again = await guarded.post()
    assert again.grant_id is not None
    assert TaskState.FAILED == (await guarded.dispatch(again)).status
    assert again.task_id in {finding.key for finding in await guarded.world.findings()}


async def test_a_grant_whose_revocation_was_undone_lets_nothing_go_to_executors(guarded: Guarded) -> None:
    guarded.says("require", grants=8 * HOUR)
    await guarded.grants.revoke(guarded.reviewer, await given(guarded, guarded.reviewer))
    guarded.world.clock.forward(1000)
    await guarded.world.execute("UPDATE grants SET revoked_at = NULL")
    again = await guarded.post()
    assert again.grant_id is not None
    failed = await guarded.dispatch(again)
    assert (TaskState.FAILED, "the grant that let this through had been revoked") == (failed.status, failed.failure)


async def test_the_same_request_twice_is_one_task(guarded: Guarded) -> None:
    first, second = await guarded.post(key="once"), await guarded.post(key="once")
    assert first.task_id == second.task_id
    assert 1 == len(await guarded.world.rows("tasks"))
