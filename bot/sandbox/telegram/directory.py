"""The bot itself, chats and their members, commands and menu buttons. https://core.telegram.org/bots/api"""

from __future__ import annotations

import re

from bot.sandbox.telegram.bot_api import Args, Method
from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.telegram.keyboard import check_web_app
from bot.sandbox.telegram.world import Chat, TelegramWorld, scope_key
from bot.sandbox.wire import Json

MOST_COMMANDS = 100
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
ADMIN_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)


class Directory:
    """The bot itself, chats and their members."""

    def __init__(self, world: TelegramWorld) -> None:
        self._world = world

    def table(self) -> dict[str, Method]:
        return {
            "getMe": self.get_me,
            "getChat": self.get_chat,
            "getChatMember": self.get_chat_member,
            "getChatAdministrators": self.get_chat_administrators,
            "getChatMemberCount": self.get_chat_member_count,
            "setMyCommands": self.set_my_commands,
            "getMyCommands": self.get_my_commands,
            "deleteMyCommands": self.delete_my_commands,
            "setChatMenuButton": self.set_chat_menu_button,
            "getChatMenuButton": self.get_chat_menu_button,
        }

    async def get_me(self, _args: Args) -> Json:
        return self._world.bot.wire() | {
            "can_join_groups": self._world.can_join_groups,
            "can_read_all_group_messages": not self._world.privacy_mode,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": bool(self._world.mini_app_url),
        }

    async def get_chat(self, args: Args) -> Json:
        chat = self._chat(args)
        gifts = {
            "unlimited_gifts": False,
            "limited_gifts": False,
            "unique_gifts": False,
            "premium_subscription": False,
            "gifts_from_channels": False,
        }
        return chat.wire() | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}

    async def get_chat_member(self, args: Args) -> Json:
        chat, user_id = self._chat(args), args.number("user_id")
        if user_id not in self._world.people:
            raise bad_request("user not found" if chat.type == "private" else "PARTICIPANT_ID_INVALID")
        if chat.type == "private":
            return self._member(user_id, "member" if user_id in (chat.id, self._world.bot.id) else "left")
        return self._member(user_id, chat.members.get(user_id, "left"))

    async def get_chat_administrators(self, args: Args) -> list[Json]:
        chat = self._chat(args)
        if chat.type == "private":
            raise bad_request("there are no administrators in the private chat")
        leading = {user: status for user, status in chat.members.items() if status in ("creator", "administrator")}
        return [self._member(user_id, status) for user_id, status in leading.items()]

    async def get_chat_member_count(self, args: Args) -> int:
        return len(self._chat(args).members)

    async def set_my_commands(self, args: Args) -> bool:
        """https://core.telegram.org/bots/api#botcommand"""
        commands = args.structure("commands")
        if not isinstance(commands, list) or len(commands) > MOST_COMMANDS:
            raise bad_request("BOT_COMMANDS_TOO_MUCH" if commands else "object expected as commands")
        for command in commands:
            if not COMMAND.fullmatch(str(command.get("command", ""))):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(str(command.get("description", ""))) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        self._world.commands[self._scope(args)] = commands
        self._world.changes.touch()
        return True

    async def get_my_commands(self, args: Args) -> list[Json]:
        return self._world.commands.get(self._scope(args), [])

    async def delete_my_commands(self, args: Args) -> bool:
        self._world.commands.pop(self._scope(args), None)
        self._world.changes.touch()
        return True

    async def set_chat_menu_button(self, args: Args) -> bool:
        """For one private chat, or without `chat_id` for all."""
        button = args.structure("menu_button") or {"type": "default"}
        if button.get("type") not in ("commands", "web_app", "default"):
            raise bad_request("unsupported menu button type")
        if button["type"] == "web_app":
            if not str(button.get("text", "")).strip():
                raise bad_request("menu button text must be non-empty")
            check_web_app(button.get("web_app"), private=True)
        self._world.menu_buttons[self._private(args)] = button
        self._world.changes.touch()
        return True

    async def get_chat_menu_button(self, args: Args) -> Json:
        buttons = self._world.menu_buttons
        return buttons.get(self._private(args)) or buttons.get(0) or {"type": "default"}

    def _private(self, args: Args) -> int:
        if not args.text("chat_id"):
            return 0
        chat = self._chat(args)
        if chat.type != "private":
            raise bad_request("chat must be private")
        return chat.id

    def _scope(self, args: Args) -> tuple[str, str]:
        """The key under which commands are kept: their scope and their language."""
        scope = args.structure("scope") or {"type": "default"}
        if "chat_id" in scope:
            chat = self._world.known(str(scope["chat_id"]))
            if chat is None:
                raise bad_request("chat not found")
            scope = scope | {"chat_id": chat.id}
        return scope_key(scope), args.text("language_code")

    def _chat(self, args: Args) -> Chat:
        chat = self._world.known(args.text("chat_id"))
        if chat is None:
            raise bad_request("chat not found")
        return chat if chat.type == "private" else self._world.reachable(chat)

    def _member(self, user_id: int, status: str) -> Json:
        member: Json = {"user": self._world.people[user_id].wire(), "status": status}
        if status == "creator":
            member["is_anonymous"] = False
        elif status == "administrator":
            member |= {"is_anonymous": False, "can_be_edited": False} | {right: True for right in ADMIN_RIGHTS}
        elif status == "kicked":
            member["until_date"] = 0
        elif status in ("restricted", "restricted_away"):
            member |= {"status": "restricted", "is_member": status == "restricted", "until_date": 0}
            member |= {permission: False for permission in PERMISSIONS}
        return member


PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
    "can_edit_tag",
    "can_react_to_messages",
)
