"""What the core needs from a messenger. An adapter implements it; one conformance suite runs against every adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from core.errors import AssentError
from core.messages import Card
from core.model import Address
from core.pacing import Rate


class SendFailed(AssentError):
    """The messenger did not take this message.

    `retry_after_ms`: the platform's own wish (429), else None. `permanent`: trying again cannot help (the channel or
    the message is gone, the bot was removed). `uncertain`: it may have arrived all the same (the answer was lost).
    """

    code = "send_failed"

    def __init__(
        self,
        message: str | None = None,
        /,
        *,
        retry_after_ms: int | None = None,
        permanent: bool = False,
        uncertain: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms
        self.permanent = permanent
        self.uncertain = uncertain


class ChannelMoved(AssentError):
    """The chat has a new id (Telegram: a group became a supergroup)."""

    code = "channel_moved"

    def __init__(self, new_channel: str) -> None:
        super().__init__()
        self.new_channel = new_channel


@dataclass(frozen=True, slots=True)
class Check:
    """What a messenger says of its own connection. `detail` is one plain sentence, without secrets."""

    ok: bool
    detail: str


class Messenger(Protocol):
    """Five methods and a rate card. All raise SendFailed (or ChannelMoved) and nothing else for what the platform
    refuses.
    """

    @property
    def platform(self) -> str: ...

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        """The published limit that this message falls under: the name of its bucket, and the bucket."""
        ...

    async def post(self, address: Address, card: Card) -> str:
        """Post a new card; returns the platform's id of the message."""
        ...

    async def update(self, address: Address, message: str, card: Card) -> None:
        """Redraw a posted card. That it already looks so is success."""
        ...

    async def notify(self, address: Address, whom: str, text: str) -> None:
        """Tell one person (the platform's user id) something that only they see, in or near that channel."""
        ...

    async def find(self, address: Address, card: Card) -> str | None:
        """The message of a card whose posting may or may not have happened; None when it is not there or cannot be
        told.
        """
        ...

    async def check(self) -> Check:
        """Whether the connection works: token, identity, reachability."""
        ...
