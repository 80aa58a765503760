"""What Schemathesis is told of Assent, loaded in its own process: whose key goes where, and what must not be done."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import AuthContext, Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import IgnoredAuth, MissingHeaderNotRejected

from tests.conformance.openapi.run import FACTS, Facts
from tests.conformance.openapi.things import Maker, token_in

KNOWN = Facts(**json.loads(Path(os.environ[FACTS]).read_text()))
MAKER = Maker(KNOWN.url, KNOWN.keys["admin"])
UNKNOWN = "key_that_is_not_there"
# A key is gone once every replica knows, which takes a second each time.
ENDING_KEYS, ENDED = ("admin_revoke_key", "admin_rotate_key"), 10
CASES = {"hitl_respond", "hitl_cancel", "hitl_close", "hitl_opened", "hitl_progress"}
PAGES = {"pages_review", "pages_answer", "pages_state", "pages_save", "pages_prefill"}
REVIEW_TASKS = {"executors_get_task", "executors_edit_blocks", "executors_decide"}
TASKS = {"tasks_approve"}
LONGEST_WAIT = 30.0

_ended = count(1)


@schemathesis.auth(refresh_interval=None)  # else the first answer would serve for all routes
class Credentials:
    """The least that a route asks for: a key of the first scope that it lists."""

    def get(self, case: Case[Any], context: AuthContext) -> str | None:
        raw = context.operation.definition.raw
        if raw["operationId"] in TASKS:
            return KNOWN.keys["reviewer"]
        if scopes := raw.get("x-scopes"):
            return next((KNOWN.keys[scope] for scope in scopes if scope in KNOWN.keys), KNOWN.keys["admin"])
        return KNOWN.keys["agent"] if {"key": []} in raw.get("security", ()) else None

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
    """Keep the run's own keys and tenant, and nobody waiting; what is to be answered still waits for that."""
    name, ids = case.operation.definition.raw["operationId"], case.path_parameters or {}
    if name in ENDING_KEYS and (ids.get("key_id") in KNOWN.kept_keys or next(_ended) > ENDED):
        ids["key_id"] = UNKNOWN
    if case.method == "PATCH" and ids.get("tenant_id") == KNOWN.tenant_id:
        ids["tenant_id"] = UNKNOWN
    if ids.get("case_id") in KNOWN.ids["path.case_id"]:
        if name in REVIEW_TASKS:
            ids["case_id"] = MAKER.review_task(KNOWN.source_id)
        elif name in CASES | PAGES:
            _on_a_fresh_case(case, ids)
    if name in TASKS and ids.get("task_id") in KNOWN.ids["path.task_id"]:
        ids["task_id"] = MAKER.task(KNOWN.tenant_id, KNOWN.source_id)
    query = case.query or {}
    for wait, short in (("wait", "0.05"), ("timeoutS", "0")):
        if wait in query and _waits(query[wait]) and name != "tasks_post_task":
            query[wait] = short


def _on_a_fresh_case(case: Case[Any], ids: dict[str, Any]) -> None:
    """Its tokens stand wherever the request has one."""
    hitl = MAKER.case()
    ids["case_id"], token = hitl["case_id"], token_in(hitl["review_url"])
    for place in (case.query, case.body):
        if isinstance(place, dict) and isinstance(place.get("token"), str):
            place["token"] = token
    inline = not (isinstance(case.body, dict) and "token" in case.body)
    if inline and case.operation.definition.raw["operationId"] == "hitl_respond":
        case.headers["Authorization"] = f"Bearer {hitl['submit_token']}"


def _waits(value: Any) -> bool:
    try:
        return 0 < float(value) <= LONGEST_WAIT
    except (TypeError, ValueError):
        return False


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """False for what our contracts want otherwise: strict doors answer a missing or odd Authorization with 400."""
    strict = any(one["name"] == "X-Tenant-ID" for one in case.operation.definition.raw.get("parameters", ()))
    refused = isinstance(failure, IgnoredAuth | MissingHeaderNotRejected) and "400" in failure.message
    return not (strict and refused)
