"""Untrusted text inside Telegram's HTML, and the times in it, which are shown by the clocks of whoever reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from core.told import Moment, parted

# Telegram takes @name in any text for a call. What agents write calls nobody: a joiner that shows nothing stands there.
_CALL = re.compile(r"(?<![\w/])@(?=\w)")
_DATE_AND_TIME = "Dt"
_TIME_TAG = re.compile(r"</?tg-time[^>]*>")


def plain(text: str) -> str:
    """The text as it is: no markup, and nobody is called."""
    return _CALL.sub("@\u2060", escape(text, quote=False))


def timed(text: str, moments: Sequence[Moment]) -> str:
    """The text as it is, with times in it."""
    return "".join(plain(part) if isinstance(part, str) else time(part) for part in parted(text, moments))


def time(moment: Moment) -> str:
    """Nothing but bold and italic may stand around it. Apps that are too old show its words."""
    return f'<tg-time unix="{moment.at // 1000}" format="{_DATE_AND_TIME}">{plain(moment.text)}</tg-time>'


def untimed(markup: str) -> str:
    """The same for a Bot API server of before 9.5, which refuses the tag: there times are words."""
    return _TIME_TAG.sub("", markup)
