"""`chat.*`: posting, changing and deleting messages."""

from __future__ import annotations

from collections.abc import Callable

from bot.sandbox import rates
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.blocks import MESSAGE_TEXT, UPDATE_TEXT
from bot.sandbox.slack.world import Channel, Message, Workspace
from bot.sandbox.wire import Json


class ChatMethods:
    def __init__(self, world: Workspace, app: SlackApp, limits: rates.Rates) -> None:
        self._world = world
        self._app = app
        self._rates = limits

    def table(self) -> dict[str, Callable[[Args], Json]]:
        return {
            "chat.postMessage": self.post_message,
            "chat.update": self.update,
            "chat.delete": self.delete,
            "chat.postEphemeral": self.post_ephemeral,
            "chat.getPermalink": self.get_permalink,
        }

    def post_message(self, args: Args) -> Json:
        channel = self._open_channel(args.required("channel"))
        blocks = args.blocks()
        text = args.text("text")
        if not text and not blocks and "attachments" not in args:
            raise SlackError("no_text")
        thread_ts = args.text("thread_ts")
        if thread_ts and self._world.message(channel.id, thread_ts) is None:
            raise SlackError("thread_not_found")
        metadata = args.structure("metadata", "metadata_must_be_sent_from_app")
        if metadata is not None and not (isinstance(metadata, dict) and "event_type" in metadata):
            raise SlackError("invalid_metadata_format")
        self._slow_down(rates.SLACK_POST, channel.id)
        message = self._own_message(channel, text[:MESSAGE_TEXT], blocks or [])
        message.thread_ts, message.metadata = thread_ts, metadata
        message.reply_broadcast = args.flag("reply_broadcast")
        self._world.say(message)
        wire = message.wire(self._world.team.id, with_metadata=True)
        return {"ok": True, "channel": channel.id, "ts": message.ts, "message": wire}

    def update(self, args: Args) -> Json:
        """Text without blocks removes the blocks; neither of both is `no_text`."""
        channel = self._known_channel(args.required("channel"))
        message = self._world.message(channel.id, args.required("ts"))
        if message is None or message.ephemeral_for:
            raise SlackError("message_not_found")
        if message.user != self._world.bot.id:
            raise SlackError("cant_update_message")
        blocks = args.blocks()
        text = args.text("text")
        if not text and blocks is None and "attachments" not in args:
            raise SlackError("no_text")
        if len(text) > UPDATE_TEXT:
            raise SlackError("msg_too_long")
        metadata = args.structure("metadata", "invalid_metadata_format")
        self._slow_down(rates.SLACK_TIER_3, f"chat.update {channel.id}")
        message.blocks = blocks or []
        message.text = text or message.text
        message.metadata = metadata if metadata is not None else message.metadata
        message.edited_ts = self._world.next_ts()
        self._world.changes.touch()
        wire = message.wire(self._world.team.id, with_metadata=True)
        return {"ok": True, "channel": channel.id, "ts": message.ts, "text": message.text, "message": wire}

    def delete(self, args: Args) -> Json:
        channel = self._known_channel(args.required("channel"))
        message = self._world.message(channel.id, args.required("ts"))
        if message is None or message.ephemeral_for:
            raise SlackError("message_not_found")
        if message.user != self._world.bot.id:
            raise SlackError("cant_delete_message")
        self._slow_down(rates.SLACK_TIER_3, f"chat.delete {channel.id}")
        self._world.remove(message)
        return {"ok": True, "channel": channel.id, "ts": message.ts}

    def post_ephemeral(self, args: Args) -> Json:
        channel = self._open_channel(args.required("channel"))
        user = args.required("user")
        if user not in channel.members:
            raise SlackError("user_not_in_channel")
        blocks = args.blocks()
        text = args.text("text")
        if not text and not blocks and "attachments" not in args:
            raise SlackError("no_text")
        self._slow_down(rates.SLACK_TIER_4, "chat.postEphemeral")
        message = self._own_message(channel, text[:MESSAGE_TEXT], blocks or [])
        message.ephemeral_for, message.thread_ts = user, args.text("thread_ts")
        self._world.say(message)
        return {"ok": True, "message_ts": message.ts}

    def get_permalink(self, args: Args) -> Json:
        channel = self._known_channel(args.required("channel"))
        ts = args.required("message_ts")
        if self._world.message(channel.id, ts) is None:
            raise SlackError("message_not_found")
        link = f"https://{self._world.team.domain}.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
        return {"ok": True, "channel": channel.id, "permalink": link}

    def _own_message(self, channel: Channel, text: str, blocks: list[Json]) -> Message:
        world = self._world
        return Message(
            ts=world.next_ts(),
            channel=channel.id,
            user=world.bot.id,
            text=text,
            blocks=blocks,
            bot_id=world.bot_id,
            app_id=self._app.app_id,
        )

    def _known_channel(self, channel_id: str) -> Channel:
        channel = self._world.channels.get(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def _open_channel(self, name: str) -> Channel:
        """A channel the bot may write to, by id or name: posting alone takes names. A person's id means the direct
        message with that person.
        """
        person = self._world.people.get(name)
        channel = self._world.direct_message(person) if person else self._world.channel(name)
        if channel is None:
            raise SlackError("channel_not_found")
        if channel.is_archived:
            raise SlackError("is_archived")
        if self._world.bot.id not in channel.members:
            raise SlackError("channel_not_found" if channel.is_private else "not_in_channel")
        return channel

    def _slow_down(self, limit: rates.Limit, key: str) -> None:
        if seconds := self._rates.wait_for((limit, key)):
            raise SlackError("ratelimited", retry_after=seconds)
