"""The Telegram that the sandbox pretends to be: people, chats, messages and callback queries."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from itertools import count

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.journal import Journal
from bot.sandbox.telegram.errors import TelegramError, bad_request
from bot.sandbox.wire import Json

GROUP_ANONYMOUS_BOT = 1087968824
"""The sender that bots see in place of an anonymous administrator."""


@dataclass(frozen=True)
class Person:
    id: int
    first_name: str
    username: str
    """Empty for people who have none."""
    is_bot: bool = False
    language: str = "en"

    def wire(self) -> Json:
        user: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            user["username"] = self.username
        return user if self.is_bot else user | {"language_code": self.language}


@dataclass
class Chat:
    id: int
    type: str
    """private, group or supergroup"""
    title: str = ""
    members: dict[int, str] = field(default_factory=dict)
    """Person id to status: creator, administrator, member, restricted (may not write), restricted_away (and has left),
    left or kicked.
    """
    topics: dict[int, str] = field(default_factory=dict)
    """A forum's topics: message_thread_id to name. A chat with topics is a forum."""
    closed_topics: set[int] = field(default_factory=set)
    is_forum: bool = False
    migrated_to: int = 0
    blocked: bool = False
    """Private: the person blocked the bot. Group: the bot was kicked."""
    with_person: Person | None = None

    def wire(self) -> Json:
        chat: Json = {"id": self.id, "type": self.type}
        if self.with_person:
            person = self.with_person.wire()
            return chat | {name: person[name] for name in ("first_name", "username") if name in person}
        return chat | {"title": self.title} | ({"is_forum": True} if self.is_forum else {})

    def is_member(self, person_id: int) -> bool:
        return self.members.get(person_id, "left") not in ("left", "kicked", "restricted_away")


@dataclass
class Message:
    message_id: int
    chat: Chat
    sender: Person
    date: int
    text: str
    entities: list[Json] = field(default_factory=list)
    markup: Json | None = None
    reply_to: int = 0
    thread_id: int = 0
    edit_date: int = 0
    link_preview: Json | None = None
    extra: Json = field(default_factory=dict)
    """Fields of service messages, for example `migrate_to_chat_id`."""


@dataclass
class CallbackAnswer:
    text: str
    show_alert: bool
    url: str


@dataclass
class CallbackQuery:
    id: str
    person: Person
    asked_at: float
    """On the monotonic clock."""
    answer: CallbackAnswer | None = None


class TelegramWorld:
    """All state of the pretended Telegram. Changed only from the event loop's thread."""

    def __init__(self, clock: Clock, changes: Changes, journal: Journal) -> None:
        self.clock = clock
        self.changes = changes
        self._journal = journal
        self.bot = Person(9001, "Assent", "assent_sandbox_bot", is_bot=True)
        self.requester = Person(1001, "Requester", "requester")
        self.reviewer_one = Person(1002, "Reviewer One", "reviewer_one")
        self.reviewer_two = Person(1003, "Reviewer Two", "reviewer_two")
        self.on_call = Person(1004, "On Call", "on_call")
        self.outsider = Person(1005, "Outsider", "outsider")
        """Has talked to the bot in private, but is in no group."""
        self.newcomer = Person(1006, "Newcomer", "newcomer")
        """Has never talked to the bot, so the bot cannot write first."""
        self.nameless = Person(1007, "Nameless", "")
        """Has no username; a member of the supergroup."""
        self.anonymous = Person(GROUP_ANONYMOUS_BOT, "Group", "GroupAnonymousBot", is_bot=True)
        team = [self.requester, self.reviewer_one, self.reviewer_two, self.on_call]
        everyone = [*team, self.outsider, self.newcomer, self.nameless, self.anonymous, self.bot]
        self.people = {person.id: person for person in everyone}
        members = {person.id: "member" for person in team} | {
            self.bot.id: "member",
            self.on_call.id: "creator",
        }
        self.group = Chat(-4001, "group", "Approvals", dict(members))
        self.supergroup = Chat(-1001000000001, "supergroup", "Operations", members | {self.nameless.id: "member"})
        topics = {7: "Deployments", 8: "Payments"}
        self.forum = Chat(-1001000000002, "supergroup", "Forum", dict(members), topics, is_forum=True)
        self.private = Chat(self.reviewer_one.id, "private", with_person=self.reviewer_one)
        """Reviewer One's private chat with the bot."""
        self.chats: dict[int, Chat] = {
            chat.id: chat for chat in [self.group, self.supergroup, self.forum, self.private]
        }
        for person in [*team, self.outsider]:
            self.chats.setdefault(person.id, Chat(person.id, "private", with_person=person))
        self.messages: list[Message] = []
        self.queries: dict[str, CallbackQuery] = {}
        self.commands: dict[tuple[str, str], list[Json]] = {}
        """What setMyCommands set, by scope (as JSON) and language; `commands_of` finds what a person sees."""
        self.can_join_groups = True
        """@BotFather's /setjoingroups."""
        self.privacy_mode = True
        """@BotFather's /setprivacy: off, the bot sees all that is written in groups."""
        self.menu_buttons: dict[int, Json] = {}
        """What setChatMenuButton set, by private chat; 0 for all others."""
        self.mini_app_url = ""
        """The bot's main Mini App, as told to BotFather; `t.me/<bot>?startapp=` opens it."""
        self._message_ids = count(101)

    def person(self, who: str | int) -> Person:
        """By id, username or name ("Reviewer One"); LookupError when nobody is called that."""
        wanted = str(who).removeprefix("@").casefold()
        for person in self.people.values():
            if wanted and wanted in (str(person.id), person.username.casefold(), person.first_name.casefold()):
                return person
        raise LookupError(f"nobody in the Telegram sandbox is called {who!r}")

    def chat(self, which: str | int) -> Chat | None:
        """By id, or by title."""
        for chat in self.chats.values():
            if str(which) in (str(chat.id), chat.title or "\0"):
                return chat
        return None

    def writable(self, chat_id: str) -> Chat:
        """A chat the bot may write to, or the refusal that Telegram gives."""
        chat = self.known(chat_id)
        if chat is None:
            known = chat_id.isdigit() and int(chat_id) in self.people
            if known:
                raise TelegramError(403, "Forbidden: bot can't initiate conversation with a user")
            raise bad_request("chat not found")
        if chat.members.get(self.bot.id) == "restricted":
            raise bad_request("not enough rights to send text messages to the chat")
        return self.reachable(chat)

    def known(self, chat_id: str) -> Chat | None:
        """By the id that the bot gives."""
        return self.chats.get(int(chat_id)) if chat_id.removeprefix("-").isdigit() and chat_id.isascii() else None

    def reachable(self, chat: Chat) -> Chat:
        """The chat, or the refusal when it shut the bot out or went elsewhere."""
        if chat.migrated_to:
            words = "group chat was upgraded to a supergroup chat"
            raise bad_request(words, migrate_to_chat_id=chat.migrated_to)
        if chat.blocked and chat.type == "private":
            raise TelegramError(403, "Forbidden: bot was blocked by the user")
        if chat.blocked or chat.members.get(self.bot.id, "member") in ("left", "kicked"):
            raise TelegramError(403, f"Forbidden: bot was kicked from the {chat.type} chat")
        return chat

    def say(self, chat: Chat, sender: Person, text: str, entities: list[Json]) -> Message:
        message = Message(next(self._message_ids), chat, sender, int(self.clock.wall()), text, entities)
        self.messages.append(message)
        self.changes.touch()
        return message

    def message(self, chat_id: int, message_id: int) -> Message | None:
        found = (m for m in self.messages if m.chat.id == chat_id and m.message_id == message_id)
        return next(found, None)

    def wire(self, message: Message, *, with_reply: bool = True) -> Json:
        sent: Json = {
            "message_id": message.message_id,
            "from": message.sender.wire(),
            "chat": message.chat.wire(),
            "date": message.date,
        } | message.extra
        if message.sender.id == GROUP_ANONYMOUS_BOT:
            sent["sender_chat"] = message.chat.wire()
        if message.text:
            sent["text"] = message.text
        thread_id = message.thread_id or self._thread_of_replies(message)
        for name, value in (
            ("entities", message.entities),
            ("edit_date", message.edit_date),
            ("link_preview_options", message.link_preview),
            ("message_thread_id", thread_id),
        ):
            if value:
                sent[name] = value
        if message.thread_id:
            sent["is_topic_message"] = True
        if message.markup and "inline_keyboard" in message.markup:
            sent["reply_markup"] = message.markup
        replied = self.message(message.chat.id, message.reply_to) if with_reply and message.reply_to else None
        if replied:
            sent["reply_to_message"] = self.wire(replied, with_reply=False)
        elif with_reply and message.thread_id in message.chat.topics:
            sent["reply_to_message"] = self._topic_made(message.chat, message.thread_id)
        return sent

    def _thread_of_replies(self, message: Message) -> int:
        """In supergroups a chain of replies outside topics is a thread too, named after its first message. Nothing can
        be sent to it by that number: https://github.com/tdlib/telegram-bot-api/issues/447.
        """
        if message.chat.type != "supergroup":
            return 0
        first = message
        while (replied := self.message(first.chat.id, first.reply_to)) is not None:
            first = replied
        return first.message_id if first is not message else 0

    def _topic_made(self, chat: Chat, thread_id: int) -> Json:
        """The service message that began a topic: whatever is written there without a reply is a reply to it."""
        return {
            "message_id": thread_id,
            "from": self.on_call.wire(),
            "chat": chat.wire(),
            "date": 1_600_000_000,
            "message_thread_id": thread_id,
            "is_topic_message": True,
            "forum_topic_created": {"name": chat.topics[thread_id], "icon_color": 7322096},
        }

    def commands_of(self, chat: Chat, person: Person) -> list[Json]:
        """The commands that the bot offers this person here: the narrowest scope that has any.

        https://core.telegram.org/bots/api#determining-list-of-commands
        """
        leads = chat.members.get(person.id) in ("creator", "administrator")
        scopes: list[Json] = [{"type": "chat", "chat_id": chat.id}]
        if chat.type == "private":
            scopes.append({"type": "all_private_chats"})
        else:
            scopes.insert(0, {"type": "chat_member", "chat_id": chat.id, "user_id": person.id})
            if leads:
                scopes.insert(1, {"type": "chat_administrators", "chat_id": chat.id})
                scopes.append({"type": "all_chat_administrators"})
            scopes.append({"type": "all_group_chats"})
        for scope in [*scopes, {"type": "default"}]:
            for language in (person.language, ""):
                if found := self.commands.get((scope_key(scope), language)):
                    return found
        return []

    def ask(self, person: Person) -> CallbackQuery:
        query = CallbackQuery(str(secrets.randbelow(9 * 10**18) + 10**18), person, self.clock.monotonic())
        self.queries[query.id] = query
        return query

    def answered(self, query: CallbackQuery) -> None:
        """Show the answer to whoever tapped: a toast, or an alert to be closed."""
        if query.answer and query.answer.text:
            kind = "alert" if query.answer.show_alert else "toast"
            self._journal.told("telegram", str(query.person.id), kind, query.answer.text)
        self.changes.touch()

    def forget(self) -> None:
        """No message was ever sent and no button tapped."""
        self.messages.clear()
        self.queries.clear()
        self.changes.touch()


def scope_key(scope: Json) -> str:
    """One spelling for each BotCommandScope."""
    return json.dumps(scope, sort_keys=True)
