"""What Schemathesis is told of Assent, loaded in its own process: whose key goes where, and what must not be done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import AuthContext, Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import IgnoredAuth, MissingHeaderNotRejected

from tests.conformance.openapi.run import FACTS, Facts, token_in

FACTS_FILE = Path(os.environ[FACTS])
KNOWN = Facts(**json.loads(FACTS_FILE.read_text()))
UNKNOWN = "key_that_is_not_there"
ENDING_KEYS = ("/revoke", "/rotate")
SHORT_WAIT = "0.05"

# The tokens of cases by their ids, also of those that are opened in this run.
_submit_tokens = dict(KNOWN.submit_tokens)
_review_tokens = dict(KNOWN.review_tokens)


@schemathesis.auth(refresh_interval=None)  # else the first answer would serve for all routes
class Credentials:
    """The least that a route asks for: a key of the first scope that it lists, or the case's own token."""

    def get(self, case: Case[Any], context: AuthContext) -> str | None:
        raw = context.operation.definition.raw
        if scopes := raw.get("x-scopes"):
            return next((KNOWN.keys[scope] for scope in scopes if scope in KNOWN.keys), KNOWN.keys["admin"])
        if any("submitToken" in one for one in raw.get("security", ())):
            by_page = isinstance(case.body, dict) and "token" in case.body
            return None if by_page else _submit_tokens.get(str((case.path_parameters or {}).get("case_id")))
        if any("key" in one for one in raw.get("security", ())):
            return KNOWN.keys["agent"]
        return None

    def set(self, case: Case[Any], data: str | None, context: AuthContext) -> None:
        if data is not None:
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Close what goes out: the document lets answers grow, a field that it does not know yet is found here."""
    for schema in raw_schema["components"]["schemas"].values():
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Keep the run's own keys and tenant, and nobody waiting."""
    path, ids = case.operation.path, case.path_parameters or {}
    if path.endswith(ENDING_KEYS) and ids.get("key_id") in KNOWN.kept_keys:
        ids["key_id"] = UNKNOWN
    if case.method == "PATCH" and ids.get("tenant_id") == KNOWN.tenant_id:
        ids["tenant_id"] = UNKNOWN
    query = case.query or {}
    if (token := _review_tokens.get(str(ids.get("case_id")))) is not None:
        for place in (query, case.body):
            if isinstance(place, dict) and place.get("token") in KNOWN.review_tokens.values():
                place["token"] = token
    for name, longest in (("wait", 30.0), ("timeoutS", 30.0)):
        if name in query and _is_wait(query[name], longest) and path != "/tasks":
            query[name] = SHORT_WAIT if name == "wait" else "0"


def _is_wait(value: Any, longest: float) -> bool:
    try:
        return 0 < float(value) <= longest
    except (TypeError, ValueError):
        return False


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """False for what our contracts want otherwise: strict doors answer a missing or odd Authorization with 400."""
    strict = any(one["name"] == "X-Tenant-ID" for one in case.operation.definition.raw.get("parameters", ()))
    refused = isinstance(failure, IgnoredAuth | MissingHeaderNotRejected) and "400" in failure.message
    return not (strict and refused)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Note the tokens of cases, so that what follows can answer them."""
    if response.status_code in (201, 202) and b'"submit_token"' in response.content:
        hitl = response.json()["hitl"]
        _submit_tokens[hitl["case_id"]] = hitl["submit_token"]
        _review_tokens[hitl["case_id"]] = token_in(hitl["review_url"])
