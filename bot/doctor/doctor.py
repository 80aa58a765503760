"""The round through an installation: asks, in an order in which each thing is known before it is needed, and hands what
comes back to those that judge it. Changes nothing, and posts nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import TypeVar

import httpx

from adapters.webhook.guarded import GuardedHttp, NoAnswer, NotSentTo
from adapters.webhook.resolver import Unresolved
from bot.doctor import address, clocks, database, installed, slack, sources, telegram
from bot.doctor.findings import Finding, Level, broken, ok, refused, warning, without_secrets
from bot.doctor.manifest import bot_scopes
from bot.flows import load_flows
from bot.messengers import slack_settings, telegram_settings
from bot.policies import load_policies
from bot.secret_key import key_file, key_ring
from bot.settings import Settings, WrongSetting, secrets_of, strangers
from core import checkup
from core.checkup import Found, OnPostgres, OnSqlite
from core.destinations import Destinations
from core.errors import Unavailable
from core.guard.rules import Rule
from core.hub import Hub
from core.ledger import REVISION, Database, open_database
from core.ledger.migrate import revision
from core.model import Address, Source
from core.ports import ChannelMoved, SendFailed
from core.sealing import KeyRing
from core.signing import jwks

T = TypeVar("T")
MOST_CHATS = 40  # of one messenger; to ask for more, their limits are too low
MOST_WEBHOOKS = 100
AT_ONCE = 10
WEBHOOK_SECONDS = 5.0

Progress = Callable[[str], None]
Findings = AsyncIterator[Finding]


class Doctor:
    """One round. `progress` is told what is being looked at; `clock` is this machine's (seconds since 1970)."""

    def __init__(
        self, settings: Settings, *, progress: Progress = lambda _: None, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._secrets = [secret for secret in secrets_of(settings) if secret]
        self._ring: KeyRing | None = None
        self._found: Found | None = None
        self._condition: OnSqlite | OnPostgres | None = None
        self._rules: tuple[Rule, ...] = ()
        self._askers: list[sources.Asker] = []
        self._seen: address.Seen | None = None

    @property
    def url(self) -> str:
        return self._settings.public_url or f"http://localhost:{self._settings.port}"

    async def findings(self) -> Findings:
        """Everything that was looked at, area by area."""
        steps: list[tuple[str, Callable[[], Findings]]] = [
            ("settings", self._look_at_settings),
            ("the database", self._look_at_database),
            ("the secret key", self._look_at_secret_key),
            (self.url, self._look_at_address),
            ("Slack", self._look_at_slack),
            ("Telegram", self._look_at_telegram),
            ("sources", self._look_at_sources),
            ("webhooks", self._look_at_webhooks),
        ]
        for what, step in steps:
            self._progress(what)
            async with aclosing(step()) as found:  # type: ignore[type-var]  # they are generators
                async for one in found:
                    yield without_secrets(one, self._secrets)

    # What is here

    async def _look_at_settings(self) -> Findings:
        found = installed.misspelt(strangers())
        try:
            self._rules = load_policies(self._settings.policies_dir).current.rules
        except WrongSetting as error:
            fix = "Correct it; `assent policy check` says the same without a restart"
            found.append(refused("settings.policies", error.message, fix))
        try:
            load_flows(self._settings.flows_dir)
        except WrongSetting as error:
            found.append(refused("settings.flows", error.message, "Correct it, then start Assent again"))
        for one in found or [ok("settings.values", "Every value can be read; policies and flows load.")]:
            yield one

    async def _look_at_database(self) -> Findings:
        settings, seen = self._settings, None
        if settings.on_sqlite:
            seen = database.file_seen(Path(settings.database_url.removeprefix("sqlite:///")))
            for one in database.file(seen):
                yield one
            if seen.mode is None:
                return
        try:
            at = await asyncio.to_thread(revision, settings.database_url)
            yield (found := database.schema(at, REVISION))
            if found.level is Level.OK:
                async with AsyncExitStack() as stack:
                    opened = open_database(settings.database_url, pool_size=2)
                    await opened.start(Hub())
                    stack.push_async_callback(opened.close)
                    async for one in self._look_inside(opened, seen):
                        yield one
        except Unavailable as error:
            yield database.not_reached(settings.database_url, error.message)

    async def _look_inside(self, opened: Database, seen: database.FileSeen | None) -> Findings:
        self._condition = condition = await checkup.condition(opened)
        if isinstance(condition, OnSqlite) and seen is not None:
            for one in database.sqlite(condition, seen.size, seen.free):
                yield one
        elif isinstance(condition, OnPostgres):
            for one in database.postgres(condition, self._settings.database_pool):
                yield one
            began = self._clock()
            theirs = await checkup.now(opened)
            yield clocks.against_database(round((began + self._clock()) * 500) - theirs)
        self._ring_or_none()
        self._found = await checkup.look(opened, self._ring)

    def _ring_or_none(self) -> None:
        """The key ring, where there is a key; looking for one makes none."""
        if self._settings.assent_secret_key or key_file(self._settings).exists():
            try:
                self._ring = key_ring(self._settings)
            except WrongSetting:
                self._ring = None  # said with the secret key

    async def _look_at_secret_key(self) -> Findings:
        settings, file = self._settings, key_file(self._settings)
        seen = installed.KeySeen(
            given=len(settings.assent_secret_key),
            file=file,
            mode=file.stat().st_mode & 0o777 if file.exists() else None,
            on_sqlite=settings.on_sqlite,
            machines=self._condition.machines if isinstance(self._condition, OnPostgres) else 1,
            used=self._found is not None and self._found.sealed > 0,
        )
        self._ring_or_none()
        if seen.mode is not None and not seen.given and self._ring is None:
            try:
                key_ring(settings)
            except WrongSetting as error:
                yield refused("secret_key.kept", error.message, "Put the right file back, or set ASSENT_SECRET_KEY")
                return
        for one in installed.secret_key(seen):
            yield one
        for one in installed.unopened(self._found.unopened if self._found else {}):
            yield one

    async def _look_at_address(self) -> Findings:
        for one in address.chosen(self._settings):
            yield one
        if not self._settings.public_url and not self._settings.port:
            return  # a free port of each start: nobody knows which
        verify = httpx.create_ssl_context(trust_env=False)
        async with httpx.AsyncClient(timeout=address.SECONDS, trust_env=False, verify=verify) as http:
            ours = None if self._ring is None else jwks(self._ring)
            self._seen = await address.look(address.Asking(self.url, http), self._settings, ours)
        for one in address.answers(self.url, self._seen, given=bool(self._settings.public_url)):
            yield one

    # The messengers

    async def _look_at_slack(self) -> Findings:
        settings = self._settings
        if settings.slack_bot_token is None:
            yield self._not_set_up("slack", "SLACK_BOT_TOKEN")
            return
        wrong = list(installed.tokens(settings))
        for one in wrong:
            yield one
        for one in address.slack_door(self.url, self._seen.slack if self._seen else None):
            yield one
        if not any(one.name == "slack.token" for one in wrong):
            async for one in self._ask_slack(settings.slack_bot_token.get_secret_value()):
                yield one

    async def _ask_slack(self, token: str) -> Findings:
        # Each SDK costs a quarter of a second to import: only who is connected pays for it.
        from adapters.slack.health import FEATURES, NEEDED, READING, READING_GROUPS, SlackHealth

        health = SlackHealth(slack_settings(self._settings, token), self._clock)
        async with AsyncExitStack() as stack:
            await health.start()
            stack.push_async_callback(health.close)
            try:
                seen = await health.seen()
            except SendFailed as failed:
                yield refused("slack.token", failed.message, f"Look whether {self._settings.slack_base_url} is reached")
                return
            try:
                await health.try_socket_mode()
            except SendFailed as failed:
                yield refused("slack.app_token", failed.message, "Copy it anew from the pages of your Slack app")
            for one in slack.token(seen, socket_mode=self._settings.slack_app_token is not None):
                yield one
            for one in slack.permissions(seen.scopes, bot_scopes(), NEEDED, FEATURES):
                yield one
            if told := clocks.against_messenger("Slack", seen.ahead_ms, signed=self._settings.slack_app_token is None):
                yield told
            named = sources.user_groups(self._all_askers())
            if named and not seen.may(READING_GROUPS):
                yield slack.groups_unread(named, READING_GROUPS)
            elif named:
                try:
                    for one in slack.groups(await health.user_groups(), named):
                        yield one
                except SendFailed as failed:
                    yield refused("slack.user_groups", failed.message, "Try again in a minute")
            if seen.may(*READING):
                async for one in self._look_at_chats("slack", health.reach):
                    yield one

    async def _look_at_telegram(self) -> Findings:
        settings = self._settings
        if settings.telegram_bot_token is None:
            yield self._not_set_up("telegram", "TELEGRAM_BOT_TOKEN")
            return
        for one in address.telegram_door(self.url, self._seen.telegram if self._seen else None):
            yield one
        from adapters.telegram.health import TelegramHealth

        try:
            chosen = telegram_settings(settings, settings.telegram_bot_token.get_secret_value(), self.url)
        except ValueError:  # its text names the field, and the form
            fix = "Copy it as @BotFather gave it: digits, a colon, letters (`/token` at @BotFather shows it)."
            yield broken("telegram.token", "TELEGRAM_BOT_TOKEN is not written like a bot's token.", fix)
            return
        health = TelegramHealth(chosen, self._clock)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(health.end)
            try:
                seen, hook = await health.seen(), await health.webhook()
            except SendFailed as failed:
                fix = f"Look whether {settings.telegram_base_url} is reached from this machine"
                yield refused("telegram.token", failed.message, fix)
                return
            groups = any(chat.channel.startswith("-") for chat in sources.chats(self._all_askers(), {"telegram"}))
            for one in telegram.bot(seen, groups=groups):
                yield one
            if chosen.webhook_url is None:
                judged = telegram.polling(hook)
            else:
                judged = telegram.webhook(hook, chosen.webhook_url, round(self._clock() * 1000))
            for one in judged:
                yield one
            if told := clocks.against_messenger("Telegram", seen.ahead_ms, signed=False):
                yield told
            async for one in self._look_at_chats("telegram", health.reach):
                yield one

    async def _look_at_chats(self, platform: str, reach: Callable[[Address], Awaitable[None]]) -> Findings:
        chats = sources.chats(self._all_askers(), {platform})
        well = 0
        for chat, who in list(chats.items())[:MOST_CHATS]:
            self._progress(f"{platform.capitalize()}: {chat}")
            try:
                await reach(chat)
                well += 1
            except ChannelMoved as moved:
                fix = f"Write {platform}:{moved.new_channel} there instead."
                yield warning(f"{platform}.chats", f"{who} sends cards to {chat}, which has another number now.", fix)
            except SendFailed as failed:
                if failed.retry_after_ms is not None:
                    words = f"{platform.capitalize()} asks for a pause, so not all chats were looked at."
                    yield warning(f"{platform}.chats", words, "Run this again in a minute.")
                    return
                yield sources.unreachable(chat, who, failed.message)
        if well == len(chats) or (well and well == MOST_CHATS):
            words = f"The bot can write in all {well} chats" if well != 1 else "The bot can write in the one chat"
            more = f" that were looked at, of {len(chats)}" if well < len(chats) else " that cards go to"
            if chats:
                yield ok(f"{platform}.chats", f"{words}{more}.")

    def _not_set_up(self, platform: str, setting: str) -> Finding:
        if platform == "telegram" or self._connected():
            return ok(f"{platform}.token", f"Not connected ({setting} is not set).")
        return warning(
            "slack.token",
            "Neither Slack nor Telegram is connected: people answer through review links only.",
            "Connect Slack (docs/slack.md) or Telegram (manifests/telegram.md).",
        )

    # What sends cards, and where decisions go

    def _connected(self) -> set[str]:
        tokens = {"slack": self._settings.slack_bot_token, "telegram": self._settings.telegram_bot_token}
        return {platform for platform, token in tokens.items() if token is not None}

    def _all_askers(self) -> list[sources.Asker]:
        if not self._askers:
            seen = self._found.sources if self._found else ()
            self._askers = [*(sources.of_source(one.source) for one in seen), *map(sources.of_rule, self._rules)]
        return self._askers

    async def _look_at_sources(self) -> Findings:
        if self._found is None:
            return
        found: list[Finding] = []
        for one in self._all_askers():
            found += sources.asker(one, self._connected(), self._found.groups)
        for said in [*found, *sources.all_well(self._found.sources, len(self._rules), found)]:
            yield said
        for said in sources.dead(self._found.dead):
            yield said

    async def _look_at_webhooks(self) -> Findings:
        seen = [one for one in self._found.sources if one.source.webhook is not None] if self._found else []
        if not seen:
            return
        found = [finding for one in seen for finding in sources.endpoint(one)]
        http = GuardedHttp(
            Destinations(self.url.startswith("http:"), self._settings.webhook_allowed_networks),
            ca_file=self._settings.webhook_ca_file,
        )
        try:
            tried = [one for one in seen if one.endpoint == "active"][:MOST_WEBHOOKS]
            answers = await _some_at_once([one.source for one in tried], lambda source: _reached(http, source))
        finally:
            await http.close()
        for one, problem in zip(tried, answers, strict=True):
            if problem is not None:
                found.append(sources.not_answering(one.source, problem))
        for said in found or [ok("webhooks.reachable", f"{len(seen)} of {len(seen)} answer, and none is behind.")]:
            yield said


async def _reached(http: GuardedHttp, source: Source) -> str | None:
    """Why the address of a webhook does not answer; None when it does, whatever it says. Nothing is delivered."""
    url = source.webhook.url if source.webhook else ""
    try:
        await http.exchange("HEAD", url, {}, b"", seconds=WEBHOOK_SECONDS, limit=1024)
    except Unresolved:
        return "the name leads nowhere"
    except NotSentTo as error:
        return str(error)
    except NoAnswer:
        return f"no answer came within {WEBHOOK_SECONDS:g} seconds"
    return None


async def _some_at_once(given: Iterable[Source], work: Callable[[Source], Awaitable[T]]) -> list[T]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(source: Source) -> T:
        async with turn:
            return await work(source)

    return await asyncio.gather(*map(one, given))
