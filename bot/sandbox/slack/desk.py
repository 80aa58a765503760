"""`sandbox.slack`: what a person does in the pretended Slack, and what there is to see."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from bot.sandbox.around import Around
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import SlackError
from bot.sandbox.slack.delivery import Courier, Forgery, Tap
from bot.sandbox.slack.modals import View
from bot.sandbox.slack.payloads import NoSuchButton, Payloads, find_element, label
from bot.sandbox.slack.response_url import ResponseUrls, answer
from bot.sandbox.slack.socket_mode import SocketMode
from bot.sandbox.slack.web_api import WebApi
from bot.sandbox.slack.world import Channel, Message, Person, SlackWorld
from bot.sandbox.wire import Json

TIMED_OUT = "The app did not answer within 3 seconds. It may have acted all the same: look before you try again."


class SlackSandbox:
    """The local Slack. Set `app.request_url`, or leave it empty for Socket Mode."""

    def __init__(self, world: SlackWorld, app: SlackApp, around: Around) -> None:
        self.app = app
        self.world = world
        self.sockets = SocketMode(app, world.changes, around.address)
        self.courier = Courier(app, self.sockets, world.clock)
        self._address = around.address
        self._journal = around.journal
        self._web_api = WebApi(world, app, around, self.sockets.open)
        self._response_urls = ResponseUrls(world, app, around)
        self._payloads = Payloads(world, app, around.address)

    @property
    def base_url(self) -> str:
        """For `AsyncWebClient(base_url=…)`."""
        return f"{self._address.url}/slack/api/"

    def routes(self) -> list[BaseRoute]:
        async def api(request: Request) -> Response:
            return await self._web_api.endpoint(request)

        async def actions(request: Request) -> Response:
            return await self._response_urls.endpoint(request)

        return [
            Route("/slack/api/{method}", api, methods=["GET", "POST"]),
            Route("/slack/actions/{token}", actions, methods=["POST"]),
            WebSocketRoute("/slack/socket", self.sockets.endpoint),
        ]

    # What there is to see

    def messages(self, channel: str | Channel, user: str = "") -> list[Message]:
        """A channel's messages, oldest first; with `user`, also those that only that person sees."""
        viewer = self.world.person(user).id if user else ""
        return self.world.visible(self._channel(channel).id, viewer)

    def modal(self, user: str) -> View | None:
        """The modal that is open on top for this person."""
        stack = self.world.modals.get(self.world.person(user).id)
        return stack[-1] if stack else None

    def home(self, user: str) -> View | None:
        return self.world.homes.get(self.world.person(user).id)

    # What a person does

    def prepare(self, channel: str | Channel, ts: str, action: str, user: str = "Reviewer One") -> Tap:
        """The tap, built from the message as it looks now and not sent yet: `deliver` it later as a stale one.

        `action` is a button's action_id, value or visible text. NoSuchButton when none or several fit.
        """
        place, person = self._channel(channel), self.world.person(user)
        message = self.world.message(place.id, ts)
        if message is None or message.ephemeral_for not in ("", person.id):
            raise NoSuchButton(f"there is no message {ts} in {place.id} for {person.real_name}")
        element = find_element(message.buttons(), action)
        return Tap("interactive", person.id, self._payloads.tap_on_message(person, place, message, element))

    async def deliver(self, tap: Tap, *, copies: int = 1, forgery: Forgery | None = None) -> Tap:
        """Send a prepared tap, or the same one again (a redelivery), `copies` times at once."""
        await asyncio.gather(*(self.courier.deliver(tap, forgery) for _ in range(copies)))
        if tap.failed and forgery is None:
            self._say_failure(tap)
        return tap

    async def tap(
        self,
        channel: str | Channel,
        ts: str,
        action: str,
        user: str = "Reviewer One",
        *,
        copies: int = 1,
        forgery: Forgery | None = None,
    ) -> Tap:
        """Tap a button and wait for the app's acknowledgement."""
        return await self.deliver(self.prepare(channel, ts, action, user), copies=copies, forgery=forgery)

    async def tap_view(self, action: str, user: str = "Reviewer One") -> Tap:
        """Tap a button in the person's open modal, or else in the person's App Home."""
        person = self.world.person(user)
        view = self.modal(user) or self.home(user)
        if view is None:
            raise NoSuchButton(f"{person.real_name} has neither a modal nor a home view open")
        carrier = Message(ts="", channel="", user="", text="", blocks=view.content["blocks"])
        element = find_element(carrier.buttons(), action)
        return await self.deliver(Tap("interactive", person.id, self._payloads.tap_on_view(person, view, element)))

    async def submit(self, user: str, values: dict[str, str]) -> Tap:
        """Submit the person's open modal. `values`: an input's action_id, block_id or label to what is typed.

        For menus and radio buttons give an option's value. The app's `response_action` is carried out.
        """
        person, view = self.world.person(user), self.modal(user)
        if view is None:
            raise NoSuchButton(f"{person.real_name} has no modal open")
        payload = self._payloads.submission(person, view, filled_in(view, values))
        tap = await self.deliver(Tap("interactive", person.id, payload))
        if not tap.failed:
            self._after_submission(person, view, tap.last.json() or {})
        return tap

    async def close_modal(self, user: str) -> None:
        """Close the person's modal; the app hears of it when it asked for `notify_on_close`."""
        person, view = self.world.person(user), self.modal(user)
        if view is None:
            return
        self._close_top(person)
        if view.content.get("notify_on_close"):
            await self.deliver(Tap("interactive", person.id, self._payloads.closing(person, view)))

    async def command(self, channel: str | Channel, command: str, text: str = "", user: str = "Reviewer One") -> Tap:
        """Type a slash command, for example `command(channel, "/assent", "history")`."""
        place, person = self._channel(channel), self.world.person(user)
        tap = Tap("slash_commands", person.id, self._payloads.command(person, place, command, text))
        await self.deliver(tap)
        if not tap.failed and tap.body.strip():
            target = self.world.response_urls[tap.payload["response_url"].rsplit("/", 1)[1]]
            answer(self.world, self.app, target, _spoken(tap.body))
        return tap

    async def open_home(self, user: str = "Reviewer One") -> Tap:
        """Open App Home: the app gets `app_home_opened` and publishes the view."""
        person = self.world.person(user)
        return await self.deliver(Tap("events_api", person.id, self._payloads.home_opened(person)))

    def write(self, channel: str | Channel, text: str, user: str = "Requester", thread_ts: str = "") -> Message:
        """A person writes a message. The app hears nothing of it: it does not subscribe to messages."""
        place, person = self._channel(channel), self.world.person(user)
        typed = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return self.world.say(Message(self.world.next_ts(), place.id, person.id, typed, thread_ts=thread_ts))

    def _channel(self, channel: str | Channel) -> Channel:
        found = channel if isinstance(channel, Channel) else self.world.channel(channel)
        if found is None:
            raise LookupError(f"there is no channel {channel!r} in the Slack sandbox")
        return found

    def _say_failure(self, tap: Tap) -> None:
        if tap.last.problem == "operation_timeout":
            self._journal.told("slack", tap.user, "operation_timeout", TIMED_OUT)
        else:
            why = f"it answered {tap.status}" if tap.status else f"it could not be reached ({tap.last.problem})"
            self._journal.told("slack", tap.user, "dispatch_failed", f"The app did not take this: {why}.")

    def _after_submission(self, person: Person, view: View, response: Any) -> None:
        action = response.get("response_action") if isinstance(response, dict) else None
        view.errors = dict(response["errors"]) if action == "errors" else {}
        if action == "clear":
            self.world.modals.pop(person.id, None)
        elif action in ("update", "push"):
            try:
                content = self._web_api.views.checked(response.get("view"), "modal")
            except SlackError as problem:
                words = f"The app answered with a view that Slack refuses: {'; '.join(problem.messages)}"
                self._journal.told("slack", person.id, "dispatch_failed", words)
                return
            if action == "update":
                view.content = content
            else:
                stack = self.world.modals[person.id]
                stack.append(self._web_api.views.new_view(person.id, content, stack[0].id, view.id))
        elif action is None:
            self._close_top(person)
        self.world.changes.touch()

    def _close_top(self, person: Person) -> None:
        stack = self.world.modals.get(person.id, [])
        if stack:
            stack.pop()
        if not stack:
            self.world.modals.pop(person.id, None)
        self.world.changes.touch()


def filled_in(view: View, values: dict[str, str]) -> Json:
    """`view.state.values` as Slack sends it; ValueError names a required input that was left empty."""
    state: Json = {}
    for block_id, element, optional in view.inputs():
        action_id = element["action_id"]
        named = [values[name] for name in (action_id, block_id, _label_of(view, block_id)) if name in values]
        typed = named[0] if named else element.get("initial_value", "")
        if not typed and not optional:
            raise ValueError(f"the input {action_id!r} is required")
        state[block_id] = {action_id: _entered(element, typed)}
    return state


def _entered(element: Json, typed: str) -> Json:
    if "options" not in element:
        return {"type": element["type"], "value": typed or None}
    chosen = [option for option in element["options"] if typed in (option["value"], option["text"]["text"])]
    if element["type"] in ("checkboxes", "multi_static_select"):
        return {"type": element["type"], "selected_options": chosen}
    return {"type": element["type"], "selected_option": chosen[0] if chosen else None}


def _label_of(view: View, block_id: str) -> str:
    blocks = view.content["blocks"]
    return next(label({"text": block["label"]}) for block in blocks if block["block_id"] == block_id)


def _spoken(body: str) -> Json:
    """An answer to a slash command: JSON, or plain text."""
    try:
        said = json.loads(body)
    except ValueError:
        return {"text": body}
    return said if isinstance(said, dict) else {"text": body}
