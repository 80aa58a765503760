"""More cards than a chat should get at once: who is shown now, and who waits for a turn.

A chat gets new cards as fast as its messenger allows, and no faster than the cap on pushes. All processes keep that
pace together, in the chat's row. Cards that are too many are queued: they are out of the way of all others, and come in
the order of their urgency. What is posted already is redrawn as ever. While a queue is long, a digest says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.ledger import Tx, Write
from core.ledger import card_queries as q
from core.ledger import flood_queries as fq
from core.ledger.engine import Row
from core.model import Address, Case
from core.pacing import MINUTE_MS, Rate, Window, free_at, leaving, remembered, room

SPARE = 2  # of a platform's messages a minute: reminders and digests do not wait for a flood's end
DEFAULT_CAP = 20
QUEUE_AT_ONCE = 1_000
BREATH_MS = 20
DIGEST_AFTER_MS = 30_000  # a digest is posted when cards would wait for longer, and when those are more than a few
FEW = 3
# How much of the time until its deadline a question may wait, at the most, by what is at stake.
_HASTE = {"critical": 8, "high": 4, "medium": 2}

RateOf = Callable[[Address, Literal["post"]], tuple[str, Rate]]


class Pace:
    """How fast new messages may come to a chat: what its messenger allows and, for cards, at most `cap` a minute."""

    def __init__(self, rate_of: RateOf, cap: int | None = None) -> None:
        self._rate_of = rate_of
        self._cap = () if cap is None else (Window(cap, MINUTE_MS),)

    def of_cards(self, address: Address) -> tuple[Window, ...]:
        return self._rate_of(address, "post")[1].windows(spare=SPARE) + self._cap

    def of_others(self, address: Address) -> tuple[Window, ...]:
        return self._rate_of(address, "post")[1].windows()


def show_by(case: Case) -> int:
    """How urgent it is to show a case: the smaller, the sooner. Its deadline, and earlier the more is at stake; so
    neither waits a question of the next minutes behind a risky one of next week, nor that one behind many of tomorrow.
    """
    haste = _HASTE.get((case.task or {}).get("risk_level", ""), 1)
    return case.created_at + (case.expires_at - case.created_at) // haste


def chat_of(channel: str) -> str:
    """The chat that a channel is, or is a topic of (Telegram: `-100…/7`): topics share their chat's pace. A Slack
    channel that is written with its workspace (`T…/C…`) is a chat as it stands.
    """
    return channel if channel[:1].isalpha() else channel.partition("/")[0]


@dataclass(slots=True)
class _Chat:
    """A chat's row, locked. `windows`: those that count for what is to be sent; `known`: all that there are."""

    name: str
    windows: Sequence[Window]
    known: Sequence[Window]
    moments: list[int]
    quiet_until: int
    next_at: int | None

    def free_at(self, now: int) -> int:
        return max(self.quiet_until, free_at(self.moments, self.windows, now))

    def room(self, now: int, most: int) -> int:
        return 0 if self.quiet_until > now else room(self.moments, self.windows, now, most)

    def written(self, now: int, count: int) -> None:
        self.moments += [now] * count

    def saved(self, platform: str, now: int) -> Write:
        moments = json.dumps(remembered(self.moments, self.known), separators=(",", ":"))
        params = {"platform": platform, "chat": self.name, "moments": moments, "next_at": self.next_at, "now": now}
        return Write(fq.SAVE_CHAT, params)


def _chat(row: Row, pace: Pace, *, cards: bool = True) -> _Chat:
    address = Address(row["platform"], row["chat"])
    of_cards, of_others = pace.of_cards(address), pace.of_others(address)
    return _Chat(
        row["chat"],
        of_cards if cards else of_others,
        of_cards + of_others,
        json.loads(row["moments"]),
        row["quiet_until"] or 0,
        row["next_at"],
    )


@dataclass(slots=True)
class Claim:
    """One claim of cards on one platform, within a transaction."""

    tx: Tx
    platform: str
    now: int
    lease_until: int
    pace: Pace

    async def cards(self, limit: int) -> list[Row]:
        """Up to `limit` cards that are due and may be shown now, and up to half as many whose turn in a busy chat has
        come.
        """
        # First what may have to wait for a chat's row, and does so in one order; then only rows that nobody holds.
        params = {"platform": self.platform, "now": self.now, "lease_until": self.lease_until}
        found = await self._admitted(await self.tx.all(q.CLAIM_CARDS, **params, limit=limit))
        return found + await self._next(max(1, limit // 2))

    async def _next(self, limit: int) -> list[Row]:
        """Cards that have waited for their chat, and wait no longer."""
        found: list[Row] = []
        rows = await self.tx.all(fq.DUE_CHATS, platform=self.platform, now=self.now, limit=limit)
        chats = [_chat(row, self.pace) for row in rows]
        for chat in chats:
            found += await self._turns(chat, chat.room(self.now, max(1, limit - len(found))))
        await _save(self.tx, self.platform, chats, self.now)
        return found

    async def _admitted(self, due: Sequence[Row]) -> list[Row]:
        """Of the cards that are due, those that may be shown now; the others are queued."""
        new: dict[str, list[Row]] = {}
        for row in due:
            if row["message"] is None:
                new.setdefault(chat_of(row["channel"]), []).append(row)
        if not new:
            return list(due)
        found = [row for row in due if row["message"] is not None]
        rows = await self.tx.all(fq.HOLD_CHATS, platform=self.platform, chats=json.dumps(sorted(new)))
        chats = [_chat(row, self.pace) for row in rows]
        for chat in chats:
            cards = new[chat.name]
            free = chat.room(self.now, len(cards)) if chat.next_at is None else 0
            if free == len(cards):
                chat.written(self.now, free)
                found += cards
                continue
            await self._queue(chat, cards)
            if chat.next_at is None:
                found += await self._turns(chat, free)
            await self._digest(chat)
        await _save(self.tx, self.platform, chats, self.now)
        return found

    async def _queue(self, chat: _Chat, cards: Sequence[Row]) -> None:
        claimed = {"chat": chat.name, "now": self.now, "card_ids": json.dumps([row["card_id"] for row in cards])}
        await self.tx.write(Write(fq.QUEUE_CLAIMED, claimed, rows=None))
        others = {"chat": chat.name, "now": self.now, "platform": self.platform, "limit": QUEUE_AT_ONCE}
        await self.tx.write(Write(fq.QUEUE_DUE, others, rows=None))

    async def _turns(self, chat: _Chat, count: int) -> list[Row]:
        """The next `count` cards of the chat's queue, claimed; and when it is the next one's turn."""
        here = {"platform": self.platform, "chat": chat.name}
        found: list[Row] = []
        for late in (0, 1):
            if left := count - len(found):
                found += await self.tx.all(fq.NEXT_QUEUED, **here, lease_until=self.lease_until, late=late, limit=left)
        chat.written(self.now, len(found))
        if await self._waiting(chat, 1):
            # Those whose rows somebody else holds at this moment are left for the next round.
            breath = 0 if len(found) == count else BREATH_MS
            chat.next_at = chat.free_at(self.now + breath)
        else:
            chat.next_at = None
            await self.tx.write(Write(fq.END_DIGEST, {**here, "now": self.now}, rows=None))
        return found

    async def _digest(self, chat: _Chat) -> None:
        few = max(FEW, leaving(chat.moments, chat.windows, self.now, self.now + DIGEST_AFTER_MS))
        if await self._waiting(chat, few + 1) > few:
            params = {"platform": self.platform, "chat": chat.name, "now": self.now}
            await self.tx.write(Write(fq.WANT_DIGEST, params, rows=None))

    async def _waiting(self, chat: _Chat, limit: int) -> int:
        row = await self.tx.one(fq.COUNT_QUEUED, platform=self.platform, chat=chat.name, limit=limit)
        assert row is not None
        return int(row["waiting"])


class Others:
    """Messages that are no new cards: when each may leave. Their chats are locked until the transaction ends."""

    def __init__(self, tx: Tx, platform: str, now: int, pace: Pace) -> None:
        self._tx = tx
        self._platform = platform
        self._now = now
        self._pace = pace
        self._chats: dict[str, _Chat] = {}
        self._promised: dict[str, list[int]] = {}

    async def hold(self, channels: Iterable[str]) -> None:
        """Once, for all of them."""
        if names := sorted({chat_of(channel) for channel in channels}):
            rows = await self._tx.all(fq.HOLD_CHATS, platform=self._platform, chats=json.dumps(names))
            self._chats = {row["chat"]: _chat(row, self._pace, cards=False) for row in rows}

    def when(self, channel: str) -> int:
        """`now`, and it counts; or later, each time later than the last, and one has to ask again then."""
        chat = self._chats[chat_of(channel)]
        promised = self._promised.setdefault(chat.name, [])
        at = max(chat.quiet_until, free_at(chat.moments + promised, chat.windows, self._now))
        if at > self._now:
            promised.append(at)
            return at
        chat.written(self._now, 1)
        if chat.next_at is not None:
            chat.next_at = max(chat.next_at, chat.free_at(self._now))
        return at

    async def save(self) -> None:
        await _save(self._tx, self._platform, list(self._chats.values()), self._now)


async def _save(tx: Tx, platform: str, chats: Sequence[_Chat], now: int) -> None:
    if chats:
        await tx.write(*(chat.saved(platform, now) for chat in chats))
