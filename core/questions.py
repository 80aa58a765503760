"""Questions that a bot has asked somebody in a chat, and whose answer comes as a message of its own. Kept, so that an
answer that comes after a restart is still one.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.ledger import Database, Tx, Write
from core.ledger import inbox_queries as q
from core.model import Identity


@dataclass(frozen=True, slots=True)
class Question:
    """Why somebody (`identity`, a key) is about to give an answer (`action`) to the case of a card."""

    card_id: str
    identity: str
    action: str
    edition: int
    answered: bool


class Questions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, platform: str, channel: str, message: str, card_id: str, identity: Identity, action: str, edition: int
    ) -> None:
        """`message` is the bot's own, in `channel`; only this person's answer to it counts."""

        async def body(tx: Tx) -> None:
            row = {
                "platform": platform,
                "channel": channel,
                "message": message,
                "card_id": card_id,
                "identity": identity.key,
                "action": action,
                "edition": edition,
                "asked_at": await tx.now(),
                "answered_at": None,
            }
            await tx.write(Write(q.INSERT_QUESTION, row, rows=None))

        await self._database.transact(body)

    async def about(self, platform: str, channel: str, message: str) -> Question | None:
        """What that message asked; None when it asked nothing."""

        async def body(tx: Tx) -> Question | None:
            row = await tx.one(q.QUESTION, platform=platform, channel=channel, message=message)
            if row is None:
                return None
            return Question(
                row["card_id"], row["identity"], row["action"], row["edition"], row["answered_at"] is not None
            )

        return await self._database.read(body)

    async def open(self, card_id: str, identity: Identity) -> tuple[tuple[str, str], ...]:
        """What this person has been asked about a card and has not answered: channel and message of each."""

        async def body(tx: Tx) -> tuple[tuple[str, str], ...]:
            rows = await tx.all(q.OPEN_QUESTIONS, card_id=card_id, identity=identity.key)
            return tuple((row["channel"], row["message"]) for row in rows)

        return await self._database.read(body)

    async def answered(self, platform: str, channel: str, message: str) -> bool:
        """It is answered now; False when it was before."""

        async def body(tx: Tx) -> bool:
            params = {"platform": platform, "channel": channel, "message": message, "now": await tx.now()}
            return await tx.write(Write(q.ANSWER_QUESTION, params, rows=None)) == [1]

        return await self._database.transact(body)
