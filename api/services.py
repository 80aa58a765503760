"""What the doors are given: the core's services and the few settings that show in answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.access import Keys
from core.codes import CodeDesk
from core.destinations import Destinations, Network
from core.directory import Directories
from core.events import Events
from core.flow_runs import Flows
from core.gate import Gate
from core.grants import Grants
from core.groups import Groups
from core.guard.holder import Policies
from core.guard.rules import PolicySet
from core.guarded import GuardedTasks
from core.hub import Hub
from core.inbox import Inbox
from core.keys import KeyDesk
from core.limits import Limits
from core.model import JsonObject
from core.people import People
from core.ports import Fetcher, MiniAppSignIn, OpenIdSignIn
from core.pushes import Pushes
from core.records import Records
from core.review_tasks import ReviewTasks
from core.reviewing import Reviewing
from core.run_views import RunViews
from core.runs import Runs
from core.saved import SavedAnswers
from core.sessions import Sessions
from core.sources import Sources
from core.tenants import Tenants
from core.views import Views


@dataclass(frozen=True, slots=True)
class Services:
    """`public_url` has no trailing slash; `development` is True when it is http on localhost or 127.0.0.1. `jwks`: the
    keys that results are signed with. `allowed_networks`: internal ones that webhooks and callbacks may go to.
    """

    gate: Gate
    views: Views
    keys: Keys
    key_desk: KeyDesk
    tenants: Tenants
    sources: Sources
    pushes: Pushes
    events: Events
    hub: Hub
    saved: SavedAnswers
    flows: Flows
    tasks: ReviewTasks
    guarded: GuardedTasks
    runs: Runs
    run_views: RunViews
    grants: Grants
    people: People
    groups: Groups
    sessions: Sessions
    inbox: Inbox
    directories: Directories
    codes: CodeDesk
    reviewing: Reviewing
    records: Records
    public_url: str
    spec_version: str = "0.6"
    telegram_mini_app: bool = False  # whether Telegram's website may show the review page in a frame
    mini_app: MiniAppSignIn | None = None  # who opens a page inside Telegram; without one it signs nobody in
    open_id: OpenIdSignIn | None = None  # "Sign in with Slack"; without one it is not offered
    fetcher: Fetcher | None = None  # for the values that a form's `default_ref` names; without one they stay empty
    jwks: JsonObject = field(default_factory=lambda: {"keys": []})
    allowed_networks: tuple[Network, ...] = ()
    limits: Limits = field(default_factory=Limits)
    dev_no_auth: bool = False  # the runs door takes requests without a key, from this machine
    policies: Policies = field(default_factory=lambda: Policies(PolicySet()))  # those that `guarded` asks

    @property
    def development(self) -> bool:
        return self.public_url.startswith(("http://localhost", "http://127.0.0.1"))

    @property
    def destinations(self) -> Destinations:
        """Where webhooks and callbacks may go."""
        return Destinations(self.development, self.allowed_networks)
