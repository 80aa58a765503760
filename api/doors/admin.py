"""The admin door: tenants and keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import admin
from api.doors.entry import ADMIN, OPERATOR, About, Door, Entry, Gives, Param
from api.doors.groups import GROUP_ENTRIES
from api.errors import EXECUTORS
from api.schemas.admin import (
    ChangedOwnTenant,
    ChangedTenant,
    KeyAnswer,
    KeysAnswer,
    NewAdminKey,
    NewKey,
    NewKeyAnswer,
    NewTenant,
    RotatedKeyAnswer,
    Rotation,
    TenantAnswer,
    TenantsAnswer,
)
from api.schemas.base import NoFields
from core.errors import Conflict, IdempotencyInFlight, IdempotencyMismatch

_ONCE = Param(
    "Idempotency-Key",
    "Repeating a request under the same key gives the first answer again, for 24 hours.",
    Annotated[str, Field(min_length=1, max_length=255, pattern="^[!-~]+$")],
)
_PAGE = (
    Param("after", "`next_cursor` of the page before.", Annotated[str, Field(max_length=120)]),
    Param("limit", "How many at the most; 50 unless said.", Annotated[int, Field(ge=1, le=admin.MAX_PAGE)]),
)
_CREATING = (IdempotencyMismatch, IdempotencyInFlight)
_TENANT = "/admin/tenants/{tenant_id}"
_KEY = "/admin/keys/{key_id}"

ADMIN_DOOR = Door(
    "admin",
    ("/admin",),
    EXECUTORS,
    (
        Entry(
            "POST",
            "/admin/tenants",
            OPERATOR,
            admin.create_tenant,
            About(
                "Make a tenant",
                {201: Gives("The tenant. It has no key yet.", TenantAnswer)},
                takes=NewTenant,
                headers=(_ONCE,),
                errors=_CREATING,
                example={"name": "Acme"},
            ),
        ),
        Entry(
            "GET",
            "/admin/tenants",
            OPERATOR,
            admin.list_tenants,
            About("List the tenants, oldest first", {200: Gives("One page.", TenantsAnswer)}, query=_PAGE),
        ),
        Entry(
            "GET",
            _TENANT,
            OPERATOR,
            admin.get_tenant,
            About("Read a tenant", {200: Gives("The tenant.", TenantAnswer)}),
        ),
        Entry(
            "PATCH",
            _TENANT,
            OPERATOR,
            admin.change_tenant,
            About(
                "Name, suspend or resume a tenant",
                {200: Gives("The tenant as it is now.", TenantAnswer)},
                detail="A request that suspends is answered when no replica knows any of the tenant's keys.",
                takes=ChangedTenant,
                example={"suspended": True},
            ),
        ),
        Entry(
            "POST",
            f"{_TENANT}/keys",
            OPERATOR,
            admin.create_admin_key,
            About(
                "Make a key that administers a tenant",
                {201: Gives("The key, seen once.", NewKeyAnswer)},
                takes=NewAdminKey,
                optional=True,
                headers=(_ONCE,),
                errors=_CREATING,
                example={"name": "first admin"},
            ),
        ),
        Entry(
            "GET",
            "/admin/tenant",
            ADMIN,
            admin.get_own_tenant,
            About("Read one's own tenant", {200: Gives("The tenant of the key.", TenantAnswer)}),
        ),
        Entry(
            "PATCH",
            "/admin/tenant",
            ADMIN,
            admin.change_own_tenant,
            About(
                "Change one's own tenant",
                {200: Gives("The tenant as it is now.", TenantAnswer)},
                takes=ChangedOwnTenant,
                example={"name": "Acme"},
            ),
        ),
        Entry(
            "POST",
            "/admin/keys",
            ADMIN,
            admin.create_key,
            About(
                "Make a key",
                {201: Gives("The key, seen once.", NewKeyAnswer)},
                takes=NewKey,
                headers=(_ONCE,),
                errors=_CREATING,
                example={"scope": "agent", "name": "deployer"},
            ),
        ),
        Entry(
            "GET",
            "/admin/keys",
            ADMIN,
            admin.list_keys,
            About(
                "List the tenant's keys, newest first, the revoked ones too",
                {200: Gives("One page; no key itself is in it.", KeysAnswer)},
                query=_PAGE,
            ),
        ),
        Entry(
            "GET", _KEY, ADMIN, admin.get_key, About("Read about a key", {200: Gives("What may be shown.", KeyAnswer)})
        ),
        Entry(
            "POST",
            f"{_KEY}/revoke",
            ADMIN,
            admin.revoke_key,
            About(
                "Revoke a key",
                {200: Gives("The key as it is now.", KeyAnswer)},
                detail="The answer comes when no replica lets the key in any more, a little more than a second later. "
                "The tenant's only admin key is not revoked: make another first, or rotate it.",
                takes=NoFields,
                optional=True,
                errors=(Conflict,),
            ),
        ),
        Entry(
            "POST",
            f"{_KEY}/rotate",
            ADMIN,
            admin.rotate_key,
            About(
                "Replace a key",
                {201: Gives("The new key, seen once, and the old one.", RotatedKeyAnswer)},
                detail="The new key has the old one's scope, name, sources and form of callbacks. Without grace the "
                "answer comes when no replica lets the old key in any more.",
                takes=Rotation,
                optional=True,
                headers=(_ONCE,),
                errors=(Conflict, *_CREATING),
                example={"grace_seconds": 3600},
            ),
        ),
        *GROUP_ENTRIES,
    ),
    api_key_header=True,
    about="Tenants, who may speak for them, and groups of their reviewers.",
)
