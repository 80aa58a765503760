"""`sandbox.slack`: what a person does in the pretended Slack, and what there is to see."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from starlette.routing import BaseRoute

from bot.sandbox.around import Around
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import SlackError
from bot.sandbox.slack.cast import PartnerWorld, SlackWorld
from bot.sandbox.slack.delivery import Attempt, Forgery, Tap
from bot.sandbox.slack.inputs import Typed, filled_in
from bot.sandbox.slack.modals import View
from bot.sandbox.slack.payloads import NoSuchButton, Payloads, find_element
from bot.sandbox.slack.platform import SlackPlatform
from bot.sandbox.slack.response_url import answer
from bot.sandbox.slack.world import Channel, Message, Person, Workspace
from bot.sandbox.wire import Json

TIMED_OUT = "The app did not answer within 3 seconds. It may have acted all the same: look before you try again."


class SlackDesk:
    """One workspace of the local Slack."""

    world: Workspace

    def __init__(self, world: Workspace, platform: SlackPlatform) -> None:
        self.world = world
        self.app = platform.app
        self.sockets = platform.sockets
        self.courier = platform.courier
        self._oauth = platform.oauth
        self._address = platform.around.address
        self._journal = platform.around.journal
        self._views = platform.add(world)
        self._payloads = Payloads(world, platform.app, platform.around.address)

    @property
    def base_url(self) -> str:
        """For `AsyncWebClient(base_url=…)`."""
        return f"{self._address.url}/slack/api/"

    @property
    def site_url(self) -> str:
        """What is `https://slack.com` outside: consent pages and OpenID's keys are below it."""
        return self._oauth.site

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

    async def tap_view(self, action: str, user: str = "Reviewer One", values: dict[str, Typed] | None = None) -> Tap:
        """Tap a button in the person's open modal, or else in the person's App Home; `values` as for `submit`."""
        person = self.world.person(user)
        view = self.modal(user) or self.home(user)
        if view is None:
            raise NoSuchButton(f"{person.real_name} has neither a modal nor a home view open")
        carrier = Message(ts="", channel="", user="", text="", blocks=view.content["blocks"])
        element = find_element(carrier.buttons(), action)
        entered = filled_in(view, values or {}, complete=False)
        return await self.deliver(
            Tap("interactive", person.id, self._payloads.tap_on_view(person, view, element, entered))
        )

    async def submit(self, user: str, values: dict[str, Typed]) -> Tap:
        """Submit the person's open modal. `values`: an input's action_id, block_id or label to what is typed.

        For menus and radio buttons give an option's value or words, for people, dates and times what Slack sends
        (`U0REVIEW2`, `2026-11-30`, `09:30`). The app's `response_action` is carried out.
        """
        person, view = self.world.person(user), self.modal(user)
        if view is None:
            raise NoSuchButton(f"{person.real_name} has no modal open")
        payload = self._payloads.submission(person, view, filled_in(view, values))
        tap = await self.deliver(Tap("interactive", person.id, payload))
        if not tap.failed:
            self._after_submission(person, view, tap.last.json() or {})
        return tap

    async def close_modal(self, user: str, *, clear: bool = False) -> Tap | None:
        """Close the person's modal, with `clear` the whole stack of them; the app hears of it when it asked for
        `notify_on_close`.
        """
        person, view = self.world.person(user), self.modal(user)
        if view is None:
            return None
        if clear or view.content.get("clear_on_close"):
            self.world.modals.pop(person.id)
            self.world.changes.touch()
        else:
            self._close_top(person)
        if not view.content.get("notify_on_close"):
            return None
        return await self.deliver(Tap("interactive", person.id, self._payloads.closing(person, view, cleared=clear)))

    async def command(self, channel: str | Channel, command: str, text: str = "", user: str = "Reviewer One") -> Tap:
        """Type a slash command, for example `command(channel, "/assent", "away until monday to @Reviewer Two")`."""
        place, person = self._channel(channel), self.world.person(user)
        grant = self.app.installed(self.world.team.id)
        if command not in self.app.commands or grant is None or not grant.has("commands"):
            raise LookupError(f"{command} is not a valid command in {self.world.team.name}")
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

    def direct_message(self, user: str) -> Channel:
        """The direct message between the bot and this person."""
        return self.world.direct_message(self.world.person(user))

    def consent(self, url: str, user: str, *, agrees: bool = True) -> str:
        """Answer the consent page at `url` (installing the app, or Sign in with Slack); gives where the browser goes
        then: the redirect_uri with `code` and `state`. SlackError when Slack would show no page.
        """
        return self._oauth.answer(url, user, agrees)

    # What happens to the app

    async def verify_events_url(self) -> bool:
        """Do as Slack does when the address for events is entered: it must send the challenge back."""
        challenge = secrets.token_hex(20)
        tap = Tap("events_api", "", self._payloads.url_verification(challenge))
        return _echoed(await self.courier.deliver(tap), challenge)

    async def uninstall(self) -> Tap:
        """Somebody removes the app from the workspace: its tokens are worth nothing, and it hears of it."""
        team = self.world.team.id
        gone = [token for token in (self.app.bot_token, *self.app.grants) if self._opens(token, team)]
        self.app.revoked.update(gone)
        for refresh in [one for one, grant in self.app.refresh_tokens.items() if grant.team_id == team]:
            del self.app.refresh_tokens[refresh]
        revoked = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.world.bot.id]}}
        await self.deliver(Tap("events_api", "", self._payloads.event(revoked)))
        return await self.deliver(Tap("events_api", "", self._payloads.event({"type": "app_uninstalled"})))

    def _opens(self, token: str, team: str) -> bool:
        grant = self.app.grant(token)
        return grant is not None and grant.team_id == team

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
        """Nobody is told of an event that the app did not take."""
        if tap.kind == "events_api":
            return
        if tap.last.problem == "operation_timeout":
            self._journal.told("slack", tap.user, "operation_timeout", TIMED_OUT)
        else:
            why = f"it answered {tap.status}" if tap.status else f"it could not be reached ({tap.last.problem})"
            self._journal.told("slack", tap.user, "dispatch_failed", f"The app did not take this: {why}.")

    def _after_submission(self, person: Person, view: View, response: Any) -> None:
        action = response.get("response_action") if isinstance(response, dict) else None
        view.errors = dict(response.get("errors") or {}) if action == "errors" else {}
        unknown = view.errors.keys() - {block_id for block_id, _, _ in view.inputs()}
        if unknown or (action == "errors" and not view.errors):
            words = f"The app's errors name no input of the modal: {', '.join(sorted(unknown)) or 'none at all'}"
            self._journal.told("slack", person.id, "dispatch_failed", words)
        if action == "clear":
            self.world.modals.pop(person.id, None)
        elif action in ("update", "push"):
            try:
                content = self._views.checked(response.get("view"), "modal")
            except SlackError as problem:
                words = f"The app answered with a view that Slack refuses: {'; '.join(problem.messages)}"
                self._journal.told("slack", person.id, "dispatch_failed", words)
                return
            if action == "update":
                self._views.redraw(view, content)
            else:
                stack = self.world.modals[person.id]
                stack.append(self._views.new_view(person.id, content, stack[0].id, view.id))
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


def _spoken(body: str) -> Json:
    """An answer to a slash command: JSON, or plain text."""
    try:
        said = json.loads(body)
    except ValueError:
        return {"text": body}
    return said if isinstance(said, dict) else {"text": body}


def _echoed(attempt: Attempt, challenge: str) -> bool:
    """The challenge comes back as plain text, or as JSON."""
    if not attempt.acknowledged:
        return False
    said = _spoken(attempt.body)
    return challenge in (said.get("challenge"), said.get("text", "").strip())


class SlackSandbox(SlackDesk):
    """The local Slack: the workspace where the app is installed, and `partner`, where it is not yet.

    Set `app.request_url`, or leave it empty for Socket Mode.
    """

    world: SlackWorld

    def __init__(self, world: SlackWorld, partner: PartnerWorld, app: SlackApp, around: Around) -> None:
        self._platform = SlackPlatform(app, around, world.clock, world.changes)
        super().__init__(world, self._platform)
        self.partner = SlackDesk(partner, self._platform)

    def routes(self) -> list[BaseRoute]:
        return self._platform.routes()

    def forget(self) -> None:
        for desk in (self, self.partner):
            desk.world.forget()
