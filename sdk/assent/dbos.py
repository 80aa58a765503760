"""`await_human` inside a DBOS workflow of somebody's own application (extra `assent[dbos]`).

The workflow waits in DBOS, the question at Assent. A receiver in the same process brings the answer over: it asks
Assent for as long as the workflow waits, and sends the answer into the workflow under a key of its own, so that it
arrives once, however often it is sent. Both begin anew with the workflow when DBOS takes it up after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Unpack, cast, overload

from dbos import DBOS, DBOSConfig, StepOptions
from pydantic import BaseModel

from assent.agent import Agent, AsyncAgent
from assent.blocking import in_the_loop, wait_for
from assent.errors import RateLimited, ServerFailed, Unreachable, Withdrawn
from assent.gate_keys import human_topic, prompt_key, result_key
from assent.gates import Asking, Choice, Reply, Schema, reply_of
from assent.wire import Answer, Gate, RunState

log = logging.getLogger("assent.dbos")
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

OLDEST_SQLITE = (3, 42)
LOOK_AGAIN_SECONDS = 86_400.0  # a deadline is Assent's to call; this is for a message that got lost
AT_ONCE = 50  # requests that the receiver holds open; with more gates they take turns
POLL_SECONDS = 30
_PASSING = (Unreachable, ServerFailed, RateLimited)


class Waiting(Asking, total=False):
    """What a gate asks, and how its answer is waited for.

    `key`: the run's name at Assent, `dbos:` and the workflow's id unless said; say it where ids of yours are not unique
    among all that use this tenant. `watch`: `poll` (the default) holds a request open; `callback` waits for
    `Agent.receive_callback`, and asks every five minutes.
    """

    key: str
    watch: Literal["poll", "callback"]


def config(
    name: str, system_database_url: str, *, application_version: str, executor_id: str, waiters: int = 200
) -> DBOSConfig:
    """A configuration for DBOS under which workflows can wait for people.

    A workflow that waits is taken up by a process of the same `application_version` and `executor_id` alone: change the
    first when its steps have changed, and give each process one of the second that a restart keeps. Nothing is sent out
    of the machine. `waiters`: threads at the most; a plain function that waits holds one, an async one none.

    Raises ValueError for a SQLite that is too old for DBOS.
    """
    if system_database_url.startswith("sqlite") and sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ValueError(f"DBOS keeps its tables in SQLite 3.42 or later, not {sqlite3.sqlite_version}; use PostgreSQL")
    return {
        "name": name,
        "system_database_url": system_database_url,
        "application_version": application_version,
        "executor_id": executor_id,
        "max_executor_threads": waiters,
        "enable_otlp": False,
    }


@overload
def await_human(agent: AsyncAgent, *, schema: type[M], **waiting: Unpack[Waiting]) -> Coroutine[Any, Any, Reply[M]]: ...


@overload
def await_human(
    agent: AsyncAgent, *, schema: Mapping[str, Any], **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[dict[str, Any]]]: ...


@overload
def await_human(
    agent: AsyncAgent, *, schema: None = None, **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[Choice]]: ...


@overload
def await_human(agent: Agent, *, schema: type[M], **waiting: Unpack[Waiting]) -> Reply[M]: ...


@overload
def await_human(agent: Agent, *, schema: Mapping[str, Any], **waiting: Unpack[Waiting]) -> Reply[dict[str, Any]]: ...


@overload
def await_human(agent: Agent, *, schema: None = None, **waiting: Unpack[Waiting]) -> Reply[Choice]: ...


def await_human(
    agent: AsyncAgent | Agent, *, schema: Schema = None, **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[Any]] | Reply[Any]:
    """Ask people from within a `@DBOS.workflow`, and wait for their answer: `await` it with an AsyncAgent in an async
    workflow, call it with an Agent in a plain one. As `assent.await_human` otherwise: `gate_key` names the question
    within the workflow, `timeout` is called by Assent's clock, once.

    Raises Withdrawn, BadReply, Conflict, InvalidRequest.
    """
    if isinstance(agent, Agent):
        reply: Reply[Any] = _plain(_asked(agent.asynchronous, schema, waiting))
        return reply
    return _async(_asked(agent, schema, waiting))


@overload
def finish(
    agent: AsyncAgent, status: Literal["completed", "failed", "cancelled"] = "completed", outcome: str | None = None,
    *, key: str | None = None,
) -> Coroutine[Any, Any, None]: ...  # fmt: skip


@overload
def finish(
    agent: Agent, status: Literal["completed", "failed", "cancelled"] = "completed", outcome: str | None = None,
    *, key: str | None = None,
) -> None: ...  # fmt: skip


def finish(
    agent: AsyncAgent | Agent,
    status: Literal["completed", "failed", "cancelled"] = "completed",
    outcome: str | None = None,
    *,
    key: str | None = None,
) -> Coroutine[Any, Any, None] | None:
    """End the workflow's run at Assent; `key` as for its gates."""
    asynchronous = agent.asynchronous if isinstance(agent, Agent) else agent
    name = _name(key)

    async def end() -> None:
        await _patiently(lambda: _finished(asynchronous, name, status, outcome))

    flow = _one(_Do("run_step", (StepOptions(name="assent.finish"), end)))
    return _plain(flow) if isinstance(agent, Agent) else _async(flow)


# --- what happens, step by step, whichever face of DBOS carries it out ---


@dataclass(frozen=True, slots=True)
class _Do:
    """A call of DBOS: `verb` in a plain workflow, `verb`_async in an async one."""

    verb: Literal["run_step", "set_event", "recv"]
    args: tuple[Any, ...]


def _name(key: str | None) -> str:
    """The name of the workflow's run at Assent."""
    if DBOS.workflow_id is None:
        raise RuntimeError("this is for DBOS workflows; anywhere else, use assent.await_human")
    return key or f"dbos:{DBOS.workflow_id}"


def _asked(agent: AsyncAgent, schema: Schema, waiting: Waiting) -> Generator[_Do, Any, Reply[Any]]:
    name, workflow_id = _name(waiting.get("key")), str(DBOS.workflow_id)
    watch = waiting.get("watch", "poll")
    asking = cast(Asking, {one: value for one, value in waiting.items() if one not in ("key", "watch")})
    gate_key = asking["gate_key"]
    topic = human_topic(gate_key)

    async def opened() -> dict[str, Any]:
        return _told(await _patiently(lambda: _opened(agent, name, schema, asking)))

    # Steps are run at least once: the same question behind the same gate is the same gate.
    gate = Gate.model_validate((yield _Do("run_step", (StepOptions(name=f"assent.open {gate_key}"), opened))))
    yield _Do("set_event", (prompt_key(gate_key), _told(gate)))
    message = None
    while message is None:
        with _received(agent, name, gate, workflow_id, topic, watch):
            message = yield _Do("recv", (topic, LOOK_AGAIN_SECONDS))
    gate = Gate.model_validate(message["gate"])
    yield _Do("set_event", (result_key(gate_key), message["gate"]["result"]))
    if gate.withdrawn:
        raise Withdrawn(Answer.model_validate(message["answer"]))
    return reply_of(gate, schema)


def _one(do: _Do) -> Generator[_Do, Any, None]:
    yield do


async def _async(flow: Generator[_Do, Any, Any]) -> Any:
    do = next(flow)
    try:
        while True:
            try:
                found = await getattr(DBOS, f"{do.verb}_async")(*do.args)
            except BaseException as error:  # noqa: BLE001 - the flow's to handle
                do = flow.throw(error)
            else:
                do = flow.send(found)
    except StopIteration as end:
        return end.value


def _plain(flow: Generator[_Do, Any, Any]) -> Any:
    do = next(flow)
    try:
        while True:
            args = do.args
            if do.verb == "run_step":
                options, work = do.args
                args = (options, lambda work=work: wait_for(work()))
            try:
                found = getattr(DBOS, do.verb)(*args)
            except BaseException as error:  # noqa: BLE001 - the flow's to handle
                do = flow.throw(error)
            else:
                do = flow.send(found)
    except StopIteration as end:
        return end.value


# --- at Assent ---


async def _opened(agent: AsyncAgent, name: str, schema: Schema, asking: Asking) -> Gate:
    return await (await agent.run(name)).open(schema=schema, **asking)


async def _finished(agent: AsyncAgent, name: str, status: Any, outcome: str | None) -> RunState:
    return await (await agent.run(name)).finish(status, outcome)


async def _patiently(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What Assent answers, once it is there: a durable workflow does not fail because a server is away."""
    failures = 0
    while True:
        try:
            return await ask()
        except _PASSING as error:
            failures += 1
            log.warning("Assent is asked again: %s", error.message)
            await asyncio.sleep(_pause(failures))


def _pause(failures: int) -> float:
    return min(30.0, 0.5 * (1 << min(failures, 6)))


def _told(gate: Gate) -> dict[str, Any]:
    """The gate as DBOS keeps it: without the link, which lets its holder answer."""
    return gate.model_dump(mode="json", by_alias=True, exclude={"review_url"})


# --- the receiver ---


class _Turns:
    """Who holds a request open. One for the process; it belongs to the loop's thread."""

    def __init__(self) -> None:
        self.waiting = 0
        self._places: asyncio.Semaphore | None = None

    @property
    def places(self) -> asyncio.Semaphore:
        self._places = self._places or asyncio.Semaphore(AT_ONCE)
        return self._places

    @property
    def seconds(self) -> int:
        """How long one may hold a place, so that everybody's turn comes within half a minute or so."""
        return max(1, min(POLL_SECONDS, POLL_SECONDS * AT_ONCE // max(1, self.waiting)))


_turns = _Turns()


@contextmanager
def _received(
    agent: AsyncAgent, name: str, gate: Gate, workflow_id: str, topic: str, watch: Literal["poll", "callback"]
) -> Iterator[None]:
    """While the workflow waits, somebody looks for its answer, outside of it: in a context of its own, where DBOS does
    not take what it does for a step.
    """
    receiving = Context().run(in_the_loop, _receive(agent, name, gate, workflow_id, topic, watch))
    try:
        yield
    finally:
        receiving.cancel()


async def _receive(
    agent: AsyncAgent, name: str, gate: Gate, workflow_id: str, topic: str, watch: Literal["poll", "callback"]
) -> None:
    failures = 0
    while True:
        try:
            ended, answer = await _ended(agent, name, gate, watch)
            key = f"{topic}:{'withdrawn' if ended.result is None else ended.result.interaction_id}"
            message = {"gate": _told(ended), "answer": answer}
            await asyncio.to_thread(DBOS.send, workflow_id, message, topic, idempotency_key=key)
        except Exception as error:
            # Whatever it is (a database that is away, a key that was revoked), it may pass, and the workflow waits.
            failures += 1
            log.warning("the answer to %s is looked for again", topic, exc_info=error)
            await asyncio.sleep(_pause(failures))
        else:
            return


async def _ended(
    agent: AsyncAgent, name: str, gate: Gate, watch: Literal["poll", "callback"]
) -> tuple[Gate, dict[str, Any] | None]:
    """The gate once it has ended; and how its case stands, when it was withdrawn."""
    run = await agent.run(name)
    try:
        if watch == "callback":
            return await run.wait(gate, watch="callback"), None
        _turns.waiting += 1
        try:
            while True:
                async with _turns.places:
                    ended = await run.look(gate, _turns.seconds)
                if ended is not None:
                    return await run.wait(ended), None
        finally:
            _turns.waiting -= 1
    except Withdrawn as error:
        return (await run.look(gate)) or gate, error.answer.model_dump(mode="json")
