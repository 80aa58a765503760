"""What each Bot API method does. https://core.telegram.org/bots/api"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox import rates
from bot.sandbox.telegram.bot_api import Args, Method
from bot.sandbox.telegram.entities import SINCE_9_5, parse
from bot.sandbox.telegram.errors import bad_request, too_many_requests
from bot.sandbox.telegram.keyboard import checked_markup
from bot.sandbox.telegram.updates import Updates, Webhook
from bot.sandbox.telegram.world import CallbackAnswer, Chat, Message, TelegramWorld
from bot.sandbox.wire import Json

MESSAGE_TEXT = 4096
ANSWER_TEXT = 200
QUERY_SECONDS = 150.0
FARTHEST_TIME = 3 * 366 * 86_400  # seconds ahead; https://github.com/tdlib/telegram-bot-api/issues/852
SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)


class Messages:
    """Sending, changing and deleting messages, and answering taps."""

    def __init__(self, world: TelegramWorld, limits: rates.Rates) -> None:
        self._world = world
        self._rates = limits
        self.query_seconds = QUERY_SECONDS
        self.knows_times = True
        """False: as a Bot API server of one's own from before 9.5 does."""

    def table(self) -> dict[str, Method]:
        return {
            "sendMessage": self.send_message,
            "editMessageText": self.edit_message_text,
            "editMessageReplyMarkup": self.edit_message_reply_markup,
            "deleteMessage": self.delete_message,
            "answerCallbackQuery": self.answer_callback_query,
            "sendChatAction": self.send_chat_action,
        }

    async def send_message(self, args: Args) -> Json:
        chat = self._world.writable(args.text("chat_id"))
        text, entities = self._text(args)
        markup = checked_markup(args.structure("reply_markup"), private=chat.type == "private")
        thread_id = self._thread(chat, args.number("message_thread_id"))
        replied = self._replied(chat, args)
        self._thread(chat, replied.thread_id if replied else 0)
        self._slow_down(chat)
        message = self._world.say(chat, self._world.bot, text, entities)
        message.markup, message.thread_id = markup, thread_id
        message.link_preview = args.structure("link_preview_options")
        if replied:
            message.reply_to = replied.message_id
            message.thread_id = thread_id or replied.thread_id
        return self._world.wire(message)

    async def edit_message_text(self, args: Args) -> Json:
        message = self._own(args, "edit")
        text, entities = self._text(args)
        markup = checked_markup(args.structure("reply_markup"), private=message.chat.type == "private")
        if (text, entities, markup) == (message.text, message.entities, message.markup):
            raise bad_request(NOT_MODIFIED)
        self._slow_down()
        message.text, message.entities, message.markup = text, entities, markup
        message.link_preview = args.structure("link_preview_options")
        return self._edited(message)

    async def edit_message_reply_markup(self, args: Args) -> Json:
        message = self._own(args, "edit")
        markup = checked_markup(args.structure("reply_markup"), private=message.chat.type == "private")
        if markup == message.markup:
            raise bad_request(NOT_MODIFIED)
        self._slow_down()
        message.markup = markup
        return self._edited(message)

    async def delete_message(self, args: Args) -> bool:
        message = self._own(args, "delete")
        self._world.messages.remove(message)
        self._world.changes.touch()
        return True

    async def answer_callback_query(self, args: Args) -> bool:
        query = self._world.queries.get(args.text("callback_query_id"))
        if query is None or self._world.clock.monotonic() - query.asked_at > self.query_seconds:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        text = args.text("text")
        if len(text) > ANSWER_TEXT:
            raise bad_request("MESSAGE_TOO_LONG")
        if args.text("url") and urlsplit(args.text("url")).hostname != "t.me":
            raise bad_request("URL_INVALID")
        query.answer = CallbackAnswer(text, args.flag("show_alert"), args.text("url"))
        self._world.answered(query)
        return True

    async def send_chat_action(self, args: Args) -> bool:
        self._world.writable(args.text("chat_id"))
        return True

    def _text(self, args: Args) -> tuple[str, list[Json]]:
        """A mention of somebody whom Telegram does not know stays plain text."""
        text, entities = _text(args, frozenset() if self.knows_times else SINCE_9_5)
        farthest = self._world.clock.wall() + FARTHEST_TIME
        if any(entity["type"] == "date_time" and entity["unix_time"] > farthest for entity in entities):
            raise bad_request("ENTITY_DATE_INVALID")
        people = self._world.people
        known = [entity for entity in entities if "user" not in entity or entity["user"]["id"] in people]
        whole = (
            entity | {"user": people[entity["user"]["id"]].wire()} if "user" in entity else entity for entity in known
        )
        return text, list(whole)

    def _own(self, args: Args, verb: str) -> Message:
        """The bot's own message that a call wants to change."""
        if args.text("inline_message_id"):
            raise bad_request("inline messages are unknown to the sandbox")
        chat = self._world.writable(args.text("chat_id"))
        message = self._world.message(chat.id, args.number("message_id"))
        if message is None:
            raise bad_request(f"message to {verb} not found")
        if message.sender.id != self._world.bot.id:
            raise bad_request("message can't be edited" if verb == "edit" else "message can't be deleted")
        return message

    def _edited(self, message: Message) -> Json:
        message.edit_date = int(self._world.clock.wall())
        self._world.changes.touch()
        return self._world.wire(message)

    def _thread(self, chat: Chat, thread_id: int) -> int:
        if thread_id and thread_id not in chat.topics:
            raise bad_request("message thread not found")
        if thread_id in chat.closed_topics and chat.members.get(self._world.bot.id) != "administrator":
            raise bad_request("TOPIC_CLOSED")
        return thread_id

    def _replied(self, chat: Chat, args: Args) -> Message | None:
        """The message that is replied to."""
        wanted = args.structure("reply_parameters") or {}
        message_id = int(wanted.get("message_id", 0)) or args.number("reply_to_message_id")
        message = self._world.message(chat.id, message_id) if message_id else None
        optional = wanted.get("allow_sending_without_reply") or args.flag("allow_sending_without_reply")
        if message_id and message is None and not optional:
            raise bad_request("message to be replied not found")
        return message

    def _slow_down(self, chat: Chat | None = None) -> None:
        """Sending counts for all chats, the chat and, in groups, the minute; editing counts for all chats."""
        wanted = [(rates.TELEGRAM_OVERALL, "")]
        if chat:
            wanted.append((rates.TELEGRAM_CHAT, str(chat.id)))
            if chat.type != "private":
                wanted.append((rates.TELEGRAM_GROUP, str(chat.id)))
        if seconds := self._rates.wait_for(*wanted):
            raise too_many_requests(seconds)


class Receiving:
    """How the bot gets its updates."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def table(self) -> dict[str, Method]:
        return {
            "getUpdates": self.get_updates,
            "setWebhook": self.set_webhook,
            "deleteWebhook": self.delete_webhook,
            "getWebhookInfo": self.get_webhook_info,
        }

    async def get_updates(self, args: Args) -> list[Json]:
        allowed = args.structure("allowed_updates")
        return await self._updates.get(
            args.number("offset"), args.number("limit", 100), float(args.number("timeout")), allowed
        )

    async def set_webhook(self, args: Args) -> bool:
        """Telegram wants https; the sandbox takes http to this machine too, to reach a local bot."""
        url, secret = args.text("url"), args.text("secret_token")
        if not url:
            return await self.delete_webhook(args)
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (local and parts.scheme == "http"):
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        if secret and not SECRET_TOKEN.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        connections = args.number("max_connections", 40)
        if not 1 <= connections <= 100:
            raise bad_request("max_connections must be between 1 and 100")
        allowed: Any = args.structure("allowed_updates")
        webhook = Webhook(url, secret, connections, allowed or None)
        await self._updates.set_webhook(webhook, drop_pending=args.flag("drop_pending_updates"))
        return True

    async def delete_webhook(self, args: Args) -> bool:
        await self._updates.set_webhook(None, drop_pending=args.flag("drop_pending_updates"))
        return True

    async def get_webhook_info(self, _args: Args) -> Json:
        webhook = self._updates.webhook
        info: Json = {
            "url": webhook.url if webhook else "",
            "has_custom_certificate": False,
            "pending_update_count": len(self._updates.pending),
        }
        if webhook is None:
            return info
        info["max_connections"] = webhook.max_connections
        if webhook.allowed_updates:
            info["allowed_updates"] = webhook.allowed_updates
        if webhook.last_error_date:
            info["last_error_date"] = webhook.last_error_date
            info["last_error_message"] = webhook.last_error_message
        return info


def _text(args: Args, unknown: frozenset[str]) -> tuple[str, list[Json]]:
    text, entities = parse(cleaned(args.text("text")), args.text("parse_mode"), unknown)
    if not text:
        raise bad_request("message text is empty")
    if len(text) > MESSAGE_TEXT:
        raise bad_request("message is too long")
    return text, entities


def cleaned(text: str) -> str:
    """Control characters become spaces; carriage returns and directional formatting are taken out."""
    shown = (" " if ord(c) < 32 and c not in "\n\r" else c for c in text)
    return "".join(c for c in shown if c != "\r" and not "\u2028" <= c <= "\u202e")
