"""Who is signed in on the web: by a one-time link from the bot, by Slack, or by a Telegram Mini App. Only hashes are
kept; nothing that a person does in a session is more than their messenger vouched for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from core.admission import as_connected
from core.codes import SIGN_IN, CodeDesk, person_data, person_from
from core.errors import InvalidToken
from core.ledger import Database, Tx, Write
from core.ledger import people_queries as q
from core.model import Identity
from core.people import People
from core.rows import to_json
from core.schedule import HOUR, MINUTE
from core.tokens import new_token, token_hash

CODE_MS = 10 * MINUTE
SESSION_MS = 12 * HOUR
How = Literal["chat_link", "mini_app", "slack_openid"]


@dataclass(frozen=True, slots=True)
class Session:
    """`token`: what the cookie holds. `expires_at`: ms UTC."""

    token: str = field(repr=False)
    identity: Identity
    expires_at: int


class Sessions:
    def __init__(self, database: Database, codes: CodeDesk, people: People) -> None:
        self._database = database
        self._codes = codes
        self._people = people

    async def sign_in_code(self, identity: Identity) -> str:
        """What a link holds that signs this person in, within CODE_MS, once. Raises InvalidInput for no person."""
        await self._people.seen(identity)
        return await self._codes.make(SIGN_IN, identity, CODE_MS, typed=False)

    async def look(self, code: str) -> Identity | None:
        """Whom a link would sign in; it stays unused. None for a wrong, used or expired code."""

        async def body(tx: Tx) -> Identity | None:
            return await self._codes.look(tx, SIGN_IN, code)

        return await self._database.transact(body)

    async def enter(self, code: str) -> Session:
        """Raises InvalidToken for a wrong, used or expired code."""

        async def body(tx: Tx) -> Identity | None:
            return await self._codes.use(tx, SIGN_IN, code, await tx.now())

        identity = await self._database.transact(body)
        if identity is None:
            raise InvalidToken("this link was used, or is older than ten minutes; ask the bot for a new one")
        return await self.open(identity, "chat_link")

    async def open(self, identity: Identity, how: How) -> Session:
        """Sign somebody in whom a messenger has just vouched for. Raises InvalidInput for no person."""
        await self._people.seen(identity)
        token = new_token()

        async def body(tx: Tx) -> int:
            now = await tx.now()
            row = {
                "session_hash": token_hash(token),
                "identity": identity.key,
                "person": to_json(person_data(identity)),
                "how": how,
                "created_at": now,
                "expires_at": now + SESSION_MS,
                "revoked_at": None,
            }
            await tx.write(Write(q.INSERT_SESSION, row, rows=None))
            return now + SESSION_MS

        return Session(token, identity, await self._database.transact(body))

    async def who(self, token: str) -> Identity | None:
        """Whose session this is; None for an unknown, ended or expired one, and for people of a Slack workspace from
        which the app was removed.
        """
        if not token:
            return None

        async def body(tx: Tx) -> Identity | None:
            row = await tx.one(q.SESSION, session_hash=token_hash(token))
            if row is None or row["expires_at"] <= tx.clock(row["now"]):
                return None
            person = await as_connected(tx, person_from(json.loads(row["person"])))
            return None if person.foreign else person

        return await self._database.read(body)

    async def leave(self, token: str) -> None:
        """Sign out."""

        async def body(tx: Tx) -> None:
            params = {"session_hash": token_hash(token), "now": await tx.now()}
            await tx.write(Write(q.REVOKE_SESSION, params, rows=None))

        await self._database.transact(body)
