"""Asking people: open a case, wait for the answer, withdraw it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

from assent.blocking import Blocking, Passed, call_theirs, wait_for
from assent.guarding import Guarding, guarded
from assent.http import FOREVER, Http, Options
from assent.memory import Memory
from assent.pacing import retry_after
from assent.questions import Question
from assent.reading import told
from assent.runs import AsyncRun, Run, Starting, started
from assent.signatures import check_callback
from assent.sse import Frame
from assent.watching import Callbacks, Watch, at_most, data_of, follow
from assent.wire import Answer, Callback, Case, Notice, Opened, Task

CASES = "/api/hitl/cases"
POLL_SECONDS = 30.0  # where the server does not say

Told = Callable[[Notice], Any]


class AsyncAgent:
    """Asks people through Assent.

    `url` is Assent's address, `key` an API key of scope agent. `memory`: a file that remembers which case belongs to
    which key for as long as it waits; without it Assent itself remembers, for 24 hours. `tenant`: the UUID of the key's
    tenant, which `guard` needs.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        memory: str | Path | None = None,
        tenant: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._http = Http(url, key, options)
        self._key = key
        self._tenant = tenant
        self._memory = None if memory is None else Memory(memory, url.rstrip("/"))
        self._callbacks = Callbacks()

    async def open(self, question: Question, *, key: str | None = None) -> Case:
        """Open a case. The same `key` with the same question finds the case that is there already: after a crash, a
        retry, a restart. Without a key every call is a case of its own.

        Raises IdempotencyMismatch when the key came with another question before, and InvalidRequest.
        """
        body = question.body()
        if key is not None and self._memory is not None:
            known = await asyncio.to_thread(self._memory.recall, key, body)
            if known is not None:
                return told(Case, known)
        # Also a key that is used for this call alone makes it safe to send twice.
        headers = {"idempotency-key": key if key is not None else f"once-{secrets.token_urlsafe(16)}"}
        response = await self._http.ask("POST", CASES, body=body, headers=headers)
        case = told(Opened, response.content).hitl
        if key is not None and self._memory is not None:
            text = json.dumps(response.json()["hitl"])
            await asyncio.to_thread(self._memory.keep, key, body, text, case.expires_at.timestamp())
        return case

    async def await_human(
        self,
        question: Question | Case,
        *,
        key: str | None = None,
        watch: Watch = "stream",
        timeout: float | None = None,
        on_notice: Told | None = None,
    ) -> Answer:
        """Open a case (or find it by its key, see `open`) and wait until it is answered, expires or is withdrawn.

        `watch`: `stream` learns of it at once; `poll` asks as often as Assent says; `callback` waits for
        `receive_callback`, and asks now and then. None of them gives up while Assent is away. `timeout`: seconds after
        which StillWaiting is raised; the case goes on waiting, and the same call finds it again. `on_notice` is called
        with what happens meanwhile (streams only).
        """
        case = question if isinstance(question, Case) else await self.open(question, key=key)
        return await at_most(timeout, case, self._watched(case.case_id, watch, on_notice))

    async def status(self, case: Case | str) -> Answer:
        """How a case stands now. Raises NotFound."""
        response = await self._http.ask("GET", f"{CASES}/{_id(case)}/status")
        return told(Answer, response.content)

    async def cancel(self, case: Case | str, reason: str | None = None) -> None:
        """Withdraw a case. Again is once. Raises Conflict when it was answered before."""
        body = json.dumps({} if reason is None else {"reason": reason}).encode()
        await self._http.ask("POST", f"{CASES}/{_id(case)}/cancel", body=body)

    async def run(self, key: str, **starting: Unpack[Starting]) -> AsyncRun:
        """The run of this program that has the name `key`: a new one, or the one that is there already. `await_human`
        opens its gates. Raises Conflict when the key came with something else before.
        """
        return await started(self._http, self._callbacks, self.status, key, starting)

    async def guard(self, operation: str, payload: Mapping[str, Any], **guarding: Unpack[Guarding]) -> Task:
        """Ask for an operation (`repo.commit`) with these arguments, and return once it is dispatched.

        What needs a person is waited for; with `wait=False` HitlRequired is raised instead, whose `approval_link` is
        for them. Raises NotDispatched for what people or policy have said no to, or nobody in time. `key` names this
        one time: the same key with the same operation, within 24 hours, finds the task that is there. `within`: seconds
        after which StillWaiting is raised. The agent must know its `tenant`.
        """
        return await guarded(self._http, self._tenant, operation, payload, guarding)

    def receive_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """What Assent has posted to the `callback_url`; wakes whoever waits for this case with `watch="callback"`.
        Raises BadSignature: answer 401 then, and do nothing. Callable from any thread.
        """
        check_callback(headers, body, [self._key])
        callback = told(Callback, body)
        self._callbacks.wake(callback.case_id)
        return callback

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def __aenter__(self) -> AsyncAgent:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- the ways to wait

    async def _watched(self, case_id: str, watch: Watch, on_notice: Told | None) -> Answer:
        match watch:
            case "stream":
                path = f"{CASES}/{case_id}/events"
                return await follow(self._http, path, lambda frame: self._heard(case_id, frame, on_notice))
            case "poll":
                return await self._polled(case_id)
            case "callback":
                return await self._callbacks.until(self._http, case_id, lambda: self._looked(case_id))

    async def _polled(self, case_id: str) -> Answer:
        etag: str | None = None
        while True:
            headers = {} if etag is None else {"if-none-match": etag}
            path = f"{CASES}/{case_id}/status"
            response = await self._http.ask("GET", path, headers=headers, patience=FOREVER)
            if response.status_code != 304:
                answer = told(Answer, response.content)
                if answer.closed:
                    return answer
                etag = response.headers.get("etag")
            pause = retry_after(response.headers.get("retry-after"), self._http.clock.now())
            await self._http.clock.sleep(POLL_SECONDS if pause is None else max(pause, 1.0))

    async def _looked(self, case_id: str) -> Answer | None:
        """The final answer, when there is one."""
        response = await self._http.ask("GET", f"{CASES}/{case_id}/status", patience=FOREVER)
        answer = told(Answer, response.content)
        return answer if answer.closed else None

    async def _heard(self, case_id: str, frame: Frame, on_notice: Told | None) -> Answer | None:
        """The final answer, when this event brings or announces it."""
        if on_notice is not None:
            notice = Notice(event=frame.event, data=data_of(frame), id=frame.id)
            await call_theirs(on_notice, notice)
        match frame.event:
            case "review.status" | "review.completed":
                answer = told(Answer, frame.data)
                return answer if answer.closed else None
            case "review.expired" | "review.cancelled":  # these do not say it all
                return await self._looked(case_id)
            case _:
                return None


class Agent:
    """Asks people through Assent, for programs without an event loop. The parameters are those of AsyncAgent."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        memory: str | Path | None = None,
        tenant: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.asynchronous = AsyncAgent(url, key, memory=memory, tenant=tenant, **options)

    def run(self, key: str, **starting: Unpack[Starting]) -> Run:
        """As AsyncAgent.run; the run is a blocking one."""
        return Run(wait_for(self.asynchronous.run(key, **starting)))

    open = Blocking(AsyncAgent.open)
    await_human = Blocking(AsyncAgent.await_human)
    status = Blocking(AsyncAgent.status)
    cancel = Blocking(AsyncAgent.cancel)
    guard = Blocking(AsyncAgent.guard)
    receive_callback = Passed(AsyncAgent.receive_callback)
    close = Blocking(AsyncAgent.close)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _id(case: Case | str) -> str:
    return case.case_id if isinstance(case, Case) else case
