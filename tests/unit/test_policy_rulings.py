"""What policies say about operations, as a table: policy, operation, verdict, rule, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bot.policies import load_policies
from bot.yaml_files import read_yaml
from core.guard.reading import read_policy
from core.guard.rules import Operation, PolicySet
from core.model import Address, Policy
from core.schedule import DAY, HOUR, MINUTE, parse_instant

T1, T2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
NOON = "2026-03-04T12:00:00Z"  # a Wednesday

POLICIES = Path(__file__).parent / "policies"


@dataclass(frozen=True)
class Row:
    policy: str
    operation: str
    verdict: str
    rule: str | None
    why: str = ""  # in the reason, or in what is said about the rule
    payload: dict[str, Any] = field(default_factory=dict)
    by: str | None = None
    source: str | None = None
    tenant: str = T1
    at: str = NOON


def pay(amount: Any, verdict: str, rule: str | None, why: str = "", **more: Any) -> Row:
    return Row("money", "payment.send", verdict, rule, why, {"amount": amount} | more)


UNKNOWN = "what no rule knows needs a human"
ROWS = [
    # sums: exact numbers, and what is no number
    pay(100, "allow", "small", '/amount is 100, as asked: le 100'),
    pay(100.0, "allow", "small"),
    pay(100.00000000000001, "require", "large", "large sums need two"),
    pay(-5, "allow", "small"),
    pay(9999, "require", "large"),
    pay(10000, "deny", "huge", "nobody sends so much"),
    pay(1e4, "deny", "huge"),
    pay(9007199254740991, "deny", "huge"),
    pay("5000", "deny", "huge", '/amount is "5000", which cannot be compared: ge 10000, which counts as met'),
    pay(True, "deny", "huge", "/amount is true, which cannot be compared"),
    pay(None, "deny", "huge", "/amount is null"),
    pay([20000], "deny", "huge", "/amount is a list"),
    pay({"value": 5}, "deny", "huge", "/amount is an object"),
    Row("money", "payment.send", "deny", "huge", "/amount is missing, which counts as met"),
    Row("money", "payment.send", "deny", "huge", "/amount is missing", {"Amount": 5}),
    pay(5, "allow", "small", country="DE"),
    pay(5, "deny", "abroad", country="XX"),
    pay(5, "deny", "abroad", country="de"),
    pay(5, "allow", "small", country=44),
    pay(5, "allow", "small", country=44.0),
    pay(5, "deny", "abroad", country=45),
    pay(5, "deny", "abroad", "/country is true, which cannot be compared", country=True),
    Row("money", "payment.refund", "require", None, UNKNOWN),
    Row("money", "payment.refund", "deny", "abroad", payload={"country": "XX"}),
    # names
    Row("names", "repo.read", "allow", "reads", "fits *.read or *.list"),
    Row("names", "repo.files.read", "require", None, UNKNOWN),
    Row("names", "repo.reads", "require", None, UNKNOWN),
    Row("names", "Repo.READ", "require", None, UNKNOWN),
    Row("names", "logs.a.b.c", "allow", "logs"),
    Row("names", "logs.drop", "deny", "drops"),
    Row("names", "a.b.drop", "deny", "drops"),
    Row("names", "db-1.table.count", "allow", "mid"),
    Row("names", "db-1.x.table.count", "require", None, UNKNOWN),
    # people, sources, tenants
    Row("people", "repo.tag", "allow", "bots", by="bot:7"),
    Row("people", "repo.tag", "allow", "bots", by="ci:release"),
    Row("people", "repo.tag", "require", None, UNKNOWN, by="ci:release2"),
    Row("people", "repo.tag", "require", None, "requester is not given, which counts against a rule that allows"),
    Row("people", "repo.push", "deny", "interns", by="intern:kim@example.com"),
    Row("people", "repo.push", "require", None, UNKNOWN, by="staff:kim"),
    Row("people", "repo.push", "deny", "interns", "requester is not given, which counts as met"),
    Row("people", "repo.deploy", "allow", "staging", source="src_staging"),
    Row("people", "repo.deploy", "require", None, UNKNOWN, source="src_live"),
    Row("people", "repo.deploy", "require", None, "source is not given"),
    Row("people", "repo.erase", "deny", "not-live"),
    Row("people", "repo.fork", "allow", "ours"),
    Row("people", "repo.fork", "require", None, UNKNOWN, tenant=T2),
    Row("people", "repo.sell", "deny", "theirs", tenant=T2),
    # times, by the clocks of a zone
    Row("times", "door.open", "allow", "office", "wed 13:00 in Europe/Berlin, within"),
    Row("times", "door.open", "allow", "office", at="2026-03-04T07:00:00Z"),
    Row("times", "door.open", "require", None, "not within", at="2026-03-04T06:59:59Z"),
    Row("times", "door.open", "require", None, at="2026-03-04T17:00:00Z"),
    Row("times", "door.open", "allow", "office", at="2026-07-01T06:00:00Z"),
    Row("times", "door.open", "require", None, at="2026-03-07T12:00:00Z"),
    Row("times", "site.restart", "deny", "night", at="2026-03-06T22:00:00Z"),
    Row("times", "site.restart", "deny", "night", "sat 05:59", at="2026-03-07T05:59:00Z"),
    Row("times", "site.restart", "require", None, at="2026-03-07T06:00:00Z"),
    Row("times", "site.restart", "require", None, at="2026-03-06T05:00:00Z"),
    Row("times", "site.restart", "require", None, at="2026-03-07T22:30:00Z"),
    Row("times", "site.change", "deny", "weekend", at="2026-03-06T15:00:00Z"),
    Row("times", "site.change", "require", None, at="2026-03-08T15:00:00Z"),
    Row("times", "site.scale", "deny", "late", at="2026-03-04T23:59:59.999Z"),
    Row("times", "site.scale", "deny", "late", at="2026-03-05T00:59:00Z"),
    Row("times", "site.scale", "require", None, at="2026-03-05T01:00:00Z"),
    # fields of the payload
    Row("fields", "git.push", "deny", "force", payload={"force": True}),
    Row("fields", "git.push", "deny", "force", 'is "true", which cannot be compared', {"force": "true"}),
    Row("fields", "git.push", "deny", "force", payload={"force": 1}),
    Row("fields", "git.push", "require", None, "/force is missing", {}),
    Row("fields", "git.reset", "deny", "forced", "/force is missing, which counts as met", {}),
    Row("fields", "git.reset", "require", None, UNKNOWN, {"force": False}),
    Row("fields", "git.push", "allow", "docs", payload={"branch": "docs/a", "files": [{"path": "x.md"}]}),
    Row("fields", "git.push", "require", None, "/files/0/path is missing, which counts against", {"branch": "docs/a"}),
    Row("fields", "git.push", "require", None, payload={"branch": "main/docs/a", "files": [{"path": "x.md"}]}),
    Row("fields", "git.push", "require", None, payload={"branch": "docs/a", "files": {"1": {"path": "x.md"}}}),
    Row("fields", "git.push", "deny", "secrets", payload={"message": "the password is"}),
    Row("fields", "git.push", "deny", "secrets", payload={"message": "x\nthe password is\ny"}),
    Row("fields", "git.note", "allow", "plain", "/secret is missing"),
    Row("fields", "git.note", "require", None, "/secret is there", {"secret": None}),
    Row("fields", "git.prune", "allow", "range", payload={"a/b": {"c~d": 1}}),
    Row("fields", "git.prune", "require", None, payload={"a/b": {"c~d": 2.5}}),
    Row("fields", "git.fetch", "allow", "other", payload={"remote": "good"}),
    Row("fields", "git.fetch", "require", None, "which cannot be compared", {"remote": 5}),
    Row("fields", "git.date", "require", "dated", payload={"on": "2026-01-02"}),
    Row("fields", "git.date", "allow", "free", payload={"on": "2025-12-31"}),
    Row("fields", "git.count", "allow", "whole", payload={"n": 3.0}),
    Row("fields", "git.count", "require", None, payload={"n": True}),
    # several rules at once
    Row("several", "anything.goes", "allow", "all"),
    Row("several", "x.one", "require", "a", "first"),
    Row("several", "x.both", "require", "a", "first; second"),
    Row("several", "x.none", "deny", "a", "leave too few reviewers"),
    Row("several", "x.few", "deny", "a", "leave too few reviewers"),
    Row("several", "y.z.commit", "require", "e", "y.** needs a human, says the rule several/e"),
]  # fmt: skip


TWO_RULES = """\
policy: tiny
rules:
- {name: a, verdict: deny, when: {operation: x.y}}
- {verdict: deny, when: {operation: [x.z]}, name: b}
"""


def parse(text: str) -> PolicySet:
    return PolicySet(read_yaml(Path("policy.yaml"), read_policy, text.encode()))


@cache
def read(name: str) -> PolicySet:
    return PolicySet(read_yaml(POLICIES / f"{name}.yaml", read_policy))


@pytest.mark.parametrize("row", ROWS, ids=[f"{n}-{row.policy}-{row.operation}" for n, row in enumerate(ROWS)])
def test_a_policy_says(row: Row) -> None:
    asked = Operation(row.tenant, row.operation, row.payload, row.by, row.source)
    ruling = read(row.policy).rule(asked, parse_instant(row.at, field="at"))
    assert (row.verdict, row.rule) == (ruling.verdict, ruling.rule), ruling
    assert (row.rule and row.policy) == ruling.policy
    assert row.why in "\n".join([ruling.reason, *(one.why for one in ruling.explanation)])


def test_every_ruling_says_of_every_rule_whether_it_matched_and_why() -> None:
    policies = read("money")
    ruling = policies.rule(Operation(T1, "payment.send", {"amount": 5}), 0)
    assert ["abroad", "huge", "large", "small"] == [one.rule.name for one in ruling.explanation]
    assert [False, False, False, True] == [one.matched for one in ruling.explanation]
    assert all(one.why for one in ruling.explanation)


def test_what_a_rule_leaves_open_is_the_source_s_to_say() -> None:
    ruling = read("several").rule(Operation(T1, "y.commit", {}), 0)
    assert (None, None, None) == (ruling.reviewers, ruling.notify, ruling.timeout_ms)
    assert (8 * HOUR, DAY) == (ruling.grants, ruling.approval_valid_ms)


def test_several_rules_that_require_make_the_strictest_of_all() -> None:
    ruling = read("several").rule(Operation(T1, "x.both", {}), 0)
    assert ("several/a", "several/b") == ruling.rules
    assert Policy(("slack:U1", "slack:U2"), exclude_requester=True, quorum=2, reject_quorum=1) == ruling.reviewers
    assert (HOUR, 30 * MINUTE, 2 * HOUR) == (ruling.timeout_ms, ruling.grants, ruling.approval_valid_ms)
    assert (Address("slack", "C1"), Address("telegram", "5")) == ruling.notify


def test_a_rule_that_forbids_to_remember_says_so() -> None:
    ruling = read("money").rule(Operation(T1, "payment.send", {"amount": 500}), 0)
    assert 0 == ruling.grants


@pytest.mark.parametrize("operation", ["repo.commit", "robot.actuate", "a.b.commit", "repo.read", "commit.read"])
def test_the_shipped_policy_asks_a_human_about_everything(operation: str) -> None:
    ruling = load_policies(None).current.rule(Operation(T1, operation, {}), 0)
    assert "require" == ruling.verdict
    assert ("default" if operation.endswith(("commit", "actuate")) else None) == ruling.policy


def test_no_policies_at_all_require() -> None:
    assert "require" == PolicySet().rule(Operation(T1, "repo.read", {}), 0).verdict


def test_the_digest_names_the_rules_and_not_how_they_are_written() -> None:
    one = parse(TWO_RULES)
    other = parse("rules:\n" + "".join(reversed(TWO_RULES.splitlines(keepends=True)[2:])) + "\npolicy: tiny")
    third = parse(TWO_RULES.replace("x.y", "x.q"))
    assert one.digest == other.digest != third.digest
