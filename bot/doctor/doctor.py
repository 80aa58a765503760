"""The round through an installation: asks, in an order in which each thing is known before it is needed, and hands what
comes back to those that judge it. Changes nothing, and posts nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from adapters.webhook.exchange import NoAnswer, NotSentTo
from adapters.webhook.guarded import GuardedHttp
from adapters.webhook.resolver import Unresolved
from bot.doctor import at_home, messengers, retention, sources
from bot.doctor.findings import broken, ok, without_secrets
from bot.doctor.known import Findings, Known
from bot.settings import Settings, secrets_of
from core.destinations import Destinations
from core.model import Source

MOST_WEBHOOKS = 100
AT_ONCE = 10
WEBHOOK_SECONDS = 5.0


class Doctor:
    """One round. `progress` is told what is being looked at; `clock` is this machine's (seconds since 1970). `known`:
    what was learned so far.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.known = Known(settings, progress, clock)

    async def findings(self) -> Findings:
        """Everything that was looked at, area by area."""
        known = self.known
        secrets = list(secrets_of(known.settings))
        steps: list[tuple[str, str, Callable[[Known], Findings]]] = [
            ("settings", "settings", at_home.settings),
            ("database", "the database", at_home.the_database),
            ("secret_key", "the secret key", at_home.secret_key),
            ("address", known.url, at_home.the_address),
            ("slack", "Slack", messengers.ask_slack),
            ("telegram", "Telegram", messengers.ask_telegram),
            ("clocks", "clocks", _clocks),
            ("sources", "sources", _sources),
            ("webhooks", "webhooks", _webhooks),
            ("retention", "what is to be erased", _retention),
        ]
        for area, what, step in steps:
            known.progress(what)
            try:
                async for one in step(known):
                    yield without_secrets(one, secrets)
            except Exception as error:  # noqa: BLE001 - whatever is odd here, the rest is looked at all the same
                said = f"This could not be looked at ({type(error).__name__})."
                yield broken(f"{area}.doctor", said, "Please report it as a bug of Assent.")


async def _clocks(known: Known) -> Findings:
    """They were read beside everything else that was asked."""
    for one in known.clocks:
        yield one


async def _sources(known: Known) -> Findings:
    if known.found is None:
        return
    found = [one for asker in known.askers for one in sources.asker(asker, known.connected, known.found.groups)]
    for one in [*found, *sources.all_well(known.found.sources, len(known.rules), found)]:
        yield one
    for one in sources.dead(known.found.dead):
        yield one


async def _retention(known: Known) -> Findings:
    if known.found is None:
        return
    names = {one.source.source_id: one.source.name for one in known.found.sources}
    for one in retention.overdue(known.found.overdue, names, known.settings.retention_days):
        yield one


async def _webhooks(known: Known) -> Findings:
    seen = [one for one in known.found.sources if one.source.webhook is not None] if known.found else []
    if not seen:
        return
    found = [finding for one in seen for finding in sources.endpoint(one)]
    tried = [one.source for one in seen if one.endpoint == "active"][:MOST_WEBHOOKS]
    destinations = Destinations(known.url.startswith("http:"), known.settings.webhook_allowed_networks)
    http = GuardedHttp(destinations, ca_file=known.settings.webhook_ca_file)
    try:
        problems = await _reached(http, tried)
    finally:
        await http.close()
    found += [sources.not_answering(source, words) for source, words in zip(tried, problems, strict=True) if words]
    for one in found or [ok("webhooks.reachable", f"All {len(tried)} answer, and none is behind.")]:
        yield one


async def _reached(http: GuardedHttp, given: Iterable[Source]) -> list[str]:
    """Of each webhook why its address does not answer; nothing when it does, whatever it says. Nothing is delivered."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(source: Source) -> str:
        url = source.webhook.url if source.webhook else ""
        async with turn:
            try:
                await http.exchange("HEAD", url, {}, b"", seconds=WEBHOOK_SECONDS, limit=1024)
            except Unresolved:
                return "the name leads nowhere"
            except NotSentTo as error:
                return str(error)
            except NoAnswer:
                return f"no answer came within {WEBHOOK_SECONDS:g} seconds"
        return ""

    return await asyncio.gather(*map(one, given))
