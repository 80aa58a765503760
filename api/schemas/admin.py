"""Tenants and API keys on the wire: as they come in, and as they are answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.schemas.base import Wire
from core.errors import InvalidInput
from core.keys import MAX_GRACE_SECONDS, Key, Made, State, WantedKey
from core.schedule import iso
from core.tenants import Change, Tenant

MAX_SOURCES = 50
Name = Annotated[str, Field(min_length=1, max_length=200, description="To recognise it by.")]
SourceId = Annotated[str, Field(min_length=1, max_length=100)]
Instant = Annotated[str, Field(description="RFC 3339, UTC.", json_schema_extra={"format": "date-time"})]
DefaultSource = Annotated[
    str, Field(max_length=100, description="Where tasks go that name no source; an empty text takes it away.")
]


class NewTenant(Wire):
    name: Name


class ChangedOwnTenant(Wire):
    """What is given is what changes."""

    name: Name | None = None
    default_source_id: DefaultSource | None = None

    def change(self) -> Change:
        return Change(self.name, None, self.default_source_id)


class ChangedTenant(ChangedOwnTenant):
    """What is given is what changes. None of a suspended tenant's keys is known."""

    suspended: bool | None = None

    def change(self) -> Change:
        return Change(self.name, self.suspended, self.default_source_id)


class NewAdminKey(Wire):
    """A key that administers its tenant."""

    name: Name | None = None

    def wanted(self) -> WantedKey:
        return WantedKey("admin", self.name)


class NewKey(Wire):
    """`sources`: what the key is bound to; without, it is for all of its tenant's. An admin's key is never bound."""

    scope: Literal["agent", "executor", "reviewer", "admin"]
    name: Name | None = None
    sources: Annotated[list[SourceId], Field(min_length=1, max_length=MAX_SOURCES)] | None = None
    callback_signature: (
        Annotated[Literal["sha256"], Field(description="Sign its callbacks in the public specification's form.")] | None
    ) = None

    def wanted(self) -> WantedKey:
        """Raises InvalidInput."""
        if self.sources and self.scope == "admin":
            raise InvalidInput(
                "sources: an admin's key is for all sources of its tenant; leave it out", field="sources"
            )
        sources = None if self.sources is None else tuple(dict.fromkeys(self.sources))
        return WantedKey(self.scope, self.name, sources, self.callback_signature)


class Rotation(Wire):
    """`grace_seconds`: how long the old key works on."""

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 0


class TenantAnswer(BaseModel):
    tenant_id: str
    name: str | None
    created_at: Instant
    suspended_at: Annotated[Instant | None, Field(description="Since then none of its keys is known.")]
    default_source_id: Annotated[str | None, Field(description="Where tasks go that name no source.")]


class TenantsAnswer(BaseModel):
    items: list[TenantAnswer]
    next_cursor: Annotated[str | None, Field(description="`after` of the next page; null on the last one.")]


class KeyAnswer(BaseModel):
    key_id: str
    name: str | None
    scope: Literal["agent", "executor", "reviewer", "admin", "operator"]
    sources: Annotated[list[str] | None, Field(description="What the key is bound to; null for all of its tenant's.")]
    callback_signature: Literal["sha256"] | None
    state: Annotated[State, Field(description="`ending`: it was replaced, and works until `revoked_at`.")]
    created_at: Instant
    last_used_at: Annotated[Instant | None, Field(description="To the minute, a minute late at the most.")]
    revoked_at: Instant | None


class KeysAnswer(BaseModel):
    items: list[KeyAnswer]
    next_cursor: Annotated[str | None, Field(description="`after` of the next page; null on the last one.")]


class NewKeyAnswer(KeyAnswer):
    tenant_id: str
    key: Annotated[str, Field(description="The key itself: it is in this answer, and in no other.")]


class RotatedKeyAnswer(NewKeyAnswer):
    replaces: Annotated[KeyAnswer, Field(description="The old key, and until when it works.")]


def tenant_answer(tenant: Tenant) -> TenantAnswer:
    return TenantAnswer(
        tenant_id=tenant.tenant_id,
        name=tenant.name,
        created_at=iso(tenant.created_at),
        suspended_at=_iso(tenant.suspended_at),
        default_source_id=tenant.default_source_id,
    )


def key_answer(key: Key) -> KeyAnswer:
    return KeyAnswer(
        key_id=key.key_id,
        name=key.name,
        scope=key.scope,
        sources=None if key.sources is None else list(key.sources),
        callback_signature=key.callback_signature,
        state=key.state,
        created_at=iso(key.created_at),
        last_used_at=_iso(key.last_used_at),
        revoked_at=_iso(key.revoked_at),
    )


def new_key_answer(made: Made) -> NewKeyAnswer:
    shown = key_answer(made.key).model_dump()
    if made.replaces is None:
        return NewKeyAnswer(**shown, tenant_id=made.key.tenant_id, key=made.raw)
    replaces = key_answer(made.replaces)
    return RotatedKeyAnswer(**shown, tenant_id=made.key.tenant_id, key=made.raw, replaces=replaces)


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
