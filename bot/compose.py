"""The composition root: settings in, a wired process out. Nothing is built at import; everything is an argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from starlette.routing import BaseRoute

from api.doors import DOORS
from api.services import Services
from bot.clockwork import clock_loops
from bot.flows import load_flows
from bot.loops import Loop
from bot.policies import Reload, load_policies
from bot.rate_limits import rate_limits
from bot.secret_key import key_ring
from bot.settings import Role, Settings, WrongSetting
from core.access import Keys
from core.callbacks import callbacks
from core.cards import Cards
from core.couriers import Courier
from core.deliveries import Deliveries
from core.destinations import Destinations
from core.events import Events
from core.flow_runs import Flows
from core.gate import Gate
from core.grants import Grants
from core.guarded import GuardedTasks
from core.hub import Hub
from core.keys import KeyDesk
from core.leases import Lease
from core.ledger import Database, open_database
from core.limits import Limits
from core.notices import Notices
from core.pacing import Pacer
from core.ports import Fetcher, Messenger, Verifier
from core.pushes import Pushes
from core.review_tasks import ReviewTasks
from core.run_engine import RunSteps
from core.run_views import RunViews
from core.run_worker import RunWorker
from core.runs import Runs
from core.saved import SavedAnswers
from core.sealing import KeyRing
from core.sending import Sender
from core.signing import jwks
from core.sources import Sources
from core.taps import TapDesk
from core.tenants import Tenants
from core.verifiers import Verifiers
from core.views import Views
from core.webhooks import decisions
from core.workers import CardWorker, NoticeWorker, OutboxWorker

if TYPE_CHECKING:
    from adapters.dbos import DbosEngine
    from adapters.webhook import GuardedHttp


USES_SECONDS = 20.0  # how late it may be written down that a key was used


class Adapter(Protocol):
    """What the process asks of a messenger's adapter: its port, its routes, and its life."""

    @property
    def messenger(self) -> Messenger: ...

    @property
    def routes(self) -> Sequence[BaseRoute]: ...

    async def start(self) -> None: ...

    async def run(self) -> None: ...

    async def stop(self, seconds: float) -> None: ...


@dataclass(slots=True)
class Assembly:
    """A wired process. `loops` are its workers; the database is not started yet."""

    database: Database
    hub: Hub
    services: Services
    ring: KeyRing
    cards: Cards
    desk: TapDesk
    roles: tuple[Role, ...]
    adapters: list[Adapter] = field(default_factory=list)
    workers: list[OutboxWorker[Any] | Courier] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    engine: DbosEngine | None = None

    def beating(self) -> dict[str, bool]:
        return {loop.name: loop.beats() for loop in self.loops}


def assemble(
    settings: Settings,
    roles: tuple[Role, ...],
    public_url: str,
    clock_offset: Callable[[], int] = lambda: 0,
) -> Assembly:
    """Wire a process for these roles. `public_url` is the address that links begin with."""
    database = open_database(settings.database_url, clock_offset=clock_offset, pool_size=settings.database_pool)
    hub, ring = Hub(), key_ring(settings)
    gate, events = Gate(database, hub, ring, _verifiers(settings)), Events(database, hub, ring)
    views, keys = Views(database, ring, public_url), Keys(database, ring, hub)
    cards = Cards(database, gate, ring, public_url)
    notices = Notices(database, ring, public_url)
    # What agents point to is fetched, and what they wait for is sent, through one guard.
    http = _guarded(settings, public_url) if {"api", "courier"} & set(roles) else None
    sender = None if http is None else _sender(http, settings)
    sources, policies = Sources(database, ring, hub), load_policies(settings.policies_dir)
    guarded = GuardedTasks(
        database, gate, views, keys, sources, ring, hub, policies, public_url,
        spec_version=settings.spec_version, language=settings.review_language,
    )  # fmt: skip
    services = Services(
        gate=gate,
        views=views,
        keys=keys,
        key_desk=KeyDesk(database, ring, keys),
        tenants=Tenants(database, ring, keys),
        sources=sources,
        pushes=Pushes(database, ring, hub, sender),
        events=events,
        hub=hub,
        saved=SavedAnswers(database, ring),
        flows=Flows(database, gate, views, hub, ring, load_flows(settings.flows_dir), public_url),
        tasks=ReviewTasks(database, gate, hub),
        guarded=guarded,
        runs=Runs(database, gate, hub, None if settings.run_engine == "rows" else settings.run_engine),
        run_views=RunViews(database, hub),
        policies=policies,
        grants=Grants(database, gate),
        public_url=public_url,
        spec_version=settings.spec_version,
        language=settings.review_language,
        telegram_mini_app=settings.telegram_mini_app,
        fetcher=None if http is None else _fetcher(http),
        jwks=jwks(ring),
        allowed_networks=settings.webhook_allowed_networks,
        dev_no_auth=settings.dev_no_auth,
        limits=rate_limits(settings, database, {door.name for door in DOORS}) if "api" in roles else Limits(),
    )
    assembly = Assembly(database, hub, services, ring, cards, TapDesk(cards), roles)
    if "slack" in roles and (slack_token := settings.slack_bot_token):
        assembly.adapters.append(_slack(slack_token.get_secret_value(), settings, assembly, cards))
    if "telegram" in roles and (telegram_token := settings.telegram_bot_token):
        assembly.adapters.append(_telegram(telegram_token.get_secret_value(), settings, assembly, cards))
    for adapter in assembly.adapters:
        messenger, pacer = adapter.messenger, Pacer()
        for worker in (
            CardWorker(cards, messenger, hub, pacer=pacer),
            NoticeWorker(notices, cards, messenger, hub, pacer=pacer),
        ):
            assembly.workers.append(worker)
            assembly.loops.append(Loop(f"{worker.kind}s:{messenger.platform}", hub, worker.round, f"{worker.kind}s"))
    if sender is not None and "courier" in roles:
        courier = _courier(sender, assembly)
        assembly.workers.append(courier)
        assembly.loops.append(Loop("deliveries", hub, courier.round, "deliveries"))
    if "api" in roles:
        assembly.loops.append(Reload(policies, settings.policies_dir).loop(hub))
        assembly.loops.append(Loop("keys", hub, _saving_uses(keys), every=USES_SECONDS))
    if "clock" in roles:
        assembly.engine = _engine(settings, database, gate, hub)
        assembly.loops.extend(clock_loops(database, hub, ring, gate, assembly.engine))
    return assembly


def _saving_uses(keys: Keys) -> Callable[[], Awaitable[float]]:
    async def save() -> float:
        await keys.save_uses()
        return USES_SECONDS

    return save


def _verifiers(settings: Settings) -> Verifiers:
    """Whose evidence counts; another provider is one more class here and one more name in the setting."""
    chosen = set(settings.verification_providers)
    found: list[Verifier] = []
    if "telegram" in chosen and (token := settings.telegram_bot_token):
        from adapters.telegram.initdata import InitDataVerifier

        found.append(InitDataVerifier(token.get_secret_value()))
    return Verifiers(*found, taps=chosen)


def _engine(settings: Settings, database: Database, gate: Gate, hub: Hub) -> DbosEngine | None:
    """The workflow engine of the settings. Raises WrongSetting when its package is not installed."""
    if settings.run_engine != "dbos":
        return None
    if find_spec("dbos") is None:
        raise WrongSetting("RUN_ENGINE: install the package dbos, Assent's extra of that name, or choose rows")
    from adapters.dbos import DbosEngine, DbosSettings

    steps = RunSteps(database, RunWorker(database, gate, hub))
    waiters, executor = settings.run_engine_waiters, settings.run_engine_executor
    return DbosEngine(DbosSettings(settings.database_url, executor, waiters), steps)


def _guarded(settings: Settings, public_url: str) -> GuardedHttp:
    from adapters.webhook import GuardedHttp

    development = urlsplit(public_url).scheme == "http"  # the settings take that for localhost and 127.0.0.1 only
    destinations = Destinations(development, settings.webhook_allowed_networks)
    return GuardedHttp(destinations, ca_file=settings.webhook_ca_file)


def _fetcher(http: GuardedHttp) -> Fetcher:
    from adapters.webhook import GuardedFetcher

    return GuardedFetcher(http)


def _sender(http: GuardedHttp, settings: Settings) -> Sender:
    from adapters.webhook import WebhookSender

    return WebhookSender(http, settings.webhook_timeout_seconds)


def _courier(sender: Sender, assembly: Assembly) -> Courier:
    kinds = {
        "callback": callbacks(assembly.ring, assembly.services.public_url),
        "decision": decisions(assembly.ring),
    }
    return Courier(Deliveries(assembly.database, kinds), sender, assembly.hub)


def _slack(bot_token: str, settings: Settings, assembly: Assembly, cards: Cards) -> Adapter:
    # Each SDK costs a quarter of a second to import: only who connects to a messenger pays for it.
    from adapters.slack import SlackAdapter, SlackSettings

    signing, app = settings.slack_signing_secret, settings.slack_app_token
    return SlackAdapter(
        SlackSettings(
            bot_token=bot_token,
            signing_secret=signing.get_secret_value() if signing else None,
            app_token=app.get_secret_value() if app else None,
            base_url=settings.slack_base_url,
        ),
        cards,
        assembly.desk,
        assembly.hub,
    )


def _telegram(bot_token: str, settings: Settings, assembly: Assembly, cards: Cards) -> Adapter:
    from adapters.telegram import TelegramAdapter, TelegramSettings

    secret = settings.telegram_webhook_secret
    return TelegramAdapter(
        TelegramSettings(
            bot_token=bot_token,
            webhook_secret=secret.get_secret_value() if secret else None,
            webhook_url=f"{assembly.services.public_url}/telegram/webhook" if secret else None,
            base_url=settings.telegram_base_url,
        ),
        cards,
        assembly.desk,
        assembly.hub,
        Lease(assembly.database, "telegram-poller"),
    )
