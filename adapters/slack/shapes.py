"""The pieces that Slack blocks are made of. Pure. Nothing in them is parsed: no markup, no link, no mention; but for
`own`, which is for our own words alone.

Times are shown by the clocks of whoever reads, and as they stand in the text where they cannot be.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.slack.limits import Block, escaped
from core.told import Moment, Told, parted

# Slack writes it in the language of whoever reads, which need not be the card's; so a date, and no "tomorrow".
TIME = "{date_short}, {time}"


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str) -> Block:
    # Never folded behind "see more": what is shown is what is agreed.
    return {"type": "section", "text": plain(text), "expand": True}


def bold(text: str) -> Block:
    return rich({"type": "rich_text_section", "elements": [span(text, bold=True)]})


def code(text: str) -> Block:
    return rich({"type": "rich_text_preformatted", "elements": [span(text)]})


def context(*lines: str | Block) -> Block:
    return {"type": "context", "elements": [plain(line) if isinstance(line, str) else line for line in lines]}


def own(text: str, moments: Sequence[Moment]) -> Block:
    """Words of ours with times in them, for where a time can be no element: Slack parses this."""
    shown = (
        escaped(part) if isinstance(part, str) else f"<!date^{part.at // 1000}^{TIME}|{escaped(part.text)}>"
        for part in parted(text, moments)
    )
    return {"type": "mrkdwn", "text": "".join(shown), "verbatim": True}


def told(what: Told) -> Block:
    """A text with times in it, in a block of its own; whoever wrote it."""
    if not any(isinstance(part, Moment) for part in parted(what.text, what.moments)):
        return section(what.text)
    return rich({"type": "rich_text_section", "elements": spans(what.text, what.moments)})


def quote(what: Told, *, bold: bool = False) -> Block:
    """How something ended: the bar sets it off from the content above and below it."""
    return rich({"type": "rich_text_quote", "elements": spans(what.text, what.moments, bold=bold)})


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def rich(element: Block) -> Block:
    return {"type": "rich_text", "elements": [element]}


def span(text: str, *, bold: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"bold": True}} if bold else {})


def spans(text: str, moments: Sequence[Moment], *, bold: bool = False) -> list[Block]:
    """A text whoever wrote it, as elements of rich text."""
    return [
        time(part, bold=bold) if isinstance(part, Moment) else span(part, bold=bold) for part in parted(text, moments)
    ]


def time(moment: Moment, *, bold: bool = False) -> Block:
    found: Block = {"type": "date", "timestamp": moment.at // 1000, "format": TIME, "fallback": moment.text}
    return found | ({"style": {"bold": True}} if bold else {})
