"""The admin door: operators look after tenants, a tenant's admins after its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic_core import to_json

from api.call import Call
from api.http import Answers, json_answer, raw_json_answer
from api.once import once_of
from api.paging import page, page_size, place
from api.schemas.admin import (
    ChangedOwnTenant,
    ChangedTenant,
    KeysAnswer,
    NewAdminKey,
    NewKey,
    NewTenant,
    Rotation,
    TenantsAnswer,
    key_answer,
    new_key_answer,
    tenant_answer,
)
from api.schemas.base import NoFields, parse
from core.keys import NEWEST, Made
from core.model import Idempotency, Repeated
from core.strictjson import load_object
from core.tenants import OLDEST, Tenant

T = TypeVar("T")

DEFAULT_PAGE, MAX_PAGE = 50, 200


# --- operators


async def create_tenant(call: Call) -> Answers:
    """`POST /admin/tenants`"""
    body = await call.body()
    wanted = parse(NewTenant, load_object(body))
    tenant = await call.services.tenants.create(call.caller, wanted.name, _once(call, body), _shown_tenant)
    return _created(tenant, _shown_tenant)


async def list_tenants(call: Call) -> Answers:
    """`GET /admin/tenants`"""
    query = call.query("after", "limit")
    limit = page_size(query.get("limit"), DEFAULT_PAGE, MAX_PAGE)
    found = await call.services.tenants.list(place(query.get("after"), OLDEST), limit + 1)
    tenants, cursor = page(found, limit, lambda tenant: (tenant.created_at, tenant.tenant_id))
    return json_answer(200, TenantsAnswer(items=list(map(tenant_answer, tenants)), next_cursor=cursor))


async def get_tenant(call: Call) -> Answers:
    """`GET /admin/tenants/{tenant_id}`"""
    return json_answer(200, tenant_answer(await call.services.tenants.get(call.params["tenant_id"])))


async def change_tenant(call: Call) -> Answers:
    """`PATCH /admin/tenants/{tenant_id}`: one that suspends is answered once none of the tenant's keys is known."""
    wanted = parse(ChangedTenant, await call.json())
    return json_answer(
        200, tenant_answer(await call.services.tenants.change(call.params["tenant_id"], wanted.change()))
    )


async def create_admin_key(call: Call) -> Answers:
    """`POST /admin/tenants/{tenant_id}/keys`: the first key of a tenant, or one more when it has lost the others."""
    body = await call.body()
    wanted = parse(NewAdminKey, load_object(body) if body else {}).wanted()
    made = await call.services.key_desk.create(
        call.caller, call.params["tenant_id"], wanted, _once(call, body), _shown_key
    )
    return _created(made, _shown_key)


# --- a tenant's admins


async def get_own_tenant(call: Call) -> Answers:
    """`GET /admin/tenant`"""
    return json_answer(200, tenant_answer(await call.services.tenants.get(call.caller.tenant_id)))


async def change_own_tenant(call: Call) -> Answers:
    """`PATCH /admin/tenant`"""
    wanted = parse(ChangedOwnTenant, await call.json())
    return json_answer(200, tenant_answer(await call.services.tenants.change(call.caller.tenant_id, wanted.change())))


async def create_key(call: Call) -> Answers:
    """`POST /admin/keys`"""
    body = await call.body()
    wanted, tenant_id = parse(NewKey, load_object(body)).wanted(), call.caller.tenant_id
    made = await call.services.key_desk.create(call.caller, tenant_id, wanted, _once(call, body), _shown_key)
    return _created(made, _shown_key)


async def list_keys(call: Call) -> Answers:
    """`GET /admin/keys`"""
    query = call.query("after", "limit")
    limit = page_size(query.get("limit"), DEFAULT_PAGE, MAX_PAGE)
    found = await call.services.key_desk.list(call.caller.tenant_id, place(query.get("after"), NEWEST), limit + 1)
    keys, cursor = page(found, limit, lambda key: (key.created_at, key.key_id))
    return json_answer(200, KeysAnswer(items=list(map(key_answer, keys)), next_cursor=cursor))


async def get_key(call: Call) -> Answers:
    """`GET /admin/keys/{key_id}`"""
    return json_answer(200, key_answer(await call.services.key_desk.get(call.caller.tenant_id, call.params["key_id"])))


async def revoke_key(call: Call) -> Answers:
    """`POST /admin/keys/{key_id}/revoke`: answered once no replica lets the key in."""
    body = await call.body()
    parse(NoFields, load_object(body) if body else {})
    revoked = await call.services.key_desk.revoke(call.caller.tenant_id, call.params["key_id"])
    return json_answer(200, key_answer(revoked))


async def rotate_key(call: Call) -> Answers:
    """`POST /admin/keys/{key_id}/rotate`: without grace answered once no replica lets the old key in."""
    body = await call.body()
    wanted = parse(Rotation, load_object(body) if body else {})
    made = await call.services.key_desk.rotate(
        call.caller,
        call.caller.tenant_id,
        call.params["key_id"],
        wanted.grace_seconds,
        _once(call, body),
        _shown_key,
    )
    return _created(made, _shown_key)


def _once(call: Call, body: bytes) -> Idempotency | None:
    return once_of(call, f"admin:{call.scope['path']}", body)


def _shown_tenant(tenant: Tenant) -> str:
    return to_json(tenant_answer(tenant)).decode()


def _shown_key(made: Made) -> str:
    return to_json(new_key_answer(made)).decode()


def _created(made: T | Repeated, render: Callable[[T], str]) -> Answers:
    text = made.answer if isinstance(made, Repeated) else render(made)
    return raw_json_answer(201, text.encode())
