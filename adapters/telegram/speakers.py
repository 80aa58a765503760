"""Who speaks: only a person whom Telegram names can be asked, answered or known."""

from __future__ import annotations

from telegram import Message, User

from adapters.telegram.messenger import Place
from core.model import Identity
from core.words import Language


def identity_of(user: User) -> Identity:
    return Identity("telegram", str(user.id), display_name=user.full_name, verified=True)


def speaker(message: Message) -> User | None:
    """Who wrote it; None for a channel, an anonymous admin and a bot: nobody knows who that was."""
    user = message.from_user
    return None if user is None or user.is_bot or message.sender_chat is not None else user


def language_of(user: User) -> Language:
    """In which language somebody is told what belongs to no case."""
    return "de" if (user.language_code or "").lower().split("-")[0] == "de" else "en"


def place_of(message: Message) -> Place:
    """The chat and the topic that it stands in. In groups without topics a chain of replies has a thread id too."""
    return Place(message.chat.id, message.message_thread_id if message.is_topic_message else None)


def replied_to(message: Message) -> Message | None:
    """The message that somebody chose to reply to; in a topic everything replies to the topic's beginning."""
    replied = message.reply_to_message
    return None if replied is None or replied.forum_topic_created is not None else replied
