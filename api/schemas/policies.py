"""Policies on the wire, in the words of their files (docs/policies.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from core.guard.holder import Policies
from core.guard.rules import Rule
from core.schedule import iso


class RuleReviewers(TypedDict):
    any_of: list[str]
    quorum: int
    reject_quorum: int
    exclude_requester: bool
    separate_duties: NotRequired[list[str]]


class PolicyRule(TypedDict):
    """A rule: what it says (`verdict`) when all of `when` is met. Terms that are missing are the source's."""

    policy: str
    name: str
    verdict: Literal["allow", "require", "deny"]
    reason: str
    when: Annotated[dict[str, Any], Field(description="Conditions by key: operation, tenant, requester, …")]
    reviewers: NotRequired[RuleReviewers]
    notify: NotRequired[list[str]]
    timeout: NotRequired[str]
    grants: NotRequired[str]
    approval_valid: NotRequired[str]


class PoliciesAnswer(TypedDict):
    """`digest` names all rules in force, also those that are for other tenants only; replicas with the same one rule
    alike. `problem`: what is wrong with the files as they are now.
    """

    policies: list[str]
    digest: str
    loaded_at: str
    problem: str | None
    rules: list[PolicyRule]


def policies_answer(policies: Policies, tenant_id: str) -> PoliciesAnswer:
    rules = [rule for rule in policies.current.rules if rule.concerns(tenant_id)]
    return PoliciesAnswer(
        policies=sorted({rule.policy for rule in rules}),
        digest=policies.current.digest,
        loaded_at=iso(policies.loaded_at),
        problem=policies.problem,
        rules=[_rule(rule) for rule in rules],
    )


def _rule(rule: Rule) -> PolicyRule:
    return cast(PolicyRule, rule.as_json())
