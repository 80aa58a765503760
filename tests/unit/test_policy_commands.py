"""`assent policy`: what a person sees who wants to know what a task would meet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.settings import WrongSetting
from core.errors import AssentError

TENANT = "11111111-1111-4111-8111-111111111111"
POLICY = f"""\
policy: ours
rules:
  - {{name: small, verdict: allow, when: {{operation: pay.send, payload: {{at: /amount, le: 100}}}}}}
  - name: large
    verdict: require
    reason: large sums need two
    when: {{operation: pay.send, payload: {{at: /amount, gt: 100}}, tenant: {TENANT}}}
    reviewers: {{any_of: [slack:U1, slack:U2], quorum: 2}}
    timeout: 4h
    grants: none
  - {{name: night, verdict: deny, when: {{operation: "**", time: {{from: "22:00", to: "06:00", zone: UTC}}}}}}
"""
NOON = ("--at", "2026-03-04T12:00:00Z")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@nowhere/none")  # neither needs one
    (tmp_path / "ours.yaml").write_text(POLICY)
    return tmp_path


def policy(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(app, ["policy", *arguments], input=given)


def tried(folder: Path, payload: str, *more: str, given: str = "") -> Result:
    words = ("--operation", "pay.send", "--payload", payload, "--policies", str(folder), *NOON, *more)
    return policy("test", *words, given=given)


def test_check_counts_the_rules_of_a_folder(folder: Path) -> None:
    result = policy("check", str(folder))
    assert 0 == result.exit_code
    assert "Right: 3 rules (1 deny, 1 require, 1 allow) in ours" in result.stdout


def test_check_names_what_is_wrong(folder: Path) -> None:
    (folder / "ours.yaml").write_text(POLICY.replace("verdict: deny", "verdict: never"))
    result = policy("check", str(folder))
    assert isinstance(result.exception, WrongSetting)
    assert f"{folder / 'ours.yaml'}, line 11: rules[2].verdict: must be one of" in result.exception.message


def test_check_reads_the_policies_of_the_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICIES_DIR", str(folder))
    assert "in ours" in policy("check").stdout
    monkeypatch.delenv("POLICIES_DIR")
    assert "in default" in policy("check").stdout


def test_a_test_shows_the_verdict_and_of_every_rule_why(folder: Path) -> None:
    result = tried(folder, '{"amount": 250}', "--tenant", TENANT)
    assert 0 == result.exit_code, result.output
    for words in (
        "require  large sums need two",
        "reviewers: 2 of slack:U1 or slack:U2; 1 can reject; not whoever asks",
        "timeout: 4h",
        "may be remembered: not at all",
        "/amount is 250, not: le 100",
        "/amount is 250, as asked: gt 100",
        "it is wed 12:00 in UTC, not within the rule's time",
    ):
        assert words in result.stdout


def test_a_test_is_of_a_tenant_that_no_rule_names_unless_told(folder: Path) -> None:
    result = tried(folder, '{"amount": 250}')
    assert "require  no rule knows pay.send" in result.stdout
    assert f"does not fit {TENANT}" in result.stdout


def test_a_test_prints_json_for_programs(folder: Path) -> None:
    found = json.loads(tried(folder, '{"amount": 250}', "--tenant", TENANT, "--json").stdout)
    assert ("require", "ours", "large") == (found["verdict"], found["policy"], found["rule"])
    assert (2, 14_400_000, 0) == (found["reviewers"]["quorum"], found["timeout_ms"], found["grants_ms"])
    assert [True, False, False] == [one["matched"] for one in found["explanation"]]


def test_a_payload_comes_from_a_file_or_the_input_too(folder: Path) -> None:
    (folder / "payload.json").write_text('{"amount": 5}')
    assert tried(folder, f"@{folder / 'payload.json'}").stdout.startswith("allow")
    assert tried(folder, "@-", given='{"amount": 5}').stdout.startswith("allow")


@pytest.mark.parametrize("payload", ["[1]", "{", '{"a": 1, "a": 2}', "@nowhere.json"])
def test_a_wrong_payload_is_said_before_anything_else(folder: Path, payload: str) -> None:
    result = tried(folder, payload)
    assert 2 == result.exit_code
    assert "--payload" in result.stderr


def test_a_time_of_day_can_be_asked_about(folder: Path) -> None:
    result = tried(folder, '{"amount": 5}', "--at", "2026-03-04T23:00:00+00:00")
    assert result.stdout.startswith("deny")
    assert 2 == tried(folder, "{}", "--at", "tonight").exit_code


def test_what_an_operation_holds_is_shown_as_text_and_not_as_markup(folder: Path) -> None:
    result = tried(folder, '{"amount": "[red]5[/]\\u001b[2J"}')
    assert "[red]5[/]" in result.stdout
    assert "\x1b[2J" not in result.stdout


def test_a_simulation_needs_a_time_that_is_one(folder: Path) -> None:
    assert 2 == policy("simulate", "--since", "yesterday", "--policies", str(folder)).exit_code


def test_no_error_is_without_words(folder: Path) -> None:
    result = policy("check", str(folder / "nowhere"))
    assert isinstance(result.exception, AssentError)
    assert "No such file" in result.exception.message
