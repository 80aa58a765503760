"""Groups of reviewers: over HTTP and on the command line."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from bot.cli import app
from tests.support.server import Server, server_fixture  # noqa: F401 (fixture)

OTHER_TENANT = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"
CASE: dict[str, Any] = {"type": "approval", "prompt": "May this go out?"}


async def test_an_admin_says_who_is_in_a_group_and_policies_name_it(server: Server) -> None:
    admin, agent = await server.client("admin"), await server.client()
    refused = await agent.http.post("/api/hitl/cases", json=CASE | {"reviewers": {"any_of": ["group:finance"]}})
    assert refused.status_code == 400
    assert refused.json()["field"] == "reviewers.any_of"
    put = await admin.http.put("/admin/groups/finance", json={"members": ["slack:U024BE7LH", "telegram:4711"]})
    assert put.status_code == 200, put.text
    assert put.json()["members"] == ["slack:U024BE7LH", "telegram:4711"]
    opened = await agent.http.post("/api/hitl/cases", json=CASE | {"reviewers": {"any_of": ["group:finance"]}})
    assert opened.status_code == 202, opened.text
    changed = await admin.http.put("/admin/groups/finance", json={"members": ["telegram:4711"]})
    assert changed.json()["created_at"] == put.json()["created_at"]
    listed = await admin.http.get("/admin/groups")
    assert [(group["name"], group["members"]) for group in listed.json()["items"]] == [("finance", ["telegram:4711"])]
    assert (await admin.http.delete("/admin/groups/finance")).json()["name"] == "finance"
    assert (await admin.http.get("/admin/groups/finance")).status_code == 404
    assert (await admin.http.delete("/admin/groups/finance")).status_code == 404


async def test_groups_are_made_of_people_under_plain_names(server: Server) -> None:
    admin = await server.client("admin")
    for name, members, field in (
        ("finance", ["group:other"], "members[0]"),
        ("finance", ["slack:U1", "channel"], "members[1]"),
        ("Finance%20Team", ["slack:U1"], "name"),
    ):
        answer = await admin.http.put(f"/admin/groups/{name}", json={"members": members})
        assert answer.status_code == 400, answer.text
        assert field in answer.text
    assert (await admin.http.get("/admin/groups")).json()["items"] == []


async def test_two_tenants_may_have_a_group_of_one_name(server: Server) -> None:
    one, other = await server.client("admin"), await server.client("admin", OTHER_TENANT)
    await one.http.put("/admin/groups/finance", json={"members": ["slack:U1"]})
    await other.http.put("/admin/groups/finance", json={"members": ["slack:U2"]})
    for client, member in ((one, "slack:U1"), (other, "slack:U2")):
        assert (await client.http.get("/admin/groups/finance")).json()["members"] == [member]


async def test_only_admins_change_groups(server: Server) -> None:
    for scope in ("agent", "executor", "reviewer"):
        other = await server.client(scope)
        assert (await other.http.put("/admin/groups/finance", json={"members": []})).status_code == 403


def test_the_command_line_sets_lists_and_drops_groups(database_url: str) -> None:
    def assent(*words: str) -> str:
        answer = CliRunner().invoke(app, [*words, "--database", database_url])
        assert answer.exit_code == 0, answer.output
        return answer.output

    assent("keys", "create", "--scope", "agent")
    assert "slack:U1, telegram:5" in assent("groups", "set", "finance", "slack:U1", "telegram:5")
    (line,) = assent("groups", "list", "--json").splitlines()
    assert json.loads(line) == {"name": "finance", "members": ["slack:U1", "telegram:5"]}
    assert "finance" in assent("groups", "list")
    assert "Dropped" in assent("groups", "drop", "finance")
    assert assent("groups", "list", "--json") == ""
    assert "identity" in assent("reviewers", "list")
    assert "slack:U1" in assent("reviewers", "remove", "slack:U1")
    assert assent("reviewers", "removed") == "slack:U1\n"
    assert "Restored" in assent("reviewers", "restore", "slack:U1")
    assert assent("reviewers", "removed") == ""
