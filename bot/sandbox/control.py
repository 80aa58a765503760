"""The HTTP control interface, for scripts in another process and for the face: read, tap, inject faults.

`action` matches a button by its action_id, value or callback_data, or visible text; `user` a person by id or
name. A request that makes no sense is 400 with `{"error": …}` in plain words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox import slack
from bot.sandbox.faults import Fault, FaultKind
from bot.sandbox.frames import may_be_framed
from bot.sandbox.platforms import Platforms
from bot.sandbox.wire import Json, Unreadable, read_params

Command = Callable[[Json], Awaitable[Any]]


class Control:
    def __init__(self, sandbox: Platforms) -> None:
        self._sandbox = sandbox
        self._slack = sandbox.slack
        self._telegram = sandbox.telegram

    def reads(self) -> dict[str, Command]:
        return {
            "/control/slack/messages": self.slack_messages,
            "/control/telegram/messages": self.telegram_messages,
            "/control/log": self.log,
            "/control/notices": self.notices,
        }

    def writes(self) -> dict[str, Command]:
        return {
            "/control/slack/tap": self.slack_tap,
            "/control/slack/submit": self.slack_submit,
            "/control/slack/close": self.slack_close,
            "/control/slack/command": self.slack_command,
            "/control/slack/say": self.slack_say,
            "/control/slack/home": self.slack_home,
            "/control/telegram/tap": self.telegram_tap,
            "/control/telegram/say": self.telegram_say,
            "/control/telegram/menu": self.telegram_menu,
            "/control/telegram/follow": self.telegram_follow,
            "/control/faults": self.faults,
            "/control/reset": self.reset,
        }

    async def slack_messages(self, wanted: Json) -> list[Json]:
        world = self._slack.world
        messages = self._slack.messages(_word(wanted, "channel"), _word(wanted, "user", ""))
        return [
            message.wire(world.team.id, with_metadata=True) | {"ephemeral_for": message.ephemeral_for}
            for message in messages
        ]

    async def telegram_messages(self, wanted: Json) -> list[Json]:
        messages = self._telegram.messages(_word(wanted, "chat"))
        return [self._telegram.world.wire(message) for message in messages]

    async def log(self, wanted: Json) -> list[Json]:
        return [call.wire() for call in self._sandbox.calls(_word(wanted, "method", ""))]

    async def notices(self, wanted: Json) -> list[Json]:
        return [notice.wire() for notice in self._sandbox.notices(_word(wanted, "user", ""))]

    async def slack_tap(self, wanted: Json) -> Json:
        action, user = _word(wanted, "action"), _word(wanted, "user", "Reviewer One")
        if "ts" not in wanted:
            return _acknowledged(await self._slack.tap_view(action, user, _typed(wanted)))
        return _acknowledged(await self._slack.tap(_word(wanted, "channel"), _word(wanted, "ts"), action, user))

    async def slack_submit(self, wanted: Json) -> Json:
        return _acknowledged(await self._slack.submit(_word(wanted, "user"), _typed(wanted)))

    async def slack_close(self, wanted: Json) -> Json:
        await self._slack.close_modal(_word(wanted, "user"))
        return {"ok": True}

    async def slack_command(self, wanted: Json) -> Json:
        command, _, text = _word(wanted, "command").partition(" ")
        channel, user = _word(wanted, "channel"), _word(wanted, "user", "Reviewer One")
        return _acknowledged(await self._slack.command(channel, command, _word(wanted, "text", "") or text, user))

    async def slack_say(self, wanted: Json) -> Json:
        user, thread = _word(wanted, "user", "Reviewer One"), _word(wanted, "thread", "")
        message = self._slack.write(_word(wanted, "channel"), _word(wanted, "text"), user, thread)
        return {"ok": True, "ts": message.ts}

    async def slack_home(self, wanted: Json) -> Json:
        return _acknowledged(await self._slack.open_home(_word(wanted, "user", "Reviewer One")))

    async def telegram_tap(self, wanted: Json) -> Json:
        """With `wait` (seconds) it answers when the bot has, with what the person was shown."""
        message, user = int(_word(wanted, "message")), _word(wanted, "user", "Reviewer One")
        tap = await self._telegram.tap(_word(wanted, "chat"), message, _word(wanted, "action"), user)
        done: Json = {"update_id": tap.update.get("update_id"), "answer": None} | await self._opened(tap.url)
        wait = float(_word(wanted, "wait", "0"))
        if wait and tap.update:
            try:
                answer = await tap.answer(wait)
            except TimeoutError:
                return done | {"ok": False, "error": f"the bot did not answer within {wait:g} seconds"}
            done["answer"] = {"text": answer.text, "show_alert": answer.show_alert}
            done |= await self._opened(answer.url)
        return done

    async def telegram_say(self, wanted: Json) -> Json:
        message = self._telegram.say(
            _word(wanted, "chat"),
            _word(wanted, "text"),
            _word(wanted, "user", "Reviewer One"),
            reply_to=int(_word(wanted, "reply_to", "0")),
            thread_id=int(_word(wanted, "thread", "0")),
        )
        return {"ok": True, "message_id": message.message_id}

    async def telegram_menu(self, wanted: Json) -> Json:
        """The Mini App that the menu button opens for this person."""
        return await self._opened(self._telegram.open_menu(_word(wanted, "user", "Reviewer One")))

    async def telegram_follow(self, wanted: Json) -> Json:
        """A link in a message: `t.me` links to the bot start it or open its Mini App, others are given back."""
        user, chat = _word(wanted, "user", "Reviewer One"), _word(wanted, "chat", "")
        return await self._opened(self._telegram.follow(_word(wanted, "url"), user, chat))

    async def _opened(self, url: str) -> Json:
        return {"ok": True, "url": url, "framed": await may_be_framed(url, self._sandbox.address.url)}

    async def faults(self, wanted: Json) -> Json:
        """`{method, kind, times, chat, retry_after, status, error, seconds}`; see faults.FaultKind."""
        kind = FaultKind(_word(wanted, "kind"))
        fault = Fault(
            kind,
            retry_after=int(_word(wanted, "retry_after", "1")),
            status=int(_word(wanted, "status", "400" if kind is FaultKind.ERROR else "500")),
            error=_word(wanted, "error", ""),
            seconds=float(_word(wanted, "seconds", "0")),
        )
        times, chat = int(_word(wanted, "times", "1")), _word(wanted, "chat", "")
        self._sandbox.faults.next(_word(wanted, "method"), fault, times=times, chat=chat)
        return {"ok": True, "waiting": self._sandbox.faults.waiting()}

    async def reset(self, _wanted: Json) -> Json:
        self._sandbox.reset()
        return {"ok": True}


def control_routes(sandbox: Platforms) -> list[BaseRoute]:
    control = Control(sandbox)
    reads = [Route(path, _endpoint(command), methods=["GET"]) for path, command in control.reads().items()]
    writes = [Route(path, _endpoint(command), methods=["POST"]) for path, command in control.writes().items()]
    return [*reads, *writes]


def _endpoint(command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await command(await read_params(request)))
        except (LookupError, ValueError, Unreadable) as problem:
            return JSONResponse({"error": str(problem.args[0] if problem.args else problem)}, 400)

    return endpoint


def _word(wanted: Json, name: str, default: str | None = None) -> str:
    value = wanted.get(name, default)
    if value is None:
        raise ValueError(f"{name} is missing")
    return str(value)


def _typed(wanted: Json) -> dict[str, slack.Typed]:
    """A form's inputs: what is typed, or a list of what is chosen."""
    values = wanted.get("values", {})
    if not isinstance(values, dict):
        raise ValueError("values must be an object of input names and what is typed")
    return {
        str(name): [str(one) for one in value] if isinstance(value, list) else str(value)
        for name, value in values.items()
    }


def _acknowledged(tap: slack.Tap) -> Json:
    last = tap.last
    return {
        "ok": last.acknowledged,
        "status": last.status,
        "body": last.body,
        "seconds": last.seconds,
        "problem": last.problem,
    }
