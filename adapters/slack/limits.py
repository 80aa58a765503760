"""What Slack allows, enforced here before anything is sent: lengths, numbers of blocks, messages per minute. Pure.

Sources: https://docs.slack.dev/reference/block-kit and https://docs.slack.dev/apis/web-api/rate-limits. The sum over a
whole message is undocumented; apps meet `msg_blocks_too_long` at about 13,200 characters of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from core.pacing import Rate
from core.told import Told

Block = dict[str, Any]

BLOCKS = 50
MESSAGE = 12_000
HEADER = 150
SECTION = 3_000
BUTTON = 75
FACT_LABEL = 60
FACT_VALUE = 300
FACTS = 20
LINE = 1_500  # the outcome, which may quote a reason
SUMMARY = 300  # the text of notifications and screen readers
PRIVATE = 3_000  # what one person is told
MENTIONS = 20  # people whom one message calls
METADATA_EVENT = "assent_card"
MORE = " …"

BODY_BYTES = 1024 * 1024
SIGNATURE_SECONDS = 300

# Published: about one message a second per channel (an average, so a burst would have to be paid back), and 50 updates
# a minute. The small surplus keeps two messages a second apart although the network delays them unequally.
_POST = Rate(burst=1, interval_ms=1_050)
_UPDATE = Rate(burst=5, interval_ms=1_350)


def rate_of(channel: str, kind: Literal["post", "update"]) -> tuple[str, Rate]:
    """The bucket of a message: each channel has its own, so one that is slowed down delays no other."""
    return f"slack:{kind}:{channel}", _POST if kind == "post" else _UPDATE


def size(text: str) -> int:
    """How long a text is by the strictest reading: as JSON, with `& < >` as entities and emoji as two characters."""
    return _weight(text) - 2


def _weight(value: Any) -> int:
    text = json.dumps(value, ensure_ascii=False)
    entities = 4 * text.count("&") + 3 * text.count("<") + 3 * text.count(">")
    return len(text) + entities + (0 if text.isascii() else sum(char > "\uffff" for char in text))


def cut(text: str, limit: int) -> str:
    """The text, or as much of its beginning as fits with an ellipsis. Never empty: Slack refuses empty texts."""
    if not text.strip():
        return "(empty)"
    if size(text) <= limit:
        return text
    return text[: _fitting(text, limit - len(MORE))].rstrip() + MORE


def fitted(what: str | Told, limit: int) -> Told:
    """The same of what somebody is told."""
    return Told(cut(what, limit)) if isinstance(what, str) else Told(cut(what.text, limit), what.moments)


def pieces(text: str, limit: int = SECTION) -> Iterator[str]:
    """The text in parts of at most `limit`, parted at line ends or spaces where there are any. Nothing gets lost but
    the white space between parts.
    """
    while text.strip():
        if size(text) <= limit:
            yield text
            return
        end = _fitting(text, limit)
        soft = max(text.rfind("\n", end // 2, end), text.rfind(" ", end // 2, end))
        end = soft if soft > 0 else end
        if text[:end].strip():
            yield text[:end]
        text = text[end:].lstrip()


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text have a size of at most `limit`; at least one."""
    low, high = 1, min(len(text), max(1, limit))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= limit else (low, middle - 1)
    return low


def fits(blocks: list[Block]) -> bool:
    """Whether Slack takes these blocks as one message."""
    return len(blocks) <= BLOCKS and _weight(blocks) <= MESSAGE


def escaped(text: str) -> str:
    """For the fields that Slack reads as mrkdwn: `<!channel>` stays text and pings nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
