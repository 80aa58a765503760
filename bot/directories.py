"""Who is in which chat and user group, for a process that serves pages and is connected to no messenger: asked with the
messenger's token, whose SDK is loaded when somebody's answer hangs on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from bot.messengers import slack_settings, telegram_settings
from bot.settings import Settings
from core.directory import Directory
from core.installations import Installations

Built = tuple[Directory, Callable[[], Awaitable[None]]]  # and how its connections are closed


class DirectoryLater:
    """As what `build` makes, which it becomes."""

    def __init__(self, platform: str, build: Callable[[], Built]) -> None:
        self.platform = platform
        self._build = build
        self._building = asyncio.Lock()
        self._built: Built | None = None

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return await (await self._directory()).groups_of(user_id, among)

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return await (await self._directory()).chats_of(user_id, among)

    async def close(self) -> None:
        if self._built is not None:
            await self._built[1]()

    async def _directory(self) -> Directory:
        async with self._building:
            if self._built is None:  # beside the loop: it takes a quarter of a second
                self._built = await asyncio.to_thread(self._build)
            return self._built[0]


def slack_directory(settings: Settings, public_url: str, installations: Installations | None) -> DirectoryLater:
    def build() -> Built:
        from adapters.slack.directories import directory_of

        directory = directory_of(slack_settings(settings, public_url), installations)
        return directory, directory.close

    return DirectoryLater("slack", build)


def telegram_directory(settings: Settings, token: str, public_url: str) -> DirectoryLater:
    def build() -> Built:
        from adapters.telegram.directory import directory_of

        directory = directory_of(telegram_settings(settings, token, public_url))
        return directory, directory.close

    return DirectoryLater("telegram", build)
