"""The response_url: an app answers an interaction through it, 5 times within 30 minutes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.around import Around
from bot.sandbox.faults import Refusals, carry_out
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.world import Message, ResponseUrl, Workspace
from bot.sandbox.wire import Json, Unreadable, read_params

USES = 5


class ResponseUrls:
    def __init__(self, app: SlackApp, around: Around) -> None:
        self.workspaces: list[Workspace] = []
        self._app = app
        self._journal = around.journal
        self._faults = around.faults

    async def endpoint(self, request: Request) -> Response:
        try:
            params = await read_params(request)
        except Unreadable:
            return _refused("invalid_payload", 400)
        call = self._journal.received("slack", "response_url", params)
        token = request.path_params["token"]

        async def work() -> Response:
            try:
                self._use(token, params)
            except SlackError as problem:
                call.outcome = problem.code
                return _refused(problem.code, 404 if problem.code.endswith("_url") else 400)
            call.outcome = "ok"
            return JSONResponse({"ok": True})

        response, struck = await carry_out(request, self._faults.take("response_url"), work, REFUSALS)
        self._journal.answered(call, struck or call.outcome, response.status_code)
        return response

    def _use(self, token: str, params: Json) -> None:
        world = next((world for world in self.workspaces if token in world.response_urls), None)
        if world is None or world.clock.monotonic() > world.response_urls[token].expires_at:
            raise SlackError("expired_url")
        target = world.response_urls[token]
        if target.uses >= USES:
            raise SlackError("used_url")
        answer(world, self._app, target, params)
        target.uses += 1


def answer(world: Workspace, app: SlackApp, target: ResponseUrl, params: Json) -> None:
    """Do what an answer to an interaction says: replace or delete the message, or say something new."""
    args = Args(params)
    original = world.message(target.channel, target.message_ts)
    if args.flag("delete_original"):
        if original is None:
            raise SlackError("message_not_found")
        return world.remove(original)
    blocks = args.blocks() or []
    text = args.text("text")
    if not text and not blocks:
        raise SlackError("no_text")
    if args.flag("replace_original"):
        if original is None:
            raise SlackError("message_not_found")
        original.text, original.blocks = text, blocks
        return world.changes.touch()
    everybody = args.text("response_type") == "in_channel"
    message = Message(
        ts=world.next_ts(),
        channel=target.channel,
        user=world.bot.id,
        text=text,
        blocks=blocks,
        thread_ts=args.text("thread_ts"),
        bot_id=world.bot_id,
        app_id=app.app_id,
        ephemeral_for="" if everybody else target.user,
    )
    world.say(message)


def _refused(code: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": code}, status)


REFUSALS = Refusals(
    rate_limited=lambda seconds: JSONResponse(
        {"ok": False, "error": "ratelimited"}, 429, headers={"Retry-After": str(seconds)}
    ),
    error=_refused,
)
