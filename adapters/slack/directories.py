"""All connected workspaces as one directory: who is looked up says where."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from adapters.slack.branches import Branch, Branches
from adapters.slack.calls import CALL_SECONDS, SlackCalls
from adapters.slack.errands import Errands
from adapters.slack.payloads import parted
from adapters.slack.settings import SlackSettings
from core.errors import Unavailable
from core.installations import Installation, Installations
from core.introductions import Introduced
from core.ports import SendFailed


class SlackDirectories:
    """`core.directory.Directory`: everybody is looked up in their own workspace, among what is there."""

    platform = "slack"

    def __init__(self, branches: Branches[Any]) -> None:
        self._branches = branches

    async def close(self) -> None:
        """Of branches that nobody else uses."""
        await self._branches.close(CALL_SECONDS)

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        branch, user, own = await self._of(user_id, among)
        return frozenset() if branch is None else _whole(branch, await branch.directory.groups_of(user, own))

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        branch, user, own = await self._of(user_id, among)
        return frozenset() if branch is None else _whole(branch, await branch.directory.chats_of(user, own))

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        """`core.introductions.Introduces`: everybody by their own workspace."""
        team, user = parted(user_id)
        branch = await self._branch_of(team)
        return None if branch is None else await branch.directory.introduced(user, ())

    async def _of(self, user_id: str, among: Collection[str]) -> tuple[Branch | None, str, list[str]]:
        team, user = parted(user_id)
        branch = await self._branch_of(team)
        own = branch.own(among) if branch is not None else []
        return (branch if own else None), user, own

    async def _branch_of(self, team: str) -> Branch | None:
        try:
            found: Branch | None = await self._branches.of_id(team)
        except Unavailable as error:
            raise SendFailed(error.message) from None
        return found


def _whole(branch: Branch, found: Collection[str]) -> frozenset[str]:
    return frozenset(branch.prefix + one for one in found)


def directory_of(settings: SlackSettings, installs: Installations | None) -> SlackDirectories:
    """For a process that is not otherwise connected."""

    def build(own: SlackSettings, installation: Installation | None) -> Branch:
        return Branch(own, SlackCalls(own), installation)

    return SlackDirectories(Branches(settings, installs, Errands(), build))
