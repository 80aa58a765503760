"""What Slack sends an app when a person taps, submits a modal, types a command or opens App Home.

Source: https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

import re
import secrets

from bot.sandbox.around import Address
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.modals import View
from bot.sandbox.slack.world import Channel, Message, Person, Workspace
from bot.sandbox.wire import Json


class NoSuchButton(LookupError):
    """The message has no such button, or more than one that fits."""


def find_element(elements: list[Json], wanted: str) -> Json:
    """The element whose action_id, value or visible text is `wanted`; a menu is found by its options'."""
    for matches in (_by_action_id, _by_value, _by_text):
        found = [chosen for element in elements if (chosen := matches(element, wanted)) is not None]
        if len(found) == 1:
            return found[0]
        if found:
            raise NoSuchButton(f"{len(found)} buttons fit {wanted!r}; name one by its action_id or value")
    offered = ", ".join(repr(label(element)) for element in elements) or "none"
    raise NoSuchButton(f"no button fits {wanted!r}; offered: {offered}")


def _by_action_id(element: Json, wanted: str) -> Json | None:
    return element if element["action_id"] == wanted and "options" not in element else None


def _by_value(element: Json, wanted: str) -> Json | None:
    for option in element.get("options", []):
        if option["value"] == wanted:
            return element | {"selected_option": option}
    return element if element.get("value") == wanted else None


def _by_text(element: Json, wanted: str) -> Json | None:
    for option in element.get("options", []):
        if option["text"]["text"].casefold() == wanted.casefold():
            return element | {"selected_option": option}
    return element if label(element).casefold() == wanted.casefold() else None


def label(element: Json) -> str:
    """A button's visible text, or a menu's placeholder."""
    text = element.get("text") or element.get("placeholder") or {}
    return str(text.get("text", ""))


class Payloads:
    def __init__(self, world: Workspace, app: SlackApp, address: Address) -> None:
        self._world = world
        self._app = app
        self._address = address

    def tap_on_message(self, person: Person, channel: Channel, message: Message, element: Json) -> Json:
        ephemeral = bool(message.ephemeral_for)
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
        }
        payload = self._interaction("block_actions", person) | {
            "container": container,
            "channel": {"id": channel.id, "name": _channel_name(channel)},
            "state": {"values": {}},
            "response_url": self._response_url(channel, person, message.ts),
            "actions": [self._action(element)],
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        if not ephemeral:
            payload["message"] = message.wire(self._world.team.id, with_metadata=True)
        return payload

    def tap_on_view(self, person: Person, view: View, element: Json, values: Json) -> Json:
        """`values`: what stands in the view's inputs at that moment."""
        return self._interaction("block_actions", person) | {
            "container": {"type": "view", "view_id": view.id},
            "view": self._view(view, values),
            "actions": [self._action(element)],
        }

    def submission(self, person: Person, view: View, values: Json) -> Json:
        return self._interaction("view_submission", person) | {
            "view": self._view(view, values),
            "response_urls": [],
        }

    def closing(self, person: Person, view: View, *, cleared: bool) -> Json:
        shown = {"view": self._view(view, {}), "is_cleared": cleared}
        return self._interaction("view_closed", person) | shown

    def command(self, person: Person, channel: Channel, command: str, text: str) -> Json:
        return {
            "token": self._app.verification_token,
            "team_id": self._world.team.id,
            "team_domain": self._world.team.domain,
            **self._enterprise(),
            "channel_id": channel.id,
            "channel_name": _channel_name(channel),
            "user_id": person.id,
            "user_name": person.name,
            "command": command,
            "text": self.typed(text),
            "api_app_id": self._app.app_id,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel, person, ""),
            "trigger_id": self._world.new_trigger(person.id),
        }

    def _enterprise(self) -> Json:
        team = self._world.team
        return {"enterprise_id": team.enterprise_id, "enterprise_name": team.name} if team.enterprise_id else {}

    def typed(self, text: str) -> str:
        """What somebody typed behind a command, as the app gets it: people, groups and channels by id.

        https://docs.slack.dev/interactivity/implementing-slash-commands
        """
        if not self._app.escapes_commands:
            return text
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        named = {f"#{channel.name}": f"<#{channel.id}|{channel.name}>" for channel in self._world.channels.values()}
        for group in self._world.user_groups.values():
            named[f"@{group.handle}"] = f"<!subteam^{group.id}|@{group.handle}>"
        for person in self._world.people.values():
            named |= {f"@{name}": f"<@{person.id}|{person.name}>" for name in (person.name, person.real_name)}
        longest = sorted((re.escape(name) for name in named if len(name) > 1), key=len, reverse=True)
        return re.sub(rf"(?<![\w@#])(?:{'|'.join(longest)})(?!\w)", lambda found: named[found.group()], text)

    def event(self, event: Json) -> Json:
        authorization = {
            "enterprise_id": self._world.team.enterprise_id or None,
            "team_id": self._world.team.id,
            "user_id": self._world.bot.id,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": self._app.verification_token,
            "team_id": self._world.team.id,
            "enterprise_id": self._world.team.enterprise_id or None,
            "api_app_id": self._app.app_id,
            "event": event | {"event_ts": self._world.next_ts()},
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(self._world.clock.wall()),
            "authorizations": [authorization],
            "is_ext_shared_channel": False,
        }

    def url_verification(self, challenge: str) -> Json:
        return {"token": self._app.verification_token, "challenge": challenge, "type": "url_verification"}

    def home_opened(self, person: Person) -> Json:
        channel = self._world.direct_message(person)
        event: Json = {"type": "app_home_opened", "user": person.id, "channel": channel.id, "tab": "home"}
        if person.id in self._world.homes:
            event["view"] = self._view(self._world.homes[person.id], {})
        return self.event(event)

    def _interaction(self, kind: str, person: Person) -> Json:
        team = self._world.team
        user = {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team_id}
        return {
            "type": kind,
            "user": user,
            "api_app_id": self._app.app_id,
            "token": self._app.verification_token,
            "trigger_id": self._world.new_trigger(person.id),
            "team": {"id": team.id, "domain": team.domain} | self._enterprise(),
            "enterprise": team.enterprise(),
            "is_enterprise_install": False,
        }

    def _action(self, element: Json) -> Json:
        kept = ("action_id", "block_id", "text", "value", "style", "type", "selected_option", "placeholder")
        action = {name: element[name] for name in kept if name in element} | {"action_ts": self._world.next_ts()}
        if element["type"] in ("checkboxes", "multi_static_select"):
            action["selected_options"] = [action.pop("selected_option")]
        return action

    def _view(self, view: View, values: Json) -> Json:
        return view.wire(self._world.team.id, self._app.app_id, self._world.bot_id, values)

    def _response_url(self, channel: Channel, person: Person, message_ts: str) -> str:
        token = self._world.new_response_url(channel.id, person.id, message_ts)
        return f"{self._address.url}/slack/actions/{token}"


def _channel_name(channel: Channel) -> str:
    """Payloads name public channels alone."""
    if channel.im_with:
        return "directmessage"
    return "privategroup" if channel.is_private else channel.name
