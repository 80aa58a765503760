"""`await_human`: ask people in the middle of a program that may be killed at any moment, and get their one answer."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar, Unpack, cast, overload

from pydantic import BaseModel

from assent.agent import Agent, AsyncAgent
from assent.blocking import wait_for
from assent.gates import Asking, Choice, Reply, Schema, reply_of
from assent.runs import AsyncRun, Run
from assent.watching import Watch

M = TypeVar("M", bound=BaseModel)


class Waiting(Asking, total=False):
    """What a gate asks, and how its answer is waited for.

    `key`: the run's name, where an agent stands for the run. `watch`: `stream` (the default), `poll` or `callback`.
    `within`: seconds after which StillWaiting is raised; the gate goes on waiting, and the same call finds it again.
    """

    key: str
    watch: Watch
    within: float | None


@overload
def await_human(
    ctx: AsyncRun | AsyncAgent, *, schema: type[M], **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[M]]: ...


@overload
def await_human(
    ctx: AsyncRun | AsyncAgent, *, schema: Mapping[str, Any], **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[dict[str, Any]]]: ...


@overload
def await_human(
    ctx: AsyncRun | AsyncAgent, *, schema: None = None, **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[Choice]]: ...


@overload
def await_human(ctx: Run | Agent, *, schema: type[M], **waiting: Unpack[Waiting]) -> Reply[M]: ...


@overload
def await_human(
    ctx: Run | Agent, *, schema: Mapping[str, Any], **waiting: Unpack[Waiting]
) -> Reply[dict[str, Any]]: ...


@overload
def await_human(ctx: Run | Agent, *, schema: None = None, **waiting: Unpack[Waiting]) -> Reply[Choice]: ...


def await_human(
    ctx: AsyncRun | AsyncAgent | Run | Agent, *, schema: Schema = None, **waiting: Unpack[Waiting]
) -> Coroutine[Any, Any, Reply[Any]] | Reply[Any]:
    """Open a gate on a run and wait for its answer; the same call again, also after a crash, finds the same gate and
    gives the same reply. To be awaited with an AsyncRun or AsyncAgent.

    `gate_key` names the question within the run (a-z, 0-9, `.`, `_`, `-`). `schema`: a pydantic model or a JSON Schema
    of one flat object, which people get as a form; without one they are asked for yes or no (`Choice`). `timeout` is
    when the answer is due, decided once, by Assent's clock: then the reply's state is TIMED_OUT, and the `escalation`
    starts.

    Raises Withdrawn when the question was withdrawn, StillWaiting, BadReply, Conflict when another question was asked
    behind this gate before, InvalidRequest.
    """
    if isinstance(ctx, Run | Agent):
        return wait_for(_awaited(ctx.asynchronous, schema, waiting))
    return _awaited(ctx, schema, waiting)


async def _awaited(ctx: AsyncRun | AsyncAgent, schema: Schema, waiting: Waiting) -> Reply[Any]:
    key = waiting.get("key")
    if isinstance(ctx, AsyncAgent):
        if key is None:
            raise TypeError("an agent needs the key of the run: await_human(agent, key=…), or await_human(run, …)")
        ctx = await ctx.run(key)
    elif key is not None:
        raise TypeError("the run has its key already")
    asking = {name: value for name, value in waiting.items() if name not in ("key", "watch", "within")}
    gate = await ctx.open(schema=schema, **cast(Asking, asking))
    gate = await ctx.wait(gate, watch=waiting.get("watch", "stream"), within=waiting.get("within"))
    return reply_of(gate, schema)
