"""The face: one page with two panes, on which a person looks at the very messages and taps for real.

The page asks for `/face/state` again and again; the answer comes as soon as something has changed. It holds only what
the chosen person may see. Taps go through the control interface. All rendering is in `static/`, which builds elements
from data and never from markup, so that no message can bring its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.sandbox import slack, telegram
from bot.sandbox.platforms import Platforms
from bot.sandbox.wire import Json

T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
POLL_SECONDS = 20.0
NOTICES = 20
USERNAME = re.compile(r"@\w+")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "frame-src http://127.0.0.1:* http://localhost:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Face:
    def __init__(self, sandbox: Platforms) -> None:
        self._sandbox = sandbox

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=HEADERS)

    async def state(self, request: Request) -> Response:
        """What the two chosen people see. With `after`, waits until there is a version past it."""
        asked = request.query_params
        slack_user, telegram_user = asked.get("slack", ""), asked.get("telegram", "")
        after = asked.get("after", "-1")
        try:
            version = await self._sandbox.changes.after(int(after), POLL_SECONDS)
            state = {
                "version": version,
                "slack": self._slack(slack_user or "Reviewer One", asked.get("channel", "")),
                "telegram": self._telegram(telegram_user or "Reviewer One", asked.get("chat", "")),
            }
        except (LookupError, ValueError) as problem:
            return JSONResponse({"error": str(problem)}, 400, headers=HEADERS)
        return JSONResponse(state, headers=HEADERS)

    def _slack(self, user: str, wanted: str) -> Json:
        world = self._sandbox.slack.world
        me = world.person(user)
        places = [channel for channel in world.channels.values() if me.id in channel.members]
        home = {"id": "home", "name": "Home", "kind": "home", "count": 0}
        here = next((place for place in places if place.id == wanted), None if wanted == "home" else _first(places))
        modal, published = self._sandbox.slack.modal(me.id), self._sandbox.slack.home(me.id)
        return {
            "me": {"id": me.id, "name": me.real_name},
            "people": [
                {"id": person.id, "name": person.real_name, "note": _note(person.team_id != world.team.id)}
                for person in world.people.values()
                if not person.is_bot
            ],
            "places": [
                {
                    "id": place.id,
                    "name": place.name or "Assent",
                    "kind": "direct" if place.im_with else "channel",
                    "count": len(world.visible(place.id, me.id)),
                }
                for place in places
            ]
            + [home],
            "here": here.id if here else "home",
            "messages": [self._slack_message(m) for m in world.visible(here.id, me.id)] if here else [],
            "home": published.content if published and not here else None,
            "modal": self._modal(modal, me.id) if modal else None,
            "commands": self._slack_commands(),
            "mentions": self._mentions(here, me) if here else [],
            "names": {person.id: person.real_name for person in world.people.values()}
            | {channel.id: channel.name for channel in world.channels.values()}
            | {group.id: group.handle for group in world.user_groups.values()},
            "notices": self._notices(me.id),
        }

    def _modal(self, modal: slack.View, user: str) -> Json:
        """The view in front; `typed` is what the app's own version of it starts with."""
        depth = len(self._sandbox.slack.world.modals[user])
        return modal.content | {"id": modal.id, "errors": modal.errors, "typed": modal.typed, "depth": depth}

    def _slack_commands(self) -> list[Json]:
        return [{"text": command, "note": "a command of the app"} for command in self._sandbox.slack.app.commands]

    def _mentions(self, here: slack.Channel, me: slack.Person) -> list[Json]:
        """Who and what can be named in a message or behind a command."""
        world = self._sandbox.slack.world
        people = [world.people[one] for one in here.members if one != me.id and not world.people[one].is_bot]
        return [{"text": f"@{person.real_name}", "note": ""} for person in people] + [
            {"text": f"@{group.handle}", "note": "user group"} for group in world.user_groups.values()
        ]

    def _slack_message(self, message: slack.Message) -> Json:
        world = self._sandbox.slack.world
        sender = world.people[message.user]
        shown: Json = {"key": message.ts, "from": sender.real_name, "bot": sender.is_bot}
        return shown | {
            "at": float(message.ts),
            "text": message.text,
            "blocks": message.blocks,
            "thread": message.thread_ts if message.thread_ts != message.ts else "",
            "in_channel": message.reply_broadcast,
            "edited": bool(message.edited_ts),
            "only_you": bool(message.ephemeral_for),
        }

    def _telegram(self, user: str, wanted: str) -> Json:
        world = self._sandbox.telegram.world
        me = world.person(user)
        anonymous = me == world.anonymous
        places = [
            chat
            for chat in world.chats.values()
            if chat.with_person == me
            or me.id in chat.members
            or (anonymous and chat.type != "private" and not chat.migrated_to)
        ]
        here = next((place for place in places if str(place.id) == wanted), _first(places))
        return {
            "me": {"id": str(me.id), "name": me.first_name},
            "people": [
                {"id": str(person.id), "name": _person_name(person)}
                for person in world.people.values()
                if person != world.bot
            ],
            "places": [
                {
                    "id": str(place.id),
                    "name": place.title or "Assent",
                    "kind": "forum" if place.topics else place.type,
                    "count": len(self._sandbox.telegram.messages(place)),
                }
                for place in places
            ],
            "here": str(here.id) if here else "",
            "topics": _topics(here) if here else {},
            "messages": [self._telegram_message(m, me) for m in self._sandbox.telegram.messages(here)] if here else [],
            "commands": self._telegram_commands(here, me) if here else [],
            "mentions": self._usernames(here, me) if here else [],
            "menu": self._menu(here) if here else "",
            "notices": self._notices(str(me.id)),
        }

    def _telegram_commands(self, here: telegram.Chat, me: telegram.Person) -> list[Json]:
        world = self._sandbox.telegram.world
        bot = "" if here.type == "private" else f"@{world.bot.username}"
        return [
            {"text": f"/{command['command']}{bot}", "note": command["description"]}
            for command in world.commands_of(here, me)
        ]

    def _usernames(self, here: telegram.Chat, me: telegram.Person) -> list[Json]:
        people = self._sandbox.telegram.world.people
        others = [people[one] for one in here.members if one != me.id and not people[one].is_bot]
        return [{"text": f"@{person.username or person.first_name}", "note": person.first_name} for person in others]

    def _menu(self, here: telegram.Chat) -> str:
        """The words on the button beside the input that opens a Mini App; empty when there is none."""
        buttons = self._sandbox.telegram.world.menu_buttons
        button = (buttons.get(here.id) or buttons.get(0) or {}) if here.type == "private" else {}
        return str(button.get("text", ""))

    def _telegram_message(self, message: telegram.Message, me: telegram.Person) -> Json:
        world = self._sandbox.telegram.world
        replied = world.message(message.chat.id, message.reply_to) if message.reply_to else None
        markup = message.markup or {}
        return {
            "key": str(message.message_id),
            "from": _person_name(message.sender),
            "sender": str(message.sender.id),
            "bot": message.sender == world.bot,
            "at": message.date,
            "text": message.text or _service(message.extra),
            "service": bool(message.extra),
            "entities": message.entities,
            "keyboard": markup.get("inline_keyboard", []),
            "wants_reply": bool(markup.get("force_reply"))
            and (not markup.get("selective") or self._is_meant(message, replied, me)),
            "placeholder": markup.get("input_field_placeholder", ""),
            "topic": message.thread_id,
            "edited": bool(message.edit_date),
            "reply": {"from": _person_name(replied.sender), "text": replied.text} if replied else None,
        }

    def _is_meant(self, message: telegram.Message, replied: telegram.Message | None, me: telegram.Person) -> bool:
        """Whether a selective question is this person's: it mentions them, or replies to them."""
        named = (entity["user"]["id"] for entity in message.entities if "user" in entity)
        answered = replied is not None and replied.sender == me
        return answered or me.id in named or f"@{me.username}" in USERNAME.findall(message.text)

    def _notices(self, user: str) -> list[Json]:
        return [notice.wire() for notice in self._sandbox.notices(user)[-NOTICES:]]


def face_routes(sandbox: Platforms) -> list[BaseRoute]:
    face = Face(sandbox)
    return [
        Route("/", face.page, methods=["GET"]),
        Route("/face/state", face.state, methods=["GET"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


def _first(places: list[T]) -> T | None:
    return places[0] if places else None


def _note(foreign: bool) -> str:
    return "another workspace" if foreign else ""


def _person_name(person: telegram.Person) -> str:
    return "Anonymous admin" if person.username == "GroupAnonymousBot" else person.first_name


def _topics(chat: telegram.Chat) -> Json:
    closed = chat.closed_topics
    return {str(number): f"{name} (closed)" if number in closed else name for number, name in chat.topics.items()}


def _service(extra: Json) -> str:
    """What a service message says."""
    if "new_chat_members" in extra:
        return f"{extra['new_chat_members'][0]['first_name']} joined."
    if "left_chat_member" in extra:
        return f"{extra['left_chat_member']['first_name']} left."
    words = {"forum_topic_closed": "The topic was closed.", "forum_topic_reopened": "The topic was reopened."}
    return next((words[name] for name in extra if name in words), "The group was upgraded to a supergroup.")
