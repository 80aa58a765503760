"""A digest as Telegram shows it: text in Telegram's HTML. Pure. Its texts are untrusted and are escaped."""

from __future__ import annotations

from html import escape

from adapters.telegram.limits import MAX_TEXT, shown_length
from adapters.telegram.markup import plain, time
from adapters.telegram.render import can_be_button
from core.digest_words import Digest, Line


def draw_digest(digest: Digest) -> str:
    """As many of its lines as one message holds."""
    count = len(digest.lines)
    while shown_length(text := _text(digest, count)) > MAX_TEXT:
        count -= 1
    return text


def _text(digest: Digest, count: int) -> str:
    parts = [f"<b>{plain(digest.title)}</b>"]
    if count:
        lines = [f"• {_line(line)}" for line in digest.lines[:count]]
        parts.append("\n".join([plain(digest.urgent), *lines]))
    if not digest.over:
        parts.append("\n".join([*map(plain, digest.notes), _link(digest.inbox, digest.inbox_url)]))
    return "\n\n".join(parts)


def _line(line: Line) -> str:
    return _link(line.text, line.review_url, f" ({time(line.until)})")


def _link(text: str, url: str | None, behind: str = "") -> str:
    """Telegram makes no links of addresses on this machine: those are shown. `behind`: markup that stands outside the
    link, as no time stands in one.
    """
    if url is None:
        return plain(text) + behind
    if can_be_button(url):
        return f'<a href="{escape(url)}">{plain(text)}</a>{behind}'
    return f"{plain(text)}{behind}\n{plain(url)}"
