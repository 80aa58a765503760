"""Whose request this is: API keys for agents and executors, bearer tokens for answers."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import Scope

from api.http import Unauthorized, header
from api.services import Services
from core.errors import Refused
from core.model import Principal


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


async def principal_of(services: Services, scope: Scope, scopes: Collection[str], *, api_key_header: bool) -> Principal:
    """Whom the request's key speaks for. Raises Unauthorized without a known key, Refused when it is of another scope.

    `api_key_header`: the door also takes the key as X-API-Key; that header wins.
    """
    raw = header(scope, b"x-api-key") if api_key_header else None
    if raw is None:
        raw = bearer(scope)
    if raw is None:
        raise Unauthorized
    principal = await services.keys.recognise(raw)
    if principal is None:
        raise Unauthorized("this key is not known here; it may have been revoked")
    if principal.scope not in scopes:
        raise Refused(f"this needs a key of scope {' or '.join(sorted(scopes))}; this key's scope is {principal.scope}")
    return principal
