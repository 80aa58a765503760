"""`@require_approval`: people are asked before the function runs, and see what it would be called with."""

from __future__ import annotations

import inspect
import itertools
import json
import math
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, ParamSpec, TypedDict, TypeVar, Unpack, cast

from assent.agent import Agent, AsyncAgent
from assent.blocking import wait_for
from assent.errors import Denied, Expired, NotApproved, Withdrawn
from assent.questions import Approval, Block, Duration, Reviewers
from assent.watching import Watch
from assent.wire import Answer

P = ParamSpec("P")
R = TypeVar("R")

MAX_TEXT = 2_000
MAX_INT = 2**53
MAX_DEPTH = 20
MAX_MEMBERS = 1_000  # more than that is cut as text anyway
HIDDEN = "[hidden]"
ARGUMENTS = "arguments"


class Asking(TypedDict, total=False):
    """How people are asked; each as in `Approval`."""

    notify: list[str]
    reviewers: Reviewers
    source_id: str
    requested_by: str
    timeout: Duration
    message: str
    metadata: dict[str, Any]


def require_approval(
    agent: Agent | AsyncAgent,
    prompt: str | None = None,
    *,
    key: str | Callable[..., str] | None = None,
    hide: Collection[str] = (),
    watch: Watch = "stream",
    **asking: Unpack[Asking],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function run only after somebody has agreed to this very call.

    Works on plain and on async functions, with either kind of agent. The function raises Denied, Expired or Withdrawn
    (all of them NotApproved) instead of running.

    `prompt` is the question, with the arguments' names in braces: `"Delete {table}?"`. People see all arguments but
    those that `hide` names. `key`, a text or a function of the arguments, names this one run: with it a restarted
    program finds the question it has asked. Don't derive it from what is to be done alone, or the second time is
    approved by the answer to the first. Without one, every call is asked anew.
    """
    asynchronous = agent.asynchronous if isinstance(agent, Agent) else agent

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        unknown = set(hide) - set(signature.parameters)
        if unknown:
            raise TypeError(f"hide names what {_name(function)} does not take: {', '.join(sorted(unknown))}")

        async def agreed(*args: Any, **kwargs: Any) -> None:
            bound = signature.bind(*args, **kwargs)  # a wrong call fails before anybody is asked
            bound.apply_defaults()
            shown = {name: HIDDEN if name in hide else _shown(value) for name, value in bound.arguments.items()}
            question = _question(function, prompt, shown, asking)
            named = key(*args, **kwargs) if callable(key) else key
            _check(await asynchronous.await_human(question, key=named, watch=watch))

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def asked(*args: P.args, **kwargs: P.kwargs) -> Any:
                await agreed(*args, **kwargs)
                return await function(*args, **kwargs)

            return cast(Callable[P, R], asked)

        @wraps(function)
        def asked_and_waited(*args: P.args, **kwargs: P.kwargs) -> R:
            wait_for(agreed(*args, **kwargs))
            return function(*args, **kwargs)

        return asked_and_waited

    return decorate


def _question(function: Callable[..., Any], prompt: str | None, shown: dict[str, Any], asking: Asking) -> Approval:
    name = _name(function)
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in shown.items()
    }
    fields: dict[str, Any] = {
        "prompt": _clipped(prompt.format(**texts) if prompt else f"May {name} run?", 500),
        "actions": ["approve", "reject"],
        "default_action": "reject",
        "grace_period": "0s",  # the function runs at once: there is no time for second thoughts
        "blocks": [
            Block(id="function", label="Function", type="plaintext", content=name),
            Block(id=ARGUMENTS, label="Arguments", type="json", content=shown),
        ],
    }
    return Approval(**fields | asking)


def _check(answer: Answer) -> None:
    """Raise NotApproved unless somebody said yes."""
    if answer.status == "completed" and answer.approved:
        return
    kinds: dict[str, type[NotApproved]] = {"completed": Denied, "expired": Expired, "cancelled": Withdrawn}
    kind = kinds.get(answer.status, NotApproved)
    said = answer.feedback
    raise kind(answer, f"{(kind.__doc__ or '').strip()} They said: {said}" if said else None)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _shown(value: Any) -> Any:
    """The value as people see it: JSON where it is that, else its repr, and never without end."""
    plain = _plain(value, MAX_DEPTH)
    text = json.dumps(plain, ensure_ascii=False)
    return plain if len(text) <= MAX_TEXT else _clipped(text, MAX_TEXT)


def _plain(value: Any, depth: int) -> Any:
    """JSON that every reader understands alike: no numbers that a double can't hold, no NUL, no lone surrogates."""
    match value:
        case None | bool():
            return value
        case int() if abs(value) <= MAX_INT:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case str():
            return _clipped(value, MAX_TEXT)
        case list() | tuple() if depth:
            return [_plain(one, depth - 1) for one in value[:MAX_MEMBERS]]
        case dict() if depth and all(isinstance(name, str) for name in value):
            members = itertools.islice(value.items(), MAX_MEMBERS)
            return {_clipped(name, 100): _plain(one, depth - 1) for name, one in members}
        case _:
            return _clipped(repr(value), MAX_TEXT)


def _clipped(text: str, length: int) -> str:
    text = text.encode("utf-8", "replace").decode().replace("\0", "�")
    return text if len(text) <= length else text[: length - 1] + "…"
