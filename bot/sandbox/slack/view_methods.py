"""`views.*`: modals (opened with a trigger id that lives 3 seconds) and App Home."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from bot.sandbox import rates
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import Args, SlackError, checked_blocks
from bot.sandbox.slack.modals import View
from bot.sandbox.slack.world import Workspace
from bot.sandbox.wire import Json

STACK_LIMIT = 3
VIEW_BYTES = 250_000
COMMON = frozenset({"type", "blocks", "private_metadata", "callback_id", "external_id"})
MODAL = COMMON | {"title", "close", "submit", "clear_on_close", "notify_on_close", "submit_disabled"}


class ViewMethods:
    def __init__(self, world: Workspace, app: SlackApp, limits: rates.Rates) -> None:
        self._world = world
        self._app = app
        self._rates = limits

    def table(self) -> dict[str, Callable[[Args], Json]]:
        return {
            "views.open": self.open,
            "views.push": self.push,
            "views.update": self.update,
            "views.publish": self.publish,
        }

    def open(self, args: Args) -> Json:
        content = self._content(args, "modal")
        self._slow_down("views.open")
        user = self._exchange(args.required("trigger_id"))
        self._only_one(content)
        view = self.new_view(user, content)
        self._world.modals[user] = [view]
        return self._shown(view)

    def push(self, args: Args) -> Json:
        content = self._content(args, "modal")
        self._slow_down("views.push")
        user = self._exchange(args.required("trigger_id"))
        self._only_one(content)
        stack = self._world.modals.get(user, [])
        if not stack:
            raise SlackError("not_found")
        if len(stack) >= STACK_LIMIT:
            raise SlackError("push_limit_reached")
        view = self.new_view(user, content, stack[0].id, stack[-1].id)
        stack.append(view)
        return self._shown(view)

    def update(self, args: Args) -> Json:
        """By `view_id` or by the app's own `external_id`."""
        name = "external_id" if "external_id" in args else "view_id"
        wanted = args.required(name)
        view = self.find(wanted) if name == "view_id" else self._by_external_id(wanted)
        content = self._content(args, str(view.content["type"]) if view else "modal")
        self._slow_down("views.update")
        if view is None:
            raise SlackError("not_found")
        if "hash" in args and args.text("hash") != view.hash:
            raise SlackError("hash_conflict")
        self._only_one(content, view)
        return self._shown(self.redraw(view, content))

    def publish(self, args: Args) -> Json:
        if not self._app.home_tab:
            raise SlackError("not_enabled")
        content = self._content(args, "home")
        user = args.required("user_id")
        if user not in self._world.people:
            raise SlackError("invalid_arguments", "user_id is not a person of this workspace")
        known = self._world.homes.get(user)
        if "hash" in args and known is not None and args.text("hash") != known.hash:
            raise SlackError("hash_conflict")
        self._slow_down("views.publish")
        self._only_one(content, known)
        if known is None:
            known = self._world.homes[user] = self.new_view(user, content)
        return self._shown(self.redraw(known, content))

    def find(self, view_id: str) -> View | None:
        return next((view for view in self._views() if view.id == view_id), None)

    def _views(self) -> list[View]:
        stacks = [*self._world.modals.values(), list(self._world.homes.values())]
        return [view for stack in stacks for view in stack]

    def _by_external_id(self, external_id: str) -> View | None:
        return next((view for view in self._views() if view.content.get("external_id") == external_id), None)

    def _only_one(self, content: Json, replaced: View | None = None) -> None:
        """An external_id belongs to one view of the workspace."""
        external_id = content.get("external_id")
        known = self._by_external_id(external_id) if external_id else None
        if known is not None and known is not replaced:
            raise SlackError("duplicate_external_id")

    def new_view(self, user: str, content: Json, root: str = "", previous: str | None = None) -> View:
        view_id = f"V{secrets.token_hex(5).upper()}"
        return View(view_id, user, content, _new_hash(), root or view_id, previous)

    def redraw(self, view: View, content: Json) -> View:
        """The view shows something else now. What was entered in inputs that it still has stays."""
        view.content, view.hash, view.errors = content, _new_hash(), {}
        kept = {block_id for block_id, _, _ in view.inputs()}
        view.typed = {block_id: typed for block_id, typed in view.typed.items() if block_id in kept}
        return view

    def checked(self, view: Any, kind: str) -> Json:
        """A view's content with ids filled in, or `invalid_arguments` with what is wrong with it."""
        if not isinstance(view, dict) or view.get("type") != kind:
            raise SlackError("invalid_arguments", f"must be a view of type {kind} [json-pointer:/view/type]")
        if len(json.dumps(view)) > VIEW_BYTES:
            raise SlackError("view_too_large")
        allowed = MODAL if kind == "modal" else COMMON
        wrong = [f"invalid additional property: {name} [json-pointer:/view]" for name in sorted(view.keys() - allowed)]
        wrong += _modal_complaints(view) if kind == "modal" else []
        for name, limit in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
            if len(str(view.get(name, ""))) > limit:
                wrong.append(f"must be less than {limit + 1} characters [json-pointer:/view/{name}]")
        blocks: list[Json] = []
        try:
            blocks = checked_blocks(view.get("blocks"), "view")
        except SlackError as problem:
            wrong += [message.replace("json-pointer:", "json-pointer:/view") for message in problem.messages]
            wrong = wrong or ["must provide an array of blocks [json-pointer:/view/blocks]"]
        if wrong:
            raise SlackError("invalid_arguments", *wrong)
        return view | {"blocks": blocks}

    def _content(self, args: Args, kind: str) -> Json:
        return self.checked(args.structure("view", "invalid_arguments"), kind)

    def _exchange(self, trigger_id: str) -> str:
        """Use a trigger up; returns whose it was."""
        trigger = self._world.triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._world.clock.monotonic() > trigger.expires_at:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def _shown(self, view: View) -> Json:
        self._world.changes.touch()
        return {"ok": True, "view": view.wire(self._world.team.id, self._app.app_id, self._world.bot_id)}

    def _slow_down(self, method: str) -> None:
        if seconds := self._rates.wait_for((rates.SLACK_TIER_4, f"{method} {self._world.team.id}")):
            raise SlackError("ratelimited", retry_after=seconds)


def _modal_complaints(view: Json) -> list[str]:
    wrong = []
    for name in ("title", "submit", "close"):
        text = view.get(name)
        if text is None and name != "title":
            continue
        if not isinstance(text, dict) or text.get("type") != "plain_text" or not text.get("text"):
            wrong.append(f"must be a plain_text object [json-pointer:/view/{name}]")
        elif len(text["text"]) > 24:
            wrong.append(f"must be less than 25 characters [json-pointer:/view/{name}/text]")
    blocks = view.get("blocks")
    has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if has_input and "submit" not in view:
        wrong.append("missing required field: submit [json-pointer:/view]")
    return wrong


def _new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"
