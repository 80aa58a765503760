"""Untrusted text inside Telegram's HTML."""

from __future__ import annotations

import re
from html import escape

# Telegram takes @name in any text for a call. What agents write calls nobody: a joiner that shows nothing stands there.
_CALL = re.compile(r"(?<![\w/])@(?=\w)")


def plain(text: str) -> str:
    """The text as it is: no markup, and nobody is called."""
    return _CALL.sub("@\u2060", escape(text, quote=False))
