"""Globs over dotted names: `*` stands for any part of one segment, `**` for anything, dots included. Nothing else is
special, and case counts.

Matched by the shift-and method: all places in the pattern that the text can have led to are the bits of one number, so
that a character costs the same few operations whatever came before, and no pattern can be made to backtrack.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import InvalidInput

MAX_GLOB = 200


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, ready to match. Bit n of each number is place n of the pattern; `goal` is the place after the last."""

    text: str
    letters: dict[str, int] = field(compare=False, repr=False)  # the places where this character stands
    stars: int = field(compare=False, repr=False)
    double_stars: int = field(compare=False, repr=False)
    goal: int = field(compare=False, repr=False)

    def matches(self, text: str) -> bool:
        at = self._on(1)
        for letter in text:
            stay = self.double_stars if letter == "." else self.stars | self.double_stars
            at = self._on((at & self.letters.get(letter, 0)) << 1 | at & stay)
            if not at:
                return False
        return bool(at & self.goal)

    def _on(self, at: int) -> int:
        """With the places after stars, which may also stand for nothing. No star stands beside another."""
        return at | (at & (self.stars | self.double_stars)) << 1


def glob(text: str, *, field: str = "glob") -> Glob:
    """The pattern that this text is. Raises InvalidInput that names `field`."""
    if not 0 < len(text) <= MAX_GLOB or "***" in text:
        raise InvalidInput(
            f"{field} is not a pattern: it has 1 to {MAX_GLOB} characters, and stars stand alone or in twos",
            field=field,
        )
    letters: dict[str, int] = {}
    stars = double_stars = place = n = 0
    while n < len(text):
        if text.startswith("**", n):
            double_stars |= 1 << place
            n += 1
        elif text[n] == "*":
            stars |= 1 << place
        else:
            letters[text[n]] = letters.get(text[n], 0) | 1 << place
        n += 1
        place += 1
    return Glob(text, letters, stars, double_stars, 1 << place)
