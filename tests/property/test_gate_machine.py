"""The gate against a model: whatever happens in whatever order, rows and answers are those of a plain dictionary.

`pytest tests/property --hypothesis-profile long` runs 500 examples of 50 steps on each database.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import (
    ActionNotInline,
    AlreadyDecided,
    AssentError,
    CaseCancelled,
    CaseExpired,
    IdempotencyMismatch,
    InvalidAction,
    InvalidData,
    InvalidToken,
    NotAReviewer,
    SelfApproval,
)
from core.ledger.chat_tables import metadata
from core.model import INLINE_ACTIONS, Identity, Opened, Policy, actions_of
from core.states import Event
from tests.support.gates import LINK, MINUTE, World, reply, reviewer, slack, world

T = TypeVar("T")

SHORT = settings(max_examples=25, stateful_step_count=30)
# Deadlines lie five minutes beyond steps of ten, so that the seconds which a run itself takes decide nothing.
STEP = 10 * MINUTE
HALF = 5 * MINUTE
DAY = 24 * 60 * MINUTE

FORM = {"form": {"fields": [{"key": "amount", "label": "Amount", "type": "number", "required": True}]}}
REQUESTER = "slack:U1"
LINK_HOLDER = "whoever holds the link"
PEOPLE = {
    "requester, in the channel": (reviewer(1), True),
    "reviewer 2, in the channel": (reviewer(2), True),
    "reviewer 2, elsewhere": (reviewer(2), False),
    "reviewer 2, only claimed": (Identity("slack", "U2"), False),
    "reviewer 3 on Telegram, in the channel": (reviewer(3, "telegram"), True),
    LINK_HOLDER: (LINK, False),
}
POLICIES = (
    Policy(),
    Policy(exclude_requester=True),
    Policy(any_of=("slack:U2",)),
    Policy(any_of=("slack:U1", "link"), exclude_requester=True),
)
DATA: tuple[dict[str, Any], ...] = ({}, {"note": "words"}, {"amount": 5}, {"amount": "5"})
GRACE = STEP + HALF
PLANS = st.fixed_dictionaries(
    {
        "case_type": st.sampled_from(["approval", "approval", "confirmation", "escalation", "input", "x-custom"]),
        "policy": st.sampled_from(POLICIES),
        "default": st.sampled_from(["skip", "approve", "reject", "abort"]),
        "requested_by": st.sampled_from([REQUESTER, REQUESTER, None]),
        "sourced": st.integers(0, 3).map(bool),
        "grace": st.sampled_from([0, 0, GRACE]),
        "quorum": st.sampled_from([1, 1, 1, 2]),
        "steps": st.integers(0, 4),
    }
)
APPROVES = frozenset({"approve", "confirm", "retry", "skip", "submit"})
ERRORS = {"completed": AlreadyDecided, "cancelled": CaseCancelled, "expired": CaseExpired}


@dataclass
class Modelled:
    """What the dictionary knows of a case."""

    opened: Opened
    type: str
    policy: Policy
    default: str
    requested_by: str | None
    sourced: bool
    grace: int
    due: int  # on the machine's clock
    status: str = "pending"
    version: int = 1
    result: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    verdict: str | None = None
    settles: int | None = None  # until then the answer may be revised, and there is no verdict
    revision: int = 0
    votes: list[str] = field(default_factory=list)
    ledger: list[tuple[str, str, str]] = field(default_factory=list)  # topic, dedupe key, action
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)  # payload by dedupe key
    kinds: list[str] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        return self.status not in ERRORS

    def key(self, identity: Identity) -> str:
        """Under which the last answer of this person stands in the ledger, if there is one."""
        return identity.key if identity is not LINK or self.revision < 2 else f"{identity.key}#{self.revision}"

    def needs(self, action: str) -> int:
        return self.policy.quorum if action in APPROVES else 1

    def record(self, status: str, action: str, data: dict[str, Any], topic: str, key: str) -> None:
        self.status = status
        self.version += 1
        self.kinds.append(status)
        self.ledger.append((topic, key, action))
        if topic.startswith("human:"):
            self.replies[key] = {"action": action, "data": data}
        if status == "completed":
            self.result = self.replies[key]

    def close(self, status: str, action: str, data: dict[str, Any], topic: str, key: str) -> None:
        self.record(status, action, data, topic, key)
        self.decide()

    def decide(self) -> None:
        self.settles = None
        action = self.ledger[-1][2]
        approves = action == "approve" if self.status == "expired" else action in APPROVES
        self.verdict = None if action == "edit" else "APPROVE" if approves else "DENY"

    def accept(self, identity: Identity, action: str, data: dict[str, Any], now: int) -> None:
        """A good answer of somebody who has not answered yet."""
        self.votes.append(action)
        if self.votes.count(action) < self.needs(action):
            self.record("in_progress", action, data, "human:review", identity.key)
            return
        self.record("completed", action, data, "human:review", identity.key)
        self.revision = int(identity is LINK)
        if identity is LINK and self.grace and self.policy.quorum == 1:
            self.settles = now + self.grace
        else:
            self.decide()

    def revise(self, action: str, data: dict[str, Any]) -> None:
        self.revision += 1
        self.record("completed", action, data, "human:review", self.key(LINK))


class GateMachine(RuleBasedStateMachine):
    url: ClassVar[str]
    here: World
    cases = Bundle("cases")

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.model: dict[str, Modelled] = {}
        self.kept_answers: dict[str, tuple[str, str, int]] = {}  # body, answer, and when it is forgotten
        self.opened_once = 0
        self.sealed: set[str] = set()
        self.pulled: list[str] = []
        self.acked: set[str] = set()
        self.cursor = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def teardown(self) -> None:
        try:
            if hasattr(self, "here"):
                self.run(self._compare_all())
        finally:
            self.run(self._stack.aclose())
            self._runner.close()

    # --- what may happen ---

    @initialize(target=cases, plans=st.lists(PLANS, min_size=3, max_size=5))
    def some_cases_wait_already(self, plans: list[dict[str, Any]]) -> MultipleResults[str]:
        return multiple(*(self._open(**plan) for plan in plans))

    @rule(target=cases, plan=PLANS)
    def a_case_is_opened(self, plan: dict[str, Any]) -> str:
        return self._open(**plan)

    def _open(
        self,
        case_type: str,
        policy: Policy,
        default: str,
        requested_by: str | None,
        sourced: bool,
        grace: int,
        quorum: int,
        steps: int,
    ) -> str:
        if case_type in INLINE_ACTIONS:
            policy = replace(policy, quorum=quorum)
        if not hasattr(self, "here"):
            self.here = self.run(self._stack.enter_async_context(fresh(self.url)))
        opened = self.run(
            self.here.open(
                case_type,
                sourced=sourced,
                policy=policy,
                default_action=default,
                requested_by=requested_by,
                grace_ms=grace,
                timeout_ms=steps * STEP + HALF,
                context=FORM if case_type == "input" else {},
                notify=(slack(),),
            )
        )
        due = self.here.clock.offset + steps * STEP + HALF
        case_id = opened.case.case_id
        self.model[case_id] = Modelled(opened, case_type, policy, default, requested_by, sourced, grace, due)
        return case_id

    @rule(key=st.sampled_from(["k1", "k2"]), body=st.sampled_from(["b1", "b2"]))
    def open_with_an_idempotency_key(self, key: str, body: str) -> None:
        now = self.here.clock.offset
        known_body, known_answer, until = self.kept_answers.get(key, (body, None, now))
        if until <= now:
            known_body, known_answer = body, None
        try:
            answer = self.run(self.here.open_once(key, body, timeout_ms=100 * STEP))
        except IdempotencyMismatch:
            assert known_body != body
            return
        assert known_body == body
        assert known_answer in (None, answer)
        if known_answer is None:
            self.kept_answers[key] = (body, answer, now + DAY)
            self.opened_once += 1

    @rule(
        case_id=cases,
        who=st.sampled_from(sorted(PEOPLE)),
        action=st.sampled_from(["approve", "reject", "edit", "cancel", "skip", "submit", "explode"]),
        data=st.sampled_from(DATA),
        right_token=st.sampled_from([True] * 7 + [False]),
    )
    def anybody_answers_anything(
        self, case_id: str, who: str, action: str, data: dict[str, Any], right_token: bool
    ) -> None:
        has_buttons = self.model[case_id].opened.submit_token is not None
        self._respond(case_id, who if has_buttons else LINK_HOLDER, action, data, right_token)

    @rule(case_id=cases, who=st.sampled_from(sorted(set(PEOPLE) - {LINK_HOLDER})), choice=st.integers(0, 2))
    def somebody_taps_a_button(self, case_id: str, who: str, choice: int) -> None:
        buttons = INLINE_ACTIONS.get(self.model[case_id].type, ())
        if buttons:
            self._respond(case_id, who, buttons[choice % len(buttons)], {}, right_token=True)

    @rule(case_id=cases, choice=st.integers(0, 2), data=st.sampled_from([*DATA, {"amount": 5}]))
    def somebody_answers_on_the_page(self, case_id: str, choice: int, data: dict[str, Any]) -> None:
        actions = actions_of(self.model[case_id].type)
        self._respond(case_id, LINK_HOLDER, actions[choice % len(actions)], data, right_token=True)

    @rule(case_id=cases)
    def repeat_an_answer(self, case_id: str) -> None:
        modelled = self.model[case_id]
        for key, payload in list(modelled.replies.items()):
            who = next(name for name, (identity, _) in PEOPLE.items() if identity.key == key.partition("#")[0])
            self._respond(case_id, who, payload["action"], payload["data"], right_token=True)

    @rule(case_id=cases)
    def withdraw(self, case_id: str) -> None:
        modelled = self.model[case_id]
        expected = None if modelled.waits or modelled.status == "cancelled" else ERRORS[modelled.status]
        withdrawal = self.here.gate.cancel(self.here.agent, case_id, "no longer needed")
        assert expected is self._error_of(withdrawal)
        if modelled.waits:
            modelled.close("cancelled", "cancelled", {}, "sys:cancel", "cancel")

    @rule(steps=st.integers(1, 2), looks=st.booleans())
    def time_passes(self, steps: int, looks: bool) -> None:
        self.here.clock.forward(steps * STEP)
        if looks:
            self._expire()

    @precondition(
        lambda self: any(
            (modelled.waits and self._overdue(modelled)) or modelled.settles is not None
            for modelled in self.model.values()
        )
    )
    @rule()
    def the_clock_role_looks(self) -> None:
        self._expire()

    def _expire(self) -> None:
        async def all_of(verb: Callable[[], Awaitable[int]]) -> int:
            done = 0
            while found := await verb():
                done += found
            return done

        due = [modelled for modelled in self.model.values() if modelled.waits and self._overdue(modelled)]
        assert len(due) == self.run(all_of(self.here.gate.expire_due))
        for modelled in due:
            modelled.close("expired", modelled.default, {}, "sys:timeout", "timeout")
        settling = [one for one in self.model.values() if one.settles is not None and self._settled(one.settles)]
        assert len(settling) == self.run(all_of(self.here.gate.settle_due))
        for modelled in settling:
            modelled.decide()

    @rule(case_id=cases, right_token=st.booleans())
    def the_page_is_opened(self, case_id: str, right_token: bool) -> None:
        modelled = self.model[case_id]
        reported = self._report(modelled, Event.OPEN, None, right_token)
        if reported and modelled.status == "pending":
            modelled.status, modelled.version = "opened", modelled.version + 1
            modelled.kinds.append("opened")

    @rule(case_id=cases, step=st.integers(1, 2))
    def the_form_is_being_filled(self, case_id: str, step: int) -> None:
        modelled = self.model[case_id]
        if self._report(modelled, Event.PROGRESS, {"step": step}, True) and modelled.progress != {"step": step}:
            modelled.status, modelled.version = "in_progress", modelled.version + 1
            modelled.progress = {"step": step}
            modelled.kinds.append("in_progress")

    @rule()
    def the_sealer_seals(self) -> None:
        self.run(self.here.seal())
        self.sealed = {
            case_id for case_id, modelled in self.model.items() if modelled.sourced and modelled.verdict is not None
        }

    @rule(limit=st.integers(1, 3))
    def an_executor_pulls(self, limit: int) -> None:
        page = self.run(self.here.events.pull(self.here.source_id, self.cursor, limit))
        found = [json.loads(item)["case_id"] for item in page.items]
        left = self.sealed - set(self.pulled) - self.acked
        assert min(limit, len(left)) == len(found)
        assert set(found) <= left, "an event came twice, or before it was sealed"
        for item in page.items:
            event = json.loads(item)
            assert self.model[event["case_id"]].verdict == event["decision"]["type"]
        self.pulled += found
        self.cursor = page.cursor

    @rule(data=st.data())
    def an_executor_acks(self, data: st.DataObject) -> None:
        if not self.pulled:
            return
        chosen = data.draw(st.sampled_from(self.pulled))
        row = self.run(self.here.row("decision_events", "case_id = :c", c=chosen))
        answer = self.run(
            self.here.events.ack(self.here.agent.tenant_id, self.here.source_id, [row["event_id"], "evt_none"])
        )
        assert ([row["event_id"]], ["evt_none"]) == answer
        self.acked.add(chosen)
        page = self.run(self.here.events.pull(self.here.source_id, 0, 500))
        assert self.sealed - self.acked == {json.loads(item)["case_id"] for item in page.items}

    # --- what must hold ---

    @invariant()
    def no_case_has_two_outcomes(self) -> None:
        for modelled in self.model.values():
            assert sum(kind in ERRORS for kind in modelled.kinds) <= max(1, modelled.revision)

    def _respond(self, case_id: str, who: str, action: str, data: dict[str, Any], right_token: bool) -> None:
        modelled = self.model[case_id]
        identity, in_channel = PEOPLE[who]
        page = identity is LINK
        changes: dict[str, Any] = {} if right_token else {"token": "wrong"}
        sent = reply(
            modelled.opened,
            action,
            data,
            by=identity,
            door="page" if page else "inline",
            **changes | {"in_channel": in_channel},
        )
        has_token = right_token and (page or modelled.opened.submit_token is not None)
        expected = self._expected(modelled, identity, in_channel, action, data, has_token)
        error = self._error_of(self.here.gate.respond(sent))
        if expected == "accepted":
            assert error is None, f"refused with {error}"
            modelled.accept(identity, action, data, self.here.clock.offset)
        elif expected == "revised":
            assert error is None, f"refused with {error}"
            modelled.revise(action, data)
        elif expected == "replayed":
            assert error is None
            modelled.kinds.append("replayed")
        else:
            assert expected is error
            if error in (NotAReviewer, SelfApproval):
                modelled.kinds.append("refused")
        self.run(self._compare(modelled))

    def _expected(
        self,
        modelled: Modelled,
        identity: Identity,
        in_channel: bool,
        action: str,
        data: dict[str, Any],
        has_token: bool,
    ) -> str | type[AssentError]:
        """The contract's order of checks, said once more in the plainest words."""
        form = modelled.type == "input"
        inline = INLINE_ACTIONS.get(modelled.type, ())
        named = {f"slack:{identity.user_id}"} if identity.platform == "slack" and identity.verified else set()
        roles = named | ({"channel"} if in_channel else set()) | ({"link"} if identity is LINK else set())
        excluded = modelled.policy.exclude_requester and modelled.requested_by == identity.address
        if not has_token:
            return InvalidToken
        answered = modelled.replies.get(modelled.key(identity))
        if answered == {"action": action, "data": data}:
            return "replayed"
        revises = identity is LINK and modelled.settles is not None and not self._settled(modelled.settles)
        if not modelled.waits and not revises:
            return ERRORS[modelled.status]
        if self._overdue(modelled) and not revises:
            return CaseExpired
        if identity is not LINK and action not in inline:
            return ActionNotInline
        if action not in actions_of(modelled.type):
            return InvalidAction
        if excluded:
            return SelfApproval
        if modelled.policy.quorum > 1 and not (identity.verified or identity is LINK):
            return NotAReviewer
        if not roles & set(modelled.policy.any_of):
            return NotAReviewer
        if answered is not None and not revises:
            return AlreadyDecided
        if form and data != {"amount": 5}:
            return InvalidData
        return "revised" if revises else "accepted"

    def _settled(self, settles: int) -> bool:
        return self.here.clock.offset > settles

    def _overdue(self, modelled: Modelled) -> bool:
        return self.here.clock.offset > modelled.due

    def _report(self, modelled: Modelled, event: Event, progress: dict[str, Any] | None, right_token: bool) -> bool:
        """Whether the report could have an effect."""
        token = modelled.opened.review_token if right_token else "wrong"
        error = self._error_of(self.here.gate.report(modelled.opened.case.case_id, token, event, progress))
        assert (None if right_token else InvalidToken) is error
        return right_token and modelled.waits and not self._overdue(modelled)

    def _error_of(self, work: Coroutine[Any, Any, Any]) -> type[AssentError] | None:
        try:
            self.run(work)
        except AssentError as error:
            return type(error)
        return None

    async def _compare(self, modelled: Modelled) -> None:
        """Everything the database says of the case is what the model says."""
        opened, case_id = modelled.opened, modelled.opened.case.case_id
        row = await self.here.case_row(opened)
        assert (modelled.status, modelled.version) == (row["status"], row["version"])
        assert modelled.result == json.loads(row["result"] or "null")
        assert modelled.progress == json.loads(row["progress"] or "null")
        assert modelled.kinds == await self.here.kinds(opened)
        assert len(modelled.kinds) == row["last_event"]
        ledger = await self.here.rows("human_interactions", "case_id = :c ORDER BY created_at", c=case_id)
        assert modelled.ledger == [(r["topic"], r["dedupe_key"], json.loads(r["payload"])["action"]) for r in ledger]
        decisions = await self.here.rows("decisions", "case_id = :c", c=case_id)
        assert ([modelled.verdict] if modelled.verdict else []) == [r["verdict"] for r in decisions]
        events = await self.here.rows("decision_events", "case_id = :c", c=case_id)
        assert int(modelled.sourced and modelled.verdict is not None) == len(events)
        (card,) = await self.here.rows("cards", "case_id = :c", c=case_id)
        assert modelled.version == card["wanted_version"], "the card follows every change"

    async def _compare_all(self) -> None:
        for modelled in self.model.values():
            await self._compare(modelled)
        assert len(self.model) + self.opened_once == len(await self.here.rows("cases"))
        assert [] == await self.here.findings()
        await self.here.seal()
        assert [] == await self.here.findings()


@asynccontextmanager
async def fresh(url: str) -> AsyncIterator[World]:
    """A world on the same database without the rows of the example before."""
    async with world(url) as sweeping:
        for table in reversed(metadata.sorted_tables):
            await sweeping.execute(f"DELETE FROM {table.name}")
    async with world(url) as found:
        yield found


@pytest.mark.timeout(7_200)
def test_the_gate_never_differs_from_a_dictionary(database_url: str) -> None:
    long = settings.get_current_profile_name() == "long"
    GateMachine.url = database_url
    run_state_machine_as_test(GateMachine, settings=settings() if long else SHORT)
