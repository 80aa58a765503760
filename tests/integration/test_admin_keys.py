"""The admin door: a tenant's admins make, list, replace and revoke its keys; operators look after tenants."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from api.doors.admin import ADMIN_DOOR
from core import access
from core.ledger.tenant_queries import OPERATORS
from tests.support.server import Client, Server, agent_fixture, server_fixture  # noqa: F401 (fixtures)

SHOWN = {
    "key_id", "name", "scope", "sources", "callback_signature", "state", "created_at", "last_used_at", "revoked_at",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process remembers, and how long others wait for it, has tests of its own (test_revocation)."""
    monkeypatch.setattr(access, "REMEMBER_SECONDS", 0.05)
    monkeypatch.setattr(access, "MARGIN_SECONDS", 0.01)


@pytest.fixture
async def admin(server: Server) -> Client:
    return await server.client("admin")


@pytest.fixture
async def operator(server: Server) -> Client:
    return await server.client("operator")


def with_key(server: Server, key: str) -> httpx.AsyncClient:
    client = server.nobody().http
    client.headers["Authorization"] = f"Bearer {key}"
    return client


async def new_key(admin: Client, scope: str = "agent", **fields: Any) -> dict[str, Any]:
    made = await admin.http.post("/admin/keys", json={"scope": scope, **fields})
    assert 201 == made.status_code, made.text
    found: dict[str, Any] = made.json()
    return found


async def opens_cases(server: Server, key: str) -> int:
    body = {"type": "confirmation", "prompt": "Send it?"}
    return (await with_key(server, key).post("/api/hitl/cases", json=body)).status_code


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- keys


async def test_a_key_made_by_the_door_works_and_is_never_shown_again(admin: Client, server: Server) -> None:
    made = await new_key(admin, name="deployer", callback_signature="sha256")
    assert {*SHOWN, "key", "tenant_id"} == set(made)
    assert 202 == await opens_cases(server, made["key"])
    shown = (await admin.http.get(f"/admin/keys/{made['key_id']}")).json()
    assert {name: made[name] for name in SHOWN} == shown
    assert ("agent", "deployer", "sha256", "active") == tuple(
        shown[name] for name in ("scope", "name", "callback_signature", "state")
    )
    assert made["key"] not in (await admin.http.get("/admin/keys")).text


async def test_a_key_can_be_bound_to_sources_of_its_tenant_only(admin: Client, server: Server) -> None:
    source = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    made = await new_key(admin, sources=[source, source])
    assert [source] == made["sources"]
    assert 400 == await opens_cases(server, made["key"]), "a bound key names its source"
    for wrong in (
        {"scope": "agent", "sources": ["src_none"]},
        {"scope": "agent", "sources": []},
        {"scope": "admin", "sources": [source]},
    ):
        assert (400, "VALIDATION_ERROR") == code(await admin.http.post("/admin/keys", json=wrong))


async def test_no_key_makes_one_that_can_more_than_itself(admin: Client, server: Server) -> None:
    refused = await admin.http.post("/admin/keys", json={"scope": "operator"})
    assert (400, "VALIDATION_ERROR") == code(refused)
    for scope in ("agent", "executor", "reviewer", "operator"):
        client = await server.client(scope)
        assert (403, "FORBIDDEN") == code(await client.http.post("/admin/keys", json={"scope": "agent"}))


async def test_keys_are_listed_page_by_page_and_never_another_tenants(admin: Client, server: Server) -> None:
    stranger = await server.client("admin", "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    made = [(await new_key(admin, name=f"n{n}"))["key_id"] for n in range(4)]
    whole = [key["key_id"] for key in (await admin.http.get("/admin/keys")).json()["items"]]
    assert 5 == len(whole), "the admin's own key is one of them"
    assert {*made} < {*whole}
    paged: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await admin.http.get("/admin/keys", params={"limit": 2, "after": after})).json()
        paged += [key["key_id"] for key in page["items"]]
        after = page["next_cursor"]
    assert whole == paged
    assert 1 == len((await stranger.http.get("/admin/keys")).json()["items"])
    for wrong in ("limit=0", "limit=201", "limit=x", "after=x", "after=1.é", "foo=1"):
        assert (400, "VALIDATION_ERROR") == code(await admin.http.get(f"/admin/keys?{wrong}"))


async def test_a_revoked_key_is_unknown_and_revoking_again_says_the_same(admin: Client, server: Server) -> None:
    made = await new_key(admin)
    assert 202 == await opens_cases(server, made["key"])
    path = f"/admin/keys/{made['key_id']}/revoke"
    first, second = await asyncio.gather(admin.http.post(path), admin.http.post(path, json={}))
    assert first.json() == second.json()
    assert "revoked" == first.json()["state"]
    assert 401 == await opens_cases(server, made["key"])
    assert (409, "CONFLICT") == code(await admin.http.post(f"/admin/keys/{made['key_id']}/rotate"))
    assert (404, "NOT_FOUND") == code(await admin.http.post("/admin/keys/key_none/revoke"))


async def test_a_rotated_key_can_the_same_and_the_old_one_works_for_its_grace(admin: Client, server: Server) -> None:
    source = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    old = await new_key(admin, "executor", name="pipeline", sources=[source])
    path = f"/admin/keys/{old['key_id']}/rotate"
    new = (await admin.http.post(path, json={"grace_seconds": 3600})).json()
    kept = ("scope", "name", "sources", "callback_signature")
    assert {name: old[name] for name in kept} == {name: new[name] for name in kept}
    assert "ending" == new["replaces"]["state"]
    left = datetime.fromisoformat(new["replaces"]["revoked_at"]) - datetime.fromisoformat(new["created_at"])
    assert 3600 == left.total_seconds()
    pull = f"/sources/{source}/decision-events"
    for key in (old["key"], new["key"]):
        assert 200 == (await with_key(server, key).get(pull)).status_code
    assert (409, "CONFLICT") == code(await admin.http.post(path))
    server.clock.forward(seconds=3601)
    await asyncio.sleep(access.REMEMBER_SECONDS)  # for so long a process that has just seen the key may remember it
    assert 401 == (await with_key(server, old["key"]).get(pull)).status_code
    assert 200 == (await with_key(server, new["key"]).get(pull)).status_code
    assert "revoked" == (await admin.http.get(f"/admin/keys/{old['key_id']}")).json()["state"]
    for wrong in (-1, 604_801, "1", 1.5):
        refused = await admin.http.post(path, json={"grace_seconds": wrong})
        assert (400, "VALIDATION_ERROR") == code(refused)


async def test_an_ending_key_can_be_revoked_at_once(admin: Client, server: Server) -> None:
    old = await new_key(admin)
    await admin.http.post(f"/admin/keys/{old['key_id']}/rotate", json={"grace_seconds": 600})
    assert 202 == await opens_cases(server, old["key"])
    assert "revoked" == (await admin.http.post(f"/admin/keys/{old['key_id']}/revoke")).json()["state"]
    assert 401 == await opens_cases(server, old["key"])


async def test_the_only_admin_key_is_rotated_and_not_revoked(admin: Client, server: Server) -> None:
    (own,) = (await admin.http.get("/admin/keys")).json()["items"]
    assert (409, "CONFLICT") == code(await admin.http.post(f"/admin/keys/{own['key_id']}/revoke"))
    new = (await admin.http.post(f"/admin/keys/{own['key_id']}/rotate")).json()
    assert (401, "UNAUTHORIZED") == code(await admin.http.get("/admin/keys"))
    assert 200 == (await with_key(server, new["key"]).get("/admin/keys")).status_code


async def test_two_admins_cannot_revoke_each_other_at_the_same_moment(admin: Client, server: Server) -> None:
    other = await server.client("admin")
    assert admin.principal is not None
    assert other.principal is not None
    answers = await asyncio.gather(
        admin.http.post(f"/admin/keys/{other.principal.key_id}/revoke"),
        other.http.post(f"/admin/keys/{admin.principal.key_id}/revoke"),
    )
    # Whoever comes second is the last admin by then, or no admin any more.
    assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])
    left = [await client.http.get("/admin/keys") for client in (admin, other)]
    assert [200, 401] == sorted(answer.status_code for answer in left)


async def test_a_repeated_request_gets_the_first_key_again(admin: Client, server: Server, operator: Client) -> None:
    once = {"Idempotency-Key": "once"}
    wanted = {"scope": "agent"}
    first, again = [await admin.http.post("/admin/keys", json=wanted, headers=once) for _ in range(2)]
    assert (201, first.content) == (again.status_code, again.content)
    assert 202 == await opens_cases(server, again.json()["key"])
    other = await admin.http.post("/admin/keys", json={"scope": "reviewer"}, headers=once)
    assert (409, "IDEMPOTENCY_MISMATCH") == code(other)
    path = f"/admin/keys/{first.json()['key_id']}/rotate"
    rotated = [await admin.http.post(path, json={"grace_seconds": 60}, headers=once) for _ in range(2)]
    assert rotated[0].content == rotated[1].content
    assert 3 == len((await admin.http.get("/admin/keys")).json()["items"])
    tenants = [await operator.http.post("/admin/tenants", json={"name": "Acme"}, headers=once) for _ in range(2)]
    assert tenants[0].content == tenants[1].content
    path = f"/admin/tenants/{tenants[0].json()['tenant_id']}/keys"
    keys = [await operator.http.post(path, headers=once) for _ in range(2)]
    assert keys[0].content == keys[1].content


async def test_when_a_key_was_used_is_known_to_the_minute(admin: Client, server: Server) -> None:
    made = await new_key(admin)
    assert await server.services.keys.save_uses()
    assert (await admin.http.get(f"/admin/keys/{made['key_id']}")).json()["last_used_at"] is None
    await opens_cases(server, made["key"])
    await server.services.keys.save_uses()
    used = (await admin.http.get(f"/admin/keys/{made['key_id']}")).json()["last_used_at"]
    assert 0 == datetime.fromisoformat(used).timestamp() % 60
    server.clock.forward(seconds=120)
    await opens_cases(server, made["key"])
    await server.services.keys.save_uses()
    later = (await admin.http.get(f"/admin/keys/{made['key_id']}")).json()["last_used_at"]
    passed = datetime.fromisoformat(later) - datetime.fromisoformat(used)
    assert passed.total_seconds() in (120, 180)


async def test_uses_that_could_not_be_written_down_are_written_the_next_time(admin: Client, server: Server) -> None:
    await admin.http.get("/admin/tenant")
    await server.database.close()
    with pytest.raises(Exception, match="database"):
        await server.services.keys.save_uses()
    await server.database.start(server.services.hub)
    assert 1 == await server.services.keys.save_uses()
    assert 0 == await server.services.keys.save_uses()


# --- tenants


async def test_a_tenants_life(operator: Client, server: Server) -> None:
    tenant = (await operator.http.post("/admin/tenants", json={"name": "Acme"})).json()
    path = f"/admin/tenants/{tenant['tenant_id']}"
    first = (await operator.http.post(f"{path}/keys", json={"name": "first"})).json()
    assert ("admin", tenant["tenant_id"]) == (first["scope"], first["tenant_id"])
    admin = with_key(server, first["key"])
    assert tenant == (await admin.get("/admin/tenant")).json()
    source = (await admin.post("/sources", json={"name": "Deployments"})).json()["id"]
    changed = await admin.patch("/admin/tenant", json={"default_source_id": source, "name": "Acme Ltd"})
    assert (source, "Acme Ltd") == (changed.json()["default_source_id"], changed.json()["name"])
    for wrong in ({"default_source_id": "src_none"}, {"suspended": True}, {"name": ""}):
        assert (400, "VALIDATION_ERROR") == code(await admin.patch("/admin/tenant", json=wrong))
    suspended = (await operator.http.patch(path, json={"suspended": True})).json()
    assert (source, True) == (suspended["default_source_id"], suspended["suspended_at"] is not None)
    assert (401, "UNAUTHORIZED") == code(await admin.get("/admin/tenant"))
    resumed = (await operator.http.patch(path, json={"suspended": False, "default_source_id": ""})).json()
    assert {**tenant, "name": "Acme Ltd"} == resumed
    assert resumed == (await admin.get("/admin/tenant")).json()


async def test_operators_see_all_tenants_and_are_none_themselves(operator: Client, admin: Client) -> None:
    for name in ("Acme", "Globex"):
        await operator.http.post("/admin/tenants", json={"name": name})
    assert admin.principal is not None
    listed: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await operator.http.get("/admin/tenants", params={"limit": 1, "after": after})).json()
        listed += [tenant["tenant_id"] for tenant in page["items"]]
        after = page["next_cursor"]
    assert 3 == len(listed)
    assert admin.principal.tenant_id in listed
    assert OPERATORS not in listed
    for unknown in (OPERATORS, "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11", "x"):
        assert (404, "NOT_FOUND") == code(await operator.http.get(f"/admin/tenants/{unknown}"))
        assert (404, "NOT_FOUND") == code(await operator.http.post(f"/admin/tenants/{unknown}/keys"))
        assert (404, "NOT_FOUND") == code(await operator.http.patch(f"/admin/tenants/{unknown}", json={"name": "x"}))


async def test_a_tenants_admin_is_no_operator(admin: Client) -> None:
    assert admin.principal is not None
    for entry in ADMIN_DOOR.entries:
        if entry.scopes == ("operator",):
            path = entry.path.replace("{tenant_id}", admin.principal.tenant_id)
            assert (403, "FORBIDDEN") == code(await admin.http.request(entry.method, path, json={"name": "x"}))
