"""Who and where: `auth.*`, `conversations.*`, `users.*`, `usergroups.*`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.world import Channel, Message, Workspace
from bot.sandbox.wire import Json


class DirectoryMethods:
    def __init__(self, world: Workspace) -> None:
        self._world = world

    def table(self) -> dict[str, Callable[[Args], Json]]:
        return {
            "auth.test": self.auth_test,
            "conversations.info": self.conversations_info,
            "conversations.members": self.conversations_members,
            "conversations.history": self.conversations_history,
            "conversations.replies": self.conversations_replies,
            "conversations.open": self.conversations_open,
            "users.info": self.users_info,
            "users.list": self.users_list,
            "users.conversations": self.users_conversations,
            "usergroups.list": self.usergroups_list,
            "usergroups.users.list": self.usergroups_users_list,
            "team.info": self.team_info,
        }

    def auth_test(self, _args: Args) -> Json:
        world = self._world
        return {
            "ok": True,
            "url": f"https://{world.team.domain}.slack.com/",
            "team": world.team.name,
            "user": world.bot.name,
            "team_id": world.team.id,
            "user_id": world.bot.id,
            "bot_id": world.bot_id,
            "is_enterprise_install": False,
        } | ({"enterprise_id": world.team.enterprise_id} if world.team.enterprise_id else {})

    def team_info(self, _args: Args) -> Json:
        team = self._world.team
        return {"ok": True, "team": {"id": team.id, "name": team.name, "domain": team.domain}}

    def conversations_info(self, args: Args) -> Json:
        channel = self._channel(args, members_only=False)
        wire = channel.wire(self._world.team.id)
        return {"ok": True, "channel": wire | {"is_member": self._world.bot.id in channel.members}}

    def conversations_members(self, args: Args) -> Json:
        """Pages of `limit` members; the cursor is the position as text."""
        return self._page(args, "members", self._channel(args, members_only=False).members)

    def conversations_history(self, args: Args) -> Json:
        """Newest first, without replies in threads, as Slack lists a channel."""
        channel = self._channel(args)
        shown = [
            message
            for message in self._world.visible(channel.id)
            if not message.thread_ts or message.thread_ts == message.ts or message.reply_broadcast
        ]
        return self._listed(args, list(reversed(_between(shown, args))))

    def conversations_replies(self, args: Args) -> Json:
        """Oldest first, the thread's parent leading."""
        channel, ts = self._channel(args), args.required("ts")
        if self._world.message(channel.id, ts) is None:
            raise SlackError("thread_not_found")
        thread = [m for m in self._world.visible(channel.id) if ts in (m.ts, m.thread_ts)]
        return self._listed(args, _between(thread, args))

    def conversations_open(self, args: Args) -> Json:
        if "channel" in args:
            channel = self._channel(args)
        else:
            users = args.required("users").split(",")
            person = self._world.people.get(users[0])
            if person is None or len(users) > 1:
                raise SlackError("user_not_found")
            channel = self._world.direct_message(person)
        return {"ok": True, "channel": {"id": channel.id}}

    def users_info(self, args: Args) -> Json:
        person = self._world.people.get(args.required("user"))
        if person is None:
            raise SlackError("user_not_found")
        return {"ok": True, "user": person.wire(self._world.team.id)}

    def users_list(self, args: Args) -> Json:
        return self._page(args, "members", [one.wire(self._world.team.id) for one in self._world.people.values()])

    def users_conversations(self, args: Args) -> Json:
        """The channels that `user` is in (the bot, when nobody is named); public ones, unless `types` says otherwise.
        Of other people's private channels those alone that the bot is in too.
        """
        types = (args.text("types") or "public_channel").split(",")
        bot, user = self._world.bot.id, args.text("user") or self._world.bot.id
        if user not in self._world.people:
            raise SlackError("user_not_found")
        joined = [
            channel.wire(self._world.team.id)
            for channel in self._world.channels.values()
            if user in channel.members and channel.type in types
            if channel.type == "public_channel" or bot in channel.members
            if not (channel.is_archived and args.flag("exclude_archived"))
        ]
        return self._page(args, "channels", joined)

    def usergroups_list(self, args: Args) -> Json:
        team, users, count = self._world.team.id, args.flag("include_users"), args.flag("include_count")
        groups = [
            group.wire(team, with_users=users, with_count=count)
            for group in self._world.user_groups.values()
            if not group.disabled or args.flag("include_disabled")
        ]
        return {"ok": True, "usergroups": groups}

    def usergroups_users_list(self, args: Args) -> Json:
        group = self._world.user_groups.get(args.required("usergroup"))
        if group is None or (group.disabled and not args.flag("include_disabled")):
            raise SlackError("no_such_subteam")
        return {"ok": True, "users": list(group.users)}

    def _channel(self, args: Args, *, members_only: bool = True) -> Channel:
        """By its id; names are not taken here. A private channel that the bot is not in does not exist for it."""
        channel = self._world.channels.get(args.required("channel"))
        if channel is None:
            raise SlackError("channel_not_found")
        if self._world.bot.id not in channel.members and (members_only or channel.is_private):
            raise SlackError("channel_not_found" if channel.is_private else "not_in_channel")
        return channel

    def _page(self, args: Args, name: str, things: list[Any]) -> Json:
        """`limit` things from the cursor on, which is the position as text."""
        start, limit = args.number("cursor", 0), args.number("limit", 100)
        if not 0 < limit <= 1000:
            raise SlackError("invalid_limit")
        following = str(start + limit) if start + limit < len(things) else ""
        return {"ok": True, name: things[start : start + limit], "response_metadata": {"next_cursor": following}}

    def _listed(self, args: Args, messages: list[Message]) -> Json:
        start, limit = args.number("cursor", 0), args.number("limit", 100)
        page = messages[start : start + limit]
        following = str(start + limit) if start + limit < len(messages) else ""
        with_metadata = args.flag("include_all_metadata")
        return {
            "ok": True,
            "messages": [message.wire(self._world.team.id, with_metadata=with_metadata) for message in page],
            "has_more": bool(following),
            "response_metadata": {"next_cursor": following},
        }


def _between(messages: list[Message], args: Args) -> list[Message]:
    """Messages between `oldest` and `latest`, with the ends themselves only when `inclusive` is set."""
    oldest, latest = args.text("oldest") or "0", args.text("latest") or "9999999999.999999"
    inclusive = args.flag("inclusive")
    try:
        low, high = float(oldest), float(latest)
    except ValueError as error:
        raise SlackError("invalid_ts_oldest") from error
    return [
        message
        for message in messages
        if low < float(message.ts) < high or (inclusive and float(message.ts) in (low, high))
    ]
