"""Retention: what was asked and answered is gone after so many days, its hashes stay, and `assent verify` still passes.

Every text that a door takes carries a mark; afterwards no row of any table may hold it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from api.doors import DOORS
from bot.settings import WrongSetting, read_settings
from core.callbacks import callbacks
from core.cards import Cards
from core.deliveries import Deliveries
from core.digest import canonical, sha256_hex
from core.housekeeping import Housekeeping
from core.ledger import Database
from core.model import Identity, Origin
from core.oracles import Finding, Oracles
from core.replies import Reply
from core.retention import CARD_SECONDS, PAGE, SWEEP_SECONDS, WAITS_FOR, Retention
from core.rows import row_hash
from core.run_states import RunStatus
from core.run_worker import RunWorker
from core.runs import Intent, Runs
from core.schedule import DAY, HOUR
from core.sealing import KeyRing
from core.seals import Sealer
from core.sending import ERASED, Receipt, Unsendable
from core.webhooks import decisions
from core.workflows import EXTERNAL, Asked
from tests.support.databases import rows
from tests.support.dump import everything, tables
from tests.support.gates import World, as_superuser, slack, until, world
from tests.support.inbox import ADA, INBOX, answered, asked, enter, place, signed_in
from tests.support.review_page import SECRET as DESK_SECRET
from tests.support.review_page import desk
from tests.support.server import SECRET, Client, Server, leaf, review_token, running

DAYS = 3
MARK = "Zanzibar"  # in every text that goes in, and in nothing that Assent writes itself
ring = KeyRing([SECRET])


def said(where: str) -> str:
    return f"{where} of {MARK}"


@dataclass
class Stage:
    """A server whose doors have all been used, and what they gave out. `paths`: addresses that must go on answering."""

    server: Server
    url: str
    admin: Client
    numbers: Any = field(default_factory=count)
    paths: dict[str, str] = field(default_factory=dict)  # placeholders of routes, with what there is of them
    links: list[str] = field(default_factory=list)
    hitl: list[dict[str, Any]] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.server.database

    def retention(self, days: int = DAYS) -> Retention:
        return Retention(self.database, self.server.services.hub, ring, days)

    async def findings(self) -> list[Finding]:
        return await Oracles(self.database, ring).findings()

    async def rows(self, table: str) -> list[dict[str, Any]]:
        return await rows(self.url, f"SELECT * FROM {table}")

    async def post(self, path: str, body: dict[str, Any] | None = None, by: Client | None = None) -> dict[str, Any]:
        assert self.admin.principal is not None
        strict = {"X-Tenant-ID": self.admin.principal.tenant_id, "Idempotency-Key": f"{MARK}-{next(self.numbers)}"}
        answer = await (by or self.admin).http.post(path, json=body, headers=strict)
        assert answer.is_success, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def case(self, case_type: str, **fields: Any) -> dict[str, Any]:
        body = {
            "prompt": said("question"),
            "message": said("message"),
            "context": {"about": said("context")},
            "blocks": [{"id": "b1", "label": said("label"), "type": "markdown", "content": said("block")}],
            "metadata": {"note": said("metadata")},
            "timeout": "1h",
        }
        hitl = await self.admin.case(type=case_type, **body | fields)
        self.hitl.append(hitl)
        self.links.append(hitl["review_url"])
        return hitl

    async def sealed(self) -> None:
        while await Sealer(self.database, self.server.services.hub, ring).seal():
            pass

    async def later(self, days: float) -> None:
        self.server.clock.forward(hours=24 * days)
        await Housekeeping(self.database).forget()


async def hitl_cases(stage: Stage) -> None:
    """All types, answered in all ways: tapped, on the page, by a form, withdrawn, closed, too late, sent back."""
    admin = stage.admin
    one = await stage.case("approval", labels={"approve": f"{MARK}!"}, hitl_callback_url=f"{stage.server.url}/back")
    await admin.tap(one, "reject", data={"reason": said("reason")})
    await admin.tap(one, "reject", data={"reason": said("reason")})  # a replay is noted
    two = await stage.case(
        "selection", context={"items": [{"id": "a", "label": said("item")}, {"id": "b", "label": "B"}]}
    )
    assert (await admin.submit(two, "select", {"selected": ["a"], "note": said("note")})).is_success
    form = {"fields": [
        {"key": "name", "label": said("field"), "type": "text", "required": True},
        {"key": "pin", "label": "Pin", "type": "text", "sensitive": True},
    ]}  # fmt: skip
    three = await stage.case("input", context={"form": form, "hint": said("hint")})
    progress = {"token": review_token(three), "progress": {"completed_fields": 1, "total_fields": 2}}
    assert (await admin.page.post(leaf(three, "progress"), json=progress)).is_success
    assert (await admin.submit(three, "submit", {"name": said("name"), "pin": said("pin")})).is_success
    four = await stage.case("confirmation")
    assert (await admin.http.post(leaf(four, "cancel"), json={"reason": said("withdrawal")})).is_success
    five = await stage.case("escalation", context={"error": said("error")})
    closing = {"token": review_token(five), "reason": said("closing")}
    assert (await admin.page.post(leaf(five, "close"), json=closing)).is_success
    await stage.case("approval", default_action="reject")  # nobody answers
    back = await stage.case("approval")
    assert (await admin.submit(back, "edit", {"feedback": said("feedback")})).is_success
    again = await stage.case("approval", previous_case_id=back["case_id"])
    assert (await admin.submit(again, "approve", {"note": said("note")})).is_success
    quorum = await stage.case("approval", reviewers={"quorum": 2}, notify=["slack:C1"])
    for n in (1, 2):
        await stage.server.services.gate.respond(
            Reply(
                quorum["case_id"], "inline", quorum["submit_token"], "approve", {"reason": said("vote")},
                Identity("slack", f"U{n}", f"Reviewer {n}", verified=True), "slack_block_action", Origin.WEBHOOK,
                in_channel=True,
            )
        )  # fmt: skip
    stage.paths["case_id"] = one["case_id"]


async def executors(stage: Stage) -> None:
    """A review task, edited, answered, pushed and pulled."""
    hook = {"mode": "WEBHOOK_AND_PULL", "webhook": {"url": f"{stage.server.url}/hook"}}
    source = (await stage.post("/sources", {"name": "Executors", "delivery": hook}))["id"]
    task = await stage.post(
        "/review-tasks",
        {
            "source_id": source,
            "title": said("title"),
            "service": {"id": "billing", "name": said("service"), "icon": "💥"},
            "action": {"type": "restart", "verb": MARK},
            "risk_level": "high",
            "risk_warning": said("warning"),
            "preview": said("preview"),
            "blocks": [{"id": "plan", "label": MARK, "type": "markdown", "content": said("plan"), "editable": True}],
            "deny_reasons": [said("deny reason")],
            "metadata": {"ticket": said("ticket")},
        },
    )
    edit = {"blocks_working": [{"id": "plan", "content": said("edited plan")}]}
    answer = await stage.admin.http.patch(f"/review-tasks/{task['id']}/blocks", json=edit)
    assert answer.is_success, answer.text
    decision = {"decision": "APPROVE", "reason": said("reason"), "content_digest": answer.json()["content_digest"]}
    await stage.post(f"/review-tasks/{task['id']}/decision", decision)
    events = (await stage.admin.http.get(f"/sources/{source}/decision-events?wait=10")).json()["items"]
    stage.paths |= {"source_id": source, "event_id": events[0]["event_id"], "review": task["id"]}
    stage.links.append(task["hitl"]["review_url"])


async def guarded(stage: Stage) -> None:
    """Tasks that policy hands to people and lets through, and a grant."""
    reviewer = await stage.server.client("reviewer")
    task = await stage.post(
        "/tasks", {"operation": "repo.commit", "payload": {"what": said("payload")}, "requested_by": "release-bot"}
    )
    await stage.post(
        f"/approvals/{task['task_id']}", {"decision": "approve", "reason": said("reason"), "approver": MARK}, reviewer
    )
    grant = await stage.post(
        "/grants",
        {"operation": "repo.commit", "payload": {"x": said("grant")}, "valid_for": "1h", "reason": said("reason")},
        reviewer,
    )
    await stage.post("/tasks", {"operation": "repo.commit", "payload": {"x": said("grant")}})
    stage.paths |= {"task_id": task["task_id"], "grant_id": grant["grant_id"]}


async def runs(stage: Stage) -> None:
    """A run that is carried out here, one that an agent carries out with a form, and one that asks nobody."""
    intent = await stage.post("/api/intents", {"goal": said("goal"), "key": "the-key"})
    run = await stage.post("/api/runs", {"intentId": intent["intentId"], "queuePartitionKey": "q"})
    workflow = run["workflowID"]

    async def asked() -> bool:
        return (await stage.admin.http.get(f"/api/runs/{workflow}/gates/plan-approval")).is_success

    await until(asked)
    reply = {"payload": {"choice": "yes", "rationale": said("rationale")}, "dedupeKey": "k1", "origin": "external"}
    await stage.post(f"/api/runs/{workflow}/gates/plan-approval/reply", reply)
    outside = await stage.post(
        "/api/intents", {"goal": said("goal"), "workflow": "external", "input": {"i": said("input")}}
    )
    other = (await stage.post("/api/runs", {"intentId": outside["intentId"], "queuePartitionKey": "q"}))["workflowID"]
    schema = {"type": "object", "properties": {"why": {"type": "string", "title": said("schema")}}, "required": ["why"]}
    await stage.post(
        f"/api/runs/{other}/gates/ask", {"prompt": said("gate"), "message": said("message"), "schema": schema}
    )
    await stage.post(
        f"/api/runs/{other}/gates/ask/reply", {"payload": {"why": said("why")}, "dedupeKey": "k", "origin": "external"}
    )
    await stage.post(f"/api/runs/{other}/finish", {"status": "completed"})
    alone = await stage.post("/api/intents", {"goal": said("goal"), "workflow": "external"})
    quiet = (await stage.post("/api/runs", {"intentId": alone["intentId"], "queuePartitionKey": "q"}))["workflowID"]
    await stage.post(f"/api/runs/{quiet}/finish", {"status": "completed"})
    stage.paths |= {"workflow_id": other, "gate_key": "ask", "intent_id": outside["intentId"], "plan": workflow}


async def flow(stage: Stage) -> None:
    """A flow that was begun and left."""
    begun = {"prefer_hitl": True, "cv_data": {"firstName": said("name"), "lastName": MARK}}
    found = await stage.post("/api/agent/cv-simple", begun)
    stage.paths["flow_case_id"] = found["hitl"]["case_id"]
    answered = await stage.admin.submit(found["hitl"], "confirm", {"note": said("note")})
    assert answered.is_success, answered.text


async def carried(stage: Stage) -> None:
    """Everything that leaves the process has left: cards, webhooks, callbacks, acks."""
    cards = Cards(stage.database, ring, stage.server.url)
    for claimed in await cards.claim("slack", 50):
        await cards.shown(claimed, f"m{next(stage.numbers)}")
    kinds = {"callback": callbacks(ring, stage.server.url), "decision": decisions(ring)}
    deliveries = Deliveries(stage.database, kinds)

    async def delivered() -> bool:
        _, lanes = await deliveries.look()
        for one in await deliveries.claim([(lane, one) for lane in lanes for one in lane.due]):
            await deliveries.save(one, Receipt(200, 5, response=said("response")))
        found = await stage.rows("deliveries")
        return bool(found) and all(row["state"] == "delivered" for row in found)

    await until(delivered)
    await stage.sealed()
    for source in {row["source_id"] for row in await stage.rows("decision_events")}:
        ids = [row["event_id"] for row in await stage.rows("decision_events") if row["source_id"] == source]
        await stage.post(f"/sources/{source}/decision-events/ack", {"event_ids": ids})


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with running(database_url) as server:
        found = Stage(server, database_url, await server.client("admin"))
        for fill in (hitl_cases, executors, guarded, runs, flow):
            await fill(found)

        async def closed() -> bool:
            cases = await found.rows("cases")
            ended = [row for row in await found.rows("runs") if row["finished_at"] is not None]
            tasks = [row for row in await found.rows("tasks") if row["dispatched_at"] is None]
            return all(row["closed_at"] for row in cases) and len(ended) == 3 and not tasks

        server.clock.forward(hours=2)
        await until(closed)
        await carried(found)
        yield found


HASHES = (
    "row_hash",
    "payload_hash",
    "content_digest",
    "position",
    "payload_digest",
    "digest",
    "body_hash",
    "final_digest",
)


def hashes(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in HASHES if name in row} | {"id": next(iter(row.values()))} for row in found]


async def test_nothing_of_what_was_written_is_left_and_its_hashes_are(stage: Stage) -> None:
    kept = ("cases", "human_interactions", "decision_events", "tasks", "grants", "intents", "artifacts", "seals")
    before = {table: hashes(await stage.rows(table)) for table in kept}
    assert [] == await stage.findings()
    await as_superuser(
        stage.url, *(f"UPDATE {table} SET last_error = '{said('error')}'" for table in ("runs", "signals"))
    )
    dump = await everything(stage.url)
    assert 60 < dump.count(MARK)

    await stage.later(DAYS - 0.2)
    assert 0 == await stage.retention().sweep()
    assert MARK in await everything(stage.url)

    await stage.later(0.3)
    cases = await stage.rows("cases")
    assert len(cases) == await stage.retention().sweep()
    left = [line for line in (await everything(stage.url)).splitlines() if MARK in line]
    assert [] == left
    assert 0 == await stage.retention().sweep()

    for table in kept:
        after = hashes(await stage.rows(table))
        assert [] == [row for row in before[table] if row not in after], table
    oracles = Oracles(stage.database, ring)
    assert [] == await oracles.findings()
    assert oracles.erased > len(cases)
    await stage.sealed()
    assert [] == await stage.findings()


# --- whoever has the database ---


def edited_payload(row: dict[str, Any]) -> str:
    """An erased ledger row that says something new; its hash as it stands is in nobody's erasure."""
    return json.dumps({"action": json.loads(row["payload"])["action"], "data": {"reason": "a lie"}})


async def test_whoever_edits_what_was_erased_or_forges_an_erasure_is_named(here: World) -> None:
    opened = await here.open()
    await here.answer(opened, "reject", {"reason": MARK})
    await here.seal()
    await here.events.ack(here.agent.tenant_id, here.source_id, [(await here.row("decision_events"))["event_id"]])
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    await here.seal()
    case, event = await here.case_row(opened), await here.row("decision_events")
    answer = await here.row("human_interactions", "topic <> 'sys:erase'")
    erasure = await here.row("human_interactions", "topic = 'sys:erase'")
    forged = forgery(erasure, answer)
    trials = {
        "an erased ledger row is edited": (
            [update("human_interactions", "payload", edited_payload(answer), answer["interaction_id"])],
            answer["interaction_id"],
        ),
        "an erased event is edited": (
            [update("decision_events", "body", event["body"].replace("APPROVE", "DENY") + " ", event["event_id"])],
            event["event_id"],
        ),
        "an erased case gets content": (
            [update("cases", "content", case["content"].replace("erased", "kept"), case["case_id"])],
            case["case_id"],
        ),
        "an erased case gets a result": (
            [update("cases", "result", '{"action":"reject","data":{"reason":"a lie"}}', case["case_id"])],
            case["case_id"],
        ),
        "an erased case says that it was not": (
            [f"UPDATE cases SET erased_at = NULL WHERE case_id = '{case['case_id']}'"],
            case["case_id"],
        ),
        "an erasure is moved in time": (
            [f"UPDATE cases SET erased_at = erased_at - 1 WHERE case_id = '{case['case_id']}'"],
            case["case_id"],
        ),
        "the erasure is removed": (
            [f"DELETE FROM human_interactions WHERE interaction_id = '{erasure['interaction_id']}'"],
            answer["interaction_id"],
        ),
        "the erasure is edited": (
            [update("human_interactions", "payload", forged["payload"], erasure["interaction_id"])],
            case["case_id"],
        ),
        "the erasure is written anew, with its hashes, by somebody without the key": (
            [
                *(update("human_interactions", name, forged[name], erasure["interaction_id"]) for name in forged),
                update("human_interactions", "payload", edited_payload(answer), answer["interaction_id"]),
            ],
            answer["interaction_id"],
        ),
    }
    tables = ("cases", "human_interactions", "decision_events")
    await as_superuser(here.url, *(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in tables))
    for what, (statements, named) in trials.items():
        await as_superuser(here.url, *statements)
        assert named in {finding.key for finding in await here.findings()}, what
        back = [(f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM kept_{table}") for table in tables]
        await as_superuser(here.url, *(one for two in back for one in two))
    assert [] == await here.findings()


def forgery(erasure: dict[str, Any], answer: dict[str, Any]) -> dict[str, str]:
    """The row of an erasure that names a lie, as well as it can be made without the secret key."""
    data = json.loads(erasure["payload"])["data"]
    lie = {**answer, "payload": edited_payload(answer)}
    listed = [
        {**one, "erased_hash": row_hash(lie)} if one["id"] == answer["interaction_id"] else one for one in data["rows"]
    ]
    signed = KeyRing(["a key of somebody else"]).sign(b"whatever")[1]
    payload = canonical({"action": "erase", "data": {**data, "rows": listed, "signature": signed}})
    row = {**erasure, "payload": payload.decode(), "payload_hash": sha256_hex(payload)}
    return {"payload": row["payload"], "payload_hash": row["payload_hash"], "row_hash": row_hash(row)}


IDS = {"cases": "case_id", "human_interactions": "interaction_id", "decision_events": "event_id"}


def update(table: str, column: str, value: str, row_id: str) -> str:
    text = value.replace("'", "''")
    return f"UPDATE {table} SET {column} = '{text}' WHERE {IDS[table]} = '{row_id}'"


async def test_what_was_altered_before_is_not_erased_so_that_it_can_be_looked_into(here: World) -> None:
    altered, other = [await here.open(sourced=False) for _ in range(2)]
    for opened in (altered, other):
        await here.answer(opened, "reject", {"reason": MARK})
    row = await here.row("human_interactions", "case_id = :c", c=altered.case.case_id)
    lie = update("human_interactions", "payload", row["payload"].replace(MARK, "Timbuktu"), row["interaction_id"])
    await as_superuser(here.url, lie)
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    assert altered.case.case_id == (await here.row("cases", "erased_at IS NULL"))["case_id"]
    assert row["interaction_id"] in {finding.key for finding in await here.findings()}


async def test_whoever_has_the_database_cannot_have_the_evidence_erased(here: World) -> None:
    """What stands beside the ledger is held against it first: when a case was closed, what was answered, and why."""
    lies = {
        "it was closed long ago": "UPDATE cases SET closed_at = 5 WHERE case_id = '{}'",
        "the result": "UPDATE cases SET result = replace(result, 'Zanzibar', 'Timbuktu') WHERE case_id = '{}'",
        "the reason": "UPDATE cases SET answered = replace(answered, 'Zanzibar', 'Timbuktu') WHERE case_id = '{}'",
        "the decision": "UPDATE decisions SET body = replace(body, 'Zanzibar', 'Timbuktu') WHERE case_id = '{}'",
    }
    told = set()
    for statement in lies.values():
        opened = await here.open(sourced=False)
        await here.answer(opened, "reject", {"reason": MARK})
        await as_superuser(here.url, statement.replace("{}", opened.case.case_id))
        told.add(opened.case.case_id)
    assert 0 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    here.clock.forward(2 * DAY)
    assert 0 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    assert told == {finding.key for finding in await here.findings()}


async def test_an_altered_case_that_says_that_it_was_erased_has_no_good_receipt(here: World) -> None:
    opened = await here.open(sourced=False)
    await here.answer(opened, "reject", {"reason": MARK})
    row = await here.case_row(opened)
    lie = update("cases", "content", row["content"].replace("go out", "stay in"), opened.case.case_id)
    await as_superuser(here.url, lie, "UPDATE cases SET erased_at = 7")
    proof = await here.views.review(opened.case.case_id, opened.review_token)
    assert proof.receipt is not None
    assert (True, False) == (proof.receipt.intact, proof.receipt.agrees)


async def test_a_second_or_unreadable_erasure_is_named(here: World) -> None:
    opened = await here.open(sourced=False)
    await here.answer(opened, "reject", {"reason": MARK})
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    erasure = await here.row("human_interactions", "topic = 'sys:erase'")
    second = {**erasure, "interaction_id": "int_second", "dedupe_key": "again"}
    columns = ", ".join(second)
    values = ", ".join("NULL" if one is None else f"'{one}'" for one in second.values())
    await as_superuser(here.url, f"INSERT INTO human_interactions ({columns}) VALUES ({values})")
    assert opened.case.case_id in {finding.key for finding in await here.findings()}
    await as_superuser(here.url, "DELETE FROM human_interactions WHERE interaction_id = 'int_second'")
    assert [] == await here.findings()
    for listed in ("[NaN]", "[99999999999999999999]", '["\\ud800"]', "null"):
        payload = '{"action":"erase","data":{"key_id":"a","rows":' + listed + ',"signature":"b"}}'
        await as_superuser(here.url, update("human_interactions", "payload", payload, erasure["interaction_id"]))
        assert erasure["interaction_id"] in {finding.key for finding in await here.findings()}, listed


# --- the doors ---


async def test_every_door_goes_on_answering_about_what_was_erased(stage: Stage) -> None:
    await stage.later(DAYS)
    assert await stage.retention().sweep()
    await reads(stage)
    await repetitions(stage)
    further = await stage.admin.case(type="approval", previous_case_id=stage.hitl[0]["case_id"])
    assert (await stage.admin.page.get(further["review_url"])).is_success


async def reads(stage: Stage) -> None:
    asked, tenant = 0, stage.admin.principal.tenant_id if stage.admin.principal else ""
    for entry in (entry for door in DOORS for entry in door.entries if entry.method == "GET"):
        if "operator" in entry.scopes:
            continue
        names = {"key_id": "none", "group_name": "none", **stage.paths}
        for case_id in {stage.paths["review"], *(one["case_id"] for one in stage.hitl)}:
            path = entry.path.format(**{**names, "case_id": case_id, "flow": "cv-simple"})
            answer = await stage.admin.http.get(path, headers={"X-Tenant-ID": tenant})
            asked += 1
            assert answer.status_code in (200, 404), (path, answer.text)
            assert MARK not in answer.text, path
            if "{case_id}" not in entry.path:
                break
    assert 20 < asked
    for one in stage.hitl:
        polled = (await stage.admin.http.get(leaf(one, "status"))).json()
        assert "completed" != polled["status"] or ["action"] == list(polled["result"]), polled
    for link in stage.links:
        for language in ("en", "de"):
            page = await stage.admin.page.get(link.replace("/en/", f"/{language}/"))
            assert 200 == page.status_code, page.text
            assert MARK not in page.text
            assert "erased on" in page.text


async def test_the_inbox_shows_that_what_was_decided_is_erased(database_url: str) -> None:
    async with desk(database_url) as found, signed_in(found) as ada:
        opened = await asked(found, MARK, message=MARK, language="de", context={"about": MARK})
        await answered(found, opened, ADA, feedback=MARK)
        found.clock.offset += HOUR
        await found.services.gate.settle_due()
        assert MARK in (await ada.get(f"{INBOX}/export?format=jsonl")).text
        found.clock.offset += 2 * DAY
        assert 1 == await Retention(found.database, found.services.hub, KeyRing([DESK_SECRET]), 1).sweep()

        assert MARK not in await everything(database_url)
        await enter(found, ada)  # nobody stays signed in for so long
        for path in (f"{INBOX}/history", place(opened), place(opened, "/timeline"), f"{INBOX}/figures"):
            page = await ada.get(path)
            assert (200, True) == (page.status_code, MARK not in page.text), path
            assert "figures" in path or "Der Inhalt dieses Falls wurde am" in page.text, path
        assert "its hashes stay" in (await ada.get(place(opened, "/timeline"))).text
        assert opened.case.case_id not in (await ada.get(f"{INBOX}/history?q={MARK}")).text
        lines = (await ada.get(f"{INBOX}/export?format=jsonl")).text.splitlines()
        answer, erasure = (json.loads(line)["ledger"] for line in lines)
        named = {one["id"]: one for one in json.loads(erasure["payload"])["data"]["rows"]}[answer["interaction_id"]]
        assert (answer["row_hash"], row_hash(answer)) == (named["row_hash"], named["erased_hash"])
        assert (await ada.get(f"{INBOX}/export?format=csv")).is_success
        page = await ada.get(f"/en/hitl/review/{opened.case.case_id}?token={opened.review_token}")
        assert "it matches what is shown here" in page.text


async def repetitions(stage: Stage) -> None:
    """Who repeats what was said is told so, and nothing is written."""
    before = {
        table: len(found)
        for table, found in (await tables(stage.url)).items()
        if table in ("human_interactions", "decisions", "cases")
    }
    admin, one = stage.admin, stage.hitl[0]
    for data, expected in (({"reason": said("reason")}, 200), ({"reason": "another"}, 409)):
        assert expected == (await admin.tap(one, "reject", data=data)).status_code
    assert 409 == (await admin.submit(one, "approve", {})).status_code
    form = next(hitl for hitl in stage.hitl if hitl["type"] == "input")
    again = await admin.submit(form, "submit", {"name": said("name"), "pin": said("pin")})
    assert again.status_code in (200, 409), again.text
    workflow, gate = stage.paths["workflow_id"], stage.paths["gate_key"]
    path = f"/api/runs/{workflow}/gates/{gate}/reply"
    for payload, expected in (({"why": said("why")}, 200), ({"why": "another"}, 409)):
        answer = await admin.http.post(path, json={"payload": payload, "dedupeKey": "k", "origin": "external"})
        assert expected == answer.status_code, answer.text
    intent = {"goal": said("goal"), "key": "the-key"}
    assert 201 == (await admin.http.post("/api/intents", json=intent)).status_code
    assert 409 == (await admin.http.post("/api/intents", json=intent | {"goal": "another"})).status_code
    for about in ("hitl_continue_case_id", "hitl_approved_case_id"):
        wish = {"prefer_hitl": True} if about == "hitl_continue_case_id" else {}
        answer = await admin.http.post("/api/agent/cv-simple", json={**wish, about: stage.paths["flow_case_id"]})
        assert 409 == answer.status_code, answer.text
        assert "erased" in answer.text
    after = {table: len(found) for table, found in (await tables(stage.url)).items() if table in before}
    assert before == after
    assert MARK not in await everything(stage.url)


async def test_cards_are_drawn_anew_without_the_content(here: World) -> None:
    opened = await here.open(sourced=False, prompt=MARK, notify=(slack(),), chat={"deny_reasons": [MARK]})
    await here.answer(opened, "approve", {"note": MARK})
    for claimed in await here.cards.claim("slack", 1):
        await here.cards.shown(claimed, "m1")
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    (claimed,) = await here.cards.claim("slack", 1)
    assert "erased on" in claimed.card.prompt
    assert claimed.card.outcome is not None
    assert MARK not in repr(claimed)
    assert MARK not in await everything(here.url)


async def test_what_failed_to_be_delivered_is_not_sent_empty_afterwards(here: World) -> None:
    await here.answer(await here.open(sourced=False, callback_url="https://agent.test/back"))
    await here.execute("UPDATE deliveries SET state = 'failed'")
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    deliveries = Deliveries(here.database, {"callback": callbacks(here.ring, "https://assent.test")})
    assert 1 == await deliveries.replay([(await here.row("deliveries"))["delivery_id"]])
    _, (lane,) = await deliveries.look()
    (claimed,) = await deliveries.claim([(lane, one) for one in lane.due])
    assert isinstance(claimed.outgoing, Unsendable)
    assert ERASED == claimed.outgoing.message


async def test_what_only_a_webhook_was_to_bring_is_not_pulled_empty_afterwards(here: World) -> None:
    await here.execute("UPDATE sources SET mode = 'WEBHOOK_ONLY'")
    await here.answer(await here.open())
    await here.seal()
    assert 1 == len((await here.events.pull(here.source_id, 0, 10)).items)
    await here.execute("UPDATE deliveries SET state = 'failed'")
    here.clock.forward(2 * DAY)
    assert 1 == await Retention(here.database, here.hub, here.ring, 1).sweep()
    assert [] == (await here.events.pull(here.source_id, 0, 10)).items


# --- what waits, and at once ---


async def test_what_is_still_to_be_handed_on_waits_and_retention_says_for_what(here: World) -> None:
    here.clock.forward(0)
    waiting = {}
    pulled = await here.open()
    await here.answer(pulled, "approve", {"note": MARK})
    await here.seal()
    event = await here.row("decision_events")
    digest = json.loads(event["body"])["final_digest"]
    await here.events.claim(here.agent, here.source_id, event["event_id"], digest, "killed before it acted")
    waiting[WAITS_FOR["pull"]] = pulled
    told = await here.open(sourced=False, callback_url="https://agent.test/back")
    await here.answer(told)
    waiting[WAITS_FOR["delivery"]] = told
    before = await here.open(sourced=False)
    await here.answer(before, "edit", {"feedback": MARK}, door="page")
    here.clock.forward(HOUR)
    await here.gate.settle_due()
    await here.open(sourced=False, previous_case_id=before.case.case_id, timeout_ms=30 * DAY)
    waiting[WAITS_FOR["round"]] = before
    first = await here.open(sourced=False, workflow_id="w", gate_key="a")
    await here.answer(first)
    await here.open(sourced=False, workflow_id="w", gate_key="b", timeout_ms=30 * DAY)
    waiting[WAITS_FOR["workflow"]] = first
    free = await here.open(sourced=False)
    await here.answer(free)
    here.clock.forward(2 * DAY)
    retention = Retention(here.database, here.hub, here.ring, 1)

    standing = await retention.standing()
    assert (0, 1) == (standing.erased, standing.due)
    assert dict.fromkeys(waiting, 1) == {one.reason: one.total for one in standing.waiting}
    assert 1 == await retention.sweep()
    erased = {row["case_id"] for row in await here.rows("cases", "erased_at IS NOT NULL")}
    assert {free.case.case_id} == erased

    await here.events.ack(here.agent.tenant_id, here.source_id, [event["event_id"]])
    await here.execute("UPDATE deliveries SET state = 'failed'")
    assert 2 == await retention.sweep()
    assert [] == await here.findings()


async def test_what_goes_wrong_for_a_gate_after_its_run_was_erased_goes_with_the_gate(here: World) -> None:
    _, person = await here.keys.create("reviewer", here.agent.tenant_id)
    runs = Runs(here.database, here.gate, here.hub)
    intent = Intent(MARK, EXTERNAL, {}, {})
    run = await runs.start(here.agent, await runs.intend(here.agent, intent), "q")
    for gate_key in ("one", "two"):
        await runs.open_gate(here.agent, run.workflow_id, Asked(gate_key, MARK, "APPROVE"))
        given: dict[str, Any] = {"payload": {"choice": "yes", "rationale": MARK}, "dedupe_key": gate_key, "topic": None}
        await runs.reply(person, run.workflow_id, gate_key, **given, origin=Origin.EXTERNAL)
        await RunWorker(here.database, here.gate, here.hub).work()
    await runs.finish(here.agent, run.workflow_id, RunStatus.COMPLETED, None)
    await here.execute("UPDATE signals SET received_at = NULL WHERE gate_key = 'two'")
    here.clock.forward(2 * DAY)
    retention = Retention(here.database, here.hub, here.ring, 1)
    assert 1 == await retention.sweep()
    assert [] == [row for row in await here.rows("workflow_events", "gate_key = 'one'") if MARK in row["data"]]
    assert [] != [row for row in await here.rows("workflow_events", "gate_key = 'two'") if MARK in row["data"]]
    await here.execute("UPDATE signals SET received_at = 1, last_error = :mark WHERE gate_key = 'two'", mark=MARK)
    assert 1 == await retention.sweep()
    assert MARK not in await everything(here.url)
    assert [] == await here.findings()


async def test_many_cases_of_one_workflow_take_no_longer_each_than_a_few(here: World) -> None:
    few, many = 250, 4_000
    retention = Retention(here.database, here.hub, here.ring, 1)

    async def look() -> float:
        began = time.perf_counter()
        standing = await retention.standing()
        took = time.perf_counter() - began
        assert [WAITS_FOR["round"]] == [one.reason for one in standing.waiting]
        return took

    # None of them waits for another of its workflow, and each for one that is asked for after that.
    await here.open(sourced=False, workflow_id="another", gate_key="open", timeout_ms=30 * DAY)
    await as_superuser(here.url, closed_gates(here.url, 1, few), "ANALYZE")
    for_few = min([await look() for _ in range(3)])
    await as_superuser(here.url, closed_gates(here.url, few + 1, many), "ANALYZE")
    for_many = min([await look() for _ in range(3)])
    assert for_many / many < 6 * for_few / few, f"{for_few:.4f} s for {few}, {for_many:.4f} s for {many}"
    assert 0 == await retention.sweep()


def closed_gates(url: str, first: int, last: int) -> str:
    """Makes that many gates of one workflow, closed long ago; a case that is open follows each."""
    numbers = (
        f"(WITH RECURSIVE r(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM r WHERE n < {last}) SELECT n FROM r)"
    )
    if url.startswith("postgresql:"):
        numbers = f"generate_series({first}, {last}) AS n"
    return f"""
        INSERT INTO cases (case_id, tenant_id, workflow_id, gate_key, type, status, content, content_digest, terms,
            created_at, expires_at, closed_at, result, next_case_id, version, last_event)
        SELECT 'c' || n, 't', 'w', 'g' || n, 'approval', 'completed', '{{}}', 'x', '{{}}',
            1, 1, n, '{{}}', (SELECT case_id FROM cases WHERE gate_key = 'open'), 1, 1
        FROM {numbers}
    """


async def test_two_processes_erase_each_case_once(database_url: str) -> None:
    async with world(database_url) as one, world(database_url, beside=one) as other:
        for _ in range(PAGE + 5):
            await one.answer(await one.open(sourced=False), "approve", {"note": MARK})
        one.clock.forward(2 * DAY)
        both = [Retention(here.database, here.hub, here.ring, 1) for here in (one, other)]
        assert PAGE + 5 == sum(await asyncio.gather(*(each.sweep() for each in both)))
        erasures = await one.rows("human_interactions", "topic = 'sys:erase'")
        assert PAGE + 5 == len(erasures) == len({row["case_id"] for row in erasures})
        assert [] == await one.findings()


async def test_a_round_goes_on_at_the_pace_of_the_cards_that_it_redraws(here: World) -> None:
    for _ in range(PAGE):
        await here.answer(await here.open(sourced=False, notify=(slack(),)))
    for claimed in await here.cards.claim("slack", PAGE):
        await here.cards.shown(claimed, f"m{claimed.ref.card_id}")
    here.clock.forward(2 * DAY)
    retention = Retention(here.database, here.hub, here.ring, 1)
    assert PAGE * CARD_SECONDS == await retention.round()
    assert SWEEP_SECONDS == await retention.round()
    due = {row["due_at"] for row in await here.rows("cards")}
    assert min(due) > 0, "new cards would wait behind these"


def test_nothing_is_erased_unless_somebody_has_said_for_how_long_it_is_kept() -> None:
    assert read_settings(database_url="sqlite:///x").retention_days is None
    assert 30 == read_settings(database_url="sqlite:///x", retention_days="30").retention_days
    for wrong in ("0", "-1", "soon"):
        with pytest.raises(WrongSetting, match="RETENTION_DAYS"):
            read_settings(database_url="sqlite:///x", retention_days=wrong)
