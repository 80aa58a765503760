"""Acting on decisions: pull (or take webhooks), do each event once, claim before acting, ack after.

The order for one event: look it up (done before? then only ack), claim, write down that the handler begins, run it,
write down that it has finished, ack. A crash between any two of them is safe:

- before the handler begins: the event comes again, and the claim is this executor's own;
- while it runs: nobody knows how far it came. With claims the event is held for a person to look at, so that nothing is
  done twice; without claims, or with `unfinished="again"`, the handler runs again once the lease is over;
- after it has finished: it never runs again, the ack is made up for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets as random_secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from assent.blocking import Blocking, Passed, call_theirs
from assent.errors import (
    AssentError,
    BadSignature,
    Conflict,
    Forbidden,
    GiveUp,
    NotFound,
    TestMessage,
    UnexpectedAnswer,
)
from assent.http import ANSWER_SECONDS, FOREVER, Http, Options
from assent.pulling import Outcome, Pulling
from assent.reading import told
from assent.signatures import check_webhook
from assent.store import Ending, Entry, SQLiteStore, Standing, Store
from assent.wire import Acked, Claim, DecisionEvent, Page

log = logging.getLogger("assent")

ACK_PATIENCE = 5.0
ACKS_AT_ONCE = 500
Handler = Callable[[DecisionEvent], Any]


class Doing(TypedDict, total=False):
    """How an executor works.

    `store`: a Store, or the path of its file (default `assent-executor.db`). `claims` (default True): ask Assent for
    leave before acting, so that of several executors one acts. `claimer_id`: this executor's name there; the default
    belongs to the store, so that an executor that has lost its memory does not act again. `unfinished`: what to do with
    an event whose handler was killed: `hold` it (default with claims) or run it `again` (default without).
    `concurrency`: how many handlers at once (plain functions run in threads when it is more than 1). `attempts`: after
    so many failures of its handler an event is held. `lease`: seconds after which a handler that gives no sign of life
    counts as killed. `secrets`: those that webhooks are signed with; two while one is being rotated.
    """

    store: Store | str | Path
    claims: bool
    claimer_id: str
    unfinished: Literal["hold", "again"]
    concurrency: int
    attempts: int
    lease: float
    secrets: Sequence[str]


class _All(Doing, Options, total=False):
    pass


class AsyncExecutor:
    """Acts on the decisions of one source. `key` is an API key of scope executor. See `Doing` and `Options` for the
    rest.
    """

    def __init__(self, url: str, key: str, source_id: str, **options: Unpack[_All]) -> None:
        self._http = Http(url, key, options)
        self._source_id = source_id
        store = options.get("store", "assent-executor.db")
        self._store: Store = SQLiteStore(store) if isinstance(store, str | Path) else store
        self._claims = options.get("claims", True)
        self._claimer_id = options.get("claimer_id") or f"assent-sdk-{self._store.identity()}"
        self._hold = options.get("unfinished", "hold" if self._claims else "again") == "hold"
        self._concurrency = options.get("concurrency", 1)
        self._attempts = options.get("attempts", 10)
        self._lease = options.get("lease", 60.0)
        self._secrets = tuple(options.get("secrets", ()))
        if self._concurrency < 1 or self._attempts < 1 or self._lease <= 0:
            raise ValueError("concurrency and attempts must be at least 1, lease more than 0")
        self._owner = random_secrets.token_urlsafe(12)
        self._unacked: dict[str, None] = {}
        self._acks = True
        self._running: Pulling | None = None
        self._stopped = False

    # --- pulling

    async def run(self, act: Handler, *, on_deny: Handler | None = None, once: bool = False) -> None:
        """Pull events and act on them until `stop`. `act` gets what was approved, `on_deny` what was denied, expired or
        withdrawn (default: it is acked and that is all). A handler that raises is tried again later, with growing
        pauses; one that raises GiveUp is not. `once`: return when everything that is there has been tried.

        While Assent is away this goes on trying. Raises Unauthorized, Forbidden, NotFound, Conflict (this source does
        not let its events be pulled), StoreFailed. On a stop, and when it is cancelled, handlers finish first.
        """
        if self._running is not None:
            raise RuntimeError("this executor runs already; `concurrency` lets it do several things at once")
        pulling = self._running = Pulling(
            self._pull, lambda event: self._handle(event, act, on_deny), self._http.clock, self._concurrency
        )
        if self._stopped:
            pulling.stop()
        try:
            await pulling.work(once=once)
        finally:
            self._running = None
            self._stopped = False

    def stop(self) -> None:
        """End `run` (or the next one, when none runs) soon: it waits for nothing new, lets handlers finish, acks, and
        returns. From any thread, also out of a signal handler.
        """
        self._stopped = True
        if (pulling := self._running) is not None:
            pulling.stop()

    # --- webhooks

    async def receive(
        self, headers: Mapping[str, str], body: bytes, act: Handler, *, on_deny: Handler | None = None
    ) -> int:
        """Take a webhook: the headers and the raw body as they came. What to answer: 204 when it is done, 503 when it
        shall come again, 409 when it is held, 401 and 400 for what is not Assent's. Raises StoreFailed.
        """
        try:
            event = self.verified(headers, body)
        except BadSignature as error:
            log.warning("a webhook was refused: %s", error.message)
            return 401
        except TestMessage:
            return 204
        except UnexpectedAnswer as error:
            log.error("a webhook was not understood: %s", error.message)
            return 400
        return (await self.handle(event, act, on_deny=on_deny)).status

    def verified(self, headers: Mapping[str, str], body: bytes) -> DecisionEvent:
        """The event that a webhook brings. Raises BadSignature, TestMessage, UnexpectedAnswer."""
        check_webhook(headers, body, self._secrets, now=self._http.clock.now)
        try:
            found = json.loads(body)
        except ValueError:
            raise BadSignature("this message is signed, but holds no JSON") from None
        if isinstance(found, dict) and found.get("type") == "test":
            raise TestMessage
        event = told(DecisionEvent, body)
        if event.source_id != self._source_id:
            raise BadSignature("this event belongs to another source than this executor")
        return event

    async def handle(self, event: DecisionEvent, act: Handler, *, on_deny: Handler | None = None) -> Outcome:
        """Do one event once, however often and from wherever it comes. Raises StoreFailed; what the handler
        raises is logged, and the outcome is FAILED.
        """
        return await asyncio.shield(asyncio.ensure_future(self._handle(event, act, on_deny)))

    # --- for people

    async def held(self) -> list[Entry]:
        """Events that wait for a person, with the reason."""
        return await asyncio.to_thread(self._store.held)

    async def release(self, event_id: str) -> None:
        """Let a held event be tried again: it comes with the next rescan, restart or replay."""
        await asyncio.to_thread(self._store.end, event_id, Standing.NEW, "released")

    async def settle(self, event_id: str) -> None:
        """Say that a held event is done: a person has looked."""
        await asyncio.to_thread(self._store.end, event_id, Standing.DONE, "settled by hand")
        await self._ack(event_id)

    async def claim(self, event: DecisionEvent) -> Claim:
        """Ask for leave to act. Raises Conflict when somebody else has it, Forbidden when nobody agreed to this."""
        body = json.dumps({"final_digest": event.final_digest, "claimer_id": self._claimer_id}).encode()
        path = f"{self._events}/{quote(event.event_id, safe='')}/claim"
        return told(Claim, (await self._http.ask("POST", path, body=body)).content)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def __aenter__(self) -> AsyncExecutor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- one event

    async def _handle(self, event: DecisionEvent, act: Handler, on_deny: Handler | None) -> Outcome:
        found = await asyncio.to_thread(self._store.look, event.event_id)
        if (known := _KNOWN.get(found.standing)) is None and event.approved and self._claims:
            known = await self._claimed(event)
        if known is None:
            found = await asyncio.to_thread(self._store.begin, event.event_id, self._owner, self._lease)
            known = _KNOWN.get(found.standing)
        if known is None:
            known = await self._begun(event, found, act if event.approved else on_deny)
        if known is Outcome.DONE:
            await self._ack(event.event_id)
        return known

    async def _claimed(self, event: DecisionEvent) -> Outcome | None:
        """None with leave to act."""
        try:
            await self.claim(event)
        except Conflict:
            await self._end(event, Standing.LOST, "somebody else has claimed it", owner=None)
            return Outcome.LOST
        except (Forbidden, NotFound) as error:
            await self._end(event, Standing.HELD, f"Assent gives no leave to act: {error.message}", owner=None)
            log.error("event %s is held: %s", event.event_id, error.message)
            return Outcome.HELD
        except AssentError as error:
            log.warning("event %s could not be claimed, and is tried again: %s", event.event_id, error.message)
            return Outcome.FAILED
        return None

    async def _begun(self, event: DecisionEvent, found: Entry, handler: Handler | None) -> Outcome:
        if found.standing is Standing.UNFINISHED and self._hold and event.approved:
            note = "its handler was killed while it was at work; look how far it came, then release or settle it"
            return await self._held(event, note)
        try:
            async with self._leased(event.event_id):
                if handler is not None:
                    await call_theirs(handler, event, own_thread=self._concurrency > 1)
        except GiveUp as error:
            return await self._held(event, f"its handler has given it up: {error.message}")
        except Exception as error:
            log.exception("the handler of event %s failed", event.event_id)
            if found.attempts + 1 >= self._attempts:
                return await self._held(event, f"its handler failed {found.attempts + 1} times, at last: {error!r}")
            await self._end(event, Standing.NEW, repr(error), owner=self._owner)
            return Outcome.FAILED
        await self._end(event, Standing.DONE, "", owner=self._owner)
        return Outcome.DONE

    async def _held(self, event: DecisionEvent, note: str) -> Outcome:
        await self._end(event, Standing.HELD, note, owner=self._owner)
        log.error("event %s is held: %s", event.event_id, note)
        return Outcome.HELD

    async def _end(self, event: DecisionEvent, ending: Ending, note: str, *, owner: str | None) -> None:
        await asyncio.to_thread(self._store.end, event.event_id, ending, note[:1000], owner)

    @asynccontextmanager
    async def _leased(self, event_id: str) -> AsyncIterator[None]:
        """A sign of life three times in each lease."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease / 3)
                try:
                    await asyncio.to_thread(self._store.renew, event_id, self._owner, self._lease)
                except Exception as error:  # noqa: BLE001 - a store of the user's own; the handler must go on
                    log.warning("the lease of event %s could not be prolonged: %s", event_id, error)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()

    # --- talking to Assent

    @property
    def _events(self) -> str:
        return f"/sources/{quote(self._source_id, safe='')}/decision-events"

    async def _pull(self, after: str, limit: int, wait: float) -> Page:
        params = {"limit": str(limit), "wait": f"{wait:.3f}"} | ({"after": after} if after else {})
        response = await self._http.ask(
            "GET", self._events, params=params, patience=FOREVER, answer_seconds=wait + ANSWER_SECONDS
        )
        return told(Page, response.content)

    async def _ack(self, event_id: str) -> None:
        """Tell Assent, and make up for acks that failed before. An ack that fails is no failure: the event comes again,
        is known to be done, and is acked then.
        """
        if not self._acks:
            return
        self._unacked[event_id] = None
        ids = list(self._unacked)[:ACKS_AT_ONCE]
        body = json.dumps({"event_ids": ids}).encode()
        try:
            answer = told(
                Acked, (await self._http.ask("POST", f"{self._events}/ack", body=body, patience=ACK_PATIENCE)).content
            )
        except Conflict:  # the events of this source are only pushed: its 2xx is the ack
            self._acks = False
            self._unacked.clear()
        except AssentError as error:
            log.warning("%d events could not be acked yet: %s", len(ids), error.message)
        else:
            if answer.unknown:
                log.warning("Assent does not know these events of the source: %s", ", ".join(answer.unknown))
            for one in ids:
                self._unacked.pop(one, None)


class Executor:
    """Acts on the decisions of one source, for programs without an event loop. The parameters are those of
    AsyncExecutor. Handlers run in the thread that calls `run` or `handle` (in threads of their own when `concurrency`
    is more than 1).
    """

    def __init__(self, url: str, key: str, source_id: str, **options: Unpack[_All]) -> None:
        self.asynchronous = AsyncExecutor(url, key, source_id, **options)

    run = Blocking(AsyncExecutor.run)
    stop = Passed(AsyncExecutor.stop)
    receive = Blocking(AsyncExecutor.receive)
    verified = Passed(AsyncExecutor.verified)
    handle = Blocking(AsyncExecutor.handle)
    claim = Blocking(AsyncExecutor.claim)
    held = Blocking(AsyncExecutor.held)
    release = Blocking(AsyncExecutor.release)
    settle = Blocking(AsyncExecutor.settle)
    close = Blocking(AsyncExecutor.close)

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_KNOWN = {
    Standing.DONE: Outcome.DONE,
    Standing.LOST: Outcome.LOST,
    Standing.HELD: Outcome.HELD,
    Standing.BEGUN: Outcome.BUSY,
}
