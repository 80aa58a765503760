"""Regular expressions of other people, in linear time: no pattern can stall the server on somebody's text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.errors import InvalidInput

FullMatch = Callable[[str], Any]


def full_match(pattern: str, *, field: str, over_lines: bool = False) -> FullMatch:
    """What tells whether a whole text fits the pattern (RE2's syntax). Raises InvalidInput that names `field`.

    `over_lines`: a dot is any character, the ends of lines too.
    """
    import re2  # only when somebody has a pattern: it needs memory

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    options.dot_nl = over_lines
    try:
        found: FullMatch = re2.compile(pattern, options).fullmatch
        return found
    except re2.error as error:
        raise InvalidInput(f"{field} is not a pattern that can be used here: {error}", field=field) from None
