"""Whose request this is: API keys for agents and executors, bearer tokens for answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.types import Scope

from api.http import Unauthorized, check_same_site, header
from api.limits import count
from api.services import Services
from core.errors import InvalidInput, NotFound, Refused
from core.model import Principal
from core.tokens import same

NO_SOURCE = "-"  # no source has this id
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def bearer(scope: Scope) -> str | None:
    """The credential of `Authorization: Bearer …`, None without that header. Raises Unauthorized for other schemes."""
    given = header(scope, b"authorization")
    if given is None:
        return None
    scheme, _, credential = given.partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise Unauthorized
    return credential


async def principal_of(
    services: Services, scope: Scope, scopes: Collection[str], *, door: str, api_key_header: bool, keyless: bool = False
) -> Principal:
    """Whom the request's key speaks for. Raises Unauthorized without a known key, RateLimited when its tenant has come
    to this door too often, Refused when it is of another scope.

    `api_key_header`: the door also takes the key as X-API-Key; that header wins. `keyless`: without any key it lets
    the developer in, where the server is set up so.
    """
    raw = header(scope, b"x-api-key") if api_key_header else None
    if raw is None:
        raw = bearer(scope)
    if raw is None and keyless and services.dev_no_auth:
        _check_local(scope, services.public_url)
        return await services.keys.developer()
    return await _recognised(services, scope, raw, scopes, door)


async def check_reach(services: Services, principal: Principal, params: Mapping[str, str]) -> None:
    """Raise NotFound when the path names a source, or a case of one, that the key is not bound to."""
    if (source_id := params.get("source_id")) is not None and not principal.reaches(source_id):
        raise NotFound("there is no such source")
    if (case_id := params.get("case_id") or params.get("task_id")) is not None:
        await services.views.check_reach(principal, case_id)


def _check_local(scope: Scope, public_url: str) -> None:
    """Raise Refused for what a web page elsewhere makes the developer's browser send."""
    check_same_site(scope, public_url)
    host = (header(scope, b"host") or "").rpartition(":")[0] or header(scope, b"host")
    if host not in LOOPBACK:
        raise Refused("without a key this server answers to localhost only")


def listed_source(caller: Principal, source_id: str | None) -> str | None:
    """Which source's tasks are listed: with a key that is bound to sources, one of those. Raises InvalidInput."""
    if caller.sources is None or source_id in caller.sources:
        return source_id
    if source_id is not None:
        return NO_SOURCE
    if len(caller.sources) > 1:
        raise InvalidInput("this key is bound to several sources: name one of them as source_id", field="source_id")
    return next(iter(caller.sources), NO_SOURCE)


async def principal_by(
    services: Services, scope: Scope, access_id: str | None, scopes: Collection[str], *, door: str
) -> Principal:
    """As `principal_of`, for a door that also takes the key as `access_id` in the body. Raises InvalidInput
    when both are given and differ.
    """
    raw = bearer(scope)
    if raw is not None and access_id is not None and not same(raw, access_id):
        raise InvalidInput("access_id is not the key of the Authorization header; send one of them", field="access_id")
    return await _recognised(services, scope, raw or access_id, scopes, door)


async def _recognised(
    services: Services, scope: Scope, raw: str | None, scopes: Collection[str], door: str
) -> Principal:
    if raw is None:
        raise Unauthorized
    principal = await services.keys.recognise(raw)
    if principal is None:
        raise Unauthorized("this key is not known here; it may have been revoked")
    await count(services, scope, principal.tenant_id, door)
    if principal.scope not in scopes:
        raise Refused(f"this needs a key of scope {' or '.join(sorted(scopes))}; this key's scope is {principal.scope}")
    return principal
