"""Commands that people type to the bot, in whichever messenger: `/assent away until friday to @ada` on Slack,
`/away until friday to @ada` on Telegram. Pure: what was typed in, what is meant out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo

from core.codes import ALPHABET, TYPED
from core.errors import AssentError
from core.moments import read_moment
from core.people import LONGEST_AWAY
from core.words import Words

HISTORY_SHOWN = 10
WAITING_SHOWN = 10
UNTIL = re.compile(r"(?:until|till|bis)(?: zum)?\s+", re.IGNORECASE)
TAKER = re.compile(r"(.*\S)\s+(?:to|an)\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_NAMES: Mapping[str, str] = {
    "": "waiting",
    "waiting": "waiting",
    "inbox": "inbox",
    "web": "inbox",
    "history": "history",
    "verlauf": "history",
    "whoami": "whoami",
    "link": "link",
    "away": "away",
    "abwesend": "away",
    "back": "back",
    "zurück": "back",
    "help": "help",
    "hilfe": "help",
}


@dataclass(frozen=True, slots=True)
class Plain:
    """A command that needs no more to be said: waiting, inbox, history, whoami, back, help."""

    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """`code`: that of the other messenger, as it was typed; None: make one."""

    code: str | None


@dataclass(frozen=True, slots=True)
class Away:
    """`until`: ms UTC. `taker`: whom the messenger knows under what was typed: its mention, or `@name`."""

    until: int
    taker: str


Command = Plain | Link | Away


class Misunderstood(AssentError):
    """What was typed is no command. `reason`: its text among the command words."""

    code = "misunderstood"

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text

    def in_words(self, words: Words) -> str:
        """What to tell whoever typed it."""
        return str(words[self.reason]).format(self.text)


def read_command(typed: str, now: int, zone: tzinfo = UTC) -> Command:
    """The command that was typed, its name first. `now`: ms UTC; `zone`: whose clocks the writer goes by. Raises
    Misunderstood.
    """
    first, _, rest = typed.strip().partition(" ")
    name, rest = _NAMES.get(first.casefold().removeprefix("/")), rest.strip()
    match name:
        case None:
            raise Misunderstood("unknown_command", first)
        case "link":
            return Link(_code(rest) if rest else None)
        case "away":
            return _away(rest, now, zone)
        case _:
            return Plain(name)


def _code(typed: str) -> str:
    """A code, which must look like one: whatever else was typed may be somebody's secret from elsewhere."""
    code = typed.upper().replace(" ", "").replace("-", "")
    if len(code) != TYPED or set(code) - set(ALPHABET):
        raise Misunderstood("no_code")
    return code


def _away(rest: str, now: int, zone: tzinfo) -> Away:
    until = UNTIL.match(rest)
    both = TAKER.fullmatch(rest[until.end() :]) if until else None
    if both is None:
        raise Misunderstood("away_how")
    moment = read_moment(both[1], now, zone)
    if moment is None:
        raise Misunderstood("no_moment", both[1][:60])
    if moment <= now:
        raise Misunderstood("moment_past", both[1][:60])
    if moment > now + LONGEST_AWAY:
        raise Misunderstood("moment_far", both[1][:60])
    return Away(moment, both[2])
