"""The headers that a strict door insists on: their form is judged before anything is looked up. No I/O."""

from __future__ import annotations

import re

from starlette.types import Scope

from core.errors import InvalidInput, Refused
from core.model import Principal

AUTHORIZATION, TENANT, IDEMPOTENCY_KEY = "Authorization", "X-Tenant-ID", "Idempotency-Key"

_HEX = "[0-9a-fA-F]"
_FORMS = {
    AUTHORIZATION: (re.compile(r"[Bb]earer +ak_[A-Za-z0-9_-]{1,200} *", re.ASCII), "be Bearer and an API key (ak_…)"),
    TENANT: (re.compile(f"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}"), "be the UUID of the key's tenant"),
    IDEMPOTENCY_KEY: (re.compile(r"[!-~]{1,255}"), "have 1 to 255 visible ASCII characters"),
}


def required(method: str) -> tuple[str, ...]:
    """The headers that a request of this method must bring to a strict door."""
    return (AUTHORIZATION, TENANT, IDEMPOTENCY_KEY) if method == "POST" else (AUTHORIZATION, TENANT)


def check_headers(scope: Scope) -> None:
    """Raise InvalidInput that names the first header that is missing, malformed or there twice."""
    for name in required(scope["method"]):
        given = _all(scope, name)
        form, words = _FORMS[name]
        if not given:
            raise InvalidInput(f"the header {name} is missing; it must {words}", field=name)
        if len(given) > 1:
            raise InvalidInput(f"the header {name} stands twice", field=name)
        if not form.fullmatch(given[0]):
            raise InvalidInput(f"the header {name} must {words}", field=name)


def check_tenant(scope: Scope, principal: Principal) -> None:
    """Raise Refused when the request names another tenant than its key's; there may or may not be such a tenant."""
    if _all(scope, TENANT) != [principal.tenant_id]:
        raise Refused("this key is not one of the tenant that X-Tenant-ID names")


def _all(scope: Scope, name: str) -> list[str]:
    wanted = name.lower().encode()
    found = [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]
    return [value.lower() for value in found] if name == TENANT else found
