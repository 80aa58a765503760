"""Tenants: every route × what belongs to another tenant × every kind of key. Nothing tells a foreign id from an unknown
one: not the answer, not a row, not the time.

The routes come from the door table, and their bodies from the examples that document them. A route whose path names
something that this walk has none of fails it; so does a body with a field that looks like an id.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from api.doors import DOORS, Door, Entry
from core import access
from core.access import Scope
from tests.support.dump import tables
from tests.support.server import Client, Server, running

OTHER_TENANT = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"
NO_TENANT = "6b1f7a52-90c7-4d0f-8a52-6f5f0c0f7a99"
SCOPES: tuple[Scope, ...] = ("agent", "executor", "reviewer", "admin", "operator")
EVERYBODYS = {"flow"}  # placeholders for what belongs to no tenant
# A name that whoever puts it there chooses: a stranger makes one of their own (test_groups).
OWN_NAMES = {("PUT", "/admin/groups/{group_name}")}
# A case of the HITL Protocol is also opened by its own tokens: without the right one, a case that is there says 403
# and one that never was 404, as the protocol has it. Its id is 128 random bits that only its tenant is told.
BY_TOKEN = ("/respond", "/opened", "/progress", "/close")
COUNTERS = {"polls", "rate_windows"}  # count requests; nothing that belongs to anybody

# Where a body names something: path → field → (what it is of; how the rest of the body reads).
NAMED: dict[str, dict[str, str]] = {
    "POST /api/hitl/cases": {"source_id": "source_id", "previous_case_id": "case_id"},
    "POST /review-tasks": {"source_id": "source_id"},
    "POST /tasks": {"source_id": "source_id"},
    "POST /sources/{source_id}/decision-events/ack": {"event_ids": "event_id"},
    "POST /sources/{source_id}/deliveries/replay": {"ids": "delivery_id"},
    "PATCH /admin/tenant": {"default_source_id": "source_id"},
    "PATCH /admin/tenants/{tenant_id}": {"default_source_id": "source_id"},
    "POST /admin/keys": {"sources": "source_id"},
    "POST /api/agent/{flow}": {"hitl_continue_case_id": "flow_case_id", "hitl_approved_case_id": "flow_case_id"},
    "POST /api/intents": {"sourceId": "source_id"},
    "POST /api/runs": {"intentId": "intent_id"},
    "POST /api/events/hitl": {"workflowId": "workflow_id"},
}
# What cannot stand in a body beside a field that names something.
BESIDE = {"ids": ("from", "to"), "hitl_approved_case_id": ("prefer_hitl",)}
# Bodies of routes whose documentation has no example, because one needs what was made before.
SPARE: dict[str, dict[str, Any]] = {"/api/runs": {"intentId": "int_x", "queuePartitionKey": "default"}}
NAMES_NOTHING = {  # fields that look like ids and are the caller's own words
    "claimer_id", "platform_user_id", "user_id", "access_id", "challenge_id", "id", "trace_id", "service_id",
}  # fmt: skip


@dataclass
class Walk:
    """`owned` belongs to one tenant and is asked for by keys of another (`strangers`, which own `source` themselves),
    by operators, and by keys of the same tenant that are bound to another source (`bound`).
    """

    server: Server
    owned: dict[str, str]
    source: str
    strangers: dict[str, Client]
    bound: dict[str, Client]
    nobody: Client
    revoked: Client
    url: str

    async def rows(self) -> dict[str, list[str]]:
        """Every row of every table, as text."""
        found = await tables(self.url)
        return {name: sorted(map(repr, rows)) for name, rows in found.items() if name not in COUNTERS}


def entries() -> Iterator[tuple[Door, Entry]]:
    for door in DOORS:
        for entry in door.entries:
            yield door, entry


def placeholders(entry: Entry) -> list[str]:
    return [name for name in re.findall(r"{(\w+)}", entry.path) if name not in EVERYBODYS]


def example(entry: Entry) -> dict[str, Any]:
    return dict(entry.about.example or SPARE.get(entry.path) or {})


async def ask(
    client: Client, door: Door, entry: Entry, path: str, body: dict[str, Any] | None = None, n: int = 0
) -> httpx.Response:
    headers = {"X-Tenant-ID": client.principal.tenant_id if client.principal else OTHER_TENANT}
    if entry.method == "POST" and door.strict_headers:
        headers["Idempotency-Key"] = f"walk-{path}-{n}".replace("{", "").replace("}", "")[-255:]
    sent = None if entry.method == "GET" else example(entry) if body is None else body
    return await client.http.request(entry.method, path, json=sent, headers=headers)


def told(answer: httpx.Response, names: dict[str, str]) -> tuple[int, str]:
    """What an answer tells, but for its own request id and for what was asked for."""
    text = answer.text.replace(answer.headers["x-request-id"], "")
    for name, value in names.items():
        text = text.replace(value, f"<{name}>")
    return answer.status_code, text


def unknown(owned: dict[str, str]) -> dict[str, str]:
    """Ids of nothing that look like those."""
    return {name: NO_TENANT if name == "tenant_id" else value[:-6] + "000000" for name, value in owned.items()}


def variants(entry: Entry, walk: Walk) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """(foreign, unknown) ids for the path: all of it foreign, and what is foreign within the stranger's own source."""
    names, other = placeholders(entry), unknown(walk.owned)
    yield {name: walk.owned[name] for name in names}, {name: other[name] for name in names}
    if "case_id" in names:  # one of no source, which bound keys do not reach either
        yield {"case_id": walk.owned["sourceless"]}, {"case_id": other["sourceless"]}
    if names[0] == "source_id" and len(names) > 1:
        for name in names[1:]:
            yield {"source_id": walk.source, name: walk.owned[name]}, {"source_id": walk.source, name: other[name]}


@pytest.fixture
async def walk(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Walk]:
    monkeypatch.setattr(access, "REMEMBER_SECONDS", 0.05)
    async with running(database_url) as server:
        yield await prepared(server, database_url)


async def prepared(server: Server, url: str) -> Walk:
    admin = await server.client("admin")
    assert admin.principal is not None
    tenant_id = admin.principal.tenant_id
    guarded = {"X-Tenant-ID": tenant_id, "Idempotency-Key": "owner"}

    async def post(path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = await admin.http.post(path, json=body, headers=headers)
        assert answer.is_success, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    pulled = (await post("/sources", {"name": "Pulled"}))["id"]
    hook = {"mode": "WEBHOOK_AND_PULL", "webhook": {"url": f"{server.url}/nothing"}}
    source = (await post("/sources", {"name": "Pushed", "delivery": hook}))["id"]
    review = await post("/review-tasks", {**_example("/review-tasks"), "source_id": source})
    task = await post("/tasks", {**_example("/tasks"), "source_id": source}, **guarded)
    grant = await post("/grants", _example("/grants"), **guarded)
    hitl = await admin.case(source_id=source)
    await admin.tap(hitl, "confirm")
    events = (await admin.http.get(f"/sources/{source}/decision-events?wait=10")).json()["items"]
    deliveries = (await admin.http.get(f"/sources/{source}/deliveries")).json()["items"]
    key = await post("/admin/keys", {"scope": "agent"})
    group = await admin.http.put("/admin/groups/reviewers-of-finance", json={"members": ["telegram:4711"]})
    assert group.is_success, group.text
    flow = await post("/api/agent/cv-simple", _example("/api/agent/{flow}"))
    intent = await post("/api/intents", {"goal": "Give search one replica more"})
    run = await post("/api/runs", {"intentId": intent["intentId"], "queuePartitionKey": "default"})
    waiting = await admin.case(source_id=source)
    owned = {
        "source_id": source,
        "case_id": waiting["case_id"],
        "event_id": events[0]["event_id"],
        "delivery_id": deliveries[0]["id"],
        "task_id": task["task_id"],
        "grant_id": grant["grant_id"],
        "key_id": key["key_id"],
        "tenant_id": tenant_id,
        "flow_case_id": flow["hitl"]["case_id"],
        "workflow_id": run["workflowID"],
        "intent_id": intent["intentId"],
        "gate_key": "plan-approval",
        "group_name": "reviewers-of-finance",
        "sourceless": (await admin.case())["case_id"],
        "review": review["id"],
    }
    strangers: dict[str, Client] = {
        scope: await server.client(scope, None if scope == "operator" else OTHER_TENANT) for scope in SCOPES
    }
    theirs = (await strangers["admin"].http.post("/sources", json={"name": "Theirs"})).json()["id"]
    bound = {}
    for scope in ("agent", "executor", "reviewer"):
        raw, principal = await server.services.keys.create(scope, tenant_id, sources=[pulled])
        bound[scope] = server.holder(raw, principal)
    revoked = await server.client("admin")
    assert revoked.principal is not None
    await server.services.key_desk.revoke(tenant_id, revoked.principal.key_id)
    return Walk(server, owned, theirs, strangers, bound, server.nobody(), revoked, url)


def _example(path: str) -> dict[str, Any]:
    return next(example(entry) for _, entry in entries() if (entry.method, entry.path) == ("POST", path))


def test_the_walk_knows_what_every_route_names(walk: Walk) -> None:
    missing = {entry.path for _, entry in entries() for name in placeholders(entry) if name not in walk.owned}
    assert set() == missing, "give `prepared` one of these, so that the walk can ask for it as a stranger"
    for _, entry in entries():
        fields = _fields(entry)
        known = NAMED.get(f"{entry.method} {entry.path}", {}).keys() | NAMES_NOTHING
        looks = {name for name in fields if re.search(r"(^|_)ids?$|Ids?$", name) or name == "sources"}
        assert set() == looks - known, (entry.path, "is it an id of something that belongs to a tenant? then: NAMED")
        assert set() == known - NAMES_NOTHING - fields, entry.path


def _fields(entry: Entry) -> set[str]:
    """All names of properties in the route's body, but for those that say yes or no."""
    if entry.about.takes is None:
        return set()
    found: set[str] = set()
    stack: list[Any] = [TypeAdapter(entry.about.takes).json_schema()]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            found |= {name for name, schema in one.get("properties", {}).items() if schema.get("type") != "boolean"}
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)
    return found


async def test_what_is_foreign_looks_like_what_never_was(walk: Walk) -> None:
    before, asked = await walk.rows(), 0
    for door, entry in entries():
        if not placeholders(entry) or (entry.method, entry.path) in OWN_NAMES:
            continue
        for foreign, none in variants(entry, walk):
            clients = {**walk.strangers, "nobody": walk.nobody, "revoked": walk.revoked}
            clients |= {f"bound {scope}": client for scope, client in walk.bound.items()}
            for who, client in clients.items():
                if who in entry.scopes and entry.scopes == ("operator",):
                    continue  # all tenants are its own
                answers = [
                    await ask(client, door, entry, entry.path.format(**ids, flow="cv-simple"), n=n)
                    for n, ids in enumerate((foreign, none))
                ]
                statuses = [answer.status_code for answer in answers]
                about = (entry.method, entry.path, who, [answer.text for answer in answers])
                asked += 1
                if not entry.scopes and entry.path.endswith(BY_TOKEN):
                    assert set(statuses) <= {400, 401, 403, 404}, about
                    continue
                assert told(answers[0], foreign) == told(answers[1], none), about
                assert statuses[0] in _expected(door, entry, who), about
    assert asked > 100
    assert before == await walk.rows()


def _expected(door: Door, entry: Entry, who: str) -> set[int]:
    """What a stranger may be told: unknown without a known key, refused with one of another scope."""
    if who == "nobody" and door.strict_headers:
        return {400}
    if who in ("nobody", "revoked"):
        return {401}
    if who.startswith("bound "):
        return {403, 404}  # some things are for keys of the whole tenant
    return {404 if who in entry.scopes else 403}


async def test_no_route_takes_whoever_has_no_key_or_one_of_another_scope(walk: Walk) -> None:
    before = await walk.rows()
    for door, entry in entries():
        if not entry.scopes:
            continue
        path = entry.path.format(**walk.owned, flow="cv-simple")
        for client in (walk.nobody, walk.revoked):
            answer = await ask(client, door, entry, path)
            expected = 400 if client is walk.nobody and door.strict_headers else 401
            assert expected == answer.status_code, (entry.path, answer.text)
        for who in set(SCOPES) - set(entry.scopes):
            answer = await ask(walk.strangers[who], door, entry, path)
            assert 403 == answer.status_code, (entry.path, who, answer.text)
    assert before == await walk.rows()


async def test_nor_can_it_be_named_in_a_body(walk: Walk) -> None:
    before = await walk.rows()
    other = unknown(walk.owned)
    for door, entry in entries():
        for field, kind in NAMED.get(f"{entry.method} {entry.path}", {}).items():
            for who in entry.scopes or ("agent", "admin"):
                path = entry.path.format(tenant_id=OTHER_TENANT, source_id=walk.source, flow="cv-simple")
                answers = []
                for n, value in enumerate((walk.owned[kind], other[kind])):
                    several = field in ("event_ids", "ids", "sources")
                    body = {**example(entry), field: [value] if several else value}
                    body = {name: given for name, given in body.items() if name not in BESIDE.get(field, ())}
                    answers.append(await ask(walk.strangers[who], door, entry, path, body, n))
                about = (entry.method, entry.path, field, who, [answer.text for answer in answers])
                first, second = (
                    told(answer, {kind: ids[kind]}) for answer, ids in zip(answers, (walk.owned, other), strict=True)
                )
                assert first == second, about
                assert answers[0].status_code in ({200} if field in ("event_ids", "ids") else {400, 404}), about
    assert before == await walk.rows()


async def test_a_key_of_one_tenant_cannot_name_another_that_there_is_or_not(walk: Walk) -> None:
    strict = [entry for door, entry in entries() if door.strict_headers and entry.method == "GET"]
    assert strict
    for entry in strict:
        path, http = entry.path.format(**walk.owned), walk.strangers["admin"].http
        answers = [await http.get(path, headers={"X-Tenant-ID": one}) for one in (walk.owned["tenant_id"], NO_TENANT)]
        assert [403, 403] == [answer.status_code for answer in answers]
        assert told(answers[0], {}) == told(answers[1], {})


async def test_no_list_holds_what_is_foreign(walk: Walk) -> None:
    lists = [(door, entry) for door, entry in entries() if entry.method == "GET" and not placeholders(entry)]
    for door, entry in lists:
        if "operator" in entry.scopes or not entry.scopes:
            continue
        for who in entry.scopes:
            answer = await ask(walk.strangers[who], door, entry, entry.path)
            assert 200 == answer.status_code, (entry.path, answer.text)
            assert [] == [name for name, value in walk.owned.items() if value in answer.text], entry.path
            narrowed = await walk.strangers[who].http.get(
                f"{entry.path}?source_id={walk.owned['source_id']}",
                headers={"X-Tenant-ID": OTHER_TENANT},
            )
            if narrowed.status_code == 200:
                assert [] == [name for name, value in walk.owned.items() if value in narrowed.text], entry.path


async def test_an_operators_key_is_no_cases_token(walk: Walk) -> None:
    before = await walk.rows()
    for door, entry in entries():
        if not entry.scopes and entry.method == "POST":
            path = entry.path.format(**walk.owned, flow="cv-simple")
            answer = await ask(walk.strangers["operator"], door, entry, path)
            assert answer.status_code in {400, 401, 403}, (entry.path, answer.text)
    assert before == await walk.rows()


async def test_nor_does_the_time_tell(walk: Walk) -> None:
    """Pairs of requests, taken in turns; a difference counts when it stays in three samples, each larger."""
    suspects = [
        (door, entry, foreign, none)
        for door, entry in entries()
        if placeholders(entry) and "admin" in entry.scopes
        for foreign, none in variants(entry, walk)
    ]
    assert suspects
    for pairs in (7, 21, 63):
        telling = []
        for door, entry, foreign, none in suspects:
            differences = [await _difference(walk, door, entry, foreign, none) for _ in range(pairs)]
            middle = median(differences)
            spread = median(abs(one - middle) for one in differences)
            if abs(middle) > max(0.001, 3 * 1.4826 * spread / pairs**0.5):
                telling.append((door, entry, foreign, none))
        suspects = telling
        if not suspects:
            return
    assert [] == [entry.path for _, entry, _, _ in suspects]


async def _difference(walk: Walk, door: Door, entry: Entry, foreign: dict[str, str], none: dict[str, str]) -> float:
    """How many seconds longer the foreign one takes."""
    took = []
    for n, ids in enumerate((foreign, none)):
        began = time.perf_counter()
        await ask(walk.strangers["admin"], door, entry, entry.path.format(**ids), n=n)
        took.append(time.perf_counter() - began)
    return took[0] - took[1]
