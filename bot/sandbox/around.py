"""What both platforms share: the journal, the limits, the faults and the address they are reached at."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.faults import FaultBook
from bot.sandbox.journal import Journal
from bot.sandbox.rates import Rates


@dataclass
class Address:
    """Known once the server listens."""

    url: str = ""

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]


@dataclass(frozen=True)
class Around:
    journal: Journal
    rates: Rates
    faults: FaultBook
    address: Address
