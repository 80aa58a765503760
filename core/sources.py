"""Sources: the integrations that agents name, how their decisions reach executors, and the defaults of their cases."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.deliveries import moved
from core.errors import InvalidInput, NotFound
from core.hub import Hub
from core.kept import transact_once
from core.ledger import Body, Database, Tx, Write
from core.ledger import delivery_queries as dq
from core.ledger import source_queries as sq
from core.model import Address, Idempotency, JsonObject, Policy, Principal, Repeated, Source, Webhook
from core.pushes import Shown, shown
from core.rows import source_of, source_settings
from core.sealing import KeyRing
from core.tokens import new_id
from core.webhooks import PULL_ONLY, PUSH_AND_PULL, check_secret, endpoint_write, new_secret

SWITCHED_OFF = "switched off: delivery.webhook.enabled is false"
MAX_OLD_SECRETS = 4
_WEBHOOK = "delivery.webhook"


@dataclass(frozen=True, slots=True)
class WantedWebhook:
    """What somebody wants of a webhook; None leaves a value as it is, or as it usually is. `enabled` False: events for
    it wait.
    """

    url: str | None = None
    secret: str | None = field(default=None, repr=False)
    enabled: bool | None = None
    timeout_ms: int | None = None
    max_attempts: int | None = None
    backoff_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants of a source; None leaves a value as it is, or as it usually is."""

    name: str | None = None
    description: str | None = None
    mode: str | None = None
    webhook: WantedWebhook | None = None
    notify: tuple[Address, ...] | None = None
    policy: Policy | None = None
    grace_ms: int | None = None
    signed: bool | None = None
    images: bool | None = None
    escalation_chain: tuple[JsonObject, ...] | None = None
    chat: JsonObject = field(default_factory=dict)  # a value of None takes one away


@dataclass(frozen=True, slots=True)
class Changed:
    """A source as it is now. `secret`: one that was made up for its webhook, raw for the only time."""

    source: Source
    secret: str | None = field(default=None, repr=False)


class Sources:
    def __init__(self, database: Database, keys: KeyRing, hub: Hub) -> None:
        self._database = database
        self._keys = keys
        self._hub = hub

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        description: str | None = None,
        mode: str | None = None,
        notify: tuple[Address, ...] = (),
        policy: Policy | None = None,
        grace_ms: int = 0,
        signed: bool = False,
        images: bool = False,
        webhook: WantedWebhook | None = None,
    ) -> Source:
        """A new integration; cases that name it take these defaults. Without a mode events are pulled, and pushed as
        well where there is a webhook (with its secret). Raises InvalidInput.
        """
        wanted = Wanted(name, description, mode, webhook, notify, policy, grace_ms, signed, images)
        return await self._database.transact(self._new(principal, wanted))

    async def create_once(
        self, principal: Principal, wanted: Wanted, once: Idempotency | None, render: Callable[[Shown], str]
    ) -> str:
        """As `create`: the answer that `render` makes, or the first one to the same request. Raises InvalidInput,
        IdempotencyMismatch, IdempotencyInFlight.
        """
        create = self._new(principal, wanted)

        async def body(tx: Tx) -> Shown:
            return await shown(tx, principal.tenant_id, (await create(tx)).source_id)

        answer = await transact_once(self._database, self._keys, principal.tenant_id, once, body, render)
        return answer.answer if isinstance(answer, Repeated) else render(answer)

    def _new(self, principal: Principal, wanted: Wanted) -> Body[Source]:
        source_id, webhook = new_id("src_"), wanted.webhook
        blank = Source(source_id, principal.tenant_id, wanted.name or "", None, PULL_ONLY, (), None, created_at=0)
        sealed = self._sealed(source_id, webhook)
        if wanted.mode is None:
            mode = PULL_ONLY if webhook is None or webhook.url is None else PUSH_AND_PULL
            wanted = replace(wanted, mode=mode)

        async def body(tx: Tx) -> Source:
            now = await tx.now()
            source = _changed(replace(blank, created_at=now), wanted, sealed, now)
            if await tx.one(sq.SOURCE, source_id=source_id, tenant_id=principal.tenant_id) is None:
                row = {"tenant_id": principal.tenant_id, "created_at": now, **_columns(source)}
                await tx.write(Write(sq.INSERT_SOURCE, row))
                await _set_endpoint(tx, blank, source, webhook, now)
            return source

        return body

    async def default(self, tenant_id: str) -> str:
        """The id of the source for what names none: the tenant's choice, or one that is made now and only pulled."""
        source_id = "src_" + base64.urlsafe_b64encode(hashlib.sha256(tenant_id.encode()).digest())[:22].decode()
        made = Source(source_id, tenant_id, "default", "for tasks that name no source", PULL_ONLY, (), None, 0)

        async def body(tx: Tx) -> str:
            tenant = await tx.one(sq.LOCK_TENANT, tenant_id=tenant_id)
            if tenant is None:
                raise NotFound("there is no such tenant")
            if tenant["default_source_id"] is not None:
                return str(tenant["default_source_id"])
            now = await tx.now()
            if await tx.one(sq.SOURCE, source_id=source_id, tenant_id=tenant_id) is None:
                row = {"tenant_id": tenant_id, "created_at": now, **_columns(replace(made, created_at=now))}
                await tx.write(Write(sq.INSERT_SOURCE, row))
            await tx.write(Write(sq.SET_DEFAULT_SOURCE, {"tenant_id": tenant_id, "source_id": source_id}))
            return source_id

        return await self._database.transact(body)

    async def get(self, tenant_id: str, source_id: str) -> Source:
        """Raises NotFound."""

        async def body(tx: Tx) -> Source:
            row = await tx.one(sq.SOURCE, source_id=source_id, tenant_id=tenant_id)
            if row is None:
                raise NotFound("there is no such source")
            return source_of(row)

        return await self._database.read(body)

    async def change(self, tenant_id: str, source_id: str, wanted: Wanted) -> Changed:
        """The source with what is wanted. A changed webhook counts for what is under way, too; a new one without a
        secret gets one. Raises NotFound, InvalidInput.
        """
        made_up = new_secret()
        sealed = self._sealed(source_id, wanted.webhook, made_up)

        async def body(tx: Tx) -> Changed:
            was, now = await _locked(tx, tenant_id, source_id), await tx.now()
            source = _changed(was, wanted, sealed, now)
            await tx.write(Write(sq.CHANGE_SOURCE, _columns(source)))
            await _set_endpoint(tx, was, source, wanted.webhook, now)
            return Changed(source, _shown(source, was, wanted.webhook, made_up))

        changed = await self._database.transact(body)
        self._hub.wake("deliveries")
        return changed

    async def rotate_secret(
        self,
        tenant_id: str,
        source_id: str,
        secret: str | None,
        grace_ms: int,
        once: Idempotency | None,
        render: Callable[[Changed], str],
    ) -> str:
        """Another secret in the place of the webhook's, which also signs for `grace_ms` longer; 0: neither it nor any
        before it does. The answer that `render` makes, or the first one to the same request. Raises NotFound,
        InvalidInput, IdempotencyMismatch, IdempotencyInFlight.
        """
        new = secret or new_secret()
        check_secret(new, "secret")
        sealed = self._keys.seal(new, about=source_id)

        async def body(tx: Tx) -> Changed:
            was, now = await _locked(tx, tenant_id, source_id), await tx.now()
            if was.webhook is None:
                raise InvalidInput("this source has no webhook; set delivery.webhook first", field=_WEBHOOK)
            source = was
            if self._keys.unseal(was.webhook.secret, about=source_id) != new:
                source = replace(was, webhook=_rotated(was.webhook, sealed, now, grace_ms))
                await tx.write(Write(sq.CHANGE_SOURCE, _columns(source)))
            return Changed(source, None if secret else new)

        answer = await transact_once(self._database, self._keys, tenant_id, once, body, render)
        return answer.answer if isinstance(answer, Repeated) else render(answer)

    def _sealed(self, source_id: str, webhook: WantedWebhook | None, made_up: str | None = None) -> str | None:
        """The secret that a wanted webhook is to have, sealed."""
        if webhook is None:
            return None
        if webhook.secret is not None:
            check_secret(webhook.secret, f"{_WEBHOOK}.secret")
        secret = webhook.secret or made_up
        return None if secret is None else self._keys.seal(secret, about=source_id)


async def _locked(tx: Tx, tenant_id: str, source_id: str) -> Source:
    row = await tx.one(sq.LOCK_SOURCE, source_id=source_id, tenant_id=tenant_id)
    if row is None:
        raise NotFound("there is no such source")
    return source_of(row)


def _changed(was: Source, wanted: Wanted, sealed: str | None, now: int) -> Source:
    webhook = _webhook(was.webhook, wanted.webhook, sealed)
    given = {name: getattr(wanted, name) for name in _PLAIN if getattr(wanted, name) is not None}
    chat = {name: value for name, value in {**was.chat, **wanted.chat}.items() if value is not None}
    source = replace(was, webhook=webhook, chat=chat, **given)
    if source.mode == PULL_ONLY:
        return replace(source, pushed_since=None)
    if webhook is None:
        raise InvalidInput(f"{_WEBHOOK} is missing: delivery.mode {source.mode} needs one", field=_WEBHOOK)
    return replace(source, pushed_since=was.pushed_since or now)


_PLAIN = ("name", "description", "mode", "notify", "policy", "grace_ms", "signed", "images", "escalation_chain")


def _webhook(was: Webhook | None, wanted: WantedWebhook | None, sealed: str | None) -> Webhook | None:
    if wanted is None:
        return was
    if was is None:
        if wanted.url is None:
            if wanted == WantedWebhook(enabled=False):  # as good as none
                return None
            raise InvalidInput(f"{_WEBHOOK}.url is missing", field=f"{_WEBHOOK}.url")
        assert sealed is not None
        was = Webhook(wanted.url, sealed)
    elif wanted.secret is not None:
        assert sealed is not None
        was = replace(was, secret=sealed, old_secrets=())
    given = {name: getattr(wanted, name) for name in ("url", "timeout_ms", "max_attempts", "backoff_ms")}
    return replace(was, **{name: value for name, value in given.items() if value is not None})


def _rotated(was: Webhook, sealed: str, now: int, grace_ms: int) -> Webhook:
    old: Sequence[tuple[str, int]] = ()
    if grace_ms:
        old = [(was.secret, now + grace_ms), *(one for one in was.old_secrets if one[1] > now)]
    return replace(was, secret=sealed, old_secrets=tuple(old[:MAX_OLD_SECRETS]))


def _shown(source: Source, was: Source, wanted: WantedWebhook | None, made_up: str) -> str | None:
    made = source.webhook is not None and was.webhook is None
    return made_up if made and wanted is not None and wanted.secret is None else None


def _columns(source: Source) -> dict[str, object]:
    return {
        "source_id": source.source_id,
        "name": source.name,
        "description": source.description,
        "mode": source.mode,
        "settings": source_settings(source),
    }


async def _set_endpoint(tx: Tx, was: Source, source: Source, wanted: WantedWebhook | None, now: int) -> None:
    """The endpoint of a webhook: there, on or off as wanted, and with its circuit closed when it has changed."""
    if source.webhook is None or wanted is None:
        return
    await tx.write(endpoint_write(source.source_id, source.tenant_id, now))
    if was.webhook is None and wanted.enabled is not False:
        return
    row = await tx.one(dq.LOCK_ENDPOINT, endpoint_id=source.source_id)
    assert row is not None
    state, reason = row["state"], row["reason"]
    if wanted.enabled is not None:
        state, reason = ("active", None) if wanted.enabled else ("paused", SWITCHED_OFF)
    await tx.write(moved(source.source_id, state, reason, 0, 0, now))
