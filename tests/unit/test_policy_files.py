"""Files of policies: what is wrong is named by file, line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.policies import SHIPPED, load_policies
from bot.settings import WrongSetting
from bot.yaml_files import read_yaml
from core.guard.reading import MAX_RULES, read_policy
from core.guard.rules import PolicySet

DOCS = Path(__file__).resolve().parents[2] / "docs" / "policies.md"
GOOD = """\
policy: ours
description: What we let our agents do.
rules:
  - name: pay
    verdict: require
    reason: Money needs two.
    when:
      operation: payment.send
      tenant: 11111111-1111-4111-8111-111111111111
      requester: ["bot:*"]
      source: src_1
      payload:
        - at: /amount
          ge: 100
          lt: 1000.5
        - at: /to
          matches: DE[0-9]+
        - at: /kind
          in: [a, 2]
      time:
        days: [mon, tue]
        from: "08:00"
        to: "24:00"
        zone: Europe/Berlin
    reviewers:
      any_of: [slack:U1, slack:U2]
      quorum: 2
    notify: slack:C1
    timeout: 4h
    grants: 1h
    approval_valid: 30m
  - name: read
    verdict: allow
    when: {operation: "*.read"}
"""


def read(text: str) -> PolicySet:
    return PolicySet(read_yaml(Path("ours.yaml"), read_policy, text.encode()))


def test_a_file_with_every_key_is_read_and_told_again_in_its_own_words() -> None:
    pay, reads = read(GOOD).rules
    told = pay.as_json()
    assert ("ours", "pay", "require", "Money needs two.") == (
        told["policy"],
        told["name"],
        told["verdict"],
        told["reason"],
    )
    assert {"at": "/amount", "ge": 100} in told["when"]["payload"]
    assert [{"days": ["mon", "tue"], "from": "08:00", "to": "24:00", "zone": "Europe/Berlin"}] == told["when"]["time"]
    assert ("4h", "1h", "30m", ["slack:C1"]) == (
        told["timeout"],
        told["grants"],
        told["approval_valid"],
        told["notify"],
    )
    assert "*.read is allowed by the rule ours/read" == reads.reason


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        # shape
        ("rules:\n", "rule:\n", "line 3: rule: is not a known key; known are policy, description, rules"),
        ("policy: ours\n", "", "line 1: policy: is missing"),
        ("policy: ours", "policy: Our rules", "line 1: policy: must be small letters, digits and hyphens"),
        ("policy: ours", "policy: ours\npolicy: ours", "line 2: policy: policy stands twice"),
        (GOOD, "", "line 1: policy: is missing"),
        (GOOD, "policy: ours\n", "line 1: rules: is missing"),
        (GOOD, "policy: ours\nrules: []\n", f"line 2: rules: needs 1 to {MAX_RULES} rules"),
        (GOOD, "policy: ours\nrules: all\n", "line 2: rules: must be a list"),
        (GOOD, "policy: ours\nrules: [all]\n", "line 2: rules[0]: must be an object"),
        ("    reason: Money", "    reasons: Money", "line 6: rules[0].reasons: is not a known key"),
        ("name: read", "name: pay", "line 32: rules[1].name: is the name of an earlier rule"),
        ("verdict: allow", "verdict: alow", "line 33: rules[1].verdict: must be one of deny, require, allow"),
        ("    verdict: allow\n", "", "line 32: rules[1].verdict: is missing"),
        ("verdict: require", "verdict: deny", "line 25: rules[0].reviewers: belongs to a rule that requires"),
        ("    verdict: allow\n", "    verdict: allow\n    grants: 1h\n", "line 34: rules[1].grants: belongs to a rule"),
        ("    when: {operation: \"*.read\"}\n", "", "line 32: rules[1].when: is missing"),
        ("operation: \"*.read\"", "", "line 34: rules[1].when.operation: is missing"),
        # what an operation is
        ("payment.send", "[]", "line 8: rules[0].when.operation: needs at least one entry"),
        ("payment.send", "Payment.Send", "line 8: rules[0].when.operation: must be small letters"),
        ("payment.send", "send", "line 8: rules[0].when.operation: fits no operation"),
        ("payment.send", "[a.b, \"***\"]", "line 8: rules[0].when.operation[1]: this is not a pattern"),
        ("payment.send", "pay.(a|b)", "line 8: rules[0].when.operation: must be small letters"),
        ("11111111-1111-4111-8111-111111111111", "acme", "line 9: rules[0].when.tenant: must be a tenant's UUID"),
        ("source: src_1", "source: 5", "line 11: rules[0].when.source: must be text"),
        ("[\"bot:*\"]", "[{a: b}]", "line 10: rules[0].when.requester[0]: must be text"),
        ("source: src_1", "sources: src_1", "line 11: rules[0].when.sources: is not a known key"),
        # comparisons
        ("at: /amount", "at: amount", "line 13: rules[0].when.payload[0].at: this must be a JSON Pointer"),
        ("at: /amount", "at: /a~2", "line 13: rules[0].when.payload[0].at: '/a~2' is not a JSON Pointer"),
        ("          ge: 100\n          lt: 1000.5\n", "", "line 13: rules[0].when.payload[0]: needs a comparison"),
        ("ge: 100", "above: 100", "line 14: rules[0].when.payload[0].above: is not a known key; known are at, exists"),
        ("ge: 100", "ge: \"100\"", "line 14: rules[0].when.payload[0].ge: is a text that looks like a number"),
        ("ge: 100", "ge: 1e3", "line 14: rules[0].when.payload[0].ge: is a text that looks like a number"),
        ("ge: 100", "ge: true", "line 14: rules[0].when.payload[0].ge: must be a number or a text"),
        ("ge: 100", "ge: .inf", "line 14: rules[0].when.payload[0].ge: is a number that JSON cannot carry exactly"),
        ("ge: 100", "ge: 9007199254740993", "line 14: rules[0].when.payload[0].ge: is a number that JSON"),
        ("ge: 100", f"ge: {'9' * 5000}", "line 14: rules[0].when.payload[0].ge: is a number that JSON"),
        ("ge: 100", f"ge: 0x{'f' * 5000}", "line 14: rules[0].when.payload[0].ge: is a number that JSON"),
        ("quorum: 2", f"quorum: {'9' * 5000}", "line 27: rules[0].reviewers.quorum: is a number that JSON"),
        ("timeout: 4h", f"timeout: {'9' * 5000}h", "line 29: rules[0].timeout: "),
        ("ge: 100", "ge: 010", "line 14: rules[0].when.payload[0].ge: '010' would be read as 8"),
        ("ge: 100", "eq:", "line 14: rules[0].when.payload[0].eq: must be a text, a number, true or false; whether"),
        ("ge: 100", "eq: no", "line 14: rules[0].when.payload[0].eq: 'no' would be read as False"),
        ("ge: 100", "eq: 12:30", "line 14: rules[0].when.payload[0].eq: '12:30' would be read as 750"),
        ("ge: 100", "eq: 2026-01-01", "line 14: rules[0].when.payload[0].eq: '2026-01-01' is no text"),
        ("ge: 100", "eq: [1]", "line 14: rules[0].when.payload[0].eq: must be a text, a number, true or false"),
        ("ge: 100", "exists:", "line 14: rules[0].when.payload[0].exists: must be true or false"),
        ("in: [a, 2]", "in: a", "line 19: rules[0].when.payload[2].in: must be a list"),
        ("in: [a, 2]", "not_in: []", "line 19: rules[0].when.payload[2].not_in: needs at least one entry"),
        ("in: [a, 2]", "in: [a, {b: c}]", "line 19: rules[0].when.payload[2].in[1]: must be a text"),
        ("DE[0-9]+", "DE[0-9", "line 17: rules[0].when.payload[1].matches: "),
        ("DE[0-9]+", "(a)\\1", "line 17: rules[0].when.payload[1].matches: this is not a pattern that can be used"),
        ("DE[0-9]+", "a)(b", "line 17: rules[0].when.payload[1].matches: this is not a pattern that can be used"),
        # times
        ("Europe/Berlin", "Europe/Atlantis", "line 24: rules[0].when.time.zone: is not a time zone of this machine"),
        ("Europe/Berlin", "../etc/passwd", "line 24: rules[0].when.time.zone: is not a time zone of this machine"),
        ("        zone: Europe/Berlin\n", "", "line 20: rules[0].when.time.zone: is missing"),
        ("[mon, tue]", "[mon, Tuesday]", "line 21: rules[0].when.time.days[1]: must be one of mon, tue"),
        ("[mon, tue]", "[]", "line 21: rules[0].when.time.days: needs at least one day"),
        ("\"08:00\"", "10:00", "line 22: rules[0].when.time.from: '10:00' would be read as 600"),
        ("\"08:00\"", "\"24:00\"", "line 22: rules[0].when.time.from: must be a time of day"),
        ("\"08:00\"", "\"8am\"", "line 22: rules[0].when.time.from: must be a time of day in quotes"),
        ("\"24:00\"", "\"08:00\"", "line 23: rules[0].when.time.to: is when the window begins"),
        ("        to: \"24:00\"\n", "", "line 20: rules[0].when.time.to: is missing"),
        # whom to ask
        ("slack:U2]", "slack:x]", "line 26: rules[0].reviewers.any_of[1]: this must be channel, link, slack:U"),
        ("slack:U2]", "ana]", "line 26: rules[0].reviewers.any_of[1]: this: 'ana' is none of channel, link"),
        ("      any_of: [slack:U1, slack:U2]\n", "", "line 25: rules[0].reviewers.any_of: "),
        ("quorum: 2", "quorum: 3", "line 27: rules[0].reviewers.quorum: is more than the reviewers"),
        ("quorum: 2", "quorum: 0", "line 27: rules[0].reviewers.quorum: must be a whole number from 1 on"),
        ("quorum: 2", "reject_quorum: 9", "line 27: rules[0].reviewers.reject_quorum: is more than the reviewers"),
        ("quorum: 2", "exclude_requester: 1", "line 27: rules[0].reviewers.exclude_requester: must be true or false"),
        ("slack:C1", "C1", "line 28: rules[0].notify: this must be slack:C"),
        ("timeout: 4h", "timeout: 4 hours", "line 29: rules[0].timeout: this is not a duration"),
        ("timeout: 4h", "timeout: 5s", "line 29: rules[0].timeout: this must be between 10s and 30d"),
        ("grants: 1h", "grants: 9h", "line 30: rules[0].grants: must be between 1m and 8h, or none"),
        ("grants: 1h", "grants: false", "line 30: rules[0].grants: must be text"),
        ("approval_valid: 30m", "approval_valid: soon", "line 31: rules[0].approval_valid: this is not a duration"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_line_and_key(was: str, now: str, expected: str) -> None:
    assert was in GOOD
    with pytest.raises(WrongSetting) as wrong:
        read(GOOD.replace(was, now, 1))
    assert wrong.value.message.startswith(f"ours.yaml, {expected}"), wrong.value.message


def test_a_file_that_stands_for_millions_of_values_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(WrongSetting, match="has more than 100,000 values"):
        read("\n".join(lines))


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(WrongSetting, match="is longer than 1024 KB"):
        read(GOOD + "#" * (1 << 20))


def test_a_file_that_is_nested_beyond_all_measure_is_refused() -> None:
    with pytest.raises(WrongSetting, match=r"nested too deeply|cannot be read"):
        read("policy: " + "[" * 5_000)


def test_the_shipped_policies_are_right() -> None:
    assert ("default",) == load_policies(str(SHIPPED)).current.policies


def test_every_example_of_the_documentation_is_a_policy(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) >= 2
    for n, example in enumerate(examples):
        (tmp_path / f"{n}.yaml").write_text(example)
    assert load_policies(str(tmp_path)).current.rules
