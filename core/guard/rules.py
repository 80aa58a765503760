"""What policy says about an operation: allow, require a human, or deny; from which rule, and why. Pure.

Deny wins over require, require over allow, whatever the order of rules and files; what no rule knows requires. A
condition that cannot be told (`core.guard.conditions`) counts as met for a rule that requires or denies, and as not met
for one that allows. docs/policies.md says the same for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

from core.digest import digest
from core.guard.conditions import Condition, Named, Operation
from core.model import Address, Policy
from core.persons import is_user_group
from core.schedule import DAY, HOUR, duration_words

__all__ = ["Explained", "Operation", "PolicySet", "Rule", "Ruling", "Terms", "Verdict"]

Verdict = Literal["allow", "require", "deny"]
VERDICTS: tuple[Verdict, ...] = ("deny", "require", "allow")  # the earlier wins

GRANTS_MS = 8 * HOUR  # contract: no approval is remembered for longer; also what holds where no rule says less
APPROVAL_VALID_MS = DAY


@dataclass(frozen=True, slots=True)
class Terms:
    """How a human is asked, as far as a rule says so. `reviewers` and `notify` None: as the source has it."""

    reviewers: Policy | None = None
    notify: tuple[Address, ...] | None = None
    timeout_ms: int | None = None
    grants_ms: int | None = None
    approval_valid_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        found = {
            "reviewers": None if self.reviewers is None else self.reviewers.as_json(),
            "notify": None if self.notify is None else [str(one) for one in self.notify],
            "timeout": _words(self.timeout_ms),
            "grants": _words(self.grants_ms),
            "approval_valid": _words(self.approval_valid_ms),
        }
        return {key: value for key, value in found.items() if value is not None}


def _words(ms: int | None) -> str | None:
    return None if ms is None else duration_words(ms) if ms else "none"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one policy: when all of `conditions` are met, it says `verdict`."""

    policy: str
    name: str
    verdict: Verdict
    reason: str
    conditions: tuple[Condition, ...]
    terms: Terms = Terms()

    @property
    def label(self) -> str:
        return f"{self.policy}/{self.name}"

    def check(self, operation: Operation, now: int) -> Explained:
        """Whether the rule matches; if not, the first condition that is not met."""
        met = []
        for condition in self.conditions:
            answer = condition.check(operation, now)
            words = answer.words
            if answer.holds is None:
                words += ", which counts " + ("against a rule that allows" if self.verdict == "allow" else "as met")
            if answer.holds is False or (answer.holds is None and self.verdict == "allow"):
                return Explained(self, matched=False, why=words)
            met.append(words)
        return Explained(self, matched=True, why="; ".join(met) or "it asks for nothing")

    def concerns(self, tenant_id: str) -> bool:
        """Whether it could ever say something about this tenant's operations."""
        named = [one for one in self.conditions if isinstance(one, Named) and one.what == "tenant"]
        return all(any(glob.matches(tenant_id) for glob in one.globs) for one in named)

    def as_json(self) -> dict[str, Any]:
        """As a policy's file says it."""
        when: dict[str, Any] = {}
        for key, value in sorted((one.as_json() for one in self.conditions), key=repr):
            when[key] = [*when.get(key, ()), *value]
        return {
            "policy": self.policy,
            "name": self.name,
            "verdict": self.verdict,
            "reason": self.reason,
            "when": when,
            **self.terms.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """What became of one rule: `why` it matched, or the first thing that did not."""

    rule: Rule
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to happen with an operation, and why.

    `policy` and `rule` name the rule that says so (the first by name where several do; `rules` names all of them), or
    are None when no rule knows the operation. For `require`: who is asked and how (None: as the source has it), for how
    many ms an approval may be remembered (0: not at all), and for how many it may wait for dispatch.
    """

    verdict: Verdict
    policy: str | None
    rule: str | None
    reason: str
    rules: tuple[str, ...] = ()
    reviewers: Policy | None = None
    timeout_ms: int | None = None
    notify: tuple[Address, ...] | None = None
    grants: int = 0
    approval_valid_ms: int = APPROVAL_VALID_MS
    explanation: tuple[Explained, ...] = ()
    policy_digest: str = ""  # of the policies that said so

    def as_json(self) -> dict[str, Any]:
        """What is kept beside a task: the verdict and where it comes from."""
        return {
            "verdict": self.verdict,
            "policy": self.policy,
            "rule": self.rule,
            "rules": list(self.rules),
            "reason": self.reason,
            "policy_digest": self.policy_digest,
        }


class PolicySet:
    """The rules of all policies in force. `digest` names exactly these rules, whatever order they were written in."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.policy, rule.name)))
        self.digest = digest([rule.as_json() for rule in self.rules])

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(sorted({rule.policy for rule in self.rules}))

    def rule(self, operation: Operation, now: int) -> Ruling:
        """What these rules say about the operation at this moment (ms UTC)."""
        explanation = tuple(rule.check(operation, now) for rule in self.rules)
        ruling = Ruling(
            "require",
            None,
            None,
            f"no rule knows {operation.operation}, and what no rule knows needs a human",
            grants=GRANTS_MS,
        )
        for verdict in VERDICTS:
            matching = [one.rule for one in explanation if one.matched and one.rule.verdict == verdict]
            if matching:
                ruling = _ruling(verdict, matching)
                break
        return replace(ruling, explanation=explanation, policy_digest=self.digest)


def _ruling(verdict: Verdict, matching: list[Rule]) -> Ruling:
    first, rules = matching[0], tuple(rule.label for rule in matching)
    reason = "; ".join(dict.fromkeys(rule.reason for rule in matching))
    if verdict != "require":
        return Ruling(verdict, first.policy, first.name, reason, rules)
    terms = strictest(rule.terms for rule in matching)
    if terms.reviewers is not None and capacity(terms.reviewers) < terms.reviewers.quorum:
        reason = f"the rules {', '.join(rules)} together leave too few reviewers who could agree ({reason})"
        return Ruling("deny", first.policy, first.name, reason, rules)
    return Ruling(
        "require",
        first.policy,
        first.name,
        reason,
        rules,
        reviewers=terms.reviewers,
        timeout_ms=terms.timeout_ms,
        notify=terms.notify,
        grants=GRANTS_MS if terms.grants_ms is None else terms.grants_ms,
        approval_valid_ms=APPROVAL_VALID_MS if terms.approval_valid_ms is None else terms.approval_valid_ms,
    )


def strictest(terms: Iterable[Terms]) -> Terms:
    """All of these at once: only reviewers whom every rule names that names any, the highest quorum, the lowest number
    of people who can reject, the shortest times; cards go to all the chats. The same whatever their order.
    """
    every = tuple(terms)
    notify = [one.notify for one in every if one.notify is not None]
    return Terms(
        reviewers=_strictest_reviewers([one.reviewers for one in every if one.reviewers is not None]),
        notify=tuple(sorted(set(chain.from_iterable(notify)), key=str)) if notify else None,
        timeout_ms=_least(one.timeout_ms for one in every),
        grants_ms=_least(one.grants_ms for one in every),
        approval_valid_ms=_least(one.approval_valid_ms for one in every),
    )


def _strictest_reviewers(given: list[Policy]) -> Policy | None:
    if not given:
        return None
    common = set(given[0].any_of).intersection(*(one.any_of for one in given))
    return Policy(
        any_of=tuple(sorted(common)),
        exclude_requester=any(one.exclude_requester for one in given),
        quorum=max(one.quorum for one in given),
        reject_quorum=min(one.reject_quorum for one in given),
        separate_duties=tuple(sorted({duty for one in given for duty in one.separate_duties})),
    )


def capacity(reviewers: Policy) -> float:
    """How many people could agree at the most. Whoever holds the review link is one person; a channel has many."""
    many = any(entry == "channel" or entry.startswith("group:") or is_user_group(entry) for entry in reviewers.any_of)
    return float("inf") if many else len(reviewers.any_of)


def _least(given: Iterable[int | None]) -> int | None:
    return min((one for one in given if one is not None), default=None)
