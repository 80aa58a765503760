"""What is sent to an address that somebody else chose, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class NotSentTo(Exception):
    """None of the addresses may be dialled."""


class NoAnswer(Exception):
    """No whole answer came in time, for whatever reason: the cause is for the log."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came back; names of headers are found in any case. `body` holds no more than was allowed; `cut` says that
    there was more.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cut: bool


class Http(Protocol):
    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, limit: int
    ) -> Exchanged:
        """One request and its answer, over after `seconds` whatever the other side does; up to `limit` bytes of the
        answer are read. Raises NotSentTo, Unresolved, NoAnswer and nothing else.
        """
        ...

    async def close(self) -> None: ...
