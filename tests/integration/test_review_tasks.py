"""Review tasks over HTTP: opened, listed, edited, decided; the executors' view of a case."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    leaf,
    review_token,
    server_fixture,
    until,
)

OTHER_TENANT = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"
BLOCKS = [
    {"id": "subject", "label": "Subject", "type": "plaintext", "content": "Hello\n", "editable": True},
    {"id": "body", "type": "markdown", "content": "One.\nTwo.\n", "editable": True},
    {"id": "headers", "type": "json", "content": {"to": ["a@example.org"], "cc": []}, "editable": True},
    {"id": "terms", "type": "plaintext", "content": "Fixed.", "editable": False},
]
TASK = {
    "title": "Reply to the vendor",
    "preview": "A short answer.",
    "service": {"id": "mail", "name": "Mail", "icon": "✉️"},
    "action": {"type": "reply", "verb": "Reply"},
    "risk_level": "medium",
    "blocks": BLOCKS,
    "metadata": {"trace_id": "t-1"},
}


@pytest.fixture
async def admin(server: Server) -> Client:
    return await server.client("admin")


@pytest.fixture
async def reviewer(server: Server) -> Client:
    return await server.client("reviewer")


@pytest.fixture
async def executor(server: Server) -> Client:
    return await server.client("executor")


@pytest.fixture
async def source(admin: Client) -> str:
    found: str = (await admin.http.post("/sources", json={"name": "Mail"})).json()["id"]
    return found


async def _open(agent: Client, source: str, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    answer = await agent.http.post("/review-tasks", json=TASK | {"source_id": source} | fields, headers=headers)
    assert 201 == answer.status_code, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _get(client: Client, task: dict[str, Any]) -> dict[str, Any]:
    answer = await client.http.get(f"/review-tasks/{task['id']}")
    assert 200 == answer.status_code, answer.text
    assert answer.headers["etag"] == answer.json()["etag"]
    found: dict[str, Any] = answer.json()
    return found


async def _edit(
    client: Client, task: dict[str, Any], contents: dict[str, Any], etag: str | None = None
) -> httpx.Response:
    blocks = [{"id": name, "content": content} for name, content in contents.items()]
    headers = {} if etag is None else {"If-Match": etag}
    return await client.http.patch(
        f"/review-tasks/{task['id']}/blocks", json={"blocks_working": blocks}, headers=headers
    )


async def _decide(
    client: Client, task: dict[str, Any], decision: str = "APPROVE", etag: str | None = None, **fields: Any
) -> httpx.Response:
    headers = {} if etag is None else {"If-Match": etag}
    address = f"/review-tasks/{task['id']}/decision"
    return await client.http.post(address, json={"decision": decision} | fields, headers=headers)


async def _pull(executor: Client, source: str, wait: int = 10) -> list[dict[str, Any]]:
    answer = await executor.http.get(f"/sources/{source}/decision-events", params={"wait": wait})
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def _listed(client: Client, **query: Any) -> dict[str, Any]:
    answer = await client.http.get("/review-tasks", params=query)
    assert 200 == answer.status_code, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _error(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert {"code", "message", "details", "request_id"} == set(error)
    return response.status_code, error["code"]


# --- opening and reading


async def test_a_task_is_a_case_with_its_artifacts(agent: Client, reviewer: Client, source: str) -> None:
    task = await _open(agent, source, risk_warning="Goes to somebody outside.", priority="HIGH")
    assert ("PENDING", "Mail", "medium", "HIGH") == tuple(
        task[name] for name in ("status", "source_name", "risk_level", "priority")
    )
    assert {"id", "label", "type", "content", "editable", "render_hints"} == set(task["blocks_original"][0])
    assert task["blocks_original"] == task["blocks_working"]
    assert [None] * 3 == [task[name] for name in ("blocks_final", "decision", "diff")]
    assert task["id"] == task["case_id"] == task["hitl"]["case_id"]
    assert ["approve", "reject"] == task["hitl"]["inline_actions"]
    assert "pending" == await agent.status(task["hitl"])
    seen = await _get(reviewer, task)
    assert {name: value for name, value in task.items() if name != "hitl"} == seen
    assert task["hitl"]["submit_token"] not in str(seen)


async def test_what_a_task_says_is_part_of_what_is_agreed(agent: Client, source: str) -> None:
    digests = {
        (await _open(agent, source, **changes))["content_digest"]
        for changes in ({}, {"risk_level": "low"}, {"risk_warning": "Careful."}, {"deny_reasons": ["No."]})
    }
    assert 4 == len(digests)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": "x" * 201}, "title"),
        ({"title": ""}, "title"),
        ({"risk_level": "severe"}, "risk_level"),
        ({"priority": "URGENT"}, "priority"),
        ({"blocks": []}, "blocks"),
        ({"service": {"id": "mail"}}, "service.name"),
        ({"service": {"id": "my mail", "name": "Mail"}}, "service.id"),
        ({"source_id": None}, "source_id"),
        ({"source_id": "src_none"}, "source_id"),
        ({"surprise": 1}, "surprise"),
        ({"timeout": "soon"}, "timeout"),
        ({"deny_reasons": [7]}, "deny_reasons[0]"),
        ({"interaction_schema": {"type": "choice"}}, "interaction_schema.options"),
        ({"interaction_schema": {"type": "external"}}, "interaction_schema.external_url"),
        (
            {"interaction_schema": {"type": "external", "external_url": "javascript:alert(1)"}},
            "interaction_schema.external_url",
        ),
        (
            {"blocks": [{"id": "execution_intent", "type": "json", "content": {"kind": "shell"}}]},
            "blocks[0].content",
        ),
    ],
)
async def test_what_is_wrong_with_a_task_is_named(
    agent: Client, source: str, changes: dict[str, Any], field: str
) -> None:
    answer = await agent.http.post("/review-tasks", json=TASK | {"source_id": source} | changes)
    assert (400, "VALIDATION_ERROR") == _error(answer)
    assert field == answer.json()["error"]["details"].get("field"), answer.text
    assert 0 == (await _listed(agent))["total_count"]


async def test_the_same_request_opens_one_task(agent: Client, source: str) -> None:
    once = {"Idempotency-Key": "task-1"}
    first, second = [await _open(agent, source, once) for _ in range(2)]
    assert first == second
    changed = await agent.http.post(
        "/review-tasks", json=TASK | {"source_id": source, "title": "Another"}, headers=once
    )
    assert (409, "IDEMPOTENCY_MISMATCH") == _error(changed)
    assert 202 == (await agent.open(once)).status_code, "another door, another list of keys"
    assert 1 == (await _listed(agent))["total_count"]


async def test_each_key_may_do_what_its_scope_is_for(
    server: Server, agent: Client, executor: Client, reviewer: Client, admin: Client, source: str
) -> None:
    task = await _open(agent, source)
    for client in (executor, reviewer):
        assert (403, "FORBIDDEN") == _error(await client.http.post("/review-tasks", json=TASK | {"source_id": source}))
    for client in (agent, executor):
        assert (403, "FORBIDDEN") == _error(await _edit(client, task, {"body": "Mine."}))
        assert (403, "FORBIDDEN") == _error(await _decide(client, task))
    for client in (agent, executor, reviewer, admin):
        assert "PENDING" == (await _get(client, task))["status"]
    assert (401, "UNAUTHORIZED") == _error(await server.nobody().http.get("/review-tasks"))
    with_header = await server.nobody().http.get("/review-tasks", headers={"X-API-Key": reviewer.key})
    assert 200 == with_header.status_code


async def test_another_tenant_sees_and_changes_nothing(server: Server, agent: Client, source: str) -> None:
    task = await _open(agent, source)
    stranger = await server.client("admin", OTHER_TENANT)
    assert (404, "NOT_FOUND") == _error(await stranger.http.get(f"/review-tasks/{task['id']}"))
    assert (404, "NOT_FOUND") == _error(await _edit(stranger, task, {"body": "Mine."}))
    assert (404, "NOT_FOUND") == _error(await _decide(stranger, task))
    assert (400, "VALIDATION_ERROR") == _error(
        await stranger.http.post("/review-tasks", json=TASK | {"source_id": source})
    )
    assert {"items": [], "total_count": 0, "next_cursor": None} == await _listed(stranger)
    assert "PENDING" == (await _get(agent, task))["status"]


async def test_a_case_that_is_no_task_is_none(agent: Client, reviewer: Client, source: str) -> None:
    hitl = await agent.case(source_id=source)
    case = {"id": hitl["case_id"]}
    assert (404, "NOT_FOUND") == _error(await reviewer.http.get(f"/review-tasks/{hitl['case_id']}"))
    assert (404, "NOT_FOUND") == _error(await _decide(reviewer, case))
    assert "pending" == await agent.status(hitl)


# --- lists


async def test_lists_are_filtered_and_counted(agent: Client, admin: Client, source: str, reviewer: Client) -> None:
    other = (await admin.http.post("/sources", json={"name": "Other"})).json()["id"]
    first = await _open(agent, source)
    second = await _open(agent, source, risk_level="critical", service={"id": "bank", "name": "Bank"})
    third = await _open(agent, other, action={"type": "transfer", "verb": "Transfer $450"})
    assert 200 == (await _decide(reviewer, second, "DENY", reason="Too much.")).status_code

    async def ids(**query: Any) -> list[str]:
        page = await _listed(reviewer, **query)
        assert len(page["items"]) == page["total_count"]
        return [item["id"] for item in page["items"]]

    assert [third["id"], second["id"], first["id"]] == await ids()
    assert [second["id"], first["id"]] == await ids(source_id=source)
    assert [second["id"]] == await ids(risk_level="critical")
    assert [second["id"]] == await ids(service_id="bank")
    assert [third["id"]] == await ids(action_type="transfer")
    assert [third["id"], first["id"]] == await ids(status="PENDING")
    assert [second["id"]] == await ids(status="DENIED", source_id=source)
    assert [] == await ids(status="DISPATCHED")
    (item,) = (await _listed(reviewer, risk_level="critical"))["items"]
    assert ("DENY", 4) == (item["decision"]["type"], item["block_count"])
    assert "blocks_working" not in item


async def test_pages_stay_as_they_are_while_tasks_are_added(agent: Client, source: str) -> None:
    opened = [(await _open(agent, source, title=f"Task {n}"))["id"] for n in range(7)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await _listed(agent, limit=3, cursor=cursor)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        await _open(agent, source, title="Another")
    assert opened[::-1] == seen


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"cursor": "nonsense"}, {"status": "DONE"}, {"risk_level": "x"}, {"q": 1}],
)
async def test_a_list_that_cannot_be_is_a_validation_error(agent: Client, query: dict[str, Any]) -> None:
    assert (400, "VALIDATION_ERROR") == _error(await agent.http.get("/review-tasks", params=query))


# --- editing


async def test_an_edit_is_the_working_state_and_the_original_stays(
    agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    task = await _open(agent, source)
    answer = await _edit(reviewer, task, {"body": "One.\n2.\n", "headers": {"to": ["b@example.org"], "cc": []}})
    assert 200 == answer.status_code, answer.text
    edited = answer.json()
    assert task["blocks_original"] == edited["blocks_original"]
    assert ["Hello\n", "One.\n2.\n", {"to": ["b@example.org"], "cc": []}, "Fixed."] == [
        block["content"] for block in edited["blocks_working"]
    ]
    assert (False, True) == (task["has_changes"], edited["has_changes"])
    assert edited["content_digest"] != task["content_digest"]
    assert edited["etag"] != task["etag"]
    decided = await _decide(reviewer, task)
    assert 200 == decided.status_code, decided.text
    (event,) = await _pull(executor, source)
    assert task["blocks_original"] == event["original"]
    assert edited["blocks_working"] == event["final"] == decided.json()["blocks_final"]
    assert edited["content_digest"] == event["content_digest"]
    assert {"body"} == {one["block_id"] for one in event["diff"]["text_diffs"]}
    assert "-Two.\n+2.\n" in event["diff"]["text_diffs"][0]["unified_diff"]
    assert [{"block_id": "headers", "patch": [{"op": "replace", "path": "/to/0", "value": "b@example.org"}]}] == event[
        "diff"
    ]["json_patches"]


async def test_all_blocks_may_be_sent_back_and_only_what_differs_counts(
    agent: Client, reviewer: Client, source: str
) -> None:
    task = await _open(agent, source)
    blocks = [dict(block) for block in task["blocks_working"]]
    blocks[0]["content"] = "Good morning\n"
    address = f"/review-tasks/{task['id']}/blocks"
    answer = await reviewer.http.patch(address, json={"blocks_working": blocks}, headers={"If-Match": task["etag"]})
    assert 200 == answer.status_code, answer.text
    again = await reviewer.http.patch(
        address, json={"blocks_working": blocks}, headers={"If-Match": answer.headers["etag"]}
    )
    assert answer.json() == again.json(), "nothing has changed, so nothing does"


@pytest.mark.parametrize(
    "blocks",
    [
        [{"id": "terms", "content": "Loose."}],
        [{"id": "nowhere", "content": "?"}],
        [{"id": "body", "content": {"not": "text"}}],
        [{"id": "body", "content": "One"}, {"id": "body", "content": "Two"}],
        [{"id": "body", "content": "One", "type": "json"}],
        [],
    ],
)
async def test_what_cannot_be_edited_is_refused(agent: Client, reviewer: Client, source: str, blocks: Any) -> None:
    task = await _open(agent, source)
    answer = await reviewer.http.patch(f"/review-tasks/{task['id']}/blocks", json={"blocks_working": blocks})
    assert (400, "VALIDATION_ERROR") == _error(answer)
    assert task["etag"] == (await _get(reviewer, task))["etag"]


async def test_an_edit_of_what_somebody_else_has_changed_since_is_refused(
    server: Server, agent: Client, reviewer: Client, source: str
) -> None:
    other = await server.client("reviewer")
    task = await _open(agent, source)
    assert 200 == (await _edit(reviewer, task, {"body": "Mine."}, task["etag"])).status_code
    for etag in (task["etag"], '"blocks-9"', 'W/"blocks-1"', '"else"', None):
        assert (412, "PRECONDITION_FAILED") == _error(await _edit(other, task, {"body": "Theirs."}, etag)), etag
    assert 200 == (await _edit(reviewer, task, {"body": "Mine again."})).status_code, "they know their own edit"
    now = await _get(other, task)
    assert 200 == (await _edit(other, task, {"body": "Theirs."}, f'"x", {now["etag"]}')).status_code
    assert 200 == (await _edit(other, task, {"subject": "Ours\n"}, "*")).status_code
    assert "Theirs." == (await _get(agent, task))["blocks_working"][1]["content"]


async def test_of_two_edits_of_one_state_one_is_made(server: Server, agent: Client, source: str) -> None:
    reviewers = [await server.client("reviewer") for _ in range(4)]
    for n in range(5):
        task = await _open(agent, source)
        answers = await asyncio.gather(
            *(_edit(one, task, {"body": f"By {m} of {n}."}, task["etag"]) for m, one in enumerate(reviewers))
        )
        assert Counter({200: 1, 412: 3}) == Counter(answer.status_code for answer in answers)
        (made,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert made["blocks_working"] == (await _get(agent, task))["blocks_working"]


# --- deciding


async def test_a_denial_needs_a_reason_and_takes_it_along(
    agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    task = await _open(agent, source)
    for without in ({}, {"reason": "  "}):
        assert (400, "VALIDATION_ERROR") == _error(await _decide(reviewer, task, "DENY", **without))
    answer = await _decide(reviewer, task, "DENY", reason="Wrong recipient.")
    assert ("DENIED", "Wrong recipient.") == (answer.json()["status"], answer.json()["decision"]["reason"])
    (event,) = await _pull(executor, source)
    assert ("DENY", "reject", "key") == (
        event["decision"]["type"], event["decision"]["action"], event["decision"]["decided_by"]["platform"],
    )  # fmt: skip
    assert {"trace_id": "t-1"} == event["metadata"]
    assert "completed" == await agent.status(task["hitl"])


async def test_the_same_decision_again_is_answered_the_same_and_another_is_not(
    server: Server, agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    task = await _open(agent, source)
    first = await _decide(reviewer, task, etag=task["etag"])
    again = await _decide(reviewer, task, etag=task["etag"])
    assert (200, 200) == (first.status_code, again.status_code)
    assert first.json() == again.json()
    other = await server.client("reviewer")
    refused = (422, "INVALID_STATE_TRANSITION")
    assert refused == _error(await _decide(reviewer, task, "DENY", reason="No."))
    assert refused == _error(await _decide(other, task))
    assert refused == _error(await _edit(reviewer, task, {"body": "Late."}, task["etag"]))
    assert 1 == len(await _pull(executor, source))


async def test_many_deciders_make_one_decision(server: Server, agent: Client, executor: Client, source: str) -> None:
    reviewers = [await server.client("reviewer") for _ in range(6)]
    task = await _open(agent, source)
    answers = await asyncio.gather(
        *(
            _decide(one, task, *(("APPROVE",) if n % 2 else ("DENY",)), reason=f"Number {n}.")
            for n, one in enumerate(reviewers)
        )
    )
    assert Counter({200: 1, 422: 5}) == Counter(answer.status_code for answer in answers)
    assert 1 == len(await _pull(executor, source))


async def test_a_task_that_is_over_cannot_be_decided(
    server: Server, agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    withdrawn, late = await _open(agent, source), await _open(agent, source, timeout="1h")
    assert 200 == (await agent.http.post(leaf(withdrawn["hitl"], "cancel"), json={})).status_code
    server.clock.forward(hours=1)
    for task in (withdrawn, late):
        assert (422, "INVALID_STATE_TRANSITION") == _error(await _decide(reviewer, task))
        assert (422, "INVALID_STATE_TRANSITION") == _error(await _edit(reviewer, task, {"body": "Late."}))

    async def denied() -> bool:
        return bool(2 == (await _listed(reviewer, status="DENIED"))["total_count"])

    async def sealed() -> bool:
        return 2 == len(await _pull(executor, source))

    await until(denied)
    await until(sealed)
    ends = {event["task_id"]: event["decision"] for event in await _pull(executor, source)}
    assert ("DENY", "cancelled", False) == tuple(
        ends[withdrawn["id"]][name] for name in ("type", "action", "timed_out")
    )
    assert ("DENY", "skip", True) == tuple(ends[late["id"]][name] for name in ("type", "action", "timed_out"))


async def test_whoever_asked_cannot_agree(agent: Client, reviewer: Client, source: str) -> None:
    assert reviewer.principal is not None
    task = await _open(agent, source, requested_by=f"key:{reviewer.principal.key_id}")
    assert (403, "FORBIDDEN") == _error(await _edit(reviewer, task, {"body": "Mine."}))
    assert (403, "FORBIDDEN") == _error(await _decide(reviewer, task))


# --- only what was shown


async def test_nobody_approves_an_edition_that_they_have_not_seen(
    server: Server, agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    other = await server.client("reviewer")
    task = await _open(agent, source)
    edited = (await _edit(reviewer, task, {"body": "Send all the money.\n"})).json()
    changed = (412, "PRECONDITION_FAILED")
    assert changed == _error(await _decide(other, task)), "what they know is what was opened"
    assert changed == _error(await _decide(other, task, etag="*"))
    assert changed == _error(await _decide(other, task, etag=task["etag"]))
    assert changed == _error(await _decide(other, task, content_digest=task["content_digest"]))
    assert changed == _error(await _decide(reviewer, task, etag=task["etag"]))
    tap = await agent.tap(task["hitl"], "approve")
    assert (409, "content_changed") == (tap.status_code, tap.json()["error"])
    stale = await agent.submit(task["hitl"], "approve", content_digest=task["content_digest"])
    assert (409, "content_changed") == (stale.status_code, stale.json()["error"])
    assert "PENDING" == (await _get(agent, task))["status"]
    assert 200 == (await _decide(other, task, content_digest=edited["content_digest"])).status_code
    (event,) = await _pull(executor, source)
    assert "Send all the money.\n" == event["final"][1]["content"]


async def test_a_denial_needs_no_look_at_the_newest_edition(
    server: Server, agent: Client, reviewer: Client, source: str
) -> None:
    other = await server.client("reviewer")
    task = await _open(agent, source)
    assert 200 == (await _edit(reviewer, task, {"body": "Changed."})).status_code
    assert 200 == (await _decide(other, task, "DENY", reason="Never.")).status_code


async def test_an_approval_that_races_an_edit_approves_what_it_saw_or_nothing(
    server: Server, agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    other = await server.client("reviewer")
    outcomes: Counter[tuple[int, int]] = Counter()
    for n in range(8):
        task = await _open(agent, source)
        edit, decision = await asyncio.gather(
            _edit(reviewer, task, {"body": f"Edition {n}."}, task["etag"]), _decide(other, task, etag=task["etag"])
        )
        outcomes[edit.status_code, decision.status_code] += 1
        now = await _get(agent, task)
        if decision.status_code == 200:
            assert now["blocks_final"] == task["blocks_original"]
        else:
            assert "PENDING" == now["status"]
    assert set(outcomes) <= {(200, 412), (422, 200)}


async def test_edits_that_come_with_the_answer_start_from_the_working_state(
    agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    task = await _open(agent, source)
    edited = (await _edit(reviewer, task, {"body": "One.\n2.\n"})).json()
    answer = await agent.submit(
        task["hitl"], "approve", content_digest=edited["content_digest"], blocks={"subject": "Good morning\n"}
    )
    assert 200 == answer.status_code, answer.text
    (event,) = await _pull(executor, source)
    assert ["Good morning\n", "One.\n2.\n"] == [block["content"] for block in event["final"][:2]]
    assert {"subject", "body"} == {one["block_id"] for one in event["diff"]["text_diffs"]}


# --- interactions

CHOICE = {
    "type": "choice",
    "options": [
        {"id": "short", "label": "Short", "patches": [{"block_id": "body", "op": "replace", "value": "Yes.\n"}]},
        {
            "id": "copied",
            "label": "With a copy",
            "patches": [
                {"block_id": "headers", "op": "add", "path": "/cc/-", "value": "c@example.org"},
                {"block_id": "subject", "op": "replace", "value": "For both\n"},
            ],
        },
        {"id": "as-is", "label": "As it is"},
    ],
}


async def test_a_chosen_option_applies_its_patches_and_decides(
    agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    task = await _open(agent, source, interaction_schema=CHOICE)
    assert ["reject"] == task["hitl"]["inline_actions"]
    assert (400, "VALIDATION_ERROR") == _error(await _decide(reviewer, task))
    assert (400, "VALIDATION_ERROR") == _error(await _decide(reviewer, task, option="long"))
    assert 200 == (await _edit(reviewer, task, {"body": "Edited first.\n"})).status_code
    assert 200 == (await _decide(reviewer, task, option="copied")).status_code
    (event,) = await _pull(executor, source)
    assert ["For both\n", "Edited first.\n", {"to": ["a@example.org"], "cc": ["c@example.org"]}] == [
        block["content"] for block in event["final"][:3]
    ]
    assert "copied" == event["result"]["data"]["option"]
    assert [[{"op": "add", "path": "/cc/0", "value": "c@example.org"}]] == [
        one["patch"] for one in event["diff"]["json_patches"]
    ]


@pytest.mark.parametrize(
    "patch",
    [
        {"block_id": "nowhere", "op": "replace", "value": "x"},
        {"block_id": "headers", "op": "remove", "path": "/bcc"},
        {"block_id": "headers", "op": "add", "path": "bcc", "value": 1},
        {"block_id": "body", "op": "replace", "value": {"no": "text"}},
        {"block_id": "body", "op": "replace"},
        {"block_id": "headers", "op": "move", "path": "/cc"},
        {"block_id": "headers", "op": "explode", "path": "/cc"},
    ],
)
async def test_an_option_that_does_not_fit_is_refused_at_once(
    agent: Client, source: str, patch: dict[str, Any]
) -> None:
    schema = {"type": "choice", "options": [{"id": "a", "label": "A", "patches": [patch]}]}
    answer = await agent.http.post("/review-tasks", json=TASK | {"source_id": source, "interaction_schema": schema})
    assert (400, "VALIDATION_ERROR") == _error(answer)
    assert "interaction_schema.options" in answer.json()["error"]["details"]["field"]


async def test_an_edit_that_breaks_an_option_is_refused(agent: Client, reviewer: Client, source: str) -> None:
    task = await _open(agent, source, interaction_schema=CHOICE)
    assert (400, "VALIDATION_ERROR") == _error(await _edit(reviewer, task, {"headers": {"to": []}}))


async def test_several_who_must_agree_agree_to_the_same(server: Server, agent: Client, source: str) -> None:
    first, second = [await server.client("reviewer") for _ in range(2)]
    task = await _open(agent, source, reviewers={"quorum": 2})
    assert 200 == (await _edit(first, task, {"body": "Edited.\n"})).status_code
    assert 200 == (await _decide(first, task)).status_code
    assert "PENDING" == (await _get(first, task))["status"]
    now = await _get(second, task)
    assert (422, "INVALID_STATE_TRANSITION") == _error(await _edit(second, task, {"body": "Other."}, now["etag"]))
    assert "APPROVED" == (await _decide(second, task, etag=now["etag"])).json()["status"]


# --- where a task stands


async def test_a_task_is_dispatched_when_an_executor_acks_or_claims_and_archived_a_week_later(
    server: Server, agent: Client, reviewer: Client, executor: Client, source: str
) -> None:
    acked, claimed, left = [await _open(agent, source) for _ in range(3)]
    for task in (acked, claimed, left):
        assert "APPROVED" == (await _decide(reviewer, task)).json()["status"]

    async def sealed() -> bool:
        return 3 == len(await _pull(executor, source))

    await until(sealed)
    events = {event["task_id"]: event for event in await _pull(executor, source)}
    base, one = f"/sources/{source}/decision-events", events[claimed["id"]]
    ack = await executor.http.post(f"{base}/ack", json={"event_ids": [events[acked["id"]]["event_id"]]})
    claim = await executor.http.post(
        f"{base}/{one['event_id']}/claim", json={"final_digest": one["final_digest"], "claimer_id": "mailer"}
    )
    assert (200, 200) == (ack.status_code, claim.status_code)

    async def statuses() -> list[str]:
        found = [(await _get(agent, task))["status"] for task in (acked, claimed, left)]
        for status, number in Counter(found).items():
            assert number == (await _listed(agent, status=status))["total_count"]
        return found

    assert ["DISPATCHED", "DISPATCHED", "APPROVED"] == await statuses()
    assert (await _get(agent, acked))["dispatched_at"] is not None
    server.clock.forward(hours=7 * 24 - 1)
    assert ["DISPATCHED", "DISPATCHED", "APPROVED"] == await statuses()
    server.clock.forward(hours=1)
    assert ["ARCHIVED", "ARCHIVED", "APPROVED"] == await statuses()
    assert (422, "INVALID_STATE_TRANSITION") == _error(await _decide(reviewer, acked, "DENY", reason="Too late."))
    assert (await _get(agent, claimed))["archived_at"] is not None
