"""All connected workspaces as one messenger, and as one directory: who is written to, or looked up, says where."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from adapters.slack import limits
from adapters.slack.desks import Desk, Desks
from adapters.slack.payloads import parted
from adapters.slack.render import draw
from core.digest_words import Digest
from core.errors import Unavailable
from core.messages import Card, Notice
from core.model import Address
from core.pacing import Rate
from core.ports import ChannelMoved, Check, SendFailed


class SlackWorkspaces:
    """`core.ports.Messenger`: each message goes out through the desk of its workspace."""

    platform = "slack"

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        return limits.rate_of(address.channel, kind)

    def shows_whole(self, card: Card) -> bool:
        return draw(card).whole

    async def post(self, address: Address, card: Card) -> str:
        desk, here = await self._desks.at(address, new=True)
        with _moving(desk):
            return await desk.messenger.post(here, card)

    async def update(self, address: Address, message: str, card: Card) -> None:
        desk, here = await self._desks.at(address)
        with _moving(desk):
            await desk.messenger.update(here, message, card)

    async def remind(self, address: Address, message: str, notice: Notice) -> str:
        """Called are those of the card's own workspace: others are not there."""
        desk, here = await self._desks.at(address)
        mentions = tuple(one.removeprefix(desk.prefix) for one in notice.mentions if _is_of(one, desk))
        with _moving(desk):
            return await desk.messenger.remind(here, message, replace(notice, mentions=mentions))

    async def notify(self, address: Address, whom: str, text: str) -> None:
        desk, here = await self._desks.at(address)
        with _moving(desk):
            await desk.messenger.notify(here, parted(whom)[1], text)

    async def digest(self, address: Address, digest: Digest, message: str | None = None) -> str:
        desk, here = await self._desks.at(address)
        with _moving(desk):
            return await desk.messenger.digest(here, digest, message)

    async def find(self, address: Address, card: Card | Digest) -> str | None:
        desk, here = await self._desks.at(address)
        with _moving(desk):
            return await desk.messenger.find(here, card)

    async def check(self) -> Check:
        """Of all of them: one that is not well is named."""
        try:
            await self._desks.refresh()
        except Unavailable as error:
            return Check(False, f"The installations cannot be read: {error.message}.")
        checks = [await desk.messenger.check() for desk in self._desks.all]
        if not checks:
            return Check(False, "The app is installed in no workspace yet.")
        return Check(all(one.ok for one in checks), " ".join(one.detail for one in checks))


class SlackDirectories:
    """`core.directory.Directory`: everybody is looked up in their own workspace, among what is there."""

    platform = "slack"

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        desk, user, own = await self._of(user_id, among)
        return frozenset() if desk is None else _whole(desk, await desk.directory.groups_of(user, own))

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        desk, user, own = await self._of(user_id, among)
        return frozenset() if desk is None else _whole(desk, await desk.directory.chats_of(user, own))

    async def _of(self, user_id: str, among: Collection[str]) -> tuple[Desk | None, str, list[str]]:
        team, user = parted(user_id)
        try:
            desk = await self._desks.of_id(team)
        except Unavailable as error:
            raise SendFailed(error.message) from None
        own = [one.removeprefix(desk.prefix) for one in among if _is_of(one, desk)] if desk is not None else []
        return (desk if own else None), user, own


def _is_of(name: str, desk: Desk) -> bool:
    return parted(name)[0] == desk.prefix.rstrip("/")


def _whole(desk: Desk, found: Collection[str]) -> frozenset[str]:
    return frozenset(desk.prefix + one for one in found)


@contextmanager
def _moving(desk: Desk) -> Iterator[None]:
    """An id that a workspace gives is one of that workspace."""
    try:
        yield
    except ChannelMoved as moved:
        raise ChannelMoved(desk.prefix + moved.new_channel) from None
