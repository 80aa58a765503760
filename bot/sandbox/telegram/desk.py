"""`sandbox.telegram`: what a person does in the pretended Telegram, and what there is to see."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.around import Around
from bot.sandbox.telegram.bot_api import BotApi
from bot.sandbox.telegram.directory import Directory
from bot.sandbox.telegram.entities import found_in, utf16_length
from bot.sandbox.telegram.methods import Messages, Receiving
from bot.sandbox.telegram.mini_app import init_data, launched
from bot.sandbox.telegram.updates import Delivery, Updates
from bot.sandbox.telegram.world import CallbackAnswer, CallbackQuery, Chat, Message, Person, TelegramWorld
from bot.sandbox.wire import Json

PAYLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NoSuchButton(LookupError):
    """The message has no such button, or more than one that fits."""


@dataclass
class Tap:
    """A tap on an inline button. `update` is empty until it is delivered."""

    query: CallbackQuery
    content: Json
    url: str
    """A URL button's target: the tap opens it and no update is made."""
    world: TelegramWorld = field(repr=False)
    updates: Updates = field(repr=False)
    update: Json = field(default_factory=dict)

    async def answer(self, within: float = 5.0) -> CallbackAnswer:
        """The bot's answerCallbackQuery; TimeoutError when none comes within `within` seconds."""
        return await self.world.changes.until(lambda: self.query.answer, within)

    @property
    def answered(self) -> CallbackAnswer | None:
        return self.query.answer

    @property
    def deliveries(self) -> list[Delivery]:
        """Every push of it to the webhook so far."""
        return self.updates.deliveries.get(self.update.get("update_id", 0), [])

    async def delivered(self, within: float = 5.0) -> Delivery:
        """The first push to the webhook, as soon as there is one."""
        return (await self.world.changes.until(lambda: self.deliveries, within))[0]


class TelegramSandbox:
    """The local Telegram. The Bot API is `{base_url}/bot{token}/{method}`."""

    def __init__(self, world: TelegramWorld, token: str, around: Around) -> None:
        self.token = token
        self.world = world
        self.updates = Updates(world.clock, world.changes)
        self.sending = Messages(world, around.rates)
        self._address = around.address
        methods = self.sending.table() | Directory(world).table() | Receiving(self.updates).table()
        self._bot_api = BotApi(lambda: self.token, methods, around)

    @property
    def base_url(self) -> str:
        """Without the `/bot`: for python-telegram-bot that is `Bot(token, base_url=f"{base_url}/bot")`."""
        return f"{self._address.url}/telegram"

    def routes(self) -> list[BaseRoute]:
        async def api(request: Request) -> Response:
            return await self._bot_api.endpoint(request)

        return [Route("/telegram/bot{token}/{method}", api, methods=["GET", "POST"])]

    # What there is to see

    def messages(self, chat: str | int | Chat) -> list[Message]:
        wanted = self._chat(chat).id
        return [message for message in self.world.messages if message.chat.id == wanted]

    # What a person does

    def prepare(
        self,
        chat: str | int | Chat,
        message_id: int,
        action: str,
        user: str | int = "Reviewer One",
        data: str = "",
    ) -> Tap:
        """The tap, built from the message as it looks now and not sent yet: `deliver` it later as a stale one.

        `action` is a button's callback_data or visible text. With `data` the tap carries that callback_data
        instead, whatever the message shows: anybody can forge it.
        """
        place, person = self._chat(chat), self.world.person(user)
        message = self.world.message(place.id, message_id)
        if message is None:
            raise NoSuchButton(f"there is no message {message_id} in chat {place.id}")
        button: Json = {"callback_data": data} if data else find_button(message, action)
        query = self.world.ask(person)
        content: Json = {
            "id": query.id,
            "from": person.wire(),
            "message": self.world.wire(message),
            "chat_instance": str(abs(place.id) * 7919),
            "data": button.get("callback_data", ""),
        }
        url = self._opened(button, place, person)
        return Tap(query, content, url, self.world, self.updates)

    async def deliver(self, tap: Tap) -> Tap:
        """Send a prepared tap, or the same update again with the same update_id."""
        if tap.update:
            await self.updates.send_again(tap.update)
        elif not tap.url:
            tap.update = self.updates.add("callback_query", tap.content)
        return tap

    async def tap(
        self,
        chat: str | int | Chat,
        message_id: int,
        action: str,
        user: str | int = "Reviewer One",
        data: str = "",
    ) -> Tap:
        """Tap a button. Then `await tap.answer()`, or with a webhook `await tap.delivered()`."""
        return await self.deliver(self.prepare(chat, message_id, action, user, data))

    async def send_twice(self, tap: Tap) -> list[Delivery]:
        """Push the same update twice at the same moment, as to two replicas. Webhook only."""
        update = tap.update or self.updates.numbered("callback_query", tap.content)
        tap.update = update
        secret_token = self.updates.webhook.secret_token if self.updates.webhook else None
        return await asyncio.gather(*(self.updates.push(update, secret_token) for _ in range(2)))

    async def forge(self, tap: Tap, secret_token: str | None = "wrong") -> Delivery:  # noqa: S107  # on purpose
        """Post a prepared tap to the webhook as somebody who is not Telegram; None leaves the header out."""
        return await self.updates.push(self.updates.numbered("callback_query", tap.content), secret_token)

    def say(
        self,
        chat: str | int | Chat,
        text: str,
        user: str | int = "Reviewer One",
        *,
        reply_to: int = 0,
        thread_id: int = 0,
    ) -> Message:
        """A person writes. The bot's privacy mode lets it see private chats, commands and replies to it.

        `@Nameless` (somebody without a username) becomes a text_mention, as when a person is picked from the list.
        A reply stands in the topic of what it replies to.
        """
        place, person = self._chat(chat), self.world.person(user)
        if place.type == "private" and not place.blocked and place.with_person != person:
            raise LookupError(f"{person.first_name} is not in the private chat {place.id}")
        replied = self.world.message(place.id, reply_to) if reply_to else None
        if reply_to and replied is None:
            raise LookupError(f"there is no message {reply_to} in chat {place.id}")
        thread_id = thread_id or (replied.thread_id if replied else 0)
        if thread_id and (thread_id not in place.topics or thread_id in place.closed_topics):
            raise LookupError(f"nobody can write in topic {thread_id} of chat {place.id}")
        text, picked = self._picked(text)
        message = self.world.say(place, person, text, sorted(picked + found_in(text), key=lambda e: e["offset"]))
        message.reply_to, message.thread_id = reply_to, thread_id
        if self._bot_sees(message):
            self.updates.add("message", self.world.wire(message))
        return message

    def reply(self, message: Message, text: str, user: str | int = "Reviewer One") -> Message:
        """A person replies to a message, for example to the bot's question."""
        return self.say(message.chat, text, user, reply_to=message.message_id)

    def start(self, user: str | int, payload: str = "") -> Message:
        """A person opens the private chat and presses Start; a deep link's payload comes with it."""
        if payload and not PAYLOAD.fullmatch(payload):
            raise ValueError("a deep link's payload is 1 to 64 of A-Z a-z 0-9 _ -")
        person = self.world.person(user)
        chat = self.world.chats.setdefault(person.id, Chat(person.id, "private", with_person=person))
        chat.blocked = False
        return self.say(chat, f"/start {payload}".strip(), user)

    # What happens to chats

    def block(self, user: str | int) -> None:
        """The person blocks the bot: sending to the private chat is 403 from now on."""
        person = self.world.person(user)
        self._bot_is(self.world.chats[person.id], "kicked", person)

    def kick(self, chat: str | int | Chat, by: str | int = "On Call") -> None:
        """The bot is removed from a group: sending there is 403 from now on."""
        self._bot_is(self._chat(chat), "kicked", self.world.person(by))

    def migrate(self, chat: str | int | Chat) -> Chat:
        """The group becomes a supergroup with another id; the old one answers 400 `migrate_to_chat_id`."""
        old = self._chat(chat)
        if old.type != "group":
            raise LookupError(f"{old.title} is no group that could become a supergroup")
        new = Chat(-1001000000000 + old.id, "supergroup", old.title, dict(old.members))
        self.world.chats[new.id] = new
        for place, extra in ((old, {"migrate_to_chat_id": new.id}), (new, {"migrate_from_chat_id": old.id})):
            service = self.world.say(place, self.world.on_call, "", [])
            service.extra = extra
            self.updates.add("message", self.world.wire(service))
        old.migrated_to = new.id
        return new

    def join(self, chat: str | int | Chat, user: str | int) -> None:
        self._comes_and_goes(chat, user, "member", "new_chat_members")

    def leave(self, chat: str | int | Chat, user: str | int) -> None:
        self._comes_and_goes(chat, user, "left", "left_chat_member")

    def _comes_and_goes(self, chat: str | int | Chat, user: str | int, status: str, name: str) -> None:
        place, person = self._chat(chat), self.world.person(user)
        place.members[person.id] = status
        self._service(place, person, {name: [person.wire()] if status == "member" else person.wire()})

    def close_topic(self, chat: str | int | Chat, thread_id: int) -> None:
        """Nobody but administrators can write there from now on: sending is 400 TOPIC_CLOSED."""
        place = self._chat(chat)
        place.closed_topics.add(thread_id)
        self._service(place, self.world.on_call, {"forum_topic_closed": {}}, thread_id)

    def reopen_topic(self, chat: str | int | Chat, thread_id: int) -> None:
        place = self._chat(chat)
        place.closed_topics.discard(thread_id)
        self._service(place, self.world.on_call, {"forum_topic_reopened": {}}, thread_id)

    def delete_topic(self, chat: str | int | Chat, thread_id: int) -> None:
        """It is gone with all its messages; the bot hears nothing of it, and sending is 400."""
        place = self._chat(chat)
        place.topics.pop(thread_id)
        place.closed_topics.discard(thread_id)
        kept = [one for one in self.world.messages if (one.chat, one.thread_id) != (place, thread_id)]
        self.world.messages[:] = kept
        self.world.changes.touch()

    def _service(self, place: Chat, person: Person, extra: Json, thread_id: int = 0) -> None:
        message = self.world.say(place, person, "", [])
        message.extra, message.thread_id = extra, thread_id
        self.updates.add("message", self.world.wire(message))

    # Mini Apps

    def init_data(self, user: str | int, auth_date: int | None = None, start_param: str = "") -> str:
        """What a Mini App gets from Telegram as `initData`, signed with the bot's token."""
        at = int(self.world.clock.wall()) if auth_date is None else auth_date
        return init_data(self.token, self.world.person(user), at, start_param, query_id="AAHsandbox")

    def mini_app(self, user: str | int, start_param: str = "", url: str = "", chat: str | int | Chat = "") -> str:
        """The address that this person's Telegram opens, with the signed data in its fragment.

        `url`: a button's Mini App; without it the bot's main one (`world.mini_app_url`). `chat`: where a direct link
        stood.
        """
        target = url or self.world.mini_app_url
        if not target:
            raise LookupError("the bot has no main Mini App: set world.mini_app_url, or give a url")
        person, place = self.world.person(user), self._chat(chat) if chat else None
        query_id = "" if place else "AAHsandbox"
        data = init_data(self.token, person, int(self.world.clock.wall()), start_param, place, query_id)
        return launched(target, data, start_param)

    def open_menu(self, user: str | int) -> str:
        """What the menu button of the person's private chat opens; LookupError when it opens no Mini App."""
        person = self.world.person(user)
        button = self.world.menu_buttons.get(person.id) or self.world.menu_buttons.get(0) or {}
        if "web_app" not in button:
            raise LookupError("the menu button opens no Mini App")
        return self.mini_app(user, url=button["web_app"]["url"])

    def follow(self, link: str, user: str | int, chat: str | int | Chat = "") -> str:
        """A person taps a link. `t.me/<bot>?start=…` starts the bot, `?startapp=…` opens its Mini App: gives its
        address. Any other link is given back.
        """
        parts = urlsplit(link)
        if (parts.hostname, parts.path.strip("/")) != ("t.me", self.world.bot.username):
            return link
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "startapp" in asked:
            return self.mini_app(user, asked["startapp"], chat=chat or self.world.person(user).id)
        if "start" in asked:
            self.start(user, asked["start"])
        return link

    def _opened(self, button: Json, place: Chat, person: Person) -> str:
        """What a button opens: a link, or a Mini App's address; empty for other buttons."""
        if "web_app" in button:
            return self.mini_app(person.id, url=button["web_app"]["url"])
        url = str(button.get("url", ""))
        is_app = url.startswith(f"https://t.me/{self.world.bot.username}?startapp=") and self.world.mini_app_url
        return self.follow(url, person.id, place) if is_app else url

    def _picked(self, text: str) -> tuple[str, list[Json]]:
        """People without a username are mentioned by name: `@Nameless` becomes `Nameless` with an entity."""
        entities: list[Json] = []
        for person in self.world.people.values():
            at = text.find(f"@{person.first_name}") if not person.username else -1
            if at >= 0:
                text = text[:at] + text[at + 1 :]
                place = {"offset": utf16_length(text[:at]), "length": utf16_length(person.first_name)}
                entities.append({"type": "text_mention", **place, "user": person.wire()})
        return text, entities

    def _chat(self, chat: str | int | Chat) -> Chat:
        found = chat if isinstance(chat, Chat) else self.world.chat(chat)
        if found is None:
            raise LookupError(f"there is no chat {chat!r} in the Telegram sandbox")
        return found

    def _bot_sees(self, message: Message) -> bool:
        if message.chat.type == "private":
            return not message.chat.blocked
        replied = self.world.message(message.chat.id, message.reply_to)
        to_bot = replied is not None and replied.sender.id == self.world.bot.id
        command, _, bot = message.text.split(None, 1)[0].partition("@") if message.text.strip() else ("", "", "")
        for_bot = command.startswith("/") and bot.casefold() in ("", self.world.bot.username.casefold())
        member = message.chat.members.get(self.world.bot.id)
        everything = member == "administrator" or not self.world.privacy_mode
        return member != "kicked" and (everything or to_bot or for_bot)

    def _bot_is(self, chat: Chat, status: str, by: Person) -> None:
        chat.blocked = status == "kicked"
        if chat.type != "private":
            chat.members[self.world.bot.id] = status
        bot = self.world.bot.wire()
        self.updates.add(
            "my_chat_member",
            {
                "chat": chat.wire(),
                "from": by.wire(),
                "date": int(self.world.clock.wall()),
                "old_chat_member": {"user": bot, "status": "member"},
                "new_chat_member": {"user": bot, "status": status, "until_date": 0},
            },
        )


def find_button(message: Message, wanted: str) -> Json:
    """The button whose callback_data or visible text is `wanted`."""
    rows = (message.markup or {}).get("inline_keyboard", [])
    buttons: list[Json] = [button for row in rows for button in row]
    by_data = [button for button in buttons if button.get("callback_data") == wanted]
    found = by_data or [button for button in buttons if button["text"].casefold() == wanted.casefold()]
    if len(found) != 1:
        offered = ", ".join(repr(button["text"]) for button in buttons) or "none"
        raise NoSuchButton(f"{len(found)} buttons fit {wanted!r}; offered: {offered}")
    return found[0]
