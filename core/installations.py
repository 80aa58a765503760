"""Slack workspaces that the app was installed to. What Slack granted, the bot's token in it, is kept sealed."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from core.codes import INSTALL, CodeDesk
from core.ledger import Database, Tx, Write
from core.ledger import slack_queries as q
from core.ledger.engine import Row
from core.sealing import KeyRing, Unsealable

log = structlog.get_logger()

STATE_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one workspace. `granted`: what Slack answered, as JSON; empty once the app was removed there, and
    where it cannot be unsealed. Moments are milliseconds since 1970.
    """

    team_id: str
    team_name: str
    bot_user: str
    scopes: str
    enterprise_id: str | None = None
    installed_by: str | None = None
    granted: str = field(default="", repr=False)
    installed_at: int = 0
    revoked_at: int | None = None


class Installations:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys
        self._codes = CodeDesk(database)

    async def begin(self) -> str:
        """What one installation goes by: it comes back from Slack within STATE_MS, once. Raises Unavailable."""
        return await self._codes.keep(INSTALL, {}, STATE_MS)

    async def came_back(self, state: str) -> bool:
        """Whether an installation has begun so, lately, and has not come back before. Raises Unavailable."""
        return await self._codes.take(INSTALL, state) is not None

    async def keep(self, installation: Installation) -> None:
        """From now on the app is installed there; a new installation replaces an old one. Raises Unavailable."""
        sealed = self._keys.seal(installation.granted, about=_about(installation.team_id))

        async def body(tx: Tx) -> None:
            row = {
                "team_id": installation.team_id,
                "enterprise_id": installation.enterprise_id,
                "team_name": installation.team_name,
                "bot_user": installation.bot_user,
                "scopes": installation.scopes,
                "installed_by": installation.installed_by,
                "sealed": sealed,
                "installed_at": await tx.now(),
                "revoked_at": None,
            }
            await tx.write(Write(q.KEEP_INSTALLATION, row))

        await self._database.transact(body)

    async def of(self, team_id: str) -> Installation | None:
        """The app in this workspace, removed or not; None where it never was. Raises Unavailable."""

        async def body(tx: Tx) -> Row | None:
            return await tx.one(q.INSTALLATION, team_id=team_id)

        row = await self._database.read(body)
        return None if row is None else self._installation(row)

    async def all(self) -> list[Installation]:
        """By the ids of their workspaces. Raises Unavailable."""

        async def body(tx: Tx) -> list[Row]:
            return list(await tx.all(q.INSTALLATIONS))

        return [self._installation(row) for row in await self._database.read(body)]

    async def revoke(self, team_id: str) -> bool:
        """The app was removed there; False when that was known. Raises Unavailable."""

        async def body(tx: Tx) -> bool:
            revoked = Write(q.REVOKE_INSTALLATION, {"team_id": team_id, "now": await tx.now()}, rows=None)
            return await tx.write(revoked) == [1]

        return await self._database.transact(body)

    def _installation(self, row: Row) -> Installation:
        return Installation(
            team_id=row["team_id"],
            team_name=row["team_name"],
            bot_user=row["bot_user"],
            scopes=row["scopes"],
            enterprise_id=row["enterprise_id"],
            installed_by=row["installed_by"],
            granted=self._granted(row),
            installed_at=row["installed_at"],
            revoked_at=row["revoked_at"],
        )

    def _granted(self, row: Row) -> str:
        if row["sealed"] is None:
            return ""
        try:
            return self._keys.unseal(row["sealed"], about=_about(row["team_id"]))
        except Unsealable as error:
            log.error("slack.installation_not_read", team=row["team_id"], reason=error.message)
            return ""


def _about(team_id: str) -> str:
    return f"slack_installation:{team_id}"
