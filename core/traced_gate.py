"""The gate with a span around each verb, for processes that are traced. What the verbs do stands in `gate`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from core.gate import Beside, Gate, Then
from core.meters import NOBODY, Spans
from core.model import Case, Draft, Idempotency, JsonObject, Opened, Principal, Repeated
from core.replies import Answered, Reply
from core.reviewing import LINK_HOLDER, Reviewer
from core.states import Event

# What the clock does in this task, and since when: a round that finds nothing to do is not told of.
_ROUND: ContextVar[tuple[str, int] | None] = ContextVar("round", default=None)


class TracedGate(Gate):
    """`spans`: set by whoever made it."""

    spans: Spans = NOBODY.spans

    async def open(
        self,
        principal: Principal,
        draft: Draft,
        idempotency: Idempotency | None = None,
        render: Callable[[Opened], str] = lambda opened: opened.case.case_id,
        beside: Beside | None = None,
        then: Then | None = None,
    ) -> Opened | Repeated:
        with self.spans.span("gate.open", tenant_id=principal.tenant_id, source_id=draft.source_id) as span:
            found = await super().open(principal, draft, idempotency, render, beside, then)
            span.about(case_id=found.case.case_id if isinstance(found, Opened) else None)
            return found

    async def respond(self, reply: Reply) -> Answered:
        with self.spans.span("gate.respond", case_id=reply.case_id, door=reply.door, via=reply.via) as span:
            answered = await super().respond(reply)
            span.about(
                tenant_id=answered.case.tenant_id,
                interaction_id=answered.interaction_id,
                status=str(answered.case.status),
                replay=int(answered.replay),
            )
            return answered

    async def cancel(self, principal: Principal, case_id: str, reason: str | None) -> Case:
        with self.spans.span("gate.cancel", tenant_id=principal.tenant_id, case_id=case_id):
            return await super().cancel(principal, case_id, reason)

    async def close_unanswered(
        self,
        case_id: str,
        review_token: str,
        reason: str | None,
        content_digest: str | None = None,
        reviewer: Reviewer = LINK_HOLDER,
    ) -> Case:
        with self.spans.span("gate.close", case_id=case_id) as span:
            case = await super().close_unanswered(case_id, review_token, reason, content_digest, reviewer)
            span.about(tenant_id=case.tenant_id)
            return case

    async def report(self, case_id: str, review_token: str, event: Event, progress: JsonObject | None = None) -> Case:
        with self.spans.span("gate.report", case_id=case_id) as span:
            case = await super().report(case_id, review_token, event, progress)
            span.about(tenant_id=case.tenant_id, status=str(case.status))
            return case

    async def expire_due(self) -> int:
        return await _round("gate.expire", super().expire_due)

    async def settle_due(self) -> int:
        return await _round("gate.settle", super().settle_due)

    def _wake(self, case: Case) -> None:
        super()._wake(case)
        if found := _ROUND.get():
            name, began = found
            self.spans.done(name, began, tenant_id=case.tenant_id, case_id=case.case_id, status=str(case.status))


async def _round(name: str, work: Callable[[], Awaitable[int]]) -> int:
    token = _ROUND.set((name, time.time_ns()))
    try:
        return await work()
    finally:
        _ROUND.reset(token)
