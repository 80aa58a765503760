"""A digest as Slack blocks. Pure. Its texts are elements of rich text: nothing in them becomes markup or a mention."""

from __future__ import annotations

from typing import Any

from adapters.slack import limits
from adapters.slack.limits import Block
from adapters.slack.render import Drawing
from adapters.slack.shapes import time
from core.digest_words import Digest, Line


def draw_digest(digest: Digest) -> Drawing:
    heading = _text(digest.title, bold=True)
    elements = [_section(heading)]
    if digest.lines:
        lines = [_section(_what(one), _text(" ("), time(one.until), _text(")")) for one in digest.lines]
        bullets: Block = {"type": "rich_text_list", "style": "bullet", "elements": lines}
        elements = [_section(heading, _text(f"\n{digest.urgent}\n")), bullets]
    blocks: list[Block] = [{"type": "rich_text", "elements": elements}]
    if not digest.over:
        notes = (_text(f"{note}\n") for note in digest.notes)
        blocks.append({"type": "rich_text", "elements": [_section(*notes, _link(digest.inbox, digest.inbox_url))]})
    return Drawing(limits.escaped(digest.title), blocks)


def digest_metadata(digest: Digest) -> dict[str, Any]:
    """What tells this message from all others, so that a posting with an unknown outcome can be found again."""
    return {"event_type": limits.METADATA_EVENT, "event_payload": {"card_id": digest.card_id}}


def _what(line: Line) -> Block:
    return _text(line.text) if line.review_url is None else _link(line.text, line.review_url)


def _section(*elements: Block) -> Block:
    return {"type": "rich_text_section", "elements": list(elements)}


def _link(text: str, url: str) -> Block:
    return {"type": "link", "text": text, "url": url}


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})
