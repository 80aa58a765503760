"""The pieces that Slack blocks are made of. Pure. Nothing in them is parsed: no markup, no link, no mention."""

from __future__ import annotations

from adapters.slack.limits import Block


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str) -> Block:
    # Never folded behind "see more": what is shown is what is agreed.
    return {"type": "section", "text": plain(text), "expand": True}


def bold(text: str) -> Block:
    return rich({"type": "rich_text_section", "elements": [span(text, bold=True)]})


def code(text: str) -> Block:
    return rich({"type": "rich_text_preformatted", "elements": [span(text)]})


def context(*lines: str) -> Block:
    return {"type": "context", "elements": [plain(line) for line in lines]}


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def rich(element: Block) -> Block:
    return {"type": "rich_text", "elements": [element]}


def span(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})
