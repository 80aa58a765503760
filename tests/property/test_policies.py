"""What holds for all policies and operations, whatever they are."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.guard.globs import MAX_GLOB, glob
from core.guard.reading import read_policy
from core.guard.rules import VERDICTS, Operation, PolicySet, Rule, Ruling
from core.patterns import full_match

TENANTS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
scalars = st.sampled_from([0, 1, 1.5, 2, "1", "a", "b", True, False])
comparisons = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne"]), scalars),
    st.tuples(st.sampled_from(["lt", "le", "gt", "ge"]), st.sampled_from([0, 1, 1.5, "a", "b"])),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(scalars, min_size=1, max_size=3)),
    st.tuples(st.just("matches"), st.sampled_from(["a|b", ".*", "[0-9]+"])),
    st.tuples(st.just("exists"), st.booleans()),
).map(lambda pair: {"at": "/x", pair[0]: pair[1]})
windows = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(["UTC", "Asia/Tokyo"]),
        "from": st.just("22:00"),
        "to": st.sampled_from(["06:00", "23:00"]),
    }
)
conditions = st.fixed_dictionaries(
    {"operation": st.sampled_from(["a.b", "a.*", "*.b", "**", "a.**", ["a.c", "b.b"]])},
    optional={
        "payload": st.lists(comparisons, min_size=1, max_size=2),
        "tenant": st.sampled_from(TENANTS),
        "requester": st.sampled_from(["u*", "v"]),
        "source": st.just("s1"),
        "time": windows,
    },
)
people = st.lists(st.sampled_from(["slack:U1", "slack:U2", "slack:U3", "channel", "link"]), min_size=1, unique=True)
reviewers = people.flatmap(
    lambda names: st.fixed_dictionaries(
        {"any_of": st.just(names), "quorum": st.integers(1, len(names)), "reject_quorum": st.integers(1, len(names))}
    )
)
terms = st.fixed_dictionaries(
    {},
    optional={
        "reviewers": reviewers,
        "timeout": st.sampled_from(["1h", "2h"]),
        "grants": st.sampled_from(["none", "1h", "8h"]),
        "notify": st.lists(st.sampled_from(["slack:C1", "slack:C2", "telegram:5"]), min_size=1),
    },
)


def _rule(verdict: str, when: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": verdict, "when": when, **(more if verdict == "require" else {})}


def written(*verdicts: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(_rule, st.sampled_from(verdicts), conditions, terms)


def read(rules: list[dict[str, Any]], policy: str = "p") -> tuple[Rule, ...]:
    named = [{"name": f"r{n}", **rule} for n, rule in enumerate(rules)]
    return read_policy({"policy": policy, "rules": named}) if named else ()


anything = st.lists(written(*VERDICTS), max_size=6)
payloads: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.fixed_dictionaries({"x": st.one_of(scalars, st.none(), st.just([1]))})
)
operations = st.builds(
    Operation,
    st.sampled_from(TENANTS),
    st.sampled_from(["a.b", "a.c", "b.b", "b.c.b", "c.d"]),
    payloads,
    st.sampled_from([None, "u1", "v", "w"]),
    st.sampled_from([None, "s1", "s2"]),
)
moments = st.integers(0, 4_000_000_000_000)


def strictness(ruling: Ruling) -> int:
    return VERDICTS[::-1].index(ruling.verdict)


@given(anything, written("deny"), operations, moments)
def test_a_denial_that_matches_wins(
    rules: list[dict[str, Any]], denial: dict[str, Any], asked: Operation, now: int
) -> None:
    denying = read([denial], "d")
    policies = PolicySet((*read(rules), *denying))
    if denying[0].check(asked, now).matched:
        assert "deny" == policies.rule(asked, now).verdict


@given(anything, operations, moments)
def test_what_no_rule_matches_requires(rules: list[dict[str, Any]], asked: Operation, now: int) -> None:
    ruling = PolicySet(read(rules)).rule(asked, now)
    if not any(one.matched for one in ruling.explanation):
        assert ("require", None) == (ruling.verdict, ruling.rule)
    elif "allow" == ruling.verdict:
        assert {"allow"} == {one.rule.verdict for one in ruling.explanation if one.matched}


@given(anything, anything, operations, moments, st.randoms(use_true_random=False))
def test_the_order_of_rules_and_files_makes_no_difference(
    one: list[dict[str, Any]], other: list[dict[str, Any]], asked: Operation, now: int, random: Any
) -> None:
    rules = [*read(one, "one"), *read(other, "other")]
    as_written = PolicySet(rules)
    random.shuffle(rules)
    shuffled = PolicySet(rules)
    assert as_written.rule(asked, now) == shuffled.rule(asked, now)
    assert as_written.digest == shuffled.digest


@given(anything, anything, operations, moments)
def test_how_rules_are_called_and_filed_changes_no_verdict_and_no_terms(
    one: list[dict[str, Any]], other: list[dict[str, Any]], asked: Operation, now: int
) -> None:
    first = PolicySet((*read(one, "a"), *read(other, "z"))).rule(asked, now)
    second = PolicySet((*read(one, "z"), *read(other, "a"))).rule(asked, now)
    assert _said(first) == _said(second)


def _said(ruling: Ruling) -> tuple[Any, ...]:
    return ruling.verdict, ruling.reviewers, ruling.timeout_ms, ruling.notify, ruling.grants, ruling.approval_valid_ms


@given(anything, written("allow"), operations, moments)
def test_one_more_rule_that_allows_weakens_nothing_that_another_rule_asks(
    rules: list[dict[str, Any]], allowance: dict[str, Any], asked: Operation, now: int
) -> None:
    before = PolicySet(read(rules)).rule(asked, now)
    after = PolicySet((*read(rules), *read([allowance], "more"))).rule(asked, now)
    if before.rule is not None:
        assert _said(before) == _said(after)


@given(anything, written("deny", "require"), operations, moments)
def test_one_more_rule_that_requires_or_denies_never_weakens(
    rules: list[dict[str, Any]], stricter: dict[str, Any], asked: Operation, now: int
) -> None:
    before = PolicySet(read(rules)).rule(asked, now)
    after = PolicySet((*read(rules), *read([stricter], "more"))).rule(asked, now)
    assert strictness(after) >= strictness(before)
    if "require" == after.verdict == before.verdict and before.rule is not None and before.reviewers is not None:
        assert after.reviewers is not None
        assert set(after.reviewers.any_of) <= set(before.reviewers.any_of)
        assert after.reviewers.quorum >= before.reviewers.quorum
        assert after.reviewers.reject_quorum <= before.reviewers.reject_quorum
        assert after.grants <= before.grants


@given(anything, operations, moments)
def test_leaving_things_out_gets_nobody_past_a_denial_that_does_not_ask_whether_they_are_there(
    rules: list[dict[str, Any]], asked: Operation, now: int
) -> None:
    rules = [rule for rule in rules if not any("exists" in one for one in rule["when"].get("payload", ()))]
    policies = PolicySet(read(rules))
    bare = Operation(asked.tenant_id, asked.operation, {})
    if "deny" == policies.rule(asked, now).verdict:
        assert "deny" == policies.rule(bare, now).verdict


@given(st.lists(st.sampled_from(["a", "b", ".", "*", "**"]), min_size=1, max_size=8), st.text("ab.", max_size=10))
def test_globs_match_what_a_plain_expression_matches(parts: list[str], text: str) -> None:
    pattern = "".join(parts)
    if "***" in pattern:
        return
    words = {"*": "[^.]*", "**": ".*", ".": "[.]"}
    found = re.findall(r"\*\*|.", pattern)
    reference = "".join(words.get(part, part) for part in found)
    assert bool(re.fullmatch(reference, text)) == glob(pattern).matches(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * (MAX_GLOB // 2), "a" * 20_000 + "b"),
        ("**a" * (MAX_GLOB // 3), "a" * 20_000 + "b"),
        ("**.*." * (MAX_GLOB // 5), "a.a" * 7_000 + "b!"),
    ],
)
def test_no_pattern_makes_matching_slower_than_its_text_is_long(pattern: str, text: str) -> None:
    found = glob(pattern)
    started = time.process_time()
    found.matches(text)
    assert time.process_time() - started < 1  # milliseconds; backtracking would take centuries


def test_no_regular_expression_does_either() -> None:
    fits = full_match("(a*)*(a|aa)+(a+)+", field="this")
    started = time.process_time()
    assert not fits("a" * 20_000 + "b")
    assert time.process_time() - started < 1
