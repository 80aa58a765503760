"""Which channel a name stands for, in Slack's own words: the channels that the bot is in.

Only posting takes a name; redrawing, threads, history and taps know ids. So a name is looked up before anything is
sent. Names wander (a channel is renamed, another takes its name), hence they are kept for a minute only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from slack_sdk.web.async_slack_response import AsyncSlackResponse

SCOPES = ("channels:read", "groups:read")
PAGE = 999  # the most that users.conversations lists at once
PAGES = 20
KEPT_SECONDS = 60.0

Listing = Callable[[str], Awaitable[AsyncSlackResponse]]


def is_name(channel: str) -> bool:
    """Whether an address says a channel's name, and not its id."""
    return channel.startswith("#")


class ChannelNames:
    """`listing`: one page of users.conversations, by its cursor. It may raise, and nothing is kept then."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._ids: dict[str, str] = {}
        self._listed_at = float("-inf")
        self._asking = asyncio.Lock()

    async def id_of(self, name: str) -> str | None:
        """The id of the channel `#name`; None when the bot is in no channel of that name."""
        now = asyncio.get_running_loop().time
        wanted_at = now()
        async with self._asking:
            # A name that is not there may be new: then only a list counts that was asked for since.
            kept = KEPT_SECONDS if name in self._ids else 0.0
            if self._listed_at < wanted_at - kept:
                began = now()
                self._ids = await self._list()
                self._listed_at = began
            return self._ids.get(name)

    async def _list(self) -> dict[str, str]:
        found: dict[str, str] = {}
        cursor = ""
        for _ in range(PAGES):
            page = await self._listing(cursor)
            found |= {f"#{channel['name']}": str(channel["id"]) for channel in page["channels"]}
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found
