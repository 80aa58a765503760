"""The steps that ask the messengers. Each SDK costs a quarter of a second to import: only who is connected pays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bot.doctor import address, clocks, installed, slack, sources, telegram
from bot.doctor.findings import Finding, ok, refused, warning
from bot.doctor.known import Findings, Known
from bot.doctor.manifest import bot_scopes
from bot.messengers import telegram_settings
from core.model import Address
from core.ports import ChannelMoved, SendFailed

if TYPE_CHECKING:
    from adapters.slack.health import SlackHealth
    from adapters.telegram.health import TelegramHealth

MOST_CHATS = 40  # of one messenger; for more, its limits are too low


async def ask_slack(known: Known) -> Findings:
    token = known.settings.slack_bot_token
    if token is None and not known.settings.slack_workspaces:
        yield _not_set_up(known, "slack", "SLACK_BOT_TOKEN")
        return
    wrong = list(installed.tokens(known.settings))
    for one in wrong:
        yield one
    for one in address.slack_door(known.url, known.server.slack if known.server else None):
        yield one
    if any(one.name == "slack.token" for one in wrong):
        return
    from bot.doctor.workspaces import Workspaces

    async with Workspaces(known) as workspaces:
        async for one in workspaces.findings():
            yield one
        if workspaces.home is not None:
            async for one in _slack(known, workspaces.home):
                yield one
        async for one in workspaces.user_groups(sources.user_groups(known.askers)):
            yield one
        if await workspaces.may_look():
            async for one in _chats(known, "slack", workspaces.reach):
                yield one


async def _slack(known: Known, health: SlackHealth) -> Findings:
    from adapters.slack.health import FEATURES, NEEDED

    socket_mode = known.settings.slack_app_token is not None
    try:
        seen = await health.seen()
    except SendFailed as failed:
        yield refused(
            "slack.token", failed.message, f"Look whether this machine reaches {known.settings.slack_base_url}"
        )
        return
    for one in slack.token(seen, socket_mode=socket_mode):
        yield one
    try:
        await health.try_socket_mode()
    except SendFailed as failed:
        yield refused("slack.app_token", failed.message, "Copy it anew from the pages of your Slack app")
    for one in slack.permissions(seen.scopes, bot_scopes(), NEEDED, FEATURES):
        yield one
    _note_clock(known, "Slack", seen.ahead_ms, signed=not socket_mode)


async def ask_telegram(known: Known) -> Findings:
    token = known.settings.telegram_bot_token
    if token is None:
        yield _not_set_up(known, "telegram", "TELEGRAM_BOT_TOKEN")
        return
    for one in address.telegram_door(known.url, known.server.telegram if known.server else None):
        yield one
    from adapters.telegram.health import TelegramHealth

    try:
        chosen = telegram_settings(known.settings, token.get_secret_value(), known.url)
    except ValueError:
        yield installed.NO_BOT_TOKEN
        return
    health = TelegramHealth(chosen, known.clock)
    try:
        async for one in _telegram(known, health, chosen.webhook_url):
            yield one
    finally:
        await health.end()


async def _telegram(known: Known, health: TelegramHealth, wanted: str | None) -> Findings:
    """`wanted`: where taps shall go; None where they are fetched."""
    try:
        seen, hook = await health.seen(), await health.webhook()
    except SendFailed as failed:
        fix = f"Look whether this machine reaches {known.settings.telegram_base_url}"
        yield refused("telegram.token", failed.message, fix)
        return
    groups = any(chat.channel.startswith("-") for chat in sources.chats(known.askers, {"telegram"}))
    for one in telegram.bot(seen, groups=groups):
        yield one
    now = round(known.clock() * 1000)
    for one in telegram.polling(hook) if wanted is None else telegram.webhook(hook, wanted, now):
        yield one
    _note_clock(known, "Telegram", seen.ahead_ms, signed=False)
    async for one in _chats(known, "telegram", health.reach):
        yield one


async def _chats(known: Known, platform: str, reach: Callable[[Address], Awaitable[None]]) -> Findings:
    """Whether cards can stand where they go by default."""
    name, called = f"{platform}.chats", platform.capitalize()
    chats = sources.chats(known.askers, {platform})
    looked = list(chats.items())[:MOST_CHATS]
    well = 0
    for chat, who in looked:
        known.progress(f"{called}: {chat}")
        try:
            await reach(chat)
            well += 1
        except ChannelMoved as moved:
            fix = f"Write {platform}:{moved.new_channel} there instead."
            yield warning(name, f"{who} sends cards to {chat}, which has another number now.", fix)
        except SendFailed as failed:
            if failed.retry_after_ms is not None:
                words = f"{called} asks for a pause, so not all chats were looked at."
                yield warning(name, words, "Run this again in a minute.")
                return
            yield sources.unreachable(chat, who, failed.message)
    if looked and well == len(looked):
        where = "the one chat" if len(chats) == 1 else f"all {len(chats)} chats"
        if well < len(chats):
            where = f"the {well} chats that were looked at, of {len(chats)}"
        yield ok(name, f"The bot is in {where} that cards go to.")


def _note_clock(known: Known, platform: str, ahead_ms: int | None, *, signed: bool) -> None:
    if told := clocks.against_messenger(platform, ahead_ms, signed=signed):
        known.clocks.append(told)


def _not_set_up(known: Known, platform: str, setting: str) -> Finding:
    if platform == "telegram" or known.connected:
        return ok(f"{platform}.token", f"Not connected ({setting} is not set).")
    return warning(
        "slack.token",
        "Neither Slack nor Telegram is connected: people answer through review links only.",
        "Connect Slack (docs/slack.md) or Telegram (manifests/telegram.md).",
    )
