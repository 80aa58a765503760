"""What is handed out once and comes back once: codes that people type, and those in links. Only hashes are kept."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from core.ledger import Database, Tx, Write
from core.ledger import people_queries as q
from core.model import Identity
from core.rows import to_json
from core.tokens import new_token, token_hash

LINK, SIGN_IN, OPENID, INSTALL = "link", "sign_in", "openid", "install"
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is read as something else
TYPED = 8  # characters: 40 bits, for ten minutes and five tries


class CodeDesk:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, kind: str, identity: Identity, valid_ms: int, *, typed: bool = True) -> str:
        """A code in this person's name; `typed` ones are short and legible, others are for links."""
        return await self.keep(kind, person_data(identity), valid_ms, typed=typed)

    async def keep(self, kind: str, data: Mapping[str, Any], valid_ms: int, *, typed: bool = False) -> str:
        """A code that stands for `data`."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(TYPED)) if typed else new_token()

        async def body(tx: Tx) -> None:
            now = await tx.now()
            row = {
                "code_hash": token_hash(code),
                "kind": kind,
                "data": to_json(data),
                "created_at": now,
                "expires_at": now + valid_ms,
                "used_at": None,
            }
            await tx.write(Write(q.INSERT_CODE, row))

        await self._database.transact(body)
        return code

    async def look(self, tx: Tx, kind: str, code: str) -> Identity | None:
        """Whose unused code this is; it stays unused."""
        data = await self._unused(tx, kind, code, await tx.now())
        return None if data is None else person_from(data)

    async def use(self, tx: Tx, kind: str, code: str, now: int) -> Identity | None:
        """Whose code this was; from now on it is used."""
        data = await self.spend(tx, kind, code, now)
        return None if data is None else person_from(data)

    async def spend(self, tx: Tx, kind: str, code: str, now: int) -> Mapping[str, Any] | None:
        """What the code stood for; from now on it is used. None for a wrong, used or expired one."""
        data = await self._unused(tx, kind, code, now)
        if data is None:
            return None
        used = await tx.write(Write(q.USE_CODE, {"code_hash": token_hash(_spelled(kind, code)), "now": now}, rows=None))
        return data if used == [1] else None

    async def take(
        self, kind: str, code: str, fits: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> Mapping[str, Any] | None:
        """As `spend`, in a transaction of its own. What does not fit stays unused: somebody else may come with it."""

        async def body(tx: Tx) -> Mapping[str, Any] | None:
            now = await tx.now()
            data = await self._unused(tx, kind, code, now)
            return await self.spend(tx, kind, code, now) if data is not None and fits(data) else None

        return await self._database.transact(body)

    async def _unused(self, tx: Tx, kind: str, code: str, now: int) -> Mapping[str, Any] | None:
        row = await tx.one(q.CODE, code_hash=token_hash(_spelled(kind, code)), kind=kind)
        if row is None or row["used_at"] is not None or now >= row["expires_at"]:
            return None
        found: Mapping[str, Any] = json.loads(row["data"])
        return found


def _spelled(kind: str, code: str) -> str:
    """People type small letters, blanks and hyphens."""
    return code.upper().replace(" ", "").replace("-", "") if kind == LINK else code


def person_data(identity: Identity) -> dict[str, Any]:
    """A person as codes and sessions keep them."""
    return {
        "platform": identity.platform,
        "user_id": identity.user_id,
        "display_name": identity.display_name,
        "team": identity.team,
    }


def person_from(data: Mapping[str, Any]) -> Identity:
    """Back from `person_data`: a messenger vouched for them then."""
    return Identity(data["platform"], data["user_id"], data["display_name"], team=data["team"], verified=True)
