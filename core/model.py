"""The frozen types that the gate, the ledger and the doors exchange. Times are milliseconds since 1970 (UTC)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from core.states import Status, Verdict

JsonObject = Mapping[str, Any]

ACTIONS: dict[str, tuple[str, ...]] = {
    "approval": ("approve", "edit", "reject"),
    "selection": ("select",),
    "input": ("submit",),
    "confirmation": ("confirm", "cancel"),
    "escalation": ("retry", "skip", "abort"),
}
CUSTOM_ACTIONS = ("submit",)  # custom `x-` types are answered like input (spec v0.8, section 10)

INLINE_ACTIONS: dict[str, tuple[str, ...]] = {
    "approval": ("approve", "reject"),
    "confirmation": ("confirm", "cancel"),
    "escalation": ("retry", "skip", "abort"),
}

DEFAULT_ACTIONS = ("skip", "approve", "reject", "abort")


def actions_of(case_type: str) -> tuple[str, ...]:
    return ACTIONS.get(case_type, CUSTOM_ACTIONS)


class Origin(StrEnum):
    """Where an interaction came from; a closed set, checked by the database as well."""

    MANUAL = "manual"  # the review page
    ENGINE_DBOS = "engine-dbos"  # timers, escalation, the workflow engine
    API_SHIM = "api-shim"  # tasks, approvals, review-task decisions, withdrawal by the agent
    WEBHOOK = "webhook"  # taps through our own messenger adapters
    WEBHOOK_CI = "webhook-ci"
    EXTERNAL = "external"  # inline respond from somebody else's messenger
    UNKNOWN = "unknown"  # imported history only


@dataclass(frozen=True, slots=True)
class Identity:
    """Who replies, as far as the door could establish it.

    `platform` is slack, telegram, link (whoever holds the review link), key (an API key), system (the clock), or what
    an agent's messenger claims. `team` scopes the id on platforms where ids repeat (Slack: enterprise/team).
    `verified` says that the platform itself vouched for it (signed tap), not the request. `foreign` marks a guest of
    a shared channel: verified, but from another workspace than the card's.
    """

    platform: str
    user_id: str
    display_name: str | None = None
    team: str | None = None
    verified: bool = False
    foreign: bool = False
    on_behalf_of: Identity | None = None

    @property
    def key(self) -> str:
        """The name under which this person replies: the second half of every dedupe key. In an organisation (`team`:
        enterprise/team) somebody has one id in all its workspaces, and is the same in whichever they were met.
        """
        organisation, _, workspace = (self.team or "").partition("/")
        user_id = self.user_id.rpartition("/")[2] if workspace else self.user_id
        return f"{self.platform}:{organisation}:{user_id}" if organisation else f"{self.platform}:{user_id}"

    @property
    def address(self) -> str:
        """The form that policies list: `slack:U…`, `telegram:123`."""
        return f"{self.platform}:{self.user_id}"

    def as_json(self) -> dict[str, Any]:
        """The contract's `submitted_by` object."""
        found: dict[str, Any] = {"platform": self.platform, "platform_user_id": self.user_id}
        if self.display_name:
            found["display_name"] = self.display_name
        if self.on_behalf_of is not None:
            found["on_behalf_of"] = self.on_behalf_of.as_json()
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may decide a case, copied onto it when it opens.

    `any_of` entries: `channel` (whoever is in a channel where the card stands), `link` (whoever holds the review link),
    `slack:U…`, `telegram:…`, `slack:S…` (a user group), `group:…`. So many people must agree (`quorum`) or disagree
    (`reject_quorum`). `separate_duties`: whoever answered there may not decide here: `previous` (the case before),
    `workflow` (any other gate of it), `gate:…` (this one of it), `case:…`. `groups`: the members of the named groups
    when the case opened, by entry; a source's policy has none.
    """

    any_of: tuple[str, ...] = ("channel", "link")
    exclude_requester: bool = False
    quorum: int = 1
    reject_quorum: int = 1
    separate_duties: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def counts(self) -> bool:
        """Whether several people must say the same."""
        return self.quorum > 1 or self.reject_quorum > 1

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "any_of": list(self.any_of),
            "quorum": self.quorum,
            "reject_quorum": self.reject_quorum,
            "exclude_requester": self.exclude_requester,
        }
        if self.separate_duties:
            found["separate_duties"] = list(self.separate_duties)
        if self.groups:
            found["groups"] = {name: list(members) for name, members in self.groups.items()}
        return found


@dataclass(frozen=True, slots=True)
class Address:
    """Where a card goes: `slack:C…`, `slack:#<name>`, `slack:U…`, `telegram:<chat id>[/<topic id>]`."""

    platform: str
    channel: str

    def __str__(self) -> str:
        return f"{self.platform}:{self.channel}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A valid request to open a case; what the doors translate their wire formats into.

    `timeout` is the text that the agent wrote, `timeout_ms` its length; `reminder_at` None means the default.
    `inline_actions` None means all that the type allows inline; () means none. `grace_ms`: how long an answer given on
    the page may be revised; None for the default. `flow`: for a step of a flow, its name, step, round and answers.
    `wished_notify`: the chats where neither `notify` nor the source names any.
    """

    type: str
    prompt: str
    message: str | None = None
    context: JsonObject = field(default_factory=dict)
    blocks: tuple[JsonObject, ...] = ()
    actions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # what buttons say instead of the usual, by action
    inline_actions: tuple[str, ...] = ()
    timeout: str = "24h"
    timeout_ms: int = 86_400_000
    default_action: str = "skip"
    reminder_at: tuple[int, ...] | None = None
    notify: tuple[Address, ...] | None = None
    wished_notify: tuple[Address, ...] = ()
    policy: Policy | None = None
    requested_by: str | None = None
    source_id: str | None = None
    previous_case_id: str | None = None
    callback_url: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    spec_version: str = "0.6"
    language: str | None = None  # of its cards and links; None: the source's, else the installation's
    workflow_id: str | None = None
    gate_key: str = "review"
    flow: JsonObject | None = None
    grace_ms: int | None = None
    signed: bool = False  # results carry a signature, because the source asks for it
    images: bool = False  # the page may show images from other hosts, because the source allows it
    full_review: bool = False  # whoever approves must have been shown all of it
    pushed: bool = False  # its decision will have a webhook to go to, as the source stands now
    verification_policy: JsonObject | None = None  # as posted: see `core.verification`
    task: JsonObject | None = None  # for a review task: see `core.tasks`
    guarded: JsonObject | None = None  # for a guarded operation: see `core.approvals`
    gate: JsonObject | None = None  # for a gate of a run: see `core.gate_answers`
    escalation_chain: tuple[JsonObject, ...] | None = None  # see `core.chat_terms`; None: as the source has it
    chat: JsonObject = field(default_factory=dict)  # what its cards let people do: see `core.chat_terms`


@dataclass(frozen=True, slots=True)
class Case:
    """One question put to humans, as it stands."""

    case_id: str
    tenant_id: str
    workflow_id: str
    gate_key: str
    source_id: str | None
    type: str
    status: Status
    content: JsonObject  # everything shown: type, prompt, message, context, blocks, actions, labels
    content_digest: str
    terms: JsonObject  # everything agreed when it opened: see `core.opening.opening_writes`
    policy: Policy
    created_at: int
    opened_at: int | None
    expires_at: int
    closed_at: int | None
    result: JsonObject | None  # {"action", "data"} once completed
    answered: JsonObject | None  # {"by", "via", "mode", "reason"}: who closed it, through what
    previous_case_id: str | None
    next_case_id: str | None
    progress: JsonObject | None
    version: int  # grows with every visible change
    last_event: int  # the counter of its newest case event
    reminder_sent_at: int | None = None
    settles_at: int | None = None  # until then the answer may be revised; None when it is final or not given
    votes: tuple[JsonObject, ...] = ()  # {"action", "by", "at"} each, while a quorum is open and after
    edition: int = 0  # how often reviewers have changed the blocks; `content` and its digest are of this edition
    edited_by: str | None = None  # the key under which whoever made this edition replies
    opened_blocks: tuple[JsonObject, ...] | None = None  # as the agent sent them, where that is not what stands
    escalated: int = 0  # how many levels of its chain it has climbed; `policy` has the reviewers of these
    extended: int = 0  # how often its deadline was moved
    erased_at: int | None = None  # since then `content`, `result` and `answered` show nothing of what was written

    @property
    def prompt(self) -> str:
        return str(self.content["prompt"])

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(self.content["actions"])

    @property
    def inline_actions(self) -> tuple[str, ...]:
        return tuple(self.terms["inline_actions"])

    @property
    def default_action(self) -> str:
        return str(self.terms["default_action"])

    @property
    def original(self) -> Sequence[JsonObject]:
        """The blocks as the agent sent them, whatever reviewers have made of them since."""
        return self.content["blocks"] if self.opened_blocks is None else self.opened_blocks

    @property
    def task(self) -> JsonObject | None:
        """What makes the case a review task: see `core.tasks`."""
        return self.content.get("task")

    @property
    def revision(self) -> int:
        """Which answer of the page stands: 1 for the first, 0 when none does."""
        return int((self.answered or {}).get("revision", 0))


@dataclass(frozen=True, slots=True)
class Opened:
    """A case and the secrets that belong to it; the only moment at which the agent's are raw."""

    case: Case
    review_token: str
    submit_token: str | None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes a creating request safe to send twice: its key within a door, and the hash of its body."""

    door: str
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The first answer to the same creating request, as the door wrote it then."""

    answer: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The one outcome of a case."""

    type: Verdict
    action: str
    decided_at: int
    decided_by: JsonObject
    via: str
    reason: str | None
    timed_out: bool
    interaction_id: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom an API key speaks for, and about which sources."""

    key_id: str
    tenant_id: str
    scope: Literal["agent", "executor", "reviewer", "admin", "operator"]
    sources: frozenset[str] | None = None  # what the key is bound to; None for all of its tenant's

    def reaches(self, source_id: str | None) -> bool:
        """Whether what belongs to this source (None: to none) is there for this key."""
        return self.sources is None or source_id in self.sources


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a source has its events pushed, and how. The secrets are sealed (about the source): the one in force, and
    those that it replaced with the moment until which they also sign. None: the usual number of attempts, the usual
    waits between them.
    """

    url: str
    secret: str = field(repr=False)
    timeout_ms: int = 5_000
    max_attempts: int | None = None
    backoff_ms: int | None = None
    old_secrets: tuple[tuple[str, int], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """An integration: how its decisions are delivered and the defaults of its cases. `pushed_since`: since when all of
    its events go to its webhook; None while they are only pulled.
    """

    source_id: str
    tenant_id: str
    name: str
    description: str | None
    mode: str
    notify: tuple[Address, ...]
    policy: Policy | None
    created_at: int
    grace_ms: int = 0
    signed: bool = False
    images: bool = False
    webhook: Webhook | None = None
    pushed_since: int | None = None
    escalation_chain: tuple[JsonObject, ...] = ()
    chat: JsonObject = field(default_factory=dict)  # what its cards let people do: see `core.chat_terms`


@dataclass(frozen=True, slots=True)
class CardRef:
    """One card of one case: where it stands (`message` is the platform's own id once posted) and which version it
    shows.
    """

    card_id: str
    case_id: str
    tenant_id: str
    address: Address
    message: str | None
    wanted_version: int
    shown_version: int
    shown_digest: str | None
    attempts: int
    lease: int  # fencing number: a save under an older lease changes nothing
    doubtful: bool  # an earlier attempt to post may have arrived without our knowing its message id
    state: str  # live, or dead: the platform refuses it for good
    last_error: str | None
    whole: bool | None = None  # whether what was sent last shows all of the content; None: not known
