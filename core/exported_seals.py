"""Seals outside the database, one JSON object a line: what shows that the end of a ledger was cut off together with its
seals. A seal is the signed head of its tenant's chain, so the newest one speaks for every row before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from core.errors import InvalidInput
from core.ledger import Database, Row, Tx
from core.ledger import oracle_queries as oq
from core.seals import seal_message
from core.strictjson import load_object


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal, as it stands in the table `seals`. `sealed_at`: milliseconds since 1970."""

    tenant_id: str
    seal_no: int
    last_position: int
    chain_hash: str
    sealed_at: int
    key_id: str
    signature: str

    @property
    def name(self) -> str:
        return f"{self.tenant_id} seal {self.seal_no}"

    @property
    def message(self) -> bytes:
        """What its signature is over."""
        return seal_message(self.tenant_id, self.seal_no, self.last_position, self.chain_hash, self.sealed_at)

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


_TYPES = {field.name: int if field.type == "int" else str for field in fields(Seal)}


def seal_of(row: Row) -> Seal:
    return Seal(**{name: row[name] for name in _TYPES})


def read_seals(lines: Iterable[bytes]) -> list[Seal]:
    """The seals of a file, in its order. Raises InvalidInput that names the line."""
    return [_seal(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _seal(number: int, line: bytes) -> Seal:
    try:
        given = load_object(line)
    except InvalidInput as error:
        raise InvalidInput(f"line {number}: {error.message}") from None
    for name, kind in _TYPES.items():
        if type(given.get(name)) is not kind:
            raise InvalidInput(f"line {number}: {name} must be {'a whole number' if kind is int else 'text'}")
    if unknown := sorted(set(given) - set(_TYPES)):
        raise InvalidInput(f"line {number}: {unknown[0]} is not something that a seal has")
    return Seal(**given)


async def newest_seals(database: Database) -> list[Seal]:
    """The newest seal of each tenant."""

    async def body(tx: Tx) -> list[Seal]:
        return [seal_of(row) for row in await tx.all(oq.NEWEST_SEALS)]

    return await database.read(body)
