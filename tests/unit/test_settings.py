"""Settings: a wrong one stops the start and is named; nothing of its value is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.roles import ROLES, parse_roles
from bot.secret_key import key_file, key_ring
from bot.settings import WrongSetting, read_settings


@pytest.fixture(autouse=True)
def _an_empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "PUBLIC_URL", "SLACK_BOT_TOKEN", "TELEGRAM_BOT_TOKEN", "ASSENT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://host/name"),
        ("PUBLIC_URL", "http://assent.example.com"),
        ("PUBLIC_URL", "assent.example.com"),
        ("PUBLIC_URL", "http://localhost:8080/gate?x=1"),
        ("PUBLIC_URL", "http://localhost.example.com/gate"),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("ASSENT_SECRET_KEY", "too-short"),
        ("SLACK_BASE_URL", "slack.com"),
        ("TELEGRAM_WEBHOOK_SECRET", "not allowed!"),
        ("SPEC_VERSION", "9.9"),
        ("DATABASE_POOL", "1000"),
        ("WEBHOOK_TIMEOUT_SECONDS", "-3"),
        ("WEBHOOK_TIMEOUT_SECONDS", "31"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("WEBHOOK_ALLOWED_NETWORKS", "corp.example"),
        ("WEBHOOK_CA_FILE", "no-such-file.pem"),
        ("LOG_FORMAT", "xml"),
        ("TIME_ZONE", "Europe/Atlantis"),
        ("TIME_ZONE", "../etc/passwd"),
        ("VERIFICATION_PROVIDERS", "slack,passport"),
        ("RATE_LIMITS", "6000 an hour"),
        ("METRICS_TOKEN", "too-short"),
        ("METRICS_TOKEN", "sixteen characters and spaces"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://someone:secret@collector"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a-key-without-a-name"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("RATE_LIMITS", "hitl=5/minute,hitl=off"),
        ("RATE_LIMITS_REDIS_URL", "http://cache:6379"),
        ("RATE_LIMITS_REDIS_URL", "redis://cache"),
        ("RATE_LIMITS_REDIS_URL", "redis://cache:none/0"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting) as wrong:
        read_settings()
    assert name in wrong.value.message
    assert value not in wrong.value.message.replace(name, "")


@pytest.mark.parametrize("url", ["https://tools.example.com/gate", "http://localhost:8080/gate", "http://127.0.0.1"])
def test_the_public_address_may_have_a_path(url: str) -> None:
    assert url == read_settings(public_url=f"{url}/").public_url


def test_slack_without_a_way_in_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-invented-for-this-test")
    with pytest.raises(WrongSetting, match=r"SLACK_SIGNING_SECRET.*SLACK_APP_TOKEN"):
        read_settings()


def test_settings_come_from_a_file_and_the_command_line_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nHOST=127.0.0.2\n")
    settings = read_settings(port=9001)
    assert (9001, "127.0.0.2") == (settings.port, settings.host)


def test_secrets_hide_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSENT_SECRET_KEY", "a-long-enough-secret,another-long-secret")
    settings = read_settings()
    assert 2 == len(settings.assent_secret_key)
    assert "long" not in repr(settings)


def test_a_missing_secret_key_is_made_once_and_kept_beside_the_database(tmp_path: Path) -> None:
    settings = read_settings(database_url=f"sqlite:///{tmp_path}/a.db")
    sealed = key_ring(settings).seal("hello", about="row")
    assert key_file(settings) == tmp_path / "a.db.key"
    assert 0o600 == key_file(settings).stat().st_mode & 0o777
    assert "hello" == key_ring(settings).unseal(sealed, about="row")


def test_a_damaged_key_file_stops_the_start(tmp_path: Path) -> None:
    settings = read_settings(database_url=f"sqlite:///{tmp_path}/a.db")
    key_file(settings).write_text("\n")
    with pytest.raises(WrongSetting, match="ASSENT_SECRET_KEY"):
        key_ring(settings)


def test_sqlite_runs_all_roles_and_refuses_a_part_of_them() -> None:
    settings = read_settings()
    assert ROLES == parse_roles(None, settings)
    assert ROLES == parse_roles("clock,api,slack,telegram,courier", settings)
    with pytest.raises(WrongSetting, match="SQLite"):
        parse_roles("api", settings)


def test_postgresql_splits_roles_and_names_an_unknown_one() -> None:
    settings = read_settings(database_url="postgresql://localhost/assent")
    assert ("api", "clock") == parse_roles("clock, api", settings)
    with pytest.raises(WrongSetting, match="janitor"):
        parse_roles("api,janitor", settings)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    monkeypatch.setenv("ASSENT_SECRET_KEY", "")
    assert read_settings().slack_bot_token is None


@pytest.mark.parametrize(
    ("value", "chosen"), [("", ("slack", "telegram")), ("telegram", ("telegram",)), ("none", ()), ("none,slack", None)]
)
def test_whose_evidence_counts_is_chosen(
    monkeypatch: pytest.MonkeyPatch, value: str, chosen: tuple[str, ...] | None
) -> None:
    monkeypatch.setenv("VERIFICATION_PROVIDERS", value)
    if chosen is None:
        with pytest.raises(WrongSetting):
            read_settings()
    else:
        assert chosen == read_settings().verification_providers
