"""A digest as Slack blocks. Pure. Its texts are elements of rich text: nothing in them becomes markup or a mention."""

from __future__ import annotations

from typing import Any

from adapters.slack import limits
from adapters.slack.limits import Block
from adapters.slack.render import Drawing
from core.digest_words import Digest, Line


def draw_digest(digest: Digest) -> Drawing:
    sections = [_section(_text(digest.title, bold=True))]
    if digest.lines:
        sections.append(_section(_text(digest.urgent)))
        sections.append(
            {"type": "rich_text_list", "style": "bullet", "elements": [_section(_line(one)) for one in digest.lines]}
        )
    blocks: list[Block] = [{"type": "rich_text", "elements": sections}]
    if not digest.over:
        inbox = _section(_link(digest.inbox, digest.inbox_url))
        blocks.append({"type": "rich_text", "elements": [*(_section(_text(note)) for note in digest.notes), inbox]})
    return Drawing(limits.escaped(digest.title), blocks)


def digest_metadata(digest: Digest) -> dict[str, Any]:
    """What tells this message from all others, so that a posting with an unknown outcome can be found again."""
    return {"event_type": limits.METADATA_EVENT, "event_payload": {"card_id": digest.card_id}}


def _line(line: Line) -> Block:
    return _text(line.text) if line.review_url is None else _link(line.text, line.review_url)


def _section(element: Block) -> Block:
    return {"type": "rich_text_section", "elements": [element]}


def _link(text: str, url: str) -> Block:
    return {"type": "link", "text": text, "url": url}


def _text(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})
