"""What the core tells of its work while it works: to meters that count it, and to spans that trace it. By default
nobody listens, and that costs next to nothing.

Ids, durations and words of closed lists only: never a token, a name, a reason or any content.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from core.model import Case

Way = Literal["post", "update"]


class Meters:
    """Counts what happens; this one does not. Durations are in seconds. What is told was committed, or really sent."""

    def moved(self, case: Case) -> None:
        """A case was opened, or is decided, and so stands."""

    def transacted(self, kind: Literal["read", "write"], outcome: str, seconds: float, runs: int) -> None:
        """A transaction has ended: committed, refused (its body raised) or unavailable. `runs`: of its body."""

    def requested(self, door: str, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; `seconds` until its answer began. `route`: as it is declared, without ids."""

    def tapped(self, platform: str, outcome: str, seconds: float) -> None:
        """A tap is known to be recorded, or not, or is not known yet (late): so long did the person wait for that."""

    def sent(self, platform: str, kind: str, way: Way, tenant_id: str, outcome: str, seconds: float) -> None:
        """A card or a notice was handed to a messenger: sent, or failed, limited (429), moved, or dead."""

    def delivered(self, kind: str, tenant_id: str, outcome: str, seconds: float, since_made: float) -> None:
        """A webhook or callback was tried; `since_made`: how long ago it was made."""


class Span:
    """One piece of work under way; this one is not traced."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What tells whoever is called that they belong to it (W3C Trace Context)."""
        return {}

    def about(self, **facts: str | int | None) -> None:
        """More that is known of it now. What is None is left out."""

    def named(self, name: str) -> None:
        """What it is called from now on."""


class Spans:
    """Traces pieces of work; this one does not."""

    def span(self, name: str, /, **facts: str | int | None) -> AbstractContextManager[Span]:
        """A piece of work that lasts as long as the block; pieces within it belong to it. An error that leaves the
        block is noted down by its class alone.
        """
        return _UNTRACED

    def served(self, headers: Mapping[str, str], /, **facts: str | int | None) -> AbstractContextManager[Span]:
        """A request that came with these headers, which may say to which trace it belongs; named once it is known."""
        return _UNTRACED

    def done(self, name: str, began_ns: int, /, **facts: str | int | None) -> None:
        """A piece of work that has ended just now; `began_ns`: nanoseconds since 1970."""

    async def close(self) -> None:
        """What is not sent yet is sent now."""


_UNTRACED = nullcontext(Span())


@dataclass(frozen=True, slots=True)
class Watch:
    """Who counts and who traces."""

    meters: Meters = field(default_factory=Meters)
    spans: Spans = field(default_factory=Spans)

    @property
    def counts(self) -> bool:
        return type(self.meters) is not Meters

    @property
    def traces(self) -> bool:
        return type(self.spans) is not Spans


NOBODY = Watch()
