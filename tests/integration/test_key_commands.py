"""`assent tenants` and `assent keys`: the same as the admin door, for whoever has the database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bot import logs
from bot.cli import app
from core import access


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "REMEMBER_SECONDS", 0.01)
    monkeypatch.setattr(access, "MARGIN_SECONDS", 0.0)
    monkeypatch.setattr(logs, "configure", lambda *_given, **_named: None)  # it is the whole test run's
    monkeypatch.setenv("ASSENT_SECRET_KEY", "a secret key for tests")


def run(url: str, *words: str, fails: bool = False) -> Result:
    result = CliRunner().invoke(app, [*words, "--database", url])
    assert fails == (result.exit_code != 0), (result.output, result.exception)
    return result


def found(url: str, *words: str) -> list[dict[str, Any]]:
    """What a command prints as JSON, line by line."""
    return [json.loads(line) for line in run(url, *words, "--json").stdout.splitlines()]


def test_tenants_are_made_listed_suspended_and_resumed(database_url: str) -> None:
    (tenant,) = found(database_url, "tenants", "create", "--name", "Acme")
    (listed,) = found(database_url, "tenants", "list")
    assert tenant == listed
    assert "Acme" in run(database_url, "tenants", "list").output
    run(database_url, "tenants", "suspend", tenant["tenant_id"])
    assert found(database_url, "tenants", "list")[0]["suspended_at"] is not None
    run(database_url, "tenants", "resume", tenant["tenant_id"])
    assert [tenant] == found(database_url, "tenants", "list")
    assert "no such tenant" in str(run(database_url, "tenants", "suspend", "x", fails=True).exception)


def test_keys_are_made_listed_rotated_and_revoked(database_url: str) -> None:
    (tenant,) = found(database_url, "tenants", "create", "--name", "Acme")
    (made,) = found(database_url, "keys", "create", "--scope", "admin", "--tenant", tenant["tenant_id"], "--name", "a")
    (shown,) = found(database_url, "keys", "list", "--tenant", tenant["tenant_id"])
    assert (made["key_id"], "admin", "a", "active") == tuple(shown[n] for n in ("key_id", "scope", "name", "state"))
    assert made["key"] not in json.dumps(shown)
    (rotated,) = found(database_url, "keys", "rotate", made["key_id"], "--grace-seconds", "60")
    assert (made["key_id"], "ending") == (rotated["replaces"]["key_id"], rotated["replaces"]["state"])
    for key_id in (made["key_id"], rotated["key_id"]):  # also the last one: whoever is here can make another
        run(database_url, "keys", "revoke", key_id)
    assert ["revoked", "revoked"] == [key["state"] for key in found(database_url, "keys", "list")]
    assert "revoked already" in str(run(database_url, "keys", "rotate", made["key_id"], fails=True).exception)
    assert "no such key" in str(run(database_url, "keys", "revoke", "key_none", fails=True).exception)


def test_an_operators_key_belongs_to_no_tenant(sqlite_url: str) -> None:
    (made,) = found(sqlite_url, "keys", "create", "--scope", "operator", "--name", "me")
    (shown,) = found(sqlite_url, "keys", "list")
    assert (made["key_id"], "operator", None) == tuple(shown[name] for name in ("key_id", "scope", "tenant_id"))
    assert [] == found(sqlite_url, "tenants", "list")
    (agent,) = found(sqlite_url, "keys", "create", "--scope", "agent")
    assert agent["tenant_id"] != made["tenant_id"], "the first tenant is made, and is not the operators'"
    refused = run(sqlite_url, "keys", "create", "--scope", "operator", "--tenant", agent["tenant_id"], fails=True)
    assert "belongs to no tenant" in refused.output.replace("\n", " ")
