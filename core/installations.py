"""Slack workspaces that the app was installed to. What Slack granted, the bot's token in it, is kept sealed; so is what
takes its place where tokens last for a while.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import structlog

from core.codes import INSTALL, CodeDesk
from core.errors import Refused
from core.leases import Lease
from core.ledger import Database, Tx, Write
from core.ledger import slack_queries as q
from core.ledger.engine import Row
from core.schedule import HOUR
from core.sealing import KeyRing, Unsealable

log = structlog.get_logger()

STATE_MS = 10 * 60_000
RENEW_MS = 2 * HOUR  # so long before a token runs out it is renewed; one that lasts for less, at half of its time
TURN_MS = 30_000  # how long one process may take to renew one


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one workspace. `granted`: what Slack answered, as a JSON object; empty once the app was removed there,
    and where it cannot be unsealed. `lasts_ms`: for how long from then on; None: until the app is removed. `is_due`: it
    is time to renew it. Moments are milliseconds since 1970.
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
    lasts_ms: int | None = None
    is_due: bool = False


def not_connected(where: str, *, removed: bool, install_at: str | None) -> Refused:
    """What to tell whoever has signed in to the workspace `where`, in which the app is not, or no more. `install_at`:
    the address where somebody there can install it.
    """
    if install_at is None:
        return Refused(f"the workspace {where} is not connected; ask whoever runs Assent to connect it")
    if removed:
        return Refused(
            f"Assent was removed from the workspace {where}; ask somebody there to install it at {install_at}"
        )
    return Refused(
        f"Assent is not installed in the workspace {where}; ask somebody there to install it at {install_at}"
    )


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

        async def body(tx: Tx) -> None:
            now = await tx.now()
            row = {
                "team_id": installation.team_id,
                "enterprise_id": installation.enterprise_id,
                "team_name": installation.team_name,
                "bot_user": installation.bot_user,
                "scopes": installation.scopes,
                "installed_by": installation.installed_by,
                "sealed": self._sealed(installation.team_id, installation.granted, installation.lasts_ms, now),
                "installed_at": now,
                "revoked_at": None,
            }
            await tx.write(Write(q.KEEP_INSTALLATION, row))

        await self._database.transact(body)

    async def of(self, team_id: str) -> Installation | None:
        """The app in this workspace, removed or not; None where it never was. Raises Unavailable."""

        async def body(tx: Tx) -> tuple[Row | None, int]:
            return await tx.one(q.INSTALLATION, team_id=team_id), await tx.now()

        row, now = await self._database.read(body)
        return None if row is None else self._installation(row, now)

    async def all(self) -> list[Installation]:
        """By the ids of their workspaces. Raises Unavailable."""

        async def body(tx: Tx) -> tuple[list[Row], int]:
            return list(await tx.all(q.INSTALLATIONS)), await tx.now()

        rows, now = await self._database.read(body)
        return [self._installation(row, now) for row in rows]

    def turn(self, team_id: str) -> Lease:
        """Whoever holds it renews the token of this workspace, and nobody else meanwhile: Slack takes what a token is
        renewed with once.
        """
        return Lease(self._database, f"slack-token:{team_id}", ttl_ms=TURN_MS)

    async def renewed(self, installation: Installation, granted: str, lasts_ms: int | None) -> bool:
        """What Slack granted in the place of what it had; False when the app was removed or installed anew meanwhile.
        Raises Unavailable.
        """

        async def body(tx: Tx) -> bool:
            changed = {
                "team_id": installation.team_id,
                "installed_at": installation.installed_at,
                "sealed": self._sealed(installation.team_id, granted, lasts_ms, await tx.now()),
            }
            return await tx.write(Write(q.RENEW_INSTALLATION, changed, rows=None)) == [1]

        return await self._database.transact(body)

    async def revoke(self, team_id: str) -> bool:
        """The app was removed there; False when that was known. Raises Unavailable."""

        async def body(tx: Tx) -> bool:
            revoked = Write(q.REVOKE_INSTALLATION, {"team_id": team_id, "now": await tx.now()}, rows=None)
            return await tx.write(revoked) == [1]

        return await self._database.transact(body)

    def _sealed(self, team_id: str, granted: str, lasts_ms: int | None, now: int) -> str:
        if lasts_ms is not None:
            granted = json.dumps(json.loads(granted) | {"lasts_ms": lasts_ms, "granted_at": now})
        return self._keys.seal(granted, about=_about(team_id))

    def _installation(self, row: Row, now: int) -> Installation:
        granted = self._granted(row)
        found = json.loads(granted) if granted else {}
        lasts_ms = found.get("lasts_ms")
        return Installation(
            team_id=row["team_id"],
            team_name=row["team_name"],
            bot_user=row["bot_user"],
            scopes=row["scopes"],
            enterprise_id=row["enterprise_id"],
            installed_by=row["installed_by"],
            granted=granted,
            installed_at=row["installed_at"],
            revoked_at=row["revoked_at"],
            lasts_ms=lasts_ms,
            is_due=lasts_ms is not None and now >= found["granted_at"] + lasts_ms - min(RENEW_MS, lasts_ms // 2),
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
