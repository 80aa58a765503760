"""Clocks: this machine's against those of the others. Pure."""

from __future__ import annotations

from bot.doctor.findings import Finding, broken, ok, warning
from core.schedule import MINUTE, SECOND
from core.wording import span

NOTICED_MS = 20 * SECOND  # what a Date header (whole seconds) and a slow answer can be wrong by stays below
TOO_FAR_MS = 4 * MINUTE  # Slack's signatures count for 5 minutes
_FIX = "Set this machine's clock by the network: `timedatectl set-ntp true`, or start chrony or ntpd."


def against_database(ahead_ms: int) -> Finding:
    """`ahead_ms`: how far this machine's clock is ahead of the database's."""
    if abs(ahead_ms) < NOTICED_MS:
        return ok("clocks.database", f"This machine and the database agree (to {_words(ahead_ms, exact=True)}).")
    return warning(
        "clocks.database",
        f"This machine's clock is {_off(ahead_ms)} the database's. Deadlines go by the database's.",
        f"Find out which of the two is wrong. {_FIX}",
    )


def against_messenger(platform: str, ahead_ms: int | None, *, signed: bool) -> Finding | None:
    """`ahead_ms`: None when the messenger did not say what time it is. `signed`: whether its requests to us are judged
    by our clock.
    """
    if ahead_ms is None:
        return None
    name = f"clocks.{platform.lower()}"
    if abs(ahead_ms) < NOTICED_MS:
        return ok(name, f"This machine and {platform} agree.")
    what = f"This machine's clock is {_off(ahead_ms)} {platform}'s"
    if signed and abs(ahead_ms) >= TOO_FAR_MS:
        return broken(name, f"{what}: taps are refused, because what is five minutes off is no longer believed.", _FIX)
    return warning(name, f"{what}. From five minutes on, proofs of who somebody is are refused.", _FIX)


def _off(ahead_ms: int) -> str:
    return f"{_words(ahead_ms)} {'ahead of' if ahead_ms > 0 else 'behind'}"


def _words(ms: int, *, exact: bool = False) -> str:
    if exact or abs(ms) < SECOND:
        return f"{abs(ms)} ms"
    return span(abs(ms))
