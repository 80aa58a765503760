"""Taps: what Slack sends when somebody presses a button becomes a Tap, and whoever tapped is told what became of it.

Slack wants its acknowledgement within three seconds, we give it within one. What a person is told goes out beside it
and holds nothing up; nothing says "recorded" before the commit.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.messenger import SlackMessenger, Workspace
from adapters.slack.render import PREFIX
from core.cards import Cards, Tap
from core.errors import Unavailable
from core.hub import Hub
from core.model import Address, Identity
from core.ports import SendFailed
from core.taps import Taken, TapDesk

T = TypeVar("T")
log = structlog.get_logger()

ACK_SECONDS = 0.6  # of one second; the rest is for a busy machine
REMEMBERED = 4_096

_ACTION_TS = re.compile(r"([0-9]{1,11})\.([0-9]{6})", re.ASCII)
_VALUE = re.compile(r"a:([A-Za-z0-9_-]{22}):([a-z_]{1,64})(?::([1-9][0-9]{0,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tapped:
    """A pressed button of a card, as Slack described it, and where to answer."""

    card_id: str
    action: str
    edition: int
    user: str
    name: str | None
    user_team: str
    user_enterprise: str
    channel: str
    message: str
    response_url: str
    delivery_id: str
    tapped_at: int | None


def read_tap(payload: Mapping[str, Any]) -> Tapped | None:
    """The tap in an interaction payload; None for all else (a link button, another app's leftovers, nonsense)."""
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    if not _text(action, "action_id").startswith(PREFIX):
        return None
    button = _VALUE.fullmatch(_text(action, "value"))
    user, channel = _text(payload, "user", "id"), _channel(payload)
    if button is None or not user or not channel:
        return None
    message = _text(payload, "container", "message_ts") or _text(payload, "message", "ts")
    own_delivery = ":".join((_text(action, "action_ts"), user, channel, message))
    team = _text(payload, "user", "team_id") or _text(payload, "team", "id")
    return Tapped(
        card_id=button[1],
        action=button[2],
        edition=int(button[3] or 0),
        user=user,
        name=_text(payload, "user", "name") or _text(payload, "user", "username") or None,
        user_team=team,
        user_enterprise=_enterprise_of(payload, team),
        channel=channel,
        message=message,
        response_url=_text(payload, "response_url"),
        delivery_id=_text(payload, "trigger_id") or own_delivery,
        tapped_at=_moment(_text(action, "action_ts")),
    )


def _moment(action_ts: str) -> int | None:
    """When the button was pressed, by Slack's clock: seconds and microseconds, `1548261231.365612`."""
    found = _ACTION_TS.fullmatch(action_ts)
    return int(found[1]) * 1000 + int(found[2][:3]) if found else None


def identity_of(tapped: Tapped, home: Workspace) -> Identity:
    """Who tapped. Foreign: of another workspace, and not of the same Enterprise organisation by anything Slack said."""
    related = bool(home.enterprise) and tapped.user_enterprise == home.enterprise
    team = "/".join(part for part in (tapped.user_enterprise, tapped.user_team) if part)
    return Identity(
        platform="slack",
        user_id=tapped.user,
        display_name=tapped.name,
        team=team or None,
        verified=True,
        foreign=tapped.user_team != home.team and not related,
    )


def _enterprise_of(payload: Mapping[str, Any], team: str) -> str:
    """The person's Enterprise organisation. The payload's own is that of the workspace in which the tap happened, so
    it is the person's only when that workspace is the person's, too.
    """
    if team.startswith("E"):  # what Slack sends for some people of an organisation
        return team
    if _text(payload, "team", "id") != team:
        return ""
    return _text(payload, "enterprise", "id") or _text(payload, "team", "enterprise_id")


def _channel(payload: Mapping[str, Any]) -> str:
    return _text(payload, "channel", "id") or _text(payload, "container", "channel_id")


def _text(value: Any, *path: str) -> str:
    """The text at a path; empty when something on the way is missing or is something else."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


class Taps:
    """The listener for interactions, and the errands that a tap leaves behind."""

    def __init__(self, messenger: SlackMessenger, desk: TapDesk, cards: Cards, hub: Hub) -> None:
        self._messenger = messenger
        self._desk = desk
        self._cards = cards
        self._hub = hub
        self._errands: set[asyncio.Task[Any]] = set()
        self._unacknowledged: set[asyncio.Task[Any]] = set()
        self._seen: dict[str, None] = {}  # deliveries, oldest first

    async def tapped(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Returns once the tap is acknowledged: recorded, refused, or under way."""
        tapped = read_tap(body)
        if tapped is None or tapped.delivery_id in self._seen:
            await ack()
            return
        self._remember(tapped.delivery_id)
        taking = self._run(self._take(tapped), self._unacknowledged)
        await asyncio.wait({taking}, timeout=ACK_SECONDS)
        await ack()
        self._run(self._follow(tapped, taking))

    async def acknowledge(self) -> None:
        """Let the taps that have arrived be acknowledged."""
        if self._unacknowledged:
            await asyncio.wait(self._unacknowledged, timeout=ACK_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Let the taps under way finish, and what people are to be told go out."""
        await self._desk.drain(seconds)
        while self._errands and seconds > 0:
            before = asyncio.get_running_loop().time()
            await asyncio.wait(self._errands, timeout=seconds)
            seconds -= asyncio.get_running_loop().time() - before

    def _remember(self, delivery_id: str) -> None:
        self._seen[delivery_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    async def _take(self, tapped: Tapped) -> Taken:
        home = await self._messenger.workspace()
        # A card for a person stands in the direct message with that person; its address names the person.
        direct = tapped.channel.startswith("D") and await self._messenger.is_direct(tapped.channel, tapped.user)
        return await self._desk.take(
            Tap(
                platform="slack",
                card_id=tapped.card_id,
                action=tapped.action,
                identity=identity_of(tapped, home),
                channel=tapped.user if direct else tapped.channel,
                via="slack_block_action",
                delivery_id=tapped.delivery_id,
                tapped_at=tapped.tapped_at,
                edition=tapped.edition,
            )
        )

    async def _follow(self, tapped: Tapped, taking: asyncio.Task[Taken]) -> None:
        """Tell the person what became of the tap, now or as soon as it is known."""
        try:
            answer = taking.result().answer if taking.done() else None
            late = answer is None
            if answer is None:
                await self._tell(tapped, self._cards.words(tapped.card_id)["late"])
                answer = await (await taking).finished
            text = answer.text if late or not answer.shown else None
        except SendFailed as failed:
            log.warning("slack.tap_not_checked", card_id=tapped.card_id, reason=failed.message)
            text = self._cards.words(tapped.card_id)["unchecked"]
            self._seen.pop(tapped.delivery_id, None)
        except Exception:
            log.exception("slack.tap_failed", card_id=tapped.card_id)
            text = self._cards.words(tapped.card_id)["failed"]
            self._seen.pop(tapped.delivery_id, None)
        if text is not None:
            await self._tell(tapped, text)
        await self._adopt(tapped)

    async def _tell(self, tapped: Tapped, text: str) -> None:
        try:
            if tapped.response_url:
                await self._messenger.reply(tapped.response_url, text)
                return
        except SendFailed as failed:
            log.info("slack.response_url_failed", card_id=tapped.card_id, reason=failed.message)
        try:
            await self._messenger.notify(Address("slack", tapped.channel), tapped.user, text)
        except SendFailed as failed:
            log.warning("slack.not_told", card_id=tapped.card_id, user=tapped.user, reason=failed.message)

    async def _adopt(self, tapped: Tapped) -> None:
        """The card may have been posted without our learning its message's id; whoever taps it shows where it is."""
        if not tapped.message:
            return
        try:
            await self._cards.adopt(tapped.card_id, tapped.message)
        except Unavailable as error:
            log.info("slack.not_adopted", card_id=tapped.card_id, reason=error.message)
        else:
            self._hub.wake("cards")

    def _run(self, errand: Coroutine[Any, Any, T], *groups: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
        task = asyncio.create_task(errand)
        for group in (self._errands, *groups):
            group.add(task)
            task.add_done_callback(group.discard)
        return task
