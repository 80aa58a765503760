"""What a route and a door are, as data: what serves them, and what the documents and the tests read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from api.call import Handler
from api.errors import Vocabulary
from core.errors import AssentError

Method = Literal["DELETE", "GET", "PATCH", "POST", "PUT"]
Scope = Literal["agent", "executor", "reviewer", "admin", "operator"]

AGENT: tuple[Scope, ...] = ("agent", "admin")
EXECUTOR: tuple[Scope, ...] = ("executor", "admin")
REVIEWER: tuple[Scope, ...] = ("reviewer", "admin")
EVERYBODY: tuple[Scope, ...] = ("agent", "executor", "reviewer", "admin")
ADMIN: tuple[Scope, ...] = ("admin",)
OPERATOR: tuple[Scope, ...] = ("operator",)  # administers tenants, and reaches nothing that is theirs
NO_KEY: tuple[Scope, ...] = ()  # needs none, or knows the case's own tokens


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the query, or a header. `type` is what pydantic makes its JSON Schema of."""

    name: str
    about: str
    type: Any = str
    required: bool = False


ONCE = Param(
    "Idempotency-Key",
    "Repeating a request under the same key gives the first answer again, for 24 hours.",
    Annotated[str, Field(min_length=1, max_length=255, pattern="^[!-~]+$")],
)
RETRY_AFTER = Param("Retry-After", "Seconds after which to ask again.", Annotated[int, Field(ge=1)], required=True)


@dataclass(frozen=True, slots=True)
class Link:
    """What an answer leads to: another route, by its operation id, and where in the body its parameters stand
    (parameter → JSON Pointer).
    """

    to: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gives:
    """One answer of a route. `type` is the one that serves: what pydantic makes the body's JSON Schema of; None for an
    answer without a body. `headers` with `required` are on every such answer.
    """

    about: str
    type: Any = None
    media: str = "application/json"
    headers: tuple[Param, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What a route takes and gives.

    `takes`: the model that the handler parses the body with; `media`: what that body is. `optional`: the request may do
    without a body. `errors`: what the route may answer beside what follows from the rest: every route 500 and 503, one
    with a body 413, one that takes anything 400, one with a key 401, 403 and 429, one with an id in its path 404,
    one that knows Idempotency-Key a conflict of those.
    `credentials`: on a route without scopes, what it knows instead of a key (names in api.openapi.security; "" where
    none is needed, or it stands in the body).
    `example`: a body that is accepted as it stands.
    """

    summary: str
    gives: Mapping[int, Gives]
    detail: str = ""
    takes: Any = None
    media: str = "application/json"
    optional: bool = False
    query: tuple[Param, ...] = ()
    headers: tuple[Param, ...] = ()
    errors: tuple[type[AssentError], ...] = ()
    credentials: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One route: the scopes whose keys may take it, what serves it, and what it takes and gives."""

    method: Method
    path: str
    scopes: tuple[Scope, ...]
    handler: Handler
    about: About

    @property
    def name(self) -> str:
        return self.handler.__name__


@dataclass(frozen=True, slots=True)
class Page:
    """A route that is served elsewhere (pages, messengers' webhooks), told of here as the others are."""

    method: Method
    path: str
    name: str
    about: About
    scopes: tuple[Scope, ...] = field(default=NO_KEY, init=False)


@dataclass(frozen=True, slots=True)
class Door:
    """`prefixes`: the addresses whose errors are worded by `vocabulary`, also where there is no route.
    `strict_headers`: see `api.headers`. `about`: what the door is for, in a sentence. `pages`: its routes that are
    served elsewhere. `keyless`: a server that was set up so for development lets requests without a key in.
    """

    name: str
    prefixes: tuple[str, ...]
    vocabulary: Vocabulary
    entries: tuple[Entry, ...]
    api_key_header: bool = False
    strict_headers: bool = False
    about: str = ""
    pages: tuple[Page, ...] = ()
    keyless: bool = False
