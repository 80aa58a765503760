"""The courier: sends what is due, fairly, and notes down what came of it.

Everything it does is a claim, one POST, a save; it can be killed between any two of them.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import structlog

from core.checkpoints import checkpoint
from core.deliveries import WINDOW, Claimed, Deliveries
from core.hub import Hub
from core.lanes import AT_ONCE, Lane, Load, pick
from core.meters import NOBODY, Watch
from core.sending import Meaning, Outgoing, Receipt, Sender, Unsendable

log = structlog.get_logger()

RESCAN_SECONDS = 1.0
BREATH_SECONDS = 0.02  # before looking again at what somebody else has just claimed


class Courier:
    """One process's part in the deliveries; any number of them may run on one database. `window`: how many lanes it
    looks at in one go.
    """

    def __init__(
        self, deliveries: Deliveries, sender: Sender, hub: Hub, *, window: int = WINDOW, watch: Watch = NOBODY
    ) -> None:
        self._deliveries = deliveries
        self._sender = sender
        self._hub = hub
        self._window = window
        self._watch = watch
        self._after = ""  # where the last look ended: the next goes on from there, so that every lane has its turn
        self._sending: dict[asyncio.Task[None], Claimed] = {}
        self._load = Load.none()

    async def round(self) -> float:
        """Start to send what is due; how many seconds until there may be more (0: come again at once)."""
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED, timeout=RESCAN_SECONDS)
            return 0.0
        now, lanes = await self._deliveries.look(self._after, self._window)
        picked = pick(lanes, self._load, room, now)
        whole = not self._after and len(lanes) < self._window
        self._after = lanes[-1].endpoint_id if len(lanes) == self._window else ""
        if picked:
            return 0.0 if await self._start(picked) else BREATH_SECONDS
        if not whole:  # the rest of the lap at once, the next lap in a moment
            return 0.0 if self._after else RESCAN_SECONDS
        # What is ready and was not picked waits for something under way, which wakes this loop when it is done.
        coming = [ready for lane in lanes if (ready := lane.ready_at()) is not None and ready > now]
        return min([RESCAN_SECONDS, *((ready - now) / 1000 for ready in coming)])

    async def work(self) -> int:
        """One round to its end: claim what is due and send it; how many were claimed."""
        now, lanes = await self._deliveries.look()
        claimed = await self._start(pick(lanes, self._load, AT_ONCE, now))
        await self.drain(None)
        return claimed

    async def drain(self, seconds: float | None) -> None:
        """Let the deliveries under way be answered and noted down."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)

    async def _start(self, picked: list[tuple[Lane, str]]) -> int:
        claimed = await self._deliveries.claim(picked)
        for one in claimed:
            task = asyncio.create_task(self._deliver(one))
            self._sending[task] = one
            self._load.add(one.tenant_id, one.endpoint_id)
            task.add_done_callback(self._sent)
        return len(claimed)

    def _sent(self, task: asyncio.Task[None]) -> None:
        claimed = self._sending.pop(task)
        self._load.add(claimed.tenant_id, claimed.endpoint_id, -1)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The claim runs out by itself and the delivery is tried again; the log says so each time.
            log.error("delivery.interrupted", **_about(claimed), exc_info=error)
        self._hub.wake("deliveries", local=False)  # only this courier has a place free now

    async def _deliver(self, claimed: Claimed) -> None:
        if isinstance(claimed.outgoing, Unsendable):
            reason = claimed.outgoing.message
            if await self._deliveries.give_up(claimed, reason):
                log.error("delivery.failed", **_about(claimed), reason=reason)
                self._count(claimed, "unsendable", 0)
            return
        with self._watch.spans.span("delivery.attempt", **_about(claimed)) as span:
            outgoing = claimed.outgoing
            if span.headers:
                outgoing = replace(outgoing, headers={**outgoing.headers, **span.headers})
            receipt = await self._send(outgoing)
            checkpoint("delivery.after_send")
            meant = await self._deliveries.save(claimed, receipt)
            checkpoint("delivery.after_save")
            span.about(outcome=meant or "lease_lost", status=receipt.status)
        _tell(claimed, receipt, meant)
        self._count(claimed, meant or "lease_lost", receipt.took_ms)

    def _count(self, claimed: Claimed, outcome: str, took_ms: int) -> None:
        since_made = (claimed.claimed_at - claimed.created_at + took_ms) / 1000
        self._watch.meters.delivered(claimed.kind, claimed.tenant_id, outcome, took_ms / 1000, since_made)

    async def _send(self, outgoing: Outgoing) -> Receipt:
        checkpoint("delivery.before_send")
        try:
            return await self._sender.send(outgoing)
        except Exception as error:
            # A defect that one receiver brings out must look like a failed attempt, or its circuit would never open.
            log.exception("delivery.defect")
            return Receipt(None, 0, error="no whole answer came in time", cause=repr(error))


def _about(claimed: Claimed) -> dict[str, str | int | None]:
    return {
        "delivery_id": claimed.delivery_id,
        "kind": claimed.kind,
        "case_id": claimed.case_id,
        "tenant_id": claimed.tenant_id,
        "endpoint_id": claimed.endpoint_id,
        "attempt": claimed.attempts,
    }


def _tell(claimed: Claimed, receipt: Receipt, meant: Meaning | None) -> None:
    match meant:
        case None:
            log.warning("delivery.lease_lost", **_about(claimed))
        case Meaning.DELIVERED:
            log.info("delivery.delivered", **_about(claimed), status=receipt.status, took_ms=receipt.took_ms)
        case _:
            log.log(
                logging.WARNING if meant is Meaning.RETRY else logging.ERROR,
                "delivery.not_delivered" if meant is Meaning.RETRY else "delivery.failed",
                **_about(claimed),
                status=receipt.status,
                took_ms=receipt.took_ms,
                reason=receipt.error,
                cause=receipt.cause,
            )
