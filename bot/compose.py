"""The composition root: settings in, a wired process out. Nothing is built at import; everything is an argument."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from starlette.routing import BaseRoute

from api.doors import DOORS
from api.metrics import Scraped
from api.services import Services
from bot.clockwork import clock_loops
from bot.directories import DirectoryLater, slack_directory, telegram_directory
from bot.flows import load_flows
from bot.loops import RESCAN_SECONDS, Loop
from bot.messengers import has_slack, slack_settings, telegram_settings
from bot.policies import Reload, load_policies
from bot.rate_limits import rate_limits
from bot.roles import Role
from bot.secret_key import key_ring
from bot.settings import Settings, WrongSetting
from bot.watching import gate_of, scraped, watch_of, watched
from core.access import Keys
from core.callbacks import callbacks
from core.cards import Cards
from core.chat import ChatServices
from core.codes import CodeDesk
from core.couriers import Courier
from core.deliveries import Deliveries
from core.destinations import Destinations
from core.digests import Digests
from core.directory import Directories
from core.events import Events
from core.flow_runs import Flows
from core.gate import Gate
from core.grants import Grants
from core.groups import Groups
from core.guarded import GuardedTasks
from core.hub import Hub
from core.inbox import Inbox
from core.installations import Installations
from core.introductions import EVERY_SECONDS, Introduces, Introductions
from core.keys import KeyDesk
from core.leases import Lease
from core.ledger import Database, open_database
from core.limits import Limits
from core.meters import NOBODY, Watch
from core.moments import zone_called
from core.notices import Notices
from core.outbox import OutboxWorker
from core.pacing import Pacer
from core.people import People
from core.ports import Fetcher, Messenger, MiniAppSignIn, OpenIdSignIn, Verifier
from core.pushes import Pushes
from core.questions import Questions
from core.records import Records
from core.review_tasks import ReviewTasks
from core.reviewing import Reviewing
from core.run_engine import RunSteps
from core.run_views import RunViews
from core.run_worker import RunWorker
from core.runs import Runs
from core.saved import SavedAnswers
from core.sealing import KeyRing
from core.sending import Sender
from core.sessions import Sessions
from core.signing import jwks
from core.sources import Sources
from core.tap_desk import TapDesk
from core.taps import Taps
from core.tenants import Tenants
from core.traced_gate import TracedGate
from core.verifiers import Verifiers
from core.views import Views
from core.webhooks import decisions
from core.workers import CardWorker, DigestWorker, NoticeWorker

if TYPE_CHECKING:
    from adapters.dbos import DbosEngine
    from adapters.slack import SlackAdapter
    from adapters.webhook import HttpLater


USES_SECONDS = 20.0  # how late it may be written down that a key was used


class Adapter(Protocol):
    """What the process asks of a messenger's adapter: its port, its routes, and its life."""

    @property
    def messenger(self) -> Messenger: ...

    @property
    def directory(self) -> Introduces: ...

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
    chat: ChatServices
    adapters: list[Adapter] = field(default_factory=list)
    workers: list[OutboxWorker[Any] | Courier] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    known: list[DirectoryLater] = field(default_factory=list)  # of messengers that this process is not connected to
    engine: DbosEngine | None = None
    watch: Watch = NOBODY
    scraped: Scraped | None = None

    def beating(self) -> dict[str, bool]:
        return {loop.name: loop.beats() for loop in self.loops}


def assemble(
    settings: Settings,
    roles: tuple[Role, ...],
    public_url: str,
    clock_offset: Callable[[], int] = lambda: 0,
) -> Assembly:
    """Wire a process for these roles. `public_url` is the address that links begin with."""
    watch = watch_of(settings)
    own = open_database(settings.database_url, clock_offset=clock_offset, pool_size=settings.database_pool)
    database = watched(own, watch)
    hub, ring = Hub(), key_ring(settings)
    directories = Directories(database)
    gate = gate_of(watch)(
        database, hub, ring, _verifiers(settings), directories=directories, language=settings.review_language
    )
    if isinstance(gate, TracedGate):
        gate.spans = watch.spans
    events = Events(database, hub, ring)
    views, keys = Views(database, ring, public_url), Keys(database, ring, hub)
    cards = Cards(database, ring, public_url, language=settings.review_language)
    taps = Taps(database, gate, ring, cards, directories=directories, hub=hub)
    chat = _chat(database, directories, ring, public_url, settings)
    notices = Notices(database, ring, public_url)
    digests = Digests(database, ring, public_url, settings.review_language)
    # What agents point to is fetched, and what they wait for is sent, through one guard.
    http = _guarded(settings, public_url) if {"api", "courier"} & set(roles) else None
    sender = None if http is None else _sender(http, settings)
    sources, policies = Sources(database, ring, hub), load_policies(settings.policies_dir)
    guarded = GuardedTasks(
        database, gate, views, keys, sources, ring, hub, policies, public_url,
        spec_version=settings.spec_version,
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
        people=chat.people,
        groups=Groups(database),
        sessions=chat.sessions,
        inbox=chat.inbox,
        directories=directories,
        codes=CodeDesk(database),
        reviewing=Reviewing(database, directories),
        records=Records(database, chat.inbox),
        mini_app=_mini_app(settings),
        open_id=_open_id(settings, public_url, _installations(settings, database, ring)),
        public_url=public_url,
        spec_version=settings.spec_version,
        telegram_mini_app=settings.telegram_mini_app,
        fetcher=None if http is None else _fetcher(http),
        jwks=jwks(ring),
        allowed_networks=settings.webhook_allowed_networks,
        dev_no_auth=settings.dev_no_auth,
        limits=rate_limits(settings, database, {door.name for door in DOORS}) if "api" in roles else Limits(),
    )
    assembly = Assembly(database, hub, services, ring, cards, TapDesk(taps, watch=watch), roles, chat)
    assembly.watch = watch
    assembly.scraped = scraped(settings, watch, own, assembly.beating, lambda: policies.problem is not None)
    if "slack" in roles and has_slack(settings):
        assembly.adapters.append(_slack(settings, assembly, cards))
    if "telegram" in roles and (telegram_token := settings.telegram_bot_token):
        assembly.adapters.append(_telegram(telegram_token.get_secret_value(), settings, assembly, cards))
    _know_people(settings, assembly)
    for adapter in assembly.adapters:
        messenger, pacer, cap = adapter.messenger, Pacer(), settings.card_pushes_per_minute
        names = Introductions(database, chat.people, adapter.directory)
        assembly.loops.append(Loop(f"names:{messenger.platform}", hub, names.round, every=EVERY_SECONDS))
        for worker in (
            CardWorker(cards, messenger, hub, pacer=pacer, cap=cap, watch=watch),
            NoticeWorker(notices, cards, messenger, hub, pacer=pacer, cap=cap, watch=watch),
            DigestWorker(digests, cards, messenger, hub, pacer=pacer, cap=cap, watch=watch),
        ):
            name, every = f"{worker.kind}s", worker.rescan or RESCAN_SECONDS
            assembly.workers.append(worker)
            assembly.loops.append(Loop(f"{name}:{messenger.platform}", hub, worker.round, name, every=every))
    if sender is not None and "courier" in roles:
        courier = _courier(sender, assembly)
        assembly.workers.append(courier)
        assembly.loops.append(Loop("deliveries", hub, courier.round, "deliveries"))
    if "api" in roles:
        assembly.loops.append(Reload(policies, settings.policies_dir).loop(hub))
        assembly.loops.append(Loop("keys", hub, _saving_uses(keys), every=USES_SECONDS))
    if "clock" in roles:
        assembly.engine = _engine(settings, database, gate, hub)
        assembly.loops.extend(
            clock_loops(database, hub, ring, gate, assembly.engine, watch.spans, settings.retention_days)
        )
    return assembly


def _chat(
    database: Database, directories: Directories, ring: KeyRing, public_url: str, settings: Settings
) -> ChatServices:
    codes = CodeDesk(database)
    people = People(database, codes)
    return ChatServices(
        people=people,
        sessions=Sessions(database, codes, people),
        inbox=Inbox(database, directories, ring, public_url),
        questions=Questions(database),
        directories=directories,
        public_url=public_url,
        language=settings.review_language,
        zone=zone_called(settings.time_zone) or UTC,
    )


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


def _mini_app(settings: Settings) -> MiniAppSignIn | None:
    if not (token := settings.telegram_bot_token):
        return None
    from adapters.telegram.sign_in import TelegramSignIn

    return TelegramSignIn(token.get_secret_value())


def _installations(settings: Settings, database: Database, ring: KeyRing) -> Installations | None:
    """None where no more Slack workspaces can be connected than the bot token's."""
    return Installations(database, ring) if settings.slack_workspaces else None


def _open_id(settings: Settings, public_url: str, installations: Installations | None) -> OpenIdSignIn | None:
    """Sign in with Slack, where the app's client is set."""
    client_id, secret = settings.slack_client_id, settings.slack_client_secret
    if client_id is None or secret is None or not has_slack(settings):
        return None
    from adapters.slack.openid import SlackOpenId

    return SlackOpenId(slack_settings(settings, public_url), client_id, secret.get_secret_value(), installations)


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


def _guarded(settings: Settings, public_url: str) -> HttpLater:
    from adapters.webhook import HttpLater

    development = urlsplit(public_url).scheme == "http"  # the settings take that for localhost and 127.0.0.1 only
    destinations = Destinations(development, settings.webhook_allowed_networks)
    return HttpLater(destinations, ca_file=settings.webhook_ca_file)


def _fetcher(http: HttpLater) -> Fetcher:
    from adapters.webhook import GuardedFetcher

    return GuardedFetcher(http)


def _sender(http: HttpLater, settings: Settings) -> Sender:
    from adapters.webhook import WebhookSender

    return WebhookSender(http, settings.webhook_timeout_seconds)


def _courier(sender: Sender, assembly: Assembly) -> Courier:
    kinds = {
        "callback": callbacks(assembly.ring, assembly.services.public_url),
        "decision": decisions(assembly.ring),
    }
    return Courier(Deliveries(assembly.database, kinds), sender, assembly.hub, watch=assembly.watch)


def _know_people(settings: Settings, assembly: Assembly) -> None:
    """Pages ask who is in which chat and user group, also where this process is connected to no messenger."""
    if "api" not in assembly.roles:
        return
    public_url = assembly.services.public_url
    if "slack" not in assembly.roles and has_slack(settings):
        installations = _installations(settings, assembly.database, assembly.ring)
        assembly.known.append(slack_directory(settings, public_url, installations))
    if "telegram" not in assembly.roles and (telegram_token := settings.telegram_bot_token):
        assembly.known.append(telegram_directory(settings, telegram_token.get_secret_value(), public_url))
    for directory in assembly.known:
        assembly.chat.directories.add(directory)


def _slack(settings: Settings, assembly: Assembly, cards: Cards) -> SlackAdapter:
    from adapters.slack import SlackAdapter

    chosen = slack_settings(settings, assembly.services.public_url)
    installations = _installations(settings, assembly.database, assembly.ring)
    return SlackAdapter(chosen, cards, assembly.desk, assembly.hub, assembly.chat, installations)


def _telegram(bot_token: str, settings: Settings, assembly: Assembly, cards: Cards) -> Adapter:
    from adapters.telegram import TelegramAdapter

    return TelegramAdapter(
        telegram_settings(settings, bot_token, assembly.services.public_url),
        cards,
        assembly.desk,
        assembly.hub,
        Lease(assembly.database, "telegram-poller"),
        assembly.chat,
    )
