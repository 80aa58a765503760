"""What the core needs from a messenger, and from whoever looks at proofs. Adapters implement it; one conformance suite
runs against every messenger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from core.digest_words import Digest
from core.errors import AssentError
from core.messages import Card
from core.model import Address, Identity
from core.notice_words import Notice
from core.pacing import Rate
from core.told import Told
from core.verification import Evidence, Expected, Verified


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
    """The chat is to be written to by another id: it has a new one (Telegram: a group became a supergroup), or the
    address was a name (Slack), and this is whom it means. Nothing was sent.
    """

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
    """Seven methods and a rate card. All raise SendFailed (or ChannelMoved) and nothing else for what the platform
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

    def shows_whole(self, card: Card) -> bool:
        """Whether the message that this card is drawn as shows all of the content. Pure."""
        ...

    async def update(self, address: Address, message: str, card: Card) -> None:
        """Redraw a posted card. That it already looks so is success."""
        ...

    async def remind(self, address: Address, message: str, notice: Notice) -> str:
        """Post a notice below a card's message (in its thread, or as a reply to it), and mention the people that it
        names; nobody else is called. Returns the platform's id of the new message.
        """
        ...

    async def notify(self, address: Address, whom: str, what: str | Told) -> None:
        """Tell one person (the platform's user id) something that only they see, in or near that channel."""
        ...

    async def digest(self, address: Address, digest: Digest, message: str | None = None) -> str:
        """Post the digest of what waits for a chat, or redraw the one that `message` is; returns the message's id."""
        ...

    async def find(self, address: Address, card: Card | Digest) -> str | None:
        """The message of a card or digest whose posting may or may not have happened; None when it is not there or
        cannot be told.
        """
        ...

    async def check(self) -> Check:
        """Whether the connection works: token, identity, reachability."""
        ...


class Verifier(Protocol):
    """Looks at the proofs of one provider. An unknown provider has none, and its evidence proves nothing."""

    @property
    def provider(self) -> str: ...

    @property
    def proof_types(self) -> frozenset[str]: ...

    async def verify(self, evidence: Evidence, expected: Expected) -> Verified | str:
        """What the proof proves of `expected`, or in plain words why it proves nothing; neither quotes the proof.
        Raises Unavailable when that cannot be told now. May take as long as `core.verifiers` waits.
        """
        ...


class MiniAppSignIn(Protocol):
    """Knows whoever opens a page inside a messenger."""

    def identity(self, init_data: str) -> Identity | None:
        """The person whom the messenger signed this data for a moment ago; None for anything else."""
        ...


@dataclass(frozen=True, slots=True)
class Consent:
    """What one sign-in goes by, from the address where people agree to the answer that comes back. `state` and `nonce`
    tie the answer to the question.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    redirect_uri: str


class OpenIdSignIn(Protocol):
    """Signs people in by the word of their messenger (OpenID Connect)."""

    def address(self, consent: Consent) -> str:
        """Where the person's browser is sent to agree."""
        ...

    async def identity(self, code: str, consent: Consent) -> Identity:
        """The person who agreed. Raises InvalidToken for an answer that is not one to this question, Refused in words
        for people for somebody of another workspace, and Unavailable when the messenger cannot be asked.
        """
        ...


class FetchFailed(AssentError):
    """What was asked for could not be fetched. The message names neither the address nor what came back."""

    code = "fetch_failed"


class Fetcher(Protocol):
    """Fetches from addresses that somebody else chose, and so from public ones only."""

    async def fetch(self, url: str, *, headers: Mapping[str, str], limit_bytes: int, timeout: float) -> bytes:
        """The body of a 200 answer, `timeout` in seconds for all of it. Redirects are not followed, an address inside
        the network is refused when it is connected to. Raises FetchFailed and nothing else.
        """
        ...
