"""What the doctor says: one finding per thing that was looked at. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

LONG = 8  # characters of a secret that is told from a word


class Level(StrEnum):
    """How bad it is: `warning`, when Assent works and somebody should look into it; `broken`, when it does not."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is stable: the area, a full stop, what of it was looked at. `fix` is empty only for what is ok."""

    name: str
    level: Level
    sentence: str
    fix: str = ""

    @property
    def area(self) -> str:
        return self.name.partition(".")[0]

    @property
    def subject(self) -> str:
        return self.name.partition(".")[2].replace("_", " ")

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "level": str(self.level), "sentence": self.sentence, "fix": self.fix}


def ok(name: str, sentence: str) -> Finding:
    return Finding(name, Level.OK, sentence)


def warning(name: str, sentence: str, fix: str) -> Finding:
    return Finding(name, Level.WARNING, sentence, fix)


def broken(name: str, sentence: str, fix: str) -> Finding:
    return Finding(name, Level.BROKEN, sentence, fix)


def refused(name: str, words: str, otherwise: str, *, about: str = "") -> Finding:
    """What somebody answered, broken. Our words for it often say behind a semicolon what helps; else `otherwise` does.
    `about`: what the sentence begins with.
    """
    what, _, helps = words.removesuffix(".").partition("; ")
    return broken(name, sentence(f"{about}{what}"), sentence(helps or otherwise))


def sentence(words: str) -> str:
    """The words with a capital and a full stop, but for a line that is a command to be copied."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "`", "?")) else ".")


def without_secrets(finding: Finding, secrets: Iterable[str]) -> Finding:
    """A last guard: whoever worded it, no secret of this installation is shown. One that is as short as a common word
    is not looked for: to blot it out would make the text unreadable, and show what it is.
    """
    hidden = [re.escape(secret) for secret in sorted(secrets, key=len, reverse=True) if len(secret) >= LONG]
    if not hidden:
        return finding
    shown = re.compile(rf"(?<!\w)(?:{'|'.join(hidden)})(?!\w)")
    return replace(finding, sentence=shown.sub("…", finding.sentence), fix=shown.sub("…", finding.fix))
