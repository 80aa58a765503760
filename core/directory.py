"""Who is in which chat and user group: asked of the messengers when somebody replies, and remembered for a minute.

What cannot be asked is nobody's: a reply that hangs on it is Unavailable, and is tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol

import structlog

from core.admission import as_connected, linked_to
from core.errors import Unavailable
from core.floods import chat_of
from core.ledger import Database, Tx, card_queries
from core.ledger import people_queries as q
from core.model import Case, Identity, Policy
from core.persons import is_user_group
from core.policy import PERSONAL
from core.ports import SendFailed
from core.replies import Reply
from core.rows import case_of, to_json

log = structlog.get_logger()

REMEMBERED_SECONDS = 60.0
ASK_SECONDS = 2.5
MOST_REMEMBERED = 20_000
# Telegram has to be asked of each chat by itself: what it has said is known, even when it wants a pause then.
AT_ONCE = {"telegram": 25}
Kind = Literal["groups", "chats"]


class Directory(Protocol):
    """What one messenger says of a person. Both raise SendFailed when it cannot be asked."""

    @property
    def platform(self) -> str: ...

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        """Of these user groups (the platform's own ids), those that the person is in."""
        ...

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        """Of these chats (the platform's own ids), those that the person is in now."""
        ...


def asks_directory(policy: Policy, reply: Reply) -> bool:
    """Whether it may matter what the replier's messenger says of them, and it was not asked yet."""
    if reply.memberships is not None or not reply.identity.verified or reply.identity.platform not in PERSONAL:
        return False
    by_chat = reply.door == "page" and not reply.in_channel and "channel" in policy.any_of
    return by_chat or any(map(is_user_group, policy.any_of))


class Directories:
    """The directories of this process; none for a messenger that it knows nothing of."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, Directory] = {}
        self._remembered: dict[tuple[str, Kind, str, str], tuple[float, bool]] = {}

    def add(self, directory: Directory) -> None:
        self._known[directory.platform] = directory

    async def checked(self, reply: Reply) -> Reply:
        """The reply with the user groups that the person is in, of those that the case's policy names; and, where it
        came from a page, whether they are in a chat of the case. Raises Unavailable when that cannot be asked now.
        """
        case, people, givers, chats = await self._facts(reply)
        if case is None:
            return replace(reply, memberships={})
        named = [entry for entry in case.policy.any_of if is_user_group(entry)]
        memberships: dict[str, frozenset[str]] = {}
        for one in (*people, *givers) if named else ():
            if one.platform == "slack":
                memberships[one.address] = await self.groups_of(one, named)
        in_channel = reply.in_channel
        if reply.door == "page" and not in_channel and "channel" in case.policy.any_of:
            in_channel = await self._in_any(people, chats)
        return replace(reply, memberships=memberships, in_channel=in_channel)

    async def groups_of(self, identity: Identity, entries: Iterable[str]) -> frozenset[str]:
        """Of these user groups (`slack:S…`), those that the person is in. Raises Unavailable."""
        if identity.platform != "slack":
            return frozenset()
        ids = {entry.partition(":")[2]: entry for entry in entries if is_user_group(entry)}
        return frozenset(ids[one] for one in await self._asked("groups", identity, ids))

    async def chats_of(self, identity: Identity, chats: Collection[str]) -> frozenset[str]:
        """Of these chats of the identity's own messenger, those that the person is in. Raises Unavailable."""
        direct = {chat for chat in chats if chat == identity.user_id}
        return frozenset(direct) | await self._asked("chats", identity, set(chats) - direct)

    async def is_in_a_chat_of(self, identity: Identity, case_id: str) -> bool:
        """Whether this person is now in a chat where a card of the case stands, on whichever messenger. Raises
        Unavailable.
        """

        async def body(tx: Tx) -> tuple[list[Identity], dict[str, set[str]]]:
            return await people_of(tx, identity), await _chats_of_case(tx, case_id)

        return await self._in_any(*await self._database.read(body))

    async def _in_any(self, people: Iterable[Identity], chats: Mapping[str, set[str]]) -> bool:
        for one in people:
            if not one.foreign and await self.chats_of(one, chats.get(one.platform, set())):
                return True
        return False

    async def _asked(self, kind: Kind, identity: Identity, among: Collection[str]) -> frozenset[str]:
        directory = self._known.get(identity.platform)
        if directory is None or not among or identity.foreign:
            return frozenset()
        now, found, unknown = self._clock(), set[str](), set[str]()
        for one in among:
            until, is_in = self._remembered.get((identity.platform, kind, identity.user_id, one), (now, False))
            (found if until > now and is_in else unknown if until <= now else set()).add(one)
        if unknown:
            ask = directory.groups_of if kind == "groups" else directory.chats_of
            waiting, size = sorted(unknown), AT_ONCE.get(identity.platform, len(unknown))
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    for start in range(0, len(waiting), size):
                        part = waiting[start : start + size]
                        fresh = await ask(identity.user_id, part)
                        self._remember(kind, identity, part, fresh)
                        found |= fresh
            except (SendFailed, TimeoutError) as error:
                log.warning("directory.not_asked", platform=identity.platform, kind=kind, reason=str(error))
                platform = identity.platform.capitalize()
                raise Unavailable(f"{platform} could not be asked who you are there", retry_after=2) from None
        return frozenset(found)

    def _remember(self, kind: Kind, identity: Identity, asked: Collection[str], found: Collection[str]) -> None:
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.clear()
        until = self._clock() + REMEMBERED_SECONDS
        for one in asked:
            self._remembered[identity.platform, kind, identity.user_id, one] = (until, one in found)

    async def _facts(self, reply: Reply) -> _Facts:
        async def body(tx: Tx) -> _Facts:
            row = await tx.one(q.CASE_ANSWERED_BY, case_id=reply.case_id)
            if row is None:
                return _Facts(None, [], [], {})
            people = await people_of(tx, reply.identity)
            chats = await _chats_of_case(tx, reply.case_id) if reply.door == "page" else {}
            return _Facts(case_of(row), people, await givers_of(tx, people), chats)

        return await self._database.read(body)


class _Facts(NamedTuple):
    """A case; the identities of whoever replies; those of whom they stand in for; the chats where its cards stand."""

    case: Case | None
    people: list[Identity]
    givers: list[Identity]
    chats: dict[str, set[str]]


async def _chats_of_case(tx: Tx, case_id: str) -> dict[str, set[str]]:
    """Where its cards stand, by platform."""
    found: dict[str, set[str]] = {}
    for card in await tx.all(card_queries.CARDS_OF_CASE, case_id=case_id):
        found.setdefault(card["platform"], set()).add(chat_of(card["channel"]))
    return found


async def people_of(tx: Tx, identity: Identity) -> list[Identity]:
    """The identities of this person, this one first."""
    row = await tx.one(q.IDENTITY, identity=identity.key)
    linked = await linked_to(tx, row["reviewer_id"]) if row is not None else []
    return [await as_connected(tx, identity), *(one for one in linked if one.key != identity.key)]


async def givers_of(tx: Tx, people: Iterable[Identity]) -> list[Identity]:
    """The identities of everybody whom this person stands in for at this moment."""
    addresses = to_json([one.address for one in people if not one.foreign])
    rows = await tx.all(q.GIVERS, addresses=addresses, now=await tx.now())
    ids = dict.fromkeys(row["reviewer_id"] for row in rows)
    return [one for id_ in ids for one in await linked_to(tx, id_)]
