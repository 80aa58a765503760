"""All connected workspaces as one messenger: who is written to says where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from adapters.slack import limits
from adapters.slack.desks import Desk, Desks
from adapters.slack.payloads import parted
from adapters.slack.render import draw
from core.digest_words import Digest
from core.errors import Unavailable
from core.messages import Card
from core.model import Address
from core.notice_words import Notice
from core.pacing import Rate
from core.ports import ChannelMoved, Check
from core.told import Told


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
        mentions = tuple(desk.own(notice.mentions))
        with _moving(desk):
            return await desk.messenger.remind(here, message, replace(notice, mentions=mentions))

    async def notify(self, address: Address, whom: str, what: str | Told) -> None:
        desk, here = await self._desks.at(address)
        with _moving(desk):
            await desk.messenger.notify(here, parted(whom)[1], what)

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


@contextmanager
def _moving(desk: Desk) -> Iterator[None]:
    """An id that a workspace gives is one of that workspace."""
    try:
        yield
    except ChannelMoved as moved:
        raise ChannelMoved(desk.prefix + moved.new_channel) from None
