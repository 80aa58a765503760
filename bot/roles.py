"""The roles of a process: what `--roles` may name."""

from __future__ import annotations

from typing import Literal

from bot.settings import Settings, WrongSetting

Role = Literal["api", "slack", "telegram", "courier", "clock"]
ROLES: tuple[Role, ...] = ("api", "slack", "telegram", "courier", "clock")


def parse_roles(text: str | None, settings: Settings) -> tuple[Role, ...]:
    """The roles of this process. Raises WrongSetting for unknown ones, and for a part of them on SQLite."""
    if text is None:
        return ROLES
    named = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in named if name not in ROLES]
    if unknown or not named:
        raise WrongSetting(f"--roles: choose from {', '.join(ROLES)}" + (f" (not {unknown[0]})" if unknown else ""))
    roles = tuple(role for role in ROLES if role in named)
    if settings.on_sqlite and roles != ROLES:
        raise WrongSetting("--roles: SQLite runs all roles in one process; use PostgreSQL to split them")
    return roles
