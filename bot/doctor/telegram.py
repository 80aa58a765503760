"""What is to be said of Telegram. Pure: `adapters.telegram.health` asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.doctor.findings import Finding, broken, ok, warning
from core.schedule import HOUR
from core.wording import moment

if TYPE_CHECKING:
    from adapters.telegram.health import TelegramSeen, WebhookSeen

MANY_WAITING = 100
_RESTART = "Restart `assent serve`, which tells Telegram the address anew"
_REMOVE = "remove it: `curl https://api.telegram.org/bot$TELEGRAM_BOT_TOKEN/deleteWebhook`"


def bot(seen: TelegramSeen, *, groups: bool) -> Iterator[Finding]:
    """`groups`: whether cards go to any group."""
    yield ok("telegram.token", f"The bot is @{seen.bot}.")
    if seen.reads_everything:
        yield warning(
            "telegram.privacy",
            "Privacy mode is off: the bot is sent everything that people write in its groups, and needs none of it.",
            "Send /setprivacy to @BotFather, choose the bot and Enable; then take the bot out of each group and add "
            "it again.",
        )
    if not seen.joins_groups:
        say = broken if groups else warning
        yield say(
            "telegram.groups",
            "The bot may not be added to groups" + (", and cards go to groups." if groups else "."),
            "Send /setjoingroups to @BotFather, choose the bot and Enable.",
        )


def polling(seen: WebhookSeen) -> Iterator[Finding]:
    """Without a secret taps are fetched, which Telegram refuses while a webhook is set."""
    if seen.url:
        yield broken(
            "telegram.webhook",
            f"A webhook is set for the bot (to {_host(seen.url)}), so that no taps can be fetched.",
            f"Set TELEGRAM_WEBHOOK_SECRET to use a webhook; or {_REMOVE}.",
        )
    elif seen.waiting > MANY_WAITING:
        yield warning(
            "telegram.webhook",
            f"{seen.waiting} taps and messages wait, and nobody fetches them.",
            "Look whether `assent serve` runs with the role telegram, and what its log says.",
        )
    else:
        yield ok("telegram.webhook", "None is set; taps are fetched by long polling.")


def webhook(seen: WebhookSeen, wanted: str, now: int) -> Iterator[Finding]:
    """`wanted`: where taps shall go. `now`: ms since 1970."""
    if not seen.url:
        yield broken("telegram.webhook", "No webhook is set for the bot, so that taps do not arrive.", f"{_RESTART}.")
        return
    if seen.url != wanted:
        yield broken(
            "telegram.webhook",
            f"Telegram sends taps to {_host(seen.url)} instead of {wanted}.",
            f"{_RESTART}. Should it change again, another installation uses the same bot: give each a bot of its own.",
        )
        return
    if seen.unasked:
        yield broken(
            "telegram.updates",
            f"Telegram does not send {' and '.join(seen.unasked)}: "
            + ("taps do not arrive." if "callback_query" in seen.unasked else "what people write does not arrive."),
            f"{_RESTART} and what to send.",
        )
    if seen.error and seen.waiting:
        when = "" if seen.failed_at is None else f" ({moment(seen.failed_at)})"
        yield broken(
            "telegram.webhook",
            f"Telegram cannot deliver to {wanted}: {seen.error}{when}. {seen.waiting} updates wait.",
            _help(seen.error),
        )
    elif seen.error and seen.failed_at is not None and now - seen.failed_at < HOUR:
        yield warning(
            "telegram.webhook",
            f"Telegram last failed to deliver to {wanted} at {moment(seen.failed_at)}: {seen.error}. Nothing waits.",
            f"Should it happen again: {_help(seen.error)}",
        )
    else:
        yield ok("telegram.webhook", f"Taps come to {wanted}.")


def _host(url: str) -> str:
    """Of an address that may be somebody else's: its path may be a secret."""
    return urlsplit(url).hostname or "another address"


def _help(error: str) -> str:
    words = error.lower()
    if "401" in words or "unauthorized" in words:
        return "The server knows another TELEGRAM_WEBHOOK_SECRET: restart `assent serve` with the settings of now."
    if "certificate" in words or "ssl" in words:
        return "Give the server a certificate that is publicly trusted, with its whole chain."
    if "404" in words or "not found" in words:
        return "Let your proxy pass /telegram/webhook on to `assent serve`."
    return "Look whether `assent serve` runs, and whether the internet reaches it at PUBLIC_URL."
