"""Groups of reviewers, as policies name them: `group:finance`. A tenant's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidInput, NotFound
from core.ledger import Database, Tx, Write
from core.ledger import people_queries as q
from core.recipients import group_name, person

MAX_MEMBERS = 500


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: addresses, `slack:U…` and `telegram:…`. Times are ms UTC."""

    name: str
    members: tuple[str, ...]
    created_at: int
    updated_at: int


class Groups:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, tenant_id: str) -> tuple[Group, ...]:
        """By name."""

        async def body(tx: Tx) -> tuple[Group, ...]:
            return await _groups(tx, tenant_id)

        return await self._database.read(body)

    async def get(self, tenant_id: str, name: str) -> Group:
        """Raises NotFound."""
        found = next((group for group in await self.all(tenant_id) if group.name == name), None)
        if found is None:
            raise NotFound("there is no such group")
        return found

    async def put(self, tenant_id: str, name: str, members: Sequence[str]) -> Group:
        """The group with just these members, made where there is none. Whoever is taken out decides nothing more, also
        of what waits already; whoever comes in decides what is opened from now on. Raises InvalidInput.
        """
        group_name(name, field="name")
        if len(members) > MAX_MEMBERS:
            raise InvalidInput(f"members may list {MAX_MEMBERS} people", field="members")
        wanted = dict.fromkeys(person(one, field=f"members[{n}]") for n, one in enumerate(members))

        async def body(tx: Tx) -> Group:
            now = await tx.now()
            mark = {"tenant_id": tenant_id, "name": name}
            await tx.write(
                Write(q.PUT_GROUP, mark | {"created_at": now, "updated_at": now}, rows=None),
                Write(q.EMPTY_GROUP, mark, rows=None),
                *(Write(q.INSERT_GROUP_MEMBER, mark | {"address": address}) for address in wanted),
            )
            return next(group for group in await _groups(tx, tenant_id) if group.name == name)

        return await self._database.transact(body)

    async def drop(self, tenant_id: str, name: str) -> Group:
        """Nobody is in it any more; the group as it was. Raises NotFound."""

        async def body(tx: Tx) -> Group:
            was = next((group for group in await _groups(tx, tenant_id) if group.name == name), None)
            if was is None:
                raise NotFound("there is no such group")
            mark = {"tenant_id": tenant_id, "name": name}
            await tx.write(Write(q.EMPTY_GROUP, mark, rows=None), Write(q.DROP_GROUP, mark, rows=None))
            return was

        return await self._database.transact(body)


async def _groups(tx: Tx, tenant_id: str) -> tuple[Group, ...]:
    found: dict[str, Group] = {}
    for row in await tx.all(q.GROUPS, tenant_id=tenant_id):
        known = found.get(row["name"])
        members = (*(known.members if known else ()), *((row["address"],) if row["address"] else ()))
        found[row["name"]] = Group(row["name"], members, row["created_at"], row["updated_at"])
    return tuple(found.values())
