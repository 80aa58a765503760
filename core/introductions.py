"""Getting to know people whom policies name and who never wrote to the bot: their messenger is asked what they are
called, beside everything else, so that cards, refusals and pages can say it when they are drawn the next time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from core.errors import AssentError, InvalidInput
from core.floods import chat_of
from core.leases import Lease
from core.ledger import Database, Statement, Tx
from core.ledger import inbox_queries as iq
from core.ledger import people_queries as q
from core.model import Identity
from core.names import names_of
from core.opening import inbox_entry
from core.people import People
from core.ports import SendFailed
from core.recipients import person
from core.rows import to_json

log = structlog.get_logger()

EVERY_SECONDS = 2.0
AT_ONCE, LOOKED_AT = 20, 500  # people asked for in a round, and looked at for that
EACH_SECONDS = 1.0  # on average: Slack answers some 100 such questions a minute, and people's commands need them, too
ASK_SECONDS, ROUND_SECONDS = 5.0, 5.0  # how long one answer, and a round, may take
TURN_MS = 30_000  # so long the others leave it to the process that asked last: the pace is that of all together
MOST_CHATS = 10
AGAIN_SECONDS = 3_600.0  # until somebody is asked for again of whom the messenger told nothing
PAUSE_SECONDS = 60.0  # when it cannot be asked
MOST_ASKED = 20_000


@dataclass(frozen=True, slots=True)
class Introduced:
    """Somebody, by the word of their messenger. `zone`: the IANA name of their time zone, where it knows that."""

    identity: Identity
    zone: str | None = None


class Introduces(Protocol):
    """What one messenger says of people who never wrote to the bot."""

    @property
    def platform(self) -> str: ...

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        """Who this is; None for nobody whom it would tell of. `chats`: where they may be met. Raises SendFailed when it
        cannot be asked.
        """
        ...


class Introductions:
    """Asks one messenger for the names that are missing. Of any number of processes one does so at a time. `clock`:
    seconds that pass.
    """

    def __init__(
        self, database: Database, people: People, messenger: Introduces, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._people = people
        self._messenger = messenger
        self._clock = clock
        self._reached: dict[Statement, str] = {}  # where the last look ended, so that everybody has their turn
        self._not_before: dict[str, float] = {}
        self._quiet_until: dict[str, float] = {}  # by workspace: it could not be asked
        self._next_round = float("-inf")
        self._turn = Lease(database, f"names:{messenger.platform}", ttl_ms=TURN_MS)

    async def round(self) -> float:
        """Ask for some; in how many seconds to come again."""
        began = self._clock()
        if began < self._next_round:
            return EVERY_SECONDS
        nameless, asked_at = await self._nameless()
        if not nameless or not await self._turn.take():
            return EVERY_SECONDS
        away, asked = set[str](), 0
        for address in nameless:
            if _workspace(address) in away:
                continue
            if self._clock() - began >= ROUND_SECONDS:
                break
            asked += 1
            self._next_round = began + asked * EACH_SECONDS
            self._not_before[address] = self._clock() + AGAIN_SECONDS
            try:
                await self._learn(address, asked_at)
            except SendFailed as failed:
                log.info("names.not_learned", platform=self._messenger.platform, reason=failed.message)
                pause = max(PAUSE_SECONDS, (failed.retry_after_ms or 0) / 1000)
                self._quiet_until[_workspace(address)] = self._clock() + pause
                if not failed.permanent:
                    away.add(_workspace(address))
                    del self._not_before[address]
        return EVERY_SECONDS

    async def _learn(self, address: str, asked_at: int) -> None:
        chats = await self._chats(address)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._messenger.introduced(address.partition(":")[2], chats)
        except TimeoutError:
            raise SendFailed("there was no answer in time") from None
        if found is None or not found.identity.display_name:
            return
        try:
            await self._people.heard_of(found.identity, found.zone, asked_at)
        except InvalidInput as error:
            log.info("names.not_kept", platform=self._messenger.platform, reason=error.message)

    async def _nameless(self) -> tuple[list[str], int]:
        """People without a name, of those for whom something waits and those in groups, who may be asked for now; and
        the time of the database.
        """
        first, last = f"{self._messenger.platform}:", f"{self._messenger.platform};"
        reached = dict(self._reached)

        async def body(tx: Tx) -> tuple[dict[Statement, list[str]], dict[str, str], int]:
            found = {}
            for statement, column in ((iq.WAITING_PLACES, "entry"), (q.GROUPED, "address")):
                rows = await tx.all(statement, first=reached.get(statement, first), last=last, limit=LOOKED_AT)
                found[statement] = [str(row[column]) for row in rows]
            everybody = [one for listed in found.values() for one in listed]
            return found, await names_of(tx, everybody), await tx.now()

        found, names, now = await self._database.read(body)
        if len(self._not_before) > MOST_ASKED:
            self._not_before.clear()
        nameless = dict.fromkeys(one for listed in found.values() for one in listed if one not in names)
        waiting = [one for one in nameless if _is_person(one) and self._may_be_asked_for(one)]
        if len(waiting) <= AT_ONCE:
            self._reached = {kind: listed[-1] for kind, listed in found.items() if len(listed) == LOOKED_AT}
        return waiting[:AT_ONCE], now

    def _may_be_asked_for(self, address: str) -> bool:
        never, now = float("-inf"), self._clock()
        return max(self._not_before.get(address, never), self._quiet_until.get(_workspace(address), never)) <= now

    async def _chats(self, address: str) -> list[str]:
        """Where cards stand of what waits for them: some of those chats."""

        async def body(tx: Tx) -> list[str]:
            groups = await tx.all(q.GROUPS_OF, addresses=to_json([address]))
            entries = [address, *(inbox_entry(f"group:{row['name']}", row["tenant_id"]) for row in groups)]
            found = await tx.all(q.CHATS_NAMING, platform=self._messenger.platform, entries=to_json(entries))
            return sorted({chat_of(row["channel"]) for row in found})[:MOST_CHATS]

        return await self._database.read(body)


def _workspace(address: str) -> str:
    """Whoever is asked for this person: `slack:T…`; empty for the default workspace, and on all other messengers."""
    return address.rpartition("/")[0]


def _is_person(entry: str) -> bool:
    try:
        person(entry, field="reviewer")
    except AssentError:
        return False
    return True
