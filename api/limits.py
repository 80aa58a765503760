"""Rate limits at the doors: a request is counted once its key is known, and its answer says how the tenant stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from starlette.types import Scope

from api.http import Header
from api.services import Services
from core.errors import RateLimited
from core.limits import Taken

_HEADERS = "assent.limit_headers"  # in the request's scope, because errors are answered far from where it was counted


async def count(services: Services, scope: Scope, tenant_id: str, door: str) -> None:
    """Count this request. Raises RateLimited when it is one too many."""
    taken = await services.limits.take(tenant_id, door)
    if taken is None:
        return
    scope[_HEADERS] = _headers(taken)
    if taken.refused:
        message = f"this tenant's limit at this door is used up; come again in {taken.reset} s"
        raise RateLimited(message, retry_after=taken.reset)


def limit_headers(scope: Scope) -> Sequence[Header]:
    """For every answer to a request that was counted; none for others."""
    return cast(Sequence[Header], scope.get(_HEADERS, ()))


def _headers(taken: Taken) -> list[Header]:
    return [
        (b"x-ratelimit-limit", b"%d" % taken.limit),
        (b"x-ratelimit-remaining", b"%d" % taken.remaining),
        (b"x-ratelimit-reset", b"%d" % taken.reset),
    ]
