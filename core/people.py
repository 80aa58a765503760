"""People and their identities: remembering, linking, standing in for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from core.admission import departure, has_departed, identity_of
from core.codes import LINK, CodeDesk
from core.errors import Conflict, InvalidInput, RateLimited
from core.ledger import Database, Row, Tx, Write
from core.ledger import people_queries as q
from core.model import Identity
from core.moments import zone_called
from core.persons import bare
from core.policy import ANONYMOUS_ADMIN, PERSONAL
from core.recipients import person
from core.rows import to_json
from core.schedule import DAY, MINUTE
from core.tokens import new_id

CODE_MS = 10 * MINUTE
MOST_TRIES, TRIES_MS = 5, 10 * MINUTE
LONGEST_AWAY = 90 * DAY


@dataclass(frozen=True, slots=True)
class Delegation:
    """Somebody is away until then (ms UTC), and `taker` (an address, `slack:U…`) answers where they are named."""

    delegation_id: str
    giver: Identity
    taker: str
    taker_name: str | None
    until: int


@dataclass(frozen=True, slots=True)
class Delegations:
    """Whom this person has asked to answer for them, and for whom they answer."""

    given: tuple[Delegation, ...]
    taken: tuple[Delegation, ...]


class People:
    def __init__(self, database: Database, codes: CodeDesk) -> None:
        self._database = database
        self._codes = codes

    async def seen(self, identity: Identity, username: str | None = None, zone: str | None = None) -> None:
        """Remember somebody, so that others can name them and their identities can be linked. `zone`: the IANA name of
        the time zone that their messenger says.
        """
        check_person(identity)
        reviewer_id = new_id("rev_")

        async def body(tx: Tx) -> None:
            if await has_departed(tx, identity):
                raise departure()
            await _remember(tx, identity, username, zone, reviewer_id, await tx.now())

        await self._database.transact(body)

    async def heard_of(self, identity: Identity, zone: str | None, asked_at: int) -> None:
        """Remember what a messenger that was asked at that moment (ms UTC) said of somebody, unless they have been here
        since: then they are known better.
        """
        check_person(identity)
        reviewer_id = new_id("rev_")

        async def body(tx: Tx) -> None:
            row = await tx.one(q.LOCK_IDENTITY, identity=identity.key)
            if (row is None or row["seen_at"] < asked_at) and not await has_departed(tx, identity):
                await _remember(tx, identity, None, zone, reviewer_id, await tx.now())

        await self._database.transact(body)

    async def zone_of(self, identity: Identity) -> tzinfo | None:
        """The time zone of this person, by whichever of their messengers knows it; None where none does."""

        async def body(tx: Tx) -> str | None:
            row = await tx.one(q.ZONE_OF, identity=identity.key)
            return None if row is None else str(row["zone"])

        name = await self._database.read(body)
        return None if name is None else zone_called(name)

    async def linked(self, identity: Identity) -> tuple[Identity, ...]:
        """This person's identities, this one first."""

        async def body(tx: Tx) -> tuple[Identity, ...]:
            row = await tx.one(q.IDENTITY, identity=identity.key)
            rows = await tx.all(q.LINKED, reviewer_id=row["reviewer_id"]) if row is not None else []
            return identity, *(one for one in map(identity_of, rows) if one.key != identity.key)

        return await self._database.read(body)

    async def groups(self, identity: Identity) -> tuple[str, ...]:
        """The names of the groups that this person is in, under whichever of their identities."""

        async def body(tx: Tx) -> tuple[str, ...]:
            row = await tx.one(q.IDENTITY, identity=identity.key)
            linked = await tx.all(q.LINKED, reviewer_id=row["reviewer_id"]) if row is not None else []
            addresses = {one.address for one in (identity, *map(identity_of, linked)) if not one.foreign}
            rows = await tx.all(q.GROUPS_OF, addresses=to_json(sorted(addresses)))
            return tuple(sorted({row["name"] for row in rows}))

        return await self._database.read(body)

    async def everybody(self) -> list[tuple[Identity, ...]]:
        """Everybody who is known, each with all of their identities; for operators."""

        async def body(tx: Tx) -> list[tuple[Identity, ...]]:
            found: dict[str, list[Identity]] = {}
            for row in await tx.all(q.EVERYBODY):
                found.setdefault(row["reviewer_id"], []).append(identity_of(row))
            return [tuple(people) for people in found.values()]

        return await self._database.read(body)

    async def by_username(self, platform: str, username: str) -> Identity | None:
        """Somebody who has written to the bot under this name; None when nobody has."""
        name = username.removeprefix("@").lower()

        async def body(tx: Tx) -> Identity | None:
            row = await tx.one(q.BY_USERNAME, platform=platform, username=name)
            return None if row is None else identity_of(row)

        return await self._database.read(body)

    # --- linking ---

    async def link_code(self, identity: Identity) -> str:
        """A code that this person enters on their other messenger, within CODE_MS, once."""
        await self.seen(identity)
        return await self._codes.make(LINK, identity, CODE_MS)

    async def look_at_code(self, identity: Identity, code: str) -> Identity:
        """Whose code this is, to be shown before anything is linked. Raises InvalidInput (wrong, used, expired, one's
        own) and RateLimited (too many wrong ones), in words for people.
        """
        check_person(identity)
        await self.seen(identity)

        async def body(tx: Tx) -> Identity | InvalidInput:
            await self._check_tries(tx, identity)
            found = await self._codes.look(tx, LINK, code)
            if found is None:
                await self._count_wrong(tx, identity)
            return wrong_code() if found is None else found

        found = await self._database.transact(body)
        if isinstance(found, InvalidInput):
            raise found
        if found.platform == identity.platform:
            raise InvalidInput("this code was made on the same messenger; enter it on the other one")
        return found

    async def link(self, identity: Identity, code: str) -> tuple[Identity, ...]:
        """From now on whoever made the code and whoever enters it are one person. Raises as `look_at_code` does, and
        Conflict when the person would have two identities on one messenger.
        """
        await self.look_at_code(identity, code)

        async def body(tx: Tx) -> None:
            now = await tx.now()
            maker = await self._codes.use(tx, LINK, code, now)
            if maker is None:
                raise wrong_code()
            rows = {}
            for key in sorted((maker.key, identity.key)):  # always in one order: two who link at once do not deadlock
                rows[key] = await tx.one(q.LOCK_IDENTITY, identity=key)
            mine, theirs = rows[identity.key], rows[maker.key]
            assert mine is not None and theirs is not None
            if mine["reviewer_id"] == theirs["reviewer_id"]:
                return
            both = [
                *await tx.all(q.LINKED, reviewer_id=mine["reviewer_id"]),
                *await tx.all(q.LINKED, reviewer_id=theirs["reviewer_id"]),
            ]
            if len({row["platform"] for row in both}) < len(both):
                raise Conflict("one of these is linked to somebody else already; an operator can undo that")
            into, gone = theirs["reviewer_id"], mine["reviewer_id"]
            await tx.write(
                Write(q.MERGE_REVIEWERS, {"into": into, "reviewer_id": gone, "now": now}, rows=None),
                Write(q.MARK_LINKED, {"reviewer_id": into, "now": now}, rows=None),
                Write(q.DROP_REVIEWER, {"reviewer_id": gone}),
            )

        await self._database.transact(body)
        return await self.linked(identity)

    async def spoil(self, code: str) -> None:
        """A code that others may have read, or that was not whom somebody thought, links nobody any more."""

        async def body(tx: Tx) -> None:
            await self._codes.use(tx, LINK, code, await tx.now())

        await self._database.transact(body)

    async def unlink(self, identity_key: str) -> bool:
        """Undo a link, for operators alone: whoever could do so themselves could count twice. False when there is
        nothing to undo.
        """
        reviewer_id = new_id("rev_")

        async def body(tx: Tx) -> bool:
            row = await tx.one(q.LOCK_IDENTITY, identity=identity_key)
            if row is None or len(await tx.all(q.LINKED, reviewer_id=row["reviewer_id"])) < 2:
                return False
            await tx.write(
                Write(q.INSERT_REVIEWER, {"reviewer_id": reviewer_id, "created_at": await tx.now()}, rows=None),
                Write(q.UNLINK, {"reviewer_id": reviewer_id, "identity": identity_key}),
            )
            return True

        return await self._database.transact(body)

    async def remove(self, who: str) -> list[str]:
        """Somebody has left (`slack:U…`, `telegram:…`): under none of their identities do they decide, sign in, or
        stand in for anybody, from now on, and nobody stands in for them. For operators; the addresses of all of them.
        """
        platform, _, user_id = person(who, field="reviewer").partition(":")

        async def body(tx: Tx) -> list[str]:
            now = await tx.now()
            known = await tx.all(q.IDENTITIES_AT, platform=platform, user_id=user_id)
            linked = [row for id_ in {one["reviewer_id"] for one in known} for row in await _linked_to(tx, id_)]
            addresses = sorted({who, *(identity_of(row).address for row in linked)})
            await tx.write(
                *(
                    Write(q.INSERT_DEPARTED, {"address": one, "departed_at": now}, rows=None)
                    for one in sorted(set(map(bare, addresses)))
                ),
                *(Write(q.END_TAKEN, {"address": one, "now": now}, rows=None) for one in addresses),
                *(Write(q.END_SESSIONS, {"identity": row["identity"], "now": now}, rows=None) for row in linked),
                *(
                    Write(q.REVOKE_DELEGATIONS, {"reviewer_id": id_, "now": now}, rows=None)
                    for id_ in {row["reviewer_id"] for row in linked}
                ),
            )
            return addresses

        return await self._database.transact(body)

    async def restore(self, who: str) -> bool:
        """This identity may decide again; the others that were removed with it not. False when it was not removed."""

        async def body(tx: Tx) -> bool:
            return await tx.write(Write(q.DROP_DEPARTED, {"address": who, "bare": bare(who)}, rows=None)) != [0]

        return await self._database.transact(body)

    async def removed(self) -> list[str]:
        """The addresses of everybody who has left, without their workspaces."""

        async def body(tx: Tx) -> list[str]:
            return [row["address"] for row in await tx.all(q.ALL_DEPARTED)]

        return await self._database.read(body)

    async def _check_tries(self, tx: Tx, identity: Identity) -> None:
        row = await tx.one(q.LOCK_IDENTITY, identity=identity.key)
        assert row is not None
        if row["failed_tries"] >= MOST_TRIES and await tx.now() - row["failed_at"] < TRIES_MS:
            raise RateLimited("too many wrong codes; wait ten minutes and have a new one made", retry_after=600)

    async def _count_wrong(self, tx: Tx, identity: Identity) -> None:
        """A right one takes none of them back: anybody can have one made for themselves."""
        row = await tx.one(q.LOCK_IDENTITY, identity=identity.key)
        assert row is not None
        now = await tx.now()
        recent = row["failed_at"] is not None and now - row["failed_at"] < TRIES_MS
        tries = (row["failed_tries"] if recent else 0) + 1
        await tx.write(Write(q.TRIES, {"identity": identity.key, "tries": tries, "failed_at": now}))

    # --- standing in ---

    async def away(self, identity: Identity, until: int, taker: str, taker_name: str | None = None) -> Delegation:
        """`taker` (`slack:U…`, `telegram:…`) answers until then (ms UTC) where this person is named; it takes the place
        of an earlier one. Raises InvalidInput.
        """
        platform, _, user_id = taker.partition(":")
        if platform not in PERSONAL or not user_id or user_id == ANONYMOUS_ADMIN:
            raise InvalidInput("name a person who is on this messenger")
        await self.seen(identity)
        delegation_id = new_id("del_")

        async def body(tx: Tx) -> None:
            now = await tx.now()
            if not now < until <= now + LONGEST_AWAY:
                raise InvalidInput("until must lie in the future, at most 90 days away")
            row = await tx.one(q.LOCK_IDENTITY, identity=identity.key)
            assert row is not None
            own = await tx.all(q.LINKED, reviewer_id=row["reviewer_id"])
            if taker in {identity_of(one).address for one in own}:
                raise InvalidInput("name somebody else: you cannot stand in for yourself")
            delegation = {
                "delegation_id": delegation_id,
                "giver": identity.key,
                "taker": taker,
                "taker_name": taker_name,
                "created_at": now,
                "until": until,
                "revoked_at": None,
            }
            await tx.write(
                Write(q.REVOKE_DELEGATIONS, {"reviewer_id": row["reviewer_id"], "now": now}, rows=None),
                Write(q.INSERT_DELEGATION, delegation),
            )

        await self._database.transact(body)
        return Delegation(delegation_id, identity, taker, taker_name, until)

    async def back(self, identity: Identity) -> int:
        """Nobody stands in for this person any more; how many did."""

        async def body(tx: Tx) -> int:
            row = await tx.one(q.IDENTITY, identity=identity.key)
            if row is None:
                return 0
            params = {"reviewer_id": row["reviewer_id"], "now": await tx.now()}
            return (await tx.write(Write(q.REVOKE_DELEGATIONS, params, rows=None)))[0]

        return await self._database.transact(body)

    async def delegations(self, identity: Identity) -> Delegations:
        """Those in force at this moment."""

        async def body(tx: Tx) -> Delegations:
            row, now = await tx.one(q.IDENTITY, identity=identity.key), await tx.now()
            own = [identity]
            given: tuple[Delegation, ...] = ()
            if row is not None:
                own = [identity_of(one) for one in await tx.all(q.LINKED, reviewer_id=row["reviewer_id"])]
                rows = await tx.all(q.GIVEN, reviewer_id=row["reviewer_id"], now=now)
                given = tuple(
                    Delegation(one["delegation_id"], identity, one["taker"], one["taker_name"], one["until"])
                    for one in rows
                )
            addresses = to_json([one.address for one in own])
            taken = tuple(
                Delegation("", identity_of(one), one["taker"], identity.display_name, one["until"])
                for one in await tx.all(q.GIVERS, addresses=addresses, now=now)
            )
            return Delegations(given, taken)

        return await self._database.read(body)


def wrong_code() -> InvalidInput:
    return InvalidInput("this code is wrong, was used, or is older than ten minutes; have a new one made")


def check_person(identity: Identity) -> None:
    """Raise InvalidInput for what is no single person whom this messenger vouches for."""
    if not identity.verified or identity.platform not in PERSONAL or identity.user_id == ANONYMOUS_ADMIN:
        raise InvalidInput("only a person can do this; anonymous admins and channels cannot")
    if identity.foreign:
        raise InvalidInput("this is for members of this workspace")


async def _linked_to(tx: Tx, reviewer_id: str) -> Sequence[Row]:
    return await tx.all(q.LINKED, reviewer_id=reviewer_id)


async def _remember(
    tx: Tx, identity: Identity, username: str | None, zone: str | None, reviewer_id: str, now: int
) -> None:
    """What is not said now stays as it was."""
    identity = replace(identity, on_behalf_of=None)
    name = username.removeprefix("@").lower() if username else None
    row = await tx.one(q.IDENTITY, identity=identity.key)
    if row is None:
        await tx.write(
            Write(q.INSERT_REVIEWER, {"reviewer_id": reviewer_id, "created_at": now}, rows=None),
            Write(
                q.INSERT_IDENTITY,
                {
                    "identity": identity.key,
                    "reviewer_id": reviewer_id,
                    "platform": identity.platform,
                    "user_id": identity.user_id,
                    "team": identity.team,
                    "display_name": identity.display_name,
                    "username": name,
                    "zone": zone,
                    "seen_at": now,
                    "linked_at": None,
                    "failed_tries": 0,
                    "failed_at": None,
                },
                rows=None,
            ),
        )
    else:
        said = {"display_name": identity.display_name, "username": name, "zone": zone}
        known = {what: row[what] for what in said}
        if (known_now := {what: said[what] or known[what] for what in said}) != known:
            await tx.write(Write(q.IDENTITY_SEEN, {"identity": identity.key, "now": now, **known_now}))
    if name is not None:
        gone = {"platform": identity.platform, "username": name, "identity": identity.key}
        await tx.write(Write(q.USERNAME_GONE, gone, rows=None))
