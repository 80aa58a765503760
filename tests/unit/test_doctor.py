"""What the doctor makes of what it has seen, where no test can bring the real thing about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.slack.health import FEATURES
from adapters.slack.health import NEEDED as NEEDED_SCOPES
from adapters.telegram.health import WebhookSeen
from bot.doctor import address, clocks, database, installed, retention, slack, sources, telegram
from bot.doctor.findings import Finding, Level, broken, ok, refused, warning, without_secrets
from bot.doctor.manifest import bot_scopes
from bot.settings import Settings
from core.checkup import OnPostgres, OnSqlite
from core.model import Address, Policy, Source
from core.overdue import Overdue
from core.retention import WAITS_FOR

GOOD = OnPostgres("16.3", "on", "on", "on", connections=97, used=5, machines=1)
FILE = database.FileSeen(Path("assent.db"), 0o600, 10 * database.MEBIBYTE, 2**40)
KEY = installed.KeySeen(0, Path("assent.key"), 0o600, on_sqlite=False, used=True)
HERE = (Address("slack", "C1"),)
SLACK_HTTP = {"slack_bot_token": "xoxb-1", "slack_signing_secret": "0123456789abcdef0123456789abcdef"}
TELEGRAM_HOOK = {"telegram_bot_token": "1:AA", "telegram_webhook_secret": "s"}


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]  # they are checked there


def bad(found: list[Finding]) -> list[tuple[str, Level]]:
    return [(one.name, one.level) for one in found if one.level is not Level.OK]


def test_a_disk_that_fills_is_a_warning_and_a_full_one_is_broken() -> None:
    assert [] == bad(list(database.file(FILE)))
    little, none = replace(FILE, free=500 * database.MEBIBYTE), replace(FILE, free=database.MEBIBYTE)
    assert [("database.space", Level.WARNING)] == bad(list(database.file(little)))
    assert [("database.space", Level.BROKEN)] == bad(list(database.file(none)))
    assert "has 500 MB left" in next(database.file(little)).sentence


@pytest.mark.parametrize("seen", [OnSqlite("delete", 2), OnSqlite("wal", 1)])
def test_sqlite_without_wal_or_without_syncing_is_broken(seen: OnSqlite) -> None:
    assert [("database.durable", Level.BROKEN)] == bad(list(database.sqlite(seen, 0, 0)))


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_postgres_that_does_not_wait_for_the_disk_is_broken(name: str) -> None:
    off: dict[str, Any] = {name: "off"}
    (one,) = [one for one in database.postgres(replace(GOOD, **off), 10) if one.level is Level.BROKEN]
    assert f"{name} = off" in one.sentence
    assert f"ALTER SYSTEM SET {name} = on" in one.fix


def test_connections_that_cannot_be_had_are_found() -> None:
    assert [] == bad(list(database.postgres(GOOD, 10)))
    crowded, small = replace(GOOD, used=90), replace(GOOD, connections=8)
    assert [("database.connections", Level.WARNING)] == bad(list(database.postgres(crowded, 10)))
    assert [("database.connections", Level.BROKEN)] == bad(list(database.postgres(small, 10)))


def test_a_key_in_a_file_is_broken_once_several_machines_are_at_the_database() -> None:
    assert [("secret_key.kept", Level.WARNING)] == bad(installed.secret_key(KEY))
    assert [("secret_key.kept", Level.BROKEN)] == bad(installed.secret_key(replace(KEY, machines=2)))
    assert [] == bad(installed.secret_key(replace(KEY, machines=2, given=2)))


@pytest.mark.parametrize(
    ("ahead_ms", "signed", "level"),
    [
        (-19_000, True, Level.OK),
        (21_000, True, Level.WARNING),
        (-240_000, True, Level.BROKEN),
        (300_000, False, Level.WARNING),
    ],
)
def test_a_clock_matters_from_where_signatures_are_no_longer_believed(
    ahead_ms: int, signed: bool, level: Level
) -> None:
    found = clocks.against_messenger("Slack", ahead_ms, signed=signed)
    assert found is not None
    assert level is found.level


def test_a_database_with_another_time_is_found_on_whichever_side() -> None:
    ahead, behind = clocks.against_database(3_600_000), clocks.against_database(-3_600_000)
    assert "1 hour ahead of the database's" in ahead.sentence
    assert "1 hour behind the database's" in behind.sentence
    assert Level.OK is clocks.against_database(-900).level
    assert clocks.against_messenger("Slack", None, signed=True) is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (SLACK_HTTP, [("address.public", Level.BROKEN)]),
        (TELEGRAM_HOOK, [("address.public", Level.BROKEN)]),
        ({"telegram_bot_token": "1:AA"}, [("address.public", Level.WARNING)]),
        (SLACK_HTTP | {"public_url": "https://assent.example.com"}, []),
        (TELEGRAM_HOOK | {"public_url": "https://assent.example.com:9443"}, [("address.port", Level.BROKEN)]),
        ({}, []),
    ],
)
def test_an_address_that_messengers_cannot_reach_is_broken(
    given: dict[str, object], found: list[tuple[str, Level]]
) -> None:
    assert found == bad(list(address.chosen(settings(**given))))


def test_a_certificate_that_nobody_trusts_is_told_from_a_server_that_is_not_there() -> None:
    nobody = address.Answer(None, "nobody listens there")
    untrusted = address.Answer(None, "its certificate is not trusted (self-signed)", "Give the server a certificate.")
    fixes = []
    for alive in (nobody, untrusted):
        (one,) = address.answers("https://a.example.com", address.Seen(alive, alive, alive, None), given=True)
        fixes.append(one.fix)
    assert "Look whether `assent serve` runs" in fixes[0]
    assert "Give the server a certificate." == fixes[1]


def test_a_signing_secret_of_slack_itself_has_its_form() -> None:
    assert [] == list(installed.tokens(settings(**SLACK_HTTP)))
    wrong = settings(**SLACK_HTTP | {"slack_signing_secret": "of something else"})
    assert ["slack.signing_secret"] == [one.name for one in installed.tokens(wrong)]


def test_every_permission_of_the_manifest_has_words() -> None:
    assert [] == [scope for scope in bot_scopes() if scope not in FEATURES]
    assert NEEDED_SCOPES <= set(bot_scopes())
    (none, *_) = slack.permissions(frozenset(), bot_scopes(), NEEDED_SCOPES, FEATURES)
    assert all(scope in none.sentence and scope in none.fix for scope in NEEDED_SCOPES)


def test_what_somebody_refused_is_taken_apart_into_what_and_what_helps() -> None:
    assert broken("a.b", "It is not there.", "Look again.") == refused("a.b", "it is not there; look again", "x")
    assert broken("a.b", "There: it is not there.", "Try.") == refused("a.b", "it is not there", "try", about="there: ")


def test_a_secret_is_hidden_wherever_it_turns_up() -> None:
    secrets = ["a-s3cret", "a-s3cret-too", "assent"]
    said = without_secrets(warning("a.b", "it is a-s3cret or a-s3cret-too", "`assent serve a-s3cret`"), secrets)
    assert warning("a.b", "it is … or …", "`assent serve …`") == said
    assert ("a", "b c") == (ok("a.b_c", "").area, ok("a.b_c", "").subject)


def test_updates_that_nobody_fetches_are_found() -> None:
    idle = WebhookSeen("", 0, (), None, "")
    assert [] == bad(list(telegram.polling(idle)))
    assert [("telegram.webhook", Level.WARNING)] == bad(list(telegram.polling(replace(idle, waiting=500))))


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("Wrong response from the webhook: 401 Unauthorized", "another TELEGRAM_WEBHOOK_SECRET"),
        (
            "SSL error {error:0A000086:SSL routines::certificate verify failed}",
            "a certificate that is publicly trusted",
        ),
        ("Wrong response from the webhook: 404 Not Found", "Let your proxy pass /telegram/webhook on"),
        ("Connection timed out", "Look whether `assent serve` runs"),
    ],
)
def test_a_webhook_that_fails_is_broken_while_taps_wait_and_a_warning_after(error: str, fix: str) -> None:
    now = 1_800_000_000_000
    seen = WebhookSeen("https://a.example.com/hook", 3, (), now - 60_000, error)
    (failing,) = telegram.webhook(seen, seen.url, now)
    (recovered,) = telegram.webhook(replace(seen, waiting=0), seen.url, now)
    (long_ago,) = telegram.webhook(replace(seen, waiting=0, failed_at=now - 7_200_000), seen.url, now)
    assert [Level.BROKEN, Level.WARNING, Level.OK] == [one.level for one in (failing, recovered, long_ago)]
    assert fix in failing.fix
    assert fix in recovered.fix


def test_only_members_of_a_named_group_who_can_be_reached_count() -> None:
    groups = {("t", "money"): ["slack:U1", "telegram:2"]}
    asker = sources.Asker("The source “x”", HERE, Policy(("group:money",), quorum=2), "src_1", "t")
    assert [] == list(sources.asker(asker, {"slack", "telegram"}, groups))
    (one,) = sources.asker(asker, {"slack"}, groups)
    assert ("sources.reviewers", Level.BROKEN) == (one.name, one.level)
    (empty,) = sources.asker(asker, {"slack"}, {})
    assert "nobody can be reached" in empty.sentence


def test_chats_of_an_escalation_chain_are_looked_at_too() -> None:
    level = {"after": "2h", "notify": ["telegram:-5"], "reviewers": None}
    source = Source("src_1", "t", "x", None, "PULL_ONLY", HERE, None, 0, escalation_chain=(level,))
    found = sources.chats([sources.of_source(source)], {"slack", "telegram"})
    assert {"slack:C1", "telegram:-5"} == set(map(str, found))


def test_whatever_is_waited_for_has_words_for_what_helps() -> None:
    ends_by_itself = {"run_since", "workflow", "workflow_since", "round"}
    for waits in WAITS_FOR.keys() - ends_by_itself:
        [finding] = retention.overdue([Overdue(waits, "src_1", 2, 0)], {"src_1": "deploys"}, 30)
        assert "2 cases of the source “deploys” still show their content" in finding.sentence
        assert finding.fix
        assert "{}" not in finding.fix


def test_nothing_is_said_of_erasing_where_nothing_is_erased() -> None:
    assert [] == list(retention.overdue([], {}, None))
    [fine] = retention.overdue([], {}, 30)  # what is due for a day, or waits for what ends by itself, is still there
    assert (Level.OK, "Content is to be erased 30 days after its case was closed, and none is overdue.") == (
        fine.level,
        fine.sentence,
    )
