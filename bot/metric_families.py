"""Every metric: its name, its labels, and what it says. What is here is served, documented and on the dashboard; tests
hold these together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SENDING = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ARRIVING = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 259_200.0)
_DECIDING = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0,
             172_800.0, 604_800.0)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `labels` are its labels' names; `buckets`, of a histogram, are upper bounds in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, about: str, *labels: str) -> Family:
    return Family(name, "counter", about, labels)


def _gauge(name: str, about: str, *labels: str) -> Family:
    return Family(name, "gauge", about, labels)


def _histogram(name: str, buckets: tuple[float, ...], about: str, *labels: str) -> Family:
    return Family(name, "histogram", about, labels, buckets)


# --- what is counted while it happens -----------------------------------------------------------------------------

OPENED = _counter("assent_cases_opened_total", "Cases that were opened.", "tenant", "source", "type")
CLOSED = _counter(
    "assent_cases_closed_total",
    "Cases that have ended: `completed`, `expired` or `cancelled`.",
    "tenant", "source", "outcome",
)  # fmt: skip
DECISIONS = _counter(
    "assent_decisions_total",
    "Decisions, by verdict (`APPROVE`, `DENY`) and by what they came through (`via`): a messenger's button, "
    "`review_page`, `api`, `timer`, `policy`, `grant`.",
    "tenant", "source", "verdict", "via",
)  # fmt: skip
OVERRIDDEN = _counter(
    "assent_decisions_overridden_total",
    "Decisions in which the reviewer changed what was proposed (`edited`), or the answer first given (`revised`).",
    "tenant", "source", "how",
)  # fmt: skip
DECIDING = _histogram(
    "assent_decision_seconds", _DECIDING, "From a case's opening to a person's decision.", "tenant", "source"
)
TAPS = _histogram(
    "assent_tap_seconds",
    _FAST,
    "How long a tap waited until it could be acknowledged: `recorded`, `not_recorded` (refused, or known before), or "
    "`late`: acknowledged without an answer, which follows.",
    "platform", "outcome",
)  # fmt: skip
MESSAGES = _counter(
    "assent_messages_total",
    "Cards, notices and digests (`kind`) handed to a messenger (`way`: `post` or `update`): `sent`, `failed` (tried "
    "again), `limited` (the platform answered 429), `moved` (the chat has another id), `dead` (given up). A digest is "
    "of all tenants of its chat.",
    "tenant", "platform", "kind", "way", "outcome",
)  # fmt: skip
SENDING = _histogram(
    "assent_message_seconds", _SENDING, "How long the messenger took for one of them.", "platform", "kind", "way"
)
ATTEMPTS = _counter(
    "assent_delivery_attempts_total",
    "Attempts to deliver a webhook or callback: `delivered`, `retry`, `refused` (failed for good), `gone` (410), "
    "`unsendable`, `lease_lost` (another courier went on).",
    "tenant", "kind", "outcome",
)  # fmt: skip
ATTEMPTING = _histogram("assent_delivery_attempt_seconds", _SENDING, "How long an attempt took.", "kind")
ARRIVING = _histogram(
    "assent_delivery_seconds", _ARRIVING, "From the writing of a webhook or callback to its arrival.", "kind"
)
REQUESTS = _histogram(
    "assent_http_request_seconds",
    _FAST,
    "From an HTTP request to the beginning of its answer, by route as declared. What waits for news (`wait`) waits.",
    "door", "route", "method", "status",
)  # fmt: skip
TRANSACTIONS = _histogram(
    "assent_transaction_seconds",
    _FAST,
    "Transactions with the database, with what they waited for it: `committed`, `refused` (a rule said no) or "
    "`unavailable`.",
    "kind", "outcome",
)  # fmt: skip
RETRIES = _counter("assent_transaction_retries_total", "Transactions that were run once more.")

# --- what is looked up when somebody asks -------------------------------------------------------------------------

INFO = _gauge("assent_info", "Always 1; the schema's revision and the database's kind.", "revision", "database")
WORKERS = _gauge("assent_worker_beating", "1 while a worker of this process comes round, 0 when it stands.", "worker")
POLICIES = _gauge("assent_policies_broken", "1 while the policy files are wrong, and what was before is in force.")
DATABASE = _gauge("assent_database_up", "1 when the figures below could be read; else they are left out.")
CASES = _gauge("assent_cases_waiting", "Cases that wait for an answer.", "tenant", "source")
OLDEST = _gauge("assent_cases_oldest_waiting_seconds", "The age of the oldest of them.", "tenant", "source")
CARDS = _gauge("assent_cards_behind", "Cards that do not yet show their case as it stands.", "platform")
CARDS_QUEUED = _gauge("assent_cards_queued", "Cards that wait for their turn in a busy chat.", "platform")
CARDS_LATE = _gauge("assent_cards_behind_seconds", "How long the first of them has been due.", "platform")
NOTICES = _gauge("assent_notices_waiting", "Reminders and other notices that are not sent yet.", "platform")
NOTICES_LATE = _gauge("assent_notices_waiting_seconds", "How long the first of them has been due.", "platform")
DELIVERIES = _gauge(
    "assent_deliveries_waiting",
    "Webhooks and callbacks that have not arrived, by their endpoint's state: `active`, `tripped` (its circuit is "
    "open), `paused`, `disabled`.",
    "tenant", "state",
)  # fmt: skip
DELIVERIES_LATE = _gauge(
    "assent_deliveries_waiting_seconds", "How long the first of them has been due.", "tenant", "state"
)
ENDPOINTS = _gauge("assent_endpoints_waiting", "Endpoints for which something waits.", "tenant", "state")
EVENTS = _gauge(
    "assent_events_unacked",
    "Decision events that no executor has acked, of sources that are pulled; 1000 means that many or more.",
    "tenant", "source",
)  # fmt: skip
EVENTS_OLDEST = _gauge("assent_events_oldest_unacked_seconds", "The age of the oldest of them.", "tenant", "source")
RUNS = _gauge("assent_runs_waiting", "Runs that wait for people.", "tenant")
UNSEALED = _gauge("assent_ledger_unsealed", "Ledger rows that are not sealed yet; 1000 means that many or more.")
SEAL_LAG = _gauge("assent_ledger_seal_lag_seconds", "The age of the oldest of them.")
OVERDUE = _gauge(
    "assent_retention_overdue",
    "Closed cases that should have been erased two days ago and were not, but for those that wait for what ends by "
    "itself; 2000 means that many or more. 0 without `RETENTION_DAYS`.",
)

COUNTED = (
    OPENED, CLOSED, DECISIONS, OVERRIDDEN, DECIDING, TAPS, MESSAGES, SENDING, ATTEMPTS, ATTEMPTING, ARRIVING, REQUESTS,
    TRANSACTIONS, RETRIES,
)  # fmt: skip
OF_PROCESS = (INFO, WORKERS, POLICIES, DATABASE)
OF_DATABASE = (
    CASES, OLDEST, CARDS, CARDS_LATE, CARDS_QUEUED, NOTICES, NOTICES_LATE, DELIVERIES, DELIVERIES_LATE, ENDPOINTS,
    EVENTS, EVENTS_OLDEST, RUNS, UNSEALED, SEAL_LAG, OVERDUE,
)  # fmt: skip
FAMILIES = (*COUNTED, *OF_PROCESS, *OF_DATABASE)
