"""The declared schema. Migrations make exactly this, on both databases, and a test says so.

Times are BIGINT milliseconds since 1970 (UTC). JSON is TEXT: what is hashed is the stored text itself, and no database
reorders or renumbers it. Invariants stand here as constraints, each with what it prevents.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from core.model import Origin
from core.states import TERMINAL, Status, Verdict

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: object) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in sorted(map(str, values)))})"  # type: ignore[call-overload]


tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text),
    Column("suspended_at", BigInteger),  # since then none of its keys is known
    Column("default_source_id", Text),  # where tasks go that name no source
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.tenant_id"), nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("sealed", Text, nullable=False),  # callbacks are signed with the key itself
    Column("scope", Text, nullable=False),
    Column("name", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),  # from then on it is not known; the future, for a key that was replaced
    Column("callback_signature", Text),  # how callbacks are signed: NULL for the contract's form, else `sha256`
    Column("sources", Text),  # JSON: the sources that the key is bound to; NULL for all of its tenant's
    Column("last_used_at", BigInteger),  # to the minute
    CheckConstraint(_one_of("scope", ("agent", "executor", "reviewer", "admin", "operator")), name="scope"),
    Index("ix_api_keys_tenant_id", "tenant_id", "created_at"),
)

sources = Table(
    "sources",
    metadata,
    Column("source_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenants.tenant_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("mode", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON: notify, reviewers
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint(_one_of("mode", ("WEBHOOK_ONLY", "PULL_ONLY", "WEBHOOK_AND_PULL")), name="mode"),
    Index("ix_sources_tenant_id_created_at", "tenant_id", "created_at"),
)

_terminal = _one_of("status", TERMINAL)

cases = Table(
    "cases",
    metadata,
    Column("case_id", Text, primary_key=True),
    # No foreign keys to tenants, keys and sources here: each insert would lock the same few parent rows (FOR KEY
    # SHARE).
    Column("tenant_id", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("gate_key", Text, nullable=False),
    Column("source_id", Text),
    Column("key_id", Text),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("content", Text, nullable=False),  # canonical JSON of everything shown; content_digest is its SHA-256
    Column("content_digest", Text, nullable=False),
    Column("terms", Text, nullable=False),  # JSON of what was agreed at opening; never changes
    Column("created_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("result", Text),
    Column("answered", Text),
    Column("previous_case_id", Text),
    Column("next_case_id", Text),
    Column("progress", Text),
    Column("version", Integer, nullable=False),
    Column("last_event", Integer, nullable=False),
    Column("remind_at", BigInteger),  # the next reminder that is still to be given
    Column("reminder_sent_at", BigInteger),
    Column("settles_at", BigInteger),  # until then the answer given on the page may be revised, and nothing is decided
    Column("votes", Text),  # JSON: who agreed to what while a quorum is open
    Column("working", Text),  # JSON: what reviewers made of the blocks, with the digest of what is shown since then
    Column("escalated", Integer),  # how many levels of its chain it has climbed
    Column("escalate_at", BigInteger),  # when the next level comes
    Column("extended", Integer),  # how often its deadline was moved
    Column("erased_at", BigInteger),  # since then nothing here shows what was asked and said
    # one gate, one case: two cases can never wait behind the same gate
    UniqueConstraint("workflow_id", "gate_key"),
    CheckConstraint(_one_of("status", Status), name="status"),
    # a pending case never shows an answer, a closed one always says when
    CheckConstraint(f"({_terminal}) = (closed_at IS NOT NULL)", name="closed"),
    CheckConstraint("(status = 'completed') = (result IS NOT NULL)", name="result"),
    # what the clock looks through: waiting cases by deadline, and nothing else
    Index(
        "ix_cases_waiting",
        "expires_at",
        postgresql_where=text(f"NOT ({_terminal})"),
        sqlite_where=text(f"NOT ({_terminal})"),
    ),
    Index(
        "ix_cases_reminding",
        "remind_at",
        postgresql_where=text("remind_at IS NOT NULL"),
        sqlite_where=text("remind_at IS NOT NULL"),
    ),
    Index(
        "ix_cases_settling",
        "settles_at",
        postgresql_where=text("settles_at IS NOT NULL"),
        sqlite_where=text("settles_at IS NOT NULL"),
    ),
    Index(
        "ix_cases_escalating",
        "escalate_at",
        postgresql_where=text("escalate_at IS NOT NULL"),
        sqlite_where=text("escalate_at IS NOT NULL"),
    ),
    # what waits, tenant by tenant; with what is counted of it, so that counting reads no rows
    Index(
        "ix_cases_inbox",
        "tenant_id",
        "expires_at",
        "source_id",
        "created_at",
        "status",
        postgresql_where=text(f"NOT ({_terminal})"),
        sqlite_where=text(f"NOT ({_terminal})"),
    ),
    Index("ix_cases_tenant_id_created_at", "tenant_id", "created_at"),
    # what is still to be erased, the oldest first
    Index(
        "ix_cases_retention",
        "closed_at",
        "case_id",
        postgresql_where=text("closed_at IS NOT NULL AND erased_at IS NULL"),
        sqlite_where=text("closed_at IS NOT NULL AND erased_at IS NULL"),
    ),
    # which of the cases of a run or a flow closed last; a case posted alone shares its workflow with none
    Index(
        "ix_cases_shared",
        "workflow_id",
        "closed_at",
        postgresql_where=text("workflow_id <> case_id"),
        sqlite_where=text("workflow_id <> case_id"),
    ),
)

case_tokens = Table(
    "case_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("holder", Text, nullable=False),  # agent, slack, telegram, …: who answers with it
    Column("sealed", Text),  # what adapters and cards need raw again; the agent's own is never kept
    Column("revoked_at", BigInteger),
    UniqueConstraint("case_id", "kind", "holder"),
    CheckConstraint(_one_of("kind", ("review", "submit")), name="kind"),
)

human_interactions = Table(
    "human_interactions",
    metadata,
    Column("interaction_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("gate_key", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("dedupe_key", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("replier", Text, nullable=False),  # JSON: platform, platform_user_id, display_name?, team?
    Column("payload", Text, nullable=False),  # canonical JSON: action, data
    Column("payload_hash", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("row_hash", Text, nullable=False),
    Column("position", BigInteger),  # given by the sealer after the commit
    # exactly once: a reply under the same key is a replay or a conflict, never a second row
    UniqueConstraint("workflow_id", "gate_key", "topic", "dedupe_key"),
    UniqueConstraint("tenant_id", "position"),
    CheckConstraint(_one_of("origin", Origin), name="origin"),
    CheckConstraint("length(dedupe_key) BETWEEN 1 AND 256", name="dedupe_key"),
    Index("ix_human_interactions_case_id", "case_id"),
    # what people whom a messenger vouches for have answered, and nothing that came through an API
    Index(
        "ix_human_interactions_people",
        "dedupe_key",
        "created_at",
        postgresql_where=text("origin IN ('manual', 'webhook')"),
        sqlite_where=text("origin IN ('manual', 'webhook')"),
    ),
    Index(
        "ix_human_interactions_unsealed",
        "created_at",
        postgresql_where=text("position IS NULL"),
        sqlite_where=text("position IS NULL"),
    ),
)

decisions = Table(
    "decisions",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),  # one decision per case
    Column("workflow_id", Text, nullable=False),
    Column("key", Text, nullable=False),  # decision:<gate_key>
    Column("verdict", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("interaction_id", Text, ForeignKey("human_interactions.interaction_id"), nullable=False, unique=True),
    Column(
        "body", Text, nullable=False
    ),  # JSON: type, action, reason, decided_at, decided_by, via, timed_out, content_digest
    Column("decided_at", BigInteger, nullable=False),
    UniqueConstraint("workflow_id", "key"),  # one branch per gate
    CheckConstraint(_one_of("verdict", Verdict), name="verdict"),
)

decision_events = Table(
    "decision_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("case_id", Text, ForeignKey("decisions.case_id"), nullable=False, unique=True),  # one event per decision
    Column("body", Text, nullable=False),  # the JSON that executors get, byte for byte
    Column("row_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("position", BigInteger),  # given by the sealer; pull cursors are positions
    Column("acked_at", BigInteger),
    UniqueConstraint("tenant_id", "position"),
    Index(
        "ix_decision_events_unsealed",
        "created_at",
        postgresql_where=text("position IS NULL"),
        sqlite_where=text("position IS NULL"),
    ),
    Index(
        "ix_decision_events_waiting",
        "source_id",
        "position",
        postgresql_where=text("acked_at IS NULL"),
        sqlite_where=text("acked_at IS NULL"),
    ),
)

chains = Table(
    "chains",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("seal_no", BigInteger, nullable=False),
    Column("chain_hash", Text, nullable=False),
)

seals = Table(
    "seals",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("seal_no", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("chain_hash", Text, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", Text, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seal_no"),
    UniqueConstraint("tenant_id", "last_position"),  # two seals cannot end at one place
)

case_events = Table(
    "case_events",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("counter", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # opened, completed, … are streamed; replayed, refused, … are for the audit
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("case_id", "counter"),
)

cards = Table(
    "cards",
    metadata,
    Column("card_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message", Text),  # the platform's id of the posted message
    Column("wanted_version", Integer, nullable=False),
    Column("shown_version", Integer, nullable=False),
    Column("shown_digest", Text),  # the content that whoever taps has seen
    Column("state", Text, nullable=False),  # live; dead: the platform refuses it for good, last_error says why
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # not before; also the end of a worker's lease
    Column("lease", Integer, nullable=False),  # fencing number, grows with every claim
    Column("started", Integer, nullable=False),  # 1: an attempt to post is under way or its outcome is unknown
    Column("last_error", Text),
    Column("whole", Integer),  # 1: what was sent last shows all of the content; NULL: nothing was sent, or not known
    Column("show_by", BigInteger),  # how urgent it is to show it: of those that wait for a chat, the smallest is next
    Column("queue", Text),  # the busy chat that it waits for, before it is posted; NULL: it waits for none
    UniqueConstraint("case_id", "platform", "channel"),  # one card per chat
    CheckConstraint("state IN ('live', 'dead')", name="state"),
    Index(
        "ix_cards_behind", "platform", "due_at",
        postgresql_where=text("wanted_version > shown_version AND state = 'live' AND queue IS NULL"),
        sqlite_where=text("wanted_version > shown_version AND state = 'live' AND queue IS NULL"),
    ),
    Index(
        "ix_cards_queue", "platform", "queue", "show_by",
        postgresql_where=text("queue IS NOT NULL"),
        sqlite_where=text("queue IS NOT NULL"),
    ),
)  # fmt: skip

# What somebody has typed on the review page and not sent yet; one per case, as the page has one link.
saved_answers = Table(
    "saved_answers",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
    Column("sealed", Text, nullable=False),  # JSON: it may hold sensitive values
    Column("saved_at", BigInteger, nullable=False),
)

used_evidence = Table(
    "used_evidence",
    metadata,
    Column("evidence_hash", Text, primary_key=True),  # the same proof is accepted once
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Index("ix_used_evidence_used_at", "used_at"),
)

# One run through a flow. Its cases share the workflow_id; what the agent has submitted so far is kept here.
flow_runs = Table(
    "flow_runs",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("inputs", Text, nullable=False),  # JSON
    Column("last_case_id", Text),  # the newest case of the chain; NULL for a run that asked nobody
    Column("submit_token", Text),  # of that case, sealed: whoever repeats the request gets the same answer
    Column("result", Text),  # sealed: it holds the claim token; once, so that finalizing twice is finalizing once
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("erased_at", BigInteger),
    Index(
        "ix_flow_runs_retention",
        "finished_at",
        postgresql_where=text("finished_at IS NOT NULL AND erased_at IS NULL"),
        sqlite_where=text("finished_at IS NOT NULL AND erased_at IS NULL"),
    ),
)

inbound = Table(
    "inbound",
    metadata,
    Column("platform", Text, nullable=False),
    Column("delivery_id", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("platform", "delivery_id"),  # a tap that is delivered twice is one tap
    Index("ix_inbound_received_at", "received_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("answer", Text, nullable=False),  # sealed: the first answer may hold tokens
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "door", "key"),
    Index("ix_idempotency_created_at", "created_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),  # telegram-poller, …: what only one process may do at a time
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("state", Text),  # what the next holder has to know (the poller's offset)
)

# How often a case was polled in this minute, counted across replicas (UNLOGGED on PostgreSQL: losing it in a crash is
# fine; one process on SQLite counts in memory).
polls = Table(
    "polls",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("minute", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
)
