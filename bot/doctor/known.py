"""What one round of the doctor knows so far: each step adds to it, and later ones use it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from bot.doctor import sources
from bot.doctor.address import Seen
from bot.doctor.findings import Finding
from bot.settings import Settings
from core.checkup import Found, OnPostgres, OnSqlite
from core.guard.rules import Rule
from core.installations import Installation
from core.sealing import KeyRing

Findings: TypeAlias = AsyncGenerator[Finding, None]


@dataclass(slots=True)
class Known:
    """`progress` is told what is being looked at; `clock` is this machine's (seconds since 1970). What could not be
    learned stays None.
    """

    settings: Settings
    progress: Callable[[str], None]
    clock: Callable[[], float]
    ring: KeyRing | None = None
    condition: OnSqlite | OnPostgres | None = None
    found: Found | None = None
    rules: tuple[Rule, ...] = ()
    workspaces: tuple[Installation, ...] = ()  # where the Slack app was installed beside the bot token's
    server: Seen | None = None
    clocks: list[Finding] = field(default_factory=list)  # told once all clocks were read

    @property
    def url(self) -> str:
        return self.settings.public_url or f"http://localhost:{self.settings.port}"

    @property
    def connected(self) -> set[str]:
        """The messengers that have a token, of the settings or of an installation."""
        tokens = {"slack": self.settings.slack_bot_token, "telegram": self.settings.telegram_bot_token}
        found = {platform for platform, token in tokens.items() if token is not None}
        return found | ({"slack"} if self.workspaces else set())

    @property
    def askers(self) -> list[sources.Asker]:
        """Whoever has people asked."""
        seen = self.found.sources if self.found else ()
        return [*(sources.of_source(one.source) for one in seen), *map(sources.of_rule, self.rules)]
