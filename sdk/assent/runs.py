"""Runs of this program at Assent: each under a name of its own, so that whoever starts anew finds it again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from assent.blocking import Blocking
from assent.errors import Withdrawn
from assent.gates import Asking, Schema, body_of
from assent.http import FOREVER, Http
from assent.reading import told
from assent.sse import Frame
from assent.watching import Callbacks, Watch, at_most, data_of, follow
from assent.wire import Answer, Gate, Intended, RunState, Started

INTENTS, RUNS = "/api/intents", "/api/runs"
POLL_SECONDS = 30  # the longest that Assent holds a request
LEAST_PAUSE = 1.0  # between two requests that brought nothing


class Starting(TypedDict, total=False):
    """What a run is about. `goal`: in words, the key unless said. `partition`: the queue that it belongs to."""

    goal: str
    partition: str
    source_id: str
    requested_by: str
    input: dict[str, Any]


class AsyncRun:
    """A run that this program carries out; `AsyncAgent.run` makes it or finds it."""

    def __init__(
        self,
        http: Http,
        callbacks: Callbacks,
        status: Callable[[str], Awaitable[Answer]],
        key: str,
        names: Started,
    ) -> None:
        self._http = http
        self._callbacks = callbacks
        self._status = status
        self.key = key
        self.workflow_id = names.workflow_id
        self.run_id = names.run_id
        self._path = f"{RUNS}/{quote(names.workflow_id, safe='')}"

    async def open(self, *, schema: Schema = None, **asking: Unpack[Asking]) -> Gate:
        """Open a gate; the same question again is the same gate, with its result when it has one. Raises Conflict for
        another question behind it, and for a run that has ended; InvalidRequest for a schema that no form can keep to.
        """
        body = body_of(schema, asking)
        return told(Gate, (await self._http.ask("POST", self._gate(asking["gate_key"]), body=body)).content)

    async def wait(self, gate: Gate, *, watch: Watch = "stream", within: float | None = None) -> Gate:
        """The gate once it has ended. Raises Withdrawn, and StillWaiting after `within` seconds."""
        if not gate.closed:
            gate = await at_most(within, gate, self._watched(gate, watch))
        if gate.withdrawn:
            raise Withdrawn(await self._status(gate.case_id))
        return gate

    async def state(self) -> RunState:
        """Where the run stands."""
        return told(RunState, (await self._http.ask("GET", self._path)).content)

    async def finish(
        self, status: Literal["completed", "failed", "cancelled"] = "completed", outcome: str | None = None
    ) -> RunState:
        """End the run; gates that still wait are withdrawn. The same again is the same. Raises Conflict when it has
        ended otherwise.
        """
        body = json.dumps({"status": status} | ({} if outcome is None else {"outcome": outcome})).encode()
        return told(RunState, (await self._http.ask("POST", f"{self._path}/finish", body=body)).content)

    # --- the ways to wait

    def _gate(self, gate_key: str) -> str:
        return f"{self._path}/gates/{quote(gate_key, safe='')}"

    async def _watched(self, gate: Gate, watch: Watch) -> Gate:
        match watch:
            case "stream":
                return await follow(self._http, f"{self._path}/stream", lambda frame: self._heard(gate, frame))
            case "poll":
                return await self._polled(gate)
            case "callback":
                return await self._callbacks.until(self._http, gate.case_id, lambda: self.look(gate))

    async def _heard(self, gate: Gate, frame: Frame) -> Gate | None:
        """The ended gate, when this event may tell of it. The stream is never the truth."""
        match frame.event:
            case "run.resumed" if data_of(frame).get("gateKey") == gate.gate_key:
                return await self.look(gate)
            case "run.ended":
                return await self.look(gate)
            case _:
                return None

    async def look(self, gate: Gate, seconds: int = 0) -> Gate | None:
        """The gate if it has ended; waits so long for that. Asks for as long as Assent is away."""
        response = await self._http.ask(
            "GET",
            self._gate(gate.gate_key),
            params={"timeoutS": str(seconds)},
            patience=FOREVER,
            answer_seconds=seconds + 15.0,
        )
        found = told(Gate, response.content)
        return found if found.closed else None

    async def _polled(self, gate: Gate) -> Gate:
        clock = self._http.clock
        while True:
            began = clock.monotonic()
            found = await self.look(gate, POLL_SECONDS)
            if found is not None:
                return found
            await clock.sleep(max(0.0, LEAST_PAUSE - (clock.monotonic() - began)))


class Run:
    """A run, for programs without an event loop."""

    def __init__(self, asynchronous: AsyncRun) -> None:
        self.asynchronous = asynchronous
        self.key = asynchronous.key
        self.workflow_id = asynchronous.workflow_id
        self.run_id = asynchronous.run_id

    open = Blocking(AsyncRun.open)
    wait = Blocking(AsyncRun.wait)
    state = Blocking(AsyncRun.state)
    finish = Blocking(AsyncRun.finish)


async def started(
    http: Http,
    callbacks: Callbacks,
    status: Callable[[str], Awaitable[Answer]],
    key: str,
    starting: Starting,
) -> AsyncRun:
    """The run of this key. Both requests may be repeated: one intent per key, one run per intent."""
    intent = {
        "goal": starting.get("goal", key),
        "key": key,
        "workflow": "external",
        "input": starting.get("input"),
        "sourceId": starting.get("source_id"),
        "requestedBy": starting.get("requested_by"),
    }
    body = json.dumps({name: value for name, value in intent.items() if value is not None}, allow_nan=False).encode()
    made = told(Intended, (await http.ask("POST", INTENTS, body=body)).content)
    wanted = {"intentId": made.intent_id, "queuePartitionKey": starting.get("partition", "default")}
    response = await http.ask("POST", RUNS, body=json.dumps(wanted).encode())
    return AsyncRun(http, callbacks, status, key, told(Started, response.content))
