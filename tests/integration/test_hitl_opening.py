"""Opening a case through the HITL door."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from core.access import Scope
from tests.support.creating import until_answered
from tests.support.dump import row_counts
from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    leaf,
    running,
    server_fixture,
)

ITEMS = {"items": [{"id": "blue", "title": "Blue"}, {"id": "red", "title": "Red"}]}
FORM = {"form": {"fields": [{"key": "city", "label": "City", "type": "text", "required": True}]}}
BLOCK = {"id": "draft", "type": "markdown", "content": "# Hello"}
INLINE: list[tuple[dict[str, Any], list[str] | None]] = [
    ({"type": "confirmation"}, ["confirm", "cancel"]),
    ({"type": "escalation"}, ["retry", "skip", "abort"]),
    ({"type": "approval"}, ["approve", "reject"]),
    ({"type": "selection", "context": ITEMS}, None),
    ({"type": "input", "context": FORM}, None),
    ({"type": "x-legal-hold"}, None),
    ({"type": "approval", "inline": False}, None),
    ({"type": "approval", "inline_actions": []}, None),
    ({"type": "approval", "inline_actions": ["reject"]}, ["reject"]),
    (
        {"type": "approval", "actions": ["reject", "approve"], "inline_actions": ["reject", "approve"]},
        ["approve", "reject"],
    ),
    ({"type": "approval", "actions": ["approve", "edit"]}, ["approve"]),
    ({"type": "approval", "actions": ["edit"]}, None),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"typ": "approval"}, "typ"),
    ({"language": "fr"}, "language"),
    ({"language": "DE"}, "language"),
    ({"type": "vote"}, "type"),
    ({"type": "x-"}, "type"),
    ({"type": "x-Upper"}, "type"),
    ({"type": 5}, "type"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "x" * 501}, "prompt"),
    ({"prompt": ["Send?"]}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"message": 1}, "message"),
    ({"context": []}, "context"),
    ({"context": {"text": "x" * 262_144}}, "context"),
    ({"context": {"form": {"fields": []}}}, "context.form.fields"),
    ({"context": {"form": {"fields": [{"key": "a", "label": "A", "type": "no"}]}}}, "context.form.fields[0].type"),
    ({"type": "selection"}, "context.items"),
    ({"type": "selection", "context": {"items": []}}, "context.items"),
    ({"type": "selection", "context": {"items": "ab"}}, "context.items"),
    ({"type": "selection", "context": {"items": [{"title": "no id"}]}}, "context.items[0]"),
    ({"type": "selection", "context": {"items": [{"id": 1}]}}, "context.items[0]"),
    ({"type": "selection", "context": {"items": ["a", {"id": "a"}]}}, "context.items[1]"),
    ({"actions": []}, "actions"),
    ({"actions": ["approve"]}, "actions"),
    ({"actions": ["confirm", "confirm"]}, "actions"),
    ({"labels": ["Ship it"]}, "labels"),
    ({"labels": {"approve": "Ship it"}}, "labels"),
    ({"labels": {"confirm": 1}}, "labels.confirm"),
    ({"labels": {"confirm": ""}}, "labels.confirm"),
    ({"labels": {"confirm": "x" * 31}}, "labels.confirm"),
    ({"labels": {"confirm": "Ship\nit"}}, "labels.confirm"),
    ({"labels": {"confirm": "Ship \u202eit"}}, "labels.confirm"),
    ({"labels": {"confirm": "Cancel"}}, "labels.confirm"),
    ({"labels": {"cancel": "Freigeben"}}, "labels.cancel"),
    ({"inline": "yes"}, "inline"),
    ({"inline": 1}, "inline"),
    ({"inline_actions": ["edit"]}, "inline_actions"),
    ({"type": "approval", "inline_actions": ["edit"]}, "inline_actions"),
    ({"type": "approval", "actions": ["approve"], "inline_actions": ["reject"]}, "inline_actions"),
    ({"type": "input", "context": FORM, "inline_actions": ["submit"]}, "inline_actions"),
    ({"timeout": "9s"}, "timeout"),
    ({"timeout": "31d"}, "timeout"),
    ({"timeout": "soon"}, "timeout"),
    ({"timeout": 60}, "timeout"),
    ({"timeout": "1_0h"}, "timeout"),
    ({"default_action": "retry"}, "default_action"),
    ({"reminder_at": "tomorrow"}, "reminder_at"),
    ({"reminder_at": ["2030-01-01T10:00:00"]}, "reminder_at"),
    ({"reminder_at": ["0001-01-01T00:00:00+14:00"]}, "reminder_at"),
    ({"reminder_at": [1900000000]}, "reminder_at"),
    ({"reminder_at": ["2030-01-01T10:00:00Z"] * 21}, "reminder_at"),
    ({"previous_case_id": "review_unknown"}, "previous_case_id"),
    ({"previous_case_id": "../etc"}, "previous_case_id"),
    ({"notify": "slack:C0APPROVE"}, "notify"),
    ({"notify": ["slack:approvals"]}, "notify[0]"),
    ({"notify": ["slack:C0APPROVE", "telegram:@channel"]}, "notify[1]"),
    ({"notify": ["email:reviewer@example.com"]}, "notify[0]"),
    ({"notify": ["slack:C0APPROVE"] * 21}, "notify"),
    ({"reviewers": {"any_of": []}}, "reviewers.any_of"),
    ({"reviewers": {"any_of": ["everybody"]}}, "reviewers.any_of[0]"),
    ({"reviewers": {"any_of": ["link", "slack:C0APPROVE"]}}, "reviewers.any_of[1]"),
    ({"reviewers": {"any_of": ["telegram:@name"]}}, "reviewers.any_of[0]"),
    ({"reviewers": {"who": ["link"]}}, "reviewers.who"),
    ({"requested_by": ""}, "requested_by"),
    ({"requested_by": "x" * 201}, "requested_by"),
    ({"requested_by": {"platform": "slack"}}, "requested_by.platform_user_id"),
    ({"requested_by": {"platform": "slack", "platform_user_id": "U1", "email": "a@b"}}, "requested_by.email"),
    ({"source_id": "src_unknown"}, "source_id"),
    ({"blocks": [BLOCK, BLOCK]}, "blocks[1].id"),
    ({"blocks": [BLOCK | {"type": "html"}]}, "blocks[0].type"),
    ({"blocks": [BLOCK | {"content": {"a": 1}}]}, "blocks[0].content"),
    ({"blocks": [{"id": "draft", "type": "json"}]}, "blocks[0].content"),
    ({"blocks": [BLOCK | {"editable": "no"}]}, "blocks[0].editable"),
    ({"metadata": "trace"}, "metadata"),
    ({"spec_version": "0.5"}, "spec_version"),
    ({"grace_period": 300}, "grace_period"),
    ({"grace_period": False}, "grace_period"),
    ({"grace_period": "soon"}, "grace_period"),
]  # fmt: skip
WRONG_PEOPLE: list[tuple[dict[str, Any], str]] = [
    ({"escalation_chain": [{"after": "1h"}]}, "escalation_chain[0]"),
    ({"escalation_chain": [{"after": "48h", "notify": ["slack:U0LEAD"]}]}, "escalation_chain[0].after"),
    (
        {"escalation_chain": [{"after": "2h", "notify": ["slack:C1"]}, {"after": "1h", "notify": ["slack:C2"]}]},
        "escalation_chain[1].after",
    ),
    (
        {"escalation_chain": [{"after": "1h", "reviewers": {"any_of": ["channel"]}}]},
        "escalation_chain[0].reviewers.any_of[0]",
    ),
    ({"reviewers": {"separate_duties": ["author"]}}, "reviewers.separate_duties[0]"),
    ({"reviewers": {"any_of": ["slack:s0group"]}}, "reviewers.any_of[0]"),
    ({"reviewers": {"any_of": ["group:Legal Team"]}}, "reviewers.any_of[0]"),
    ({"reviewers": {"any_of": ["group:legal"]}}, "reviewers.any_of"),
]


async def test_what_can_be_answered_inline_comes_with_a_submit_token_and_nothing_else_does(agent: Client) -> None:
    for fields, inline in INLINE:
        hitl = await agent.case(**fields)
        assert inline == hitl.get("inline_actions"), fields
        assert (inline is not None) == ("submit_url" in hitl) == ("submit_token" in hitl)


async def test_the_answer_tells_the_agent_everything_it_needs(agent: Client, server: Server) -> None:
    response = await agent.open(message="It goes out at noon.", context={"readers": 4200})
    assert 202 == response.status_code
    assert "30" == response.headers["retry-after"]
    assert "application/json" == response.headers["content-type"]
    assert "no-store" == response.headers["cache-control"]
    body = response.json()
    assert ("human_input_required", "It goes out at noon.") == (body["status"], body["message"])
    hitl = body["hitl"]
    base = f"{server.url}/api/hitl/cases/{hitl['case_id']}"
    assert (
        f"{server.url}/en/hitl/review/{hitl['case_id']}?token=" == hitl["review_url"].partition("token=")[0] + "token="
    )
    assert [f"{base}/status", f"{base}/events", f"{base}/respond"] == [
        hitl[k] for k in ("poll_url", "events_url", "submit_url")
    ]
    assert {"readers": 4200} == hitl["context"]
    assert ("24h", "skip", None, "0.6") == (
        hitl["timeout"],
        hitl["default_action"],
        hitl["callback_url"],
        hitl["spec_version"],
    )
    assert 1 == len(hitl["reminder_at"])


async def test_every_field_of_the_contract_is_taken(agent: Client, server: Server) -> None:
    admin = await server.client("admin")
    source = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    earlier = await agent.case()
    hitl = await agent.case(
        type="approval",
        message="Please look at the numbers first.",
        context={"readers": 4200, **FORM},
        actions=["reject", "approve"],
        labels={"approve": "Send it", "reject": "Hold back"},
        language="de",
        inline=True,
        inline_actions=["approve"],
        timeout="P2D",
        default_action="reject",
        reminder_at=["2030-01-02T10:00:00+02:00", "2030-01-01T10:00:00Z"],
        hitl_callback_url=None,
        previous_case_id=earlier["case_id"],
        notify=["slack:C0APPROVE", "slack:U0LEAD", "telegram:-1001234/7", "telegram:42"],
        reviewers={
            "any_of": ["channel", "link", "slack:U0LEAD", "telegram:42"],
            "quorum": 1,
            "exclude_requester": True,
        },
        requested_by={"platform": "slack", "platform_user_id": "U0ASKER", "display_name": "Asker"},
        source_id=source,
        blocks=[BLOCK, {"id": "plan", "label": "Plan", "type": "json", "content": {"a": [1]}, "editable": True}],
        grace_period="0s",
        metadata={"trace_id": "t-1"},
        spec_version="0.8",
    )
    assert ("P2D", "reject", "0.8") == (hitl["timeout"], hitl["default_action"], hitl["spec_version"])
    assert earlier["case_id"] == hitl["previous_case_id"]
    assert ["2030-01-01T10:00:00.000Z", "2030-01-02T08:00:00.000Z"] == hitl["reminder_at"]
    cards = await server.services.views.cards(hitl["case_id"])
    assert {"slack:C0APPROVE", "slack:U0LEAD", "telegram:-1001234/7", "telegram:42"} == {
        str(card.address) for card in cards
    }


async def test_null_means_the_same_as_leaving_a_field_out(agent: Client) -> None:
    optional = (
        "message context actions labels language inline inline_actions timeout default_action reminder_at "
        "hitl_callback_url previous_case_id notify reviewers requested_by source_id blocks grace_period metadata "
        "spec_version verification_policy"
    )
    with_nulls = await agent.case(**dict.fromkeys(optional.split()))
    assert {"a": 1} == (await agent.case(context={"form": None, "a": 1}))["context"]
    without = await agent.case()
    for name in ("timeout", "default_action", "context", "inline_actions", "spec_version"):
        assert without[name] == with_nulls[name]


async def test_a_wrong_field_is_named_and_nothing_is_written(agent: Client, database_url: str) -> None:
    before = await row_counts(database_url)
    for fields, named in WRONG:
        response = await agent.open(**fields)
        assert (400, "invalid_body", named) == (response.status_code, *_error(response)), f"{fields}: {response.text}"
        assert named.rpartition(".")[2].partition("[")[0] in response.json()["message"]
    assert before == await row_counts(database_url)


async def test_people_and_chains_that_cannot_be_are_refused_by_name(agent: Client, database_url: str) -> None:
    before = await row_counts(database_url)
    for fields, named in WRONG_PEOPLE:
        response = await agent.open(**fields)
        assert (400, "invalid_body", named) == (response.status_code, *_error(response)), f"{fields}: {response.text}"
    assert before == await row_counts(database_url)


def _error(response: httpx.Response) -> tuple[str, str | None]:
    return response.json()["error"], response.json().get("field")


async def test_a_missing_field_is_named(agent: Client) -> None:
    body = {"type": "confirmation", "prompt": "Send?"}
    for missing in body:
        left = {name: value for name, value in body.items() if name != missing}
        response = await agent.http.post("/api/hitl/cases", json=left)
        assert (400, f"{missing} is missing") == (response.status_code, response.json()["message"])


async def test_a_body_that_is_no_json_object_is_refused(agent: Client) -> None:
    for body in (b"", b"[]", b"null", b'"text"', b"{", b"\xff\xfe", b'{"type":"confirmation"'):
        response = await agent.http.post("/api/hitl/cases", content=body)
        assert (400, "invalid_body") == (response.status_code, response.json()["error"])


async def test_a_short_case_gets_no_reminder(agent: Client) -> None:
    assert [] == (await agent.case(timeout="11h"))["reminder_at"]
    assert [] == (await agent.case(timeout="7d", reminder_at=[]))["reminder_at"]
    assert ["2030-01-01T10:00:00.000Z"] == (await agent.case(reminder_at="2030-01-01T10:00:00Z"))["reminder_at"]


async def test_the_server_names_its_own_version_where_the_request_names_none(sqlite_url: str) -> None:
    async with running(sqlite_url, spec_version="0.7", public_url="https://assent.example") as server:
        agent = await server.client()
        hitl = (await agent.open()).json()["hitl"]
        assert ("0.7", "https://assent.example") == (hitl["spec_version"], hitl["poll_url"].partition("/api")[0])
        assert "0.6" == (await agent.case(spec_version="0.6"))["spec_version"]


async def test_a_new_round_shows_on_the_earlier_case(agent: Client) -> None:
    first = await agent.case()
    before = await agent.poll(first)
    second = await agent.case(previous_case_id=first["case_id"])
    after = await agent.poll(first)
    assert "next_case_id" not in before.json()
    assert second["case_id"] == after.json()["next_case_id"]
    assert before.headers["etag"] != after.headers["etag"]


async def test_a_case_of_a_source_goes_to_its_chats_and_reviewers(agent: Client, server: Server) -> None:
    admin = await server.client("admin")
    made = {"name": "Deploys", "notify": ["slack:C0DEPLOY"], "reviewers": {"any_of": ["slack:U0LEAD"]}}
    source = (await admin.http.post("/sources", json=made)).json()["id"]
    hitl = await agent.case(type="approval", source_id=source)
    assert ["slack:C0DEPLOY"] == [str(card.address) for card in await server.services.views.cards(hitl["case_id"])]
    assert "not_a_reviewer" == (await agent.tap(hitl, "approve")).json()["error"]
    assert [] == await server.services.views.cards((await agent.case(source_id=source, notify=[]))["case_id"])


# --- sending twice


async def test_the_same_request_twice_gets_the_same_answer_byte_for_byte(agent: Client, database_url: str) -> None:
    first = await agent.open({"Idempotency-Key": "newsletter-7"})
    written = await row_counts(database_url)
    again = await agent.open({"Idempotency-Key": "newsletter-7"})
    assert (202, first.content, "30") == (again.status_code, again.content, again.headers["retry-after"])
    assert written == await row_counts(database_url)
    tapped = await agent.tap(again.json()["hitl"], "confirm")
    assert 200 == tapped.status_code


async def test_the_same_key_with_another_body_is_a_mismatch(agent: Client, database_url: str) -> None:
    await agent.open({"Idempotency-Key": "newsletter-7"})
    written = await row_counts(database_url)
    other = await agent.open({"Idempotency-Key": "newsletter-7"}, prompt="Send another one?")
    assert (409, "idempotency_mismatch") == (other.status_code, other.json()["error"])
    assert written == await row_counts(database_url)


async def test_the_same_request_many_times_at_once_opens_one_case(agent: Client, database_url: str) -> None:
    async def ask() -> httpx.Response:
        return await until_answered(lambda: agent.open({"Idempotency-Key": "at-once"}))

    answers = await asyncio.gather(*(ask() for _ in range(12)))
    assert {202} == {answer.status_code for answer in answers}
    assert 1 == len({answer.content for answer in answers})
    assert 1 == (await row_counts(database_url))["cases"]


async def test_an_idempotency_key_belongs_to_its_tenant(agent: Client, server: Server) -> None:
    stranger = await server.client(tenant="7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    mine = await agent.open({"Idempotency-Key": "one"})
    theirs = await stranger.open({"Idempotency-Key": "one"}, prompt="Something else?")
    assert (202, 202) == (mine.status_code, theirs.status_code)
    assert mine.json()["hitl"]["case_id"] != theirs.json()["hitl"]["case_id"]


async def test_an_unusable_idempotency_key_is_refused(agent: Client) -> None:
    for key in ("", "two words", "x" * 256, "tab\there", "naïve"):
        headers = {b"Idempotency-Key": key.encode("latin-1")}
        response = await agent.http.post(
            "/api/hitl/cases", json={"type": "confirmation", "prompt": "?"}, headers=headers
        )
        assert (400, "Idempotency-Key") == (response.status_code, response.json()["field"])


# --- whose request it is


async def test_without_a_known_key_nothing_is_opened(server: Server, database_url: str) -> None:
    nobody = server.nobody()
    before = await row_counts(database_url)
    for given in (None, "Bearer", "Bearer ak_unknown", "Basic abc", "ak_unknown", "Bearer ключ"):
        headers = {} if given is None else {b"Authorization": given.encode()}
        response = await nobody.http.post(
            "/api/hitl/cases", json={"type": "confirmation", "prompt": "?"}, headers=headers
        )
        assert (401, "unauthorized") == (response.status_code, response.json()["error"])
        assert "Bearer" == response.headers["www-authenticate"]
    assert before == await row_counts(database_url)


async def test_a_key_of_another_scope_opens_reads_and_withdraws_nothing(agent: Client, server: Server) -> None:
    hitl = await agent.case()
    scopes: tuple[Scope, ...] = ("executor", "reviewer")
    for scope in scopes:
        other = await server.client(scope)
        answers = [await other.open(), await other.poll(hitl), await other.http.get(hitl["events_url"])]
        answers.append(await other.http.post(leaf(hitl, "cancel")))
        assert [(403, "forbidden")] * 4 == [(answer.status_code, answer.json()["error"]) for answer in answers]


async def test_an_admin_may_open_a_case(server: Server) -> None:
    assert 202 == (await (await server.client("admin")).open()).status_code
