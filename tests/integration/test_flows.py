"""Flows over HTTP: every path through `cv-simple`, and what a flow refuses."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.hitl import draft_of as read_draft
from bot.flows import SHIPPED
from core.flows import Submitted
from core.model import Draft, Opened
from core.oracles import Oracles
from core.sealing import KeyRing
from core.states import Status
from tests.support import schemas
from tests.support.creating import until_answered
from tests.support.databases import rows
from tests.support.server import (  # noqa: F401 (fixtures)
    SECRET,
    Client,
    Server,
    agent_fixture,
    leaf,
    review_token,
    running,
    server_fixture,
    until,
)

FLOW = "/api/agent/cv-simple"
CV = {"firstName": "Alex", "lastName": "Johnson", "title": "Software Engineer", "email": "alex@example.com"}
OTHER_TENANT = "6f1c3c1e-3d1c-4c39-9d53-0f8d53c3a001"
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "context": ("confirm", {}),
    "data_review": ("confirm", {}),
    "data_input": ("submit", {"firstName": "Alex", "lastName": "Johnson"}),
    "slug": ("select", {"selected": ["dev"]}),
    "template": ("select", {"selected": ["007"]}),
    "approval": ("approve", {}),
}


class Runner:
    """An agent that runs a flow, and the reviewer who answers it. `seen`: the steps that were asked, in their order."""

    def __init__(self, agent: Client, path: str = FLOW) -> None:
        self.agent = agent
        self.path = path
        self.seen: list[str] = []
        # Under version 0.6 this door says more than the public schemas hold; what it says is checked here instead.
        self.plain = httpx.AsyncClient(
            base_url=agent.http.base_url, headers=agent.http.headers, timeout=35, trust_env=False
        )

    async def post(self, headers: dict[str, str] | None = None, /, **body: Any) -> httpx.Response:
        return await self.plain.post(self.path, json=body, headers=headers or {})

    async def ask(self, headers: dict[str, str] | None = None, /, **body: Any) -> dict[str, Any]:
        """The `hitl` object of the next case."""
        answer = await self.post(headers, prefer_hitl=True, **body)
        assert 202 == answer.status_code, answer.text
        found: dict[str, Any] = answer.json()["hitl"]
        standard = {name: value for name, value in found.items() if name != "surface_data"}
        assert [] == schemas.problems("hitl-object", standard, found["spec_version"])
        self.seen.append(found["surface_data"]["step"])
        return found

    async def go_on(self, hitl: dict[str, Any], **body: Any) -> dict[str, Any]:
        return await self.ask(hitl_continue_case_id=hitl["case_id"], **body)

    async def refused(self, **body: Any) -> dict[str, Any]:
        """The body of a 409."""
        answer = await self.post(**body)
        assert 409 == answer.status_code, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def answer(self, hitl: dict[str, Any], action: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer on the review page; the poll's result."""
        answer = await self.agent.submit(hitl, action, data)
        assert 200 == answer.status_code, answer.text
        return await self.result(hitl)

    async def tap(self, hitl: dict[str, Any], action: str, **fields: Any) -> dict[str, Any]:
        answer = await self.agent.tap(hitl, action, **fields)
        assert 200 == answer.status_code, answer.text
        return await self.result(hitl)

    async def result(self, hitl: dict[str, Any]) -> dict[str, Any]:
        poll = (await self.plain.get(hitl["poll_url"])).json()
        found: dict[str, Any] = poll["result"]
        return found

    async def until(self, step: str, hitl: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Answer what comes until this step is asked."""
        while self.seen[-1] != step:
            await self.answer(hitl, *ANSWERS[self.seen[-1]])
            hitl = await self.go_on(hitl, **body)
        return hitl

    async def approval(self, **body: Any) -> dict[str, Any]:
        return await self.until("approval", await self.ask(**{"cv_data": CV} | body))

    async def finish(self, hitl: dict[str, Any], **body: Any) -> dict[str, Any]:
        answer = await self.post(hitl_approved_case_id=hitl["case_id"], **body)
        assert 201 == answer.status_code, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def cv(agent: Client) -> AsyncIterator[Runner]:
    runner = Runner(agent)
    yield runner
    await runner.plain.aclose()


# --- the whole way, and its shortcuts


async def test_the_whole_flow_from_the_first_question_to_the_address(cv: Runner, server: Server) -> None:
    first = await cv.ask(cv_data=CV)
    assert ("confirmation", ["confirm", "cancel"]) == (first["type"], first["inline_actions"])
    assert {"action": "confirm", "data": {"selected_option": "for_self"}} == await cv.tap(first, "confirm")

    review = await cv.go_on(first, cv_data=CV)
    assert first["case_id"] == review["previous_case_id"]
    assert review["case_id"] == (await cv.agent.poll(first)).json()["next_case_id"]
    await cv.tap(review, "confirm")

    slug = await cv.go_on(review, cv_data=CV)
    assert ("selection", "slug") == (slug["type"], slug["surface_data"]["selection_type"])
    assert "slug" == slug["context"]["selection_type"]
    assert "submit_url" not in slug
    assert ["alex-johnson", "johnson", "software-engineer", "dev"] == [x["id"] for x in slug["context"]["items"]][:4]
    chosen = await cv.answer(slug, "select", {"selected": ["dev"], "note": "short"})
    assert {"selected": ["dev"], "selected_slug": "dev", "note": "short"} == chosen["data"]

    template = await cv.go_on(slug, slug="dev", cv_data=CV)
    assert ("template", True) == (template["context"]["selection_type"], template["context"]["template_selection"])
    chosen = await cv.answer(template, "select", {"selected": ["007"]})
    assert "007" == chosen["data"]["selected_template_id"]

    approval = await cv.go_on(template, slug="dev", template_id="007", cv_data=CV)
    assert ["approve", "reject"] == approval["inline_actions"]
    assert {"address": f"{server.url}/cv/dev", "template": "007", "recipient": "for_self"} == approval["context"]
    await cv.tap(approval, "approve")

    done = await cv.finish(approval)
    assert f"{server.url}/cv/dev" == done["url"]
    assert 43 == len(done["claim_token"])
    assert {"url", "claim_token"} == set(done)
    assert ["context", "data_review", "slug", "template", "approval"] == cv.seen


async def test_what_a_flow_leaves_in_the_ledger_is_whole(cv: Runner, server: Server, database_url: str) -> None:
    approval = await cv.approval()
    await cv.answer(approval, "approve")  # could be revised for a while, and is decided by the finish
    await cv.finish(approval)
    decided = await rows(database_url, f"SELECT verdict FROM decisions WHERE case_id = '{approval['case_id']}'")
    assert [{"verdict": "APPROVE"}] == decided
    assert [] == await Oracles(server.database, KeyRing([SECRET])).findings()


async def test_all_cases_of_a_run_share_a_workflow_and_each_step_is_its_gate(cv: Runner, database_url: str) -> None:
    approval = await cv.approval()
    await cv.answer(approval, "edit", {"feedback": "shorter"})
    await cv.go_on(approval)
    found = await rows(database_url, "SELECT workflow_id, gate_key FROM cases ORDER BY created_at")
    assert 1 == len({row["workflow_id"] for row in found})
    assert ["context", "data_review", "slug", "template", "approval", "approval.2"] == [x["gate_key"] for x in found]


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, ["context", "data_review", "slug", "template", "approval"]),
        ({"slug": "alex"}, ["context", "data_review", "template", "approval"]),
        ({"template_id": "002"}, ["context", "data_review", "slug", "approval"]),
        ({"slug": "alex", "template_id": "002"}, ["context", "data_review", "approval"]),
        ({"hitl_step": "slug"}, ["slug", "template", "approval"]),
        ({"hitl_step": "slug", "slug": "alex"}, ["slug", "template", "approval"]),
        ({"hitl_step": "data_input"}, ["data_input", "slug", "template", "approval"]),
        ({"hitl_step": "data_review", "slug": "alex"}, ["data_review", "template", "approval"]),
        ({"hitl_step": "template"}, ["template", "approval"]),
        ({"hitl_step": "approval"}, ["approval"]),
        ({"hitl_step": "context"}, ["context", "data_review", "slug", "template", "approval"]),
        ({"cv_data": {}}, ["context", "data_input", "slug", "template", "approval"]),
        ({"prefer_hitl": True, "skip_hitl": False}, ["context", "data_review", "slug", "template", "approval"]),
    ],
    ids=str,
)
async def test_what_the_agent_provides_decides_which_steps_are_asked(
    cv: Runner, given: dict[str, Any], steps: list[str]
) -> None:
    hitl = await cv.until(
        "approval", await cv.ask(**{"cv_data": CV} | {k: v for k, v in given.items() if k != "prefer_hitl"})
    )
    await cv.answer(hitl, "approve")
    assert "claim_token" in await cv.finish(hitl)
    assert steps == cv.seen


async def test_nothing_but_the_wish_for_a_human_asks_for_the_data_in_a_form(cv: Runner) -> None:
    first = await cv.ask()
    await cv.tap(first, "confirm")
    form = await cv.go_on(first)
    assert ("input", "data_input") == (form["type"], cv.seen[-1])
    await cv.answer(form, "submit", {"firstName": "Zoë", "lastName": "van Dam"})
    slug = await cv.go_on(form)
    assert "zoe-van-dam" == slug["context"]["items"][0]["id"]


async def test_an_input_given_on_the_way_skips_its_step(cv: Runner) -> None:
    first = await cv.ask(cv_data=CV)
    await cv.tap(first, "confirm")
    review = await cv.go_on(first, slug="alex")
    await cv.tap(review, "confirm")
    template = await cv.go_on(review, template_id=None)
    assert "template" == cv.seen[-1]
    await cv.answer(template, "select", {"selected": ["001"]})
    approval = await cv.go_on(template)
    assert "/cv/alex" in approval["context"]["address"]


async def test_creating_without_a_human_answers_at_once(cv: Runner, server: Server) -> None:
    made = await cv.post(skip_hitl=True, cv_data=CV)
    assert 201 == made.status_code
    assert f"{server.url}/cv/alex-johnson" == made.json()["url"]
    named = await cv.post(skip_hitl=True, cv_data=CV, slug="alex")
    assert f"{server.url}/cv/alex" == named.json()["url"]
    assert made.json()["claim_token"] != named.json()["claim_token"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "prefer_hitl", "choose"),
        ({"cv_data": CV}, "prefer_hitl", "choose"),
        ({"prefer_hitl": False}, "prefer_hitl", "choose"),
        ({"prefer_hitl": True, "skip_hitl": True}, "skip_hitl", "exclude each other"),
        ({"prefer_hitl": True, "hitl_approved_case_id": "review_x"}, "hitl_approved_case_id", "exclude each other"),
        ({"skip_hitl": True, "hitl_step": "slug"}, "hitl_step", "prefer_hitl"),
        ({"hitl_approved_case_id": "review_x", "hitl_continue_case_id": "review_x"}, "hitl_continue_case_id", "prefer"),
        ({"prefer_hitl": "yes"}, "prefer_hitl", "true or false"),
        ({"prefer_hitl": True, "cv": {}}, "cv", "not a known field"),
        ({"prefer_hitl": True, "cv_data": []}, "cv_data", "object"),
        ({"prefer_hitl": True, "slug": "Not A Slug"}, "slug", "small letters"),
        ({"prefer_hitl": True, "slug": 7}, "slug", "text"),
        ({"prefer_hitl": True, "template_id": "099"}, "template_id", "001, 002, 003, 007"),
        ({"prefer_hitl": True, "hitl_step": "escalation"}, "hitl_step", "context, data_review, data_input"),
        ({"prefer_hitl": True, "hitl_step": "nowhere"}, "hitl_step", "context, data_review, data_input"),
        ({"prefer_hitl": True, "timeout": "soon"}, "timeout", "duration"),
        ({"prefer_hitl": True, "notify": ["email:a@b.example"]}, "notify[0]", "slack:"),
        ({"prefer_hitl": True, "source_id": "src_unknown"}, "source_id", "no such source"),
        ({"prefer_hitl": True, "hitl_step": "approval", "cv_data": {"firstName": "Alex"}}, "slug", "missing"),
        ({"prefer_hitl": True, "hitl_step": "approval", "slug": "a"}, "cv_data", "missing"),
        ({"prefer_hitl": True, "hitl_step": "data_review"}, "cv_data", "missing"),
        ({"skip_hitl": True}, "cv_data", "missing"),
        ({"skip_hitl": True, "cv_data": {"firstName": "李"}}, "slug", "missing"),
        (
            {"prefer_hitl": True, "hitl_data_override": {}, "hitl_cv_data_override": {}},
            "hitl_cv_data_override",
            "another name",
        ),
        ({"prefer_hitl": True, "cv_data": {"text": "x" * 210_000}}, "cv_data", "200 KiB"),
    ],
    ids=str,
)
async def test_what_is_not_a_request_is_refused_with_the_field_and_what_to_do(
    cv: Runner, body: dict[str, Any], field: str, words: str, database_url: str
) -> None:
    answer = await cv.post(**body)
    assert (400, "invalid_body", field) == (answer.status_code, answer.json()["error"], answer.json()["field"])
    assert words in answer.json()["message"]
    assert [] == await rows(database_url, "SELECT workflow_id FROM flow_runs")


# --- the edit cycle, rejections, corrections


async def test_an_edit_leads_to_approval_again_with_what_was_changed(cv: Runner, server: Server) -> None:
    approval = await cv.approval()
    edited = await cv.answer(approval, "edit", {"feedback": "Say Principal Engineer"})
    assert {"action": "edit", "note": "Say Principal Engineer"} == {k: edited[k] for k in ("action", "note")}
    assert "Say Principal Engineer" == edited["data"]["note"]
    assert "approval is still missing" in (await cv.refused(hitl_approved_case_id=approval["case_id"]))["message"]
    again = await cv.go_on(approval, cv_data=CV | {"title": "Principal Engineer"}, slug="alex-j")
    assert ("approval", approval["case_id"]) == (cv.seen[-1], again["previous_case_id"])
    shown = (await server.services.views.case(cv.agent.principal.tenant_id, again["case_id"])).content  # type: ignore[union-attr]
    assert "Principal Engineer" == shown["blocks"][0]["content"]["title"]
    assert f"{server.url}/cv/alex-j" == shown["context"]["address"]
    assert "Say Principal Engineer" == shown["context"]["your_last_note"]
    await cv.answer(again, "approve")
    assert f"{server.url}/cv/alex-j" == (await cv.finish(again))["url"]


async def test_a_rejection_leads_to_an_escalation_that_offers_retry_skip_and_abort(cv: Runner) -> None:
    approval = await cv.approval()
    rejected = await cv.tap(approval, "reject", data={"note": "Wrong data"})
    assert {"action": "reject", "note": "Wrong data", "data": {"note": "Wrong data"}} == rejected
    assert "escalation is still missing" in (await cv.refused(hitl_approved_case_id=approval["case_id"]))["message"]
    jumping = {"prefer_hitl": True, "hitl_continue_case_id": approval["case_id"], "hitl_step": "approval"}
    assert "leave hitl_step out" in (await cv.refused(**jumping))["message"]
    escalation = await cv.go_on(approval)
    assert ("escalation", ["retry", "skip", "abort"]) == (escalation["type"], escalation["inline_actions"])
    assert ("1", "Wrong data") == (str(escalation["context"]["rejections"]), escalation["context"]["reason"])


async def test_after_three_rejections_retry_is_not_offered(cv: Runner, server: Server) -> None:
    hitl = await cv.approval()
    for round_ in (1, 2, 3):
        await cv.tap(hitl, "reject")
        hitl = await cv.go_on(hitl)
        expected = ["retry", "skip", "abort"] if round_ < 3 else ["skip", "abort"]
        assert expected == hitl["inline_actions"]
        if round_ < 3:
            await cv.tap(hitl, "retry", data={"reason": "try a shorter one"})
            hitl = await cv.go_on(hitl)
    refused = await cv.agent.tap(hitl, "retry")
    assert (403, "action_not_inline") == (refused.status_code, refused.json()["error"])
    page = await cv.agent.submit(hitl, "retry")
    assert (400, "invalid_action") == (page.status_code, page.json()["error"])
    await cv.tap(hitl, "skip")
    assert f"{server.url}/cv/dev" == (await cv.finish(hitl))["url"]


async def test_an_abort_ends_the_flow(cv: Runner) -> None:
    approval = await cv.approval()
    await cv.tap(approval, "reject")
    escalation = await cv.go_on(approval)
    await cv.tap(escalation, "abort")
    for body in (
        {"hitl_approved_case_id": escalation["case_id"]},
        {"prefer_hitl": True, "hitl_continue_case_id": escalation["case_id"]},
        {"prefer_hitl": True, "hitl_continue_case_id": escalation["case_id"], "hitl_step": "approval"},
    ):
        found = await cv.refused(**body)
        assert ("flow_not_ready", "abort", "escalation") == (found["error"], found["action"], found["step"])
        assert "begin anew" in found["message"]


@pytest.mark.parametrize("name", ["hitl_cv_data_override", "hitl_data_override"])
async def test_what_a_human_corrected_wins_over_the_data_then_and_later(cv: Runner, server: Server, name: str) -> None:
    first = await cv.ask(cv_data=CV)
    await cv.tap(first, "confirm")
    review = await cv.go_on(first)
    await cv.tap(review, "cancel")
    form = await cv.go_on(review)
    assert ("data_input", "Alex") == (cv.seen[-1], form["context"]["form"]["fields"][0]["default"])
    entered = {"firstName": "Alexandra", "lastName": "Johnson", "title": "Senior Engineer"}
    await cv.answer(form, "submit", entered)
    slug = await cv.go_on(form, cv_data=CV, **{name: {"title": "Senior Engineer"}})
    assert "alexandra-johnson" == slug["context"]["items"][0]["id"]
    approval = await cv.until("approval", slug, cv_data=CV)
    shown = (await server.services.views.case(cv.agent.principal.tenant_id, approval["case_id"])).content  # type: ignore[union-attr]
    assert entered == shown["blocks"][0]["content"]  # the e-mail address was emptied in the form


async def test_for_whom_the_cv_is_can_be_said_by_either_button_or_named(cv: Runner) -> None:
    other = await cv.ask(cv_data=CV)
    assert "for_someone_else" == (await cv.tap(other, "cancel"))["data"]["selected_option"]
    named = await cv.ask(cv_data=CV)
    data = {"selected_option": "for_someone_else"}
    assert {"action": "confirm", "data": data} == await cv.tap(named, "confirm", data=data)
    await cv.go_on(other)
    wrong = await cv.agent.tap(await cv.ask(cv_data=CV), "confirm", data={"selected_option": "for_nobody"})
    assert (400, "invalid_data") == (wrong.status_code, wrong.json()["error"])


async def test_a_selection_may_be_answered_by_its_own_name_alone(cv: Runner) -> None:
    slug = await cv.ask(cv_data=CV, hitl_step="slug")
    found = await cv.answer(slug, "select", {"selected_slug": "dev"})
    assert {"selected_slug": "dev", "selected": ["dev"]} == found["data"]
    wrong = await cv.agent.submit(await cv.ask(cv_data=CV, hitl_step="slug"), "select", {"selected_slug": "nope"})
    assert 400 == wrong.status_code


async def test_the_page_answers_a_selection_without_a_script(cv: Runner) -> None:
    slug = await cv.ask(cv_data=CV, hitl_step="slug")
    form = {"token": review_token(slug), "action": "select", "selected": "johnson", "note": "short"}
    page = await cv.agent.page.post(slug["review_url"].partition("?")[0], data=form)
    assert 200 == page.status_code
    expected = {"selected": ["johnson"], "selected_slug": "johnson", "note": "short"}
    assert {"action": "select", "note": "short", "data": expected} == await cv.result(slug)


async def test_the_agent_cannot_say_something_else_than_the_reviewer_chose(cv: Runner) -> None:
    slug = await cv.ask(cv_data=CV, hitl_step="slug")
    await cv.answer(slug, "select", {"selected": ["dev"]})
    other = await cv.post(prefer_hitl=True, hitl_continue_case_id=slug["case_id"], slug="mine")
    assert (400, "slug") == (other.status_code, other.json()["field"])
    assert "dev" in other.json()["message"]
    await cv.go_on(slug, slug="dev")


# --- what cannot go on, and what then


async def test_a_step_that_is_not_answered_yet_is_waited_for(cv: Runner) -> None:
    first = await cv.ask(cv_data=CV)
    for body in (
        {"prefer_hitl": True, "hitl_continue_case_id": first["case_id"]},
        {"hitl_approved_case_id": first["case_id"]},
    ):
        found = await cv.refused(**body)
        assert ("flow_not_ready", "pending", first["case_id"]) == (found["error"], found["status"], found["case_id"])
        assert "not been answered yet" in found["message"]


async def test_a_step_that_expired_can_be_asked_again(cv: Runner, server: Server) -> None:
    slug = await cv.ask(cv_data=CV, hitl_step="slug", timeout="10m")
    server.clock.forward(hours=1)

    async def expired() -> bool:
        assert cv.agent.principal is not None
        case = await server.services.views.case(cv.agent.principal.tenant_id, slug["case_id"])
        return case.status is Status.EXPIRED

    await until(expired)
    found = await cv.refused(prefer_hitl=True, hitl_continue_case_id=slug["case_id"])
    assert ("expired", "slug") == (found["status"], found["step"])
    assert "hitl_step: slug" in found["message"]
    again = await cv.go_on(slug, hitl_step="slug")
    assert slug["case_id"] == again["previous_case_id"]
    assert "10m" == again["timeout"]  # said once, and kept
    await cv.answer(again, "select", {"selected": ["dev"]})
    await cv.go_on(again)


async def test_an_escalation_that_was_withdrawn_can_only_be_asked_again(cv: Runner) -> None:
    approval = await cv.approval()
    await cv.tap(approval, "reject")
    escalation = await cv.go_on(approval)
    await cv.agent.http.post(leaf(escalation, "cancel"))
    for jump in ({}, {"hitl_step": "approval"}):
        found = await cv.refused(prefer_hitl=True, hitl_continue_case_id=escalation["case_id"], **jump)
        assert ("cancelled", "escalation") == (found["status"], found["step"])
    again = await cv.go_on(escalation, hitl_step="escalation")
    assert ["retry", "skip", "abort"] == again["inline_actions"]


async def test_cases_that_are_not_of_this_flow_are_refused(cv: Runner, server: Server) -> None:
    hitl = await cv.ask(cv_data=CV)
    single = await cv.agent.case()
    stranger = Runner(await server.client("agent", OTHER_TENANT))
    for mode in ("hitl_continue_case_id", "hitl_approved_case_id"):
        more = {"prefer_hitl": True} if mode == "hitl_continue_case_id" else {}
        unknown = await cv.post(**{mode: "review_unknown"}, **more)
        foreign = await stranger.post(**{mode: hitl["case_id"]}, **more)
        assert (404, 404) == (unknown.status_code, foreign.status_code)
        assert unknown.json() == foreign.json()
        assert "of no flow" in (await cv.refused(**{mode: single["case_id"]}, **more))["message"]
    await stranger.plain.aclose()


async def test_only_the_last_case_finishes_and_twice_is_once(cv: Runner) -> None:
    approval = await cv.approval()
    await cv.answer(approval, "edit", {"note": "again"})
    again = await cv.go_on(approval)
    await cv.tap(again, "approve")
    assert again["case_id"] in (await cv.refused(hitl_approved_case_id=approval["case_id"]))["message"]
    assert "nothing is left" in (await cv.refused(prefer_hitl=True, hitl_continue_case_id=again["case_id"]))["message"]
    changed = await cv.refused(hitl_approved_case_id=again["case_id"], cv_data=CV | {"title": "CEO"})
    assert "something else" in changed["message"]
    first = await cv.finish(again, cv_data=CV)
    found = await asyncio.gather(*(cv.finish(again) for _ in range(10)))
    assert [first] * 10 == found
    over = await cv.refused(prefer_hitl=True, hitl_continue_case_id=again["case_id"], hitl_step="slug")
    assert "finished" in over["message"]


async def test_what_was_finished_or_continued_can_no_longer_be_revised(cv: Runner) -> None:
    first = await cv.ask(cv_data=CV, hitl_step="template")
    await cv.answer(first, "select", {"selected": ["001"]})
    await cv.answer(first, "select", {"selected": ["002"]})  # within the page's time for second thoughts
    approval = await cv.go_on(first)
    assert "002" == approval["context"]["template"]
    late = await cv.agent.submit(first, "select", {"selected": ["003"]})
    assert (409, "duplicate_submission") == (late.status_code, late.json()["error"])
    await cv.answer(approval, "approve")
    await cv.finish(approval)
    late = await cv.agent.submit(approval, "reject")
    assert (409, "duplicate_submission") == (late.status_code, late.json()["error"])


# --- another flow

RELEASE = """
flow: release
data: release
steps:
  - name: kind
    type: selection
    prompt: What is {data.name}?
    options: [{id: patch, label: A patch}, {id: major, label: A major version}]
    answers: {select: {kind: "{selected}"}}
    takes: {kind: kind}
    skip_if_given: kind
  - {name: go, type: x-go, prompt: "Go, {kind}?"}
inputs: {kind: {one_of: kind}}
result: {released: "{data.name}/{kind}"}
"""


async def test_another_flow_runs_from_its_file_alone(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "release.yaml").write_text(RELEASE)
    shutil.copy(SHIPPED / "cv-simple.yaml", tmp_path)
    async with running(database_url, flows_dir=str(tmp_path)) as server:
        agent = await server.client()
        release, cv = Runner(agent, "/api/agent/release"), Runner(agent)
        kind = await release.ask(release={"name": "1.4.1"})
        assert ("What is 1.4.1?", "selection") == (kind["prompt"], kind["type"])
        await release.answer(kind, "select", {"selected": ["patch"]})
        go = await release.go_on(kind)
        assert ("x-go", "Go, patch?") == (go["type"], go["prompt"])
        await release.answer(go, "submit", {"note": "go"})
        other = await cv.refused(prefer_hitl=True, hitl_continue_case_id=go["case_id"])
        assert "of the flow release, not of cv-simple" in other["message"]
        assert {"released": "1.4.1/patch"} == await release.finish(go)
        await release.plain.aclose()
        await cv.plain.aclose()


# --- twice, at once, after a restart


async def test_a_repeated_continue_gives_the_same_case_with_links_that_work(cv: Runner) -> None:
    first = await cv.ask(cv_data=CV)
    await cv.tap(first, "confirm")
    review = await cv.go_on(first)
    assert review == await cv.go_on(first)
    assert 200 == (await cv.agent.page.get(review["review_url"])).status_code
    await cv.tap(await cv.go_on(first), "confirm")
    elsewhere = {"prefer_hitl": True, "hitl_continue_case_id": first["case_id"]}
    for other in ({"hitl_step": "template"}, {"slug": "other"}, {"cv_data": {"firstName": "Kim"}}):
        found = await cv.refused(**elsewhere, **other)
        assert (review["case_id"], True) == (found["case_id"], "in another way" in found["message"])
    await cv.go_on(review)
    old = await cv.go_on(first)  # the flow has moved on: the case is the same, and is no longer tapped
    assert (review["case_id"], False) == (old["case_id"], "submit_token" in old)


async def test_twenty_that_continue_at_once_get_one_case(cv: Runner, database_url: str) -> None:
    first = await cv.ask(cv_data=CV)
    await cv.tap(first, "confirm")
    found = await asyncio.gather(*(cv.go_on(first, slug="alex") for _ in range(20)))
    assert [found[0]] * 20 == found
    assert 2 == len(await rows(database_url, "SELECT case_id FROM cases"))
    await cv.tap(found[7], "confirm")


async def test_an_answer_that_is_revised_while_the_agent_goes_on_decides_the_step(sqlite_url: str) -> None:
    async with running(sqlite_url) as server:
        agent = await server.client()
        cv = Runner(agent)
        review = await cv.ask(cv_data=CV, hitl_step="data_review")
        await cv.answer(review, "confirm")
        revisions = 0

        def draft_of(body: Any) -> Draft:  # called once the next step is chosen, and nothing is written yet
            nonlocal revisions
            if not revisions:
                revisions += 1
                result = json.dumps({"action": "cancel", "data": {}})
                with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
                    other.execute(
                        "UPDATE cases SET result = ?, version = version + 1 WHERE case_id = ?",
                        (result, review["case_id"]),
                    )
            return read_draft(server.services, body)

        flows = server.services.flows
        assert agent.principal is not None
        opened = await flows.ask(
            agent.principal, flows.get("cv-simple"), Submitted(), draft_of, after=review["case_id"], render=str
        )
        assert isinstance(opened, Opened)
        assert (1, "data_input") == (revisions, opened.case.gate_key)
        await cv.plain.aclose()


async def test_two_that_jump_to_different_steps_at_once_do_not_fork_the_flow(cv: Runner, database_url: str) -> None:
    first = await cv.ask(cv_data=CV)
    await cv.tap(first, "confirm")
    ways = ("slug", "template", "approval", "data_input") * 3
    answers = await asyncio.gather(
        *(cv.post(prefer_hitl=True, hitl_continue_case_id=first["case_id"], hitl_step=way) for way in ways)
    )
    cases = {answer.json()["hitl"]["case_id"] for answer in answers if answer.status_code == 202}
    assert {202, 409} == {answer.status_code for answer in answers}
    assert (1, 2) == (len(cases), len(await rows(database_url, "SELECT case_id FROM cases")))


async def test_the_same_key_gets_the_same_answer_and_another_body_does_not(cv: Runner, database_url: str) -> None:
    once, question = {"Idempotency-Key": "first"}, {"prefer_hitl": True, "cv_data": CV}
    asked = await asyncio.gather(*(until_answered(lambda: cv.post(once, **question)) for _ in range(2)))
    first, again = (answer.json()["hitl"] for answer in asked)
    assert first == again
    await cv.tap(first, "confirm")
    assert first == await cv.ask(once, cv_data=CV)
    other = await cv.post(once, prefer_hitl=True, cv_data=CV, slug="alex")
    assert (409, "idempotency_mismatch") == (other.status_code, other.json()["error"])
    create = partial(cv.post, {"Idempotency-Key": "made"}, skip_hitl=True, cv_data=CV)
    made = await asyncio.gather(*(until_answered(create) for _ in range(5)))
    assert {(201, made[0].text)} == {(one.status_code, one.text) for one in made}
    assert 2 == len(await rows(database_url, "SELECT workflow_id FROM flow_runs"))


async def test_a_flow_goes_on_after_a_restart(database_url: str) -> None:
    async with running(database_url, public_url="http://localhost:1") as before:
        agent = await before.client()
        cv = Runner(agent)
        first = await cv.ask(cv_data=CV)
        body = {"token": review_token(first), "result": {"action": "confirm", "data": {}}}
        await agent.page.post(f"/api/hitl/cases/{first['case_id']}/respond", json=body)
        await cv.plain.aclose()
    async with running(database_url, public_url="http://localhost:1") as after:
        headers = {"Authorization": f"Bearer {agent.key}"}
        async with httpx.AsyncClient(base_url=after.url, headers=headers, trust_env=False) as http:
            going_on = {"prefer_hitl": True, "hitl_continue_case_id": first["case_id"]}
            found = await http.post(FLOW, json=going_on)
            again = await http.post(FLOW, json=going_on)
    assert (202, "data_review") == (found.status_code, found.json()["hitl"]["surface_data"]["step"])
    assert found.content == again.content


# --- the door


async def test_the_key_may_stand_in_the_body(cv: Runner, server: Server) -> None:
    nobody, key = server.nobody(), cv.agent.key
    body = {"prefer_hitl": True, "cv_data": CV}
    assert 401 == (await nobody.http.post(FLOW, json=body)).status_code
    assert 401 == (await nobody.http.post(FLOW, json=body | {"access_id": "ak_wrong"})).status_code
    assert 401 == (await nobody.http.post(FLOW, json=body | {"access_id": 7})).status_code
    assert 202 == (await nobody.http.post(FLOW, json=body | {"access_id": key})).status_code
    assert 202 == (await cv.post(**body, access_id=key)).status_code
    two = await cv.post(**body, access_id=(await server.client()).key)
    assert (400, "access_id") == (two.status_code, two.json()["field"])
    executor = await server.client("executor")
    assert 403 == (await executor.http.post(FLOW, json=body)).status_code


async def test_a_flow_that_is_not_there_is_not_found(cv: Runner) -> None:
    answer = await cv.plain.post("/api/agent/cv-other", json={"prefer_hitl": True})
    assert (404, "not_found") == (answer.status_code, answer.json()["error"])
    assert 405 == (await cv.plain.get(FLOW)).status_code


@pytest.mark.parametrize("version", ["0.7", "0.8"])
async def test_from_0_7_on_the_answers_hold_what_the_public_schemas_allow(cv: Runner, version: str) -> None:
    answer = await cv.agent.http.post(FLOW, json={"prefer_hitl": True, "cv_data": CV, "spec_version": version})
    hitl = answer.json()["hitl"]
    assert [] == schemas.problems("hitl-object", hitl, version)
    assert "surface_data" not in hitl
    await cv.agent.tap(hitl, "confirm", data={"note": "go on"})
    poll = (await cv.agent.poll(hitl)).json()  # held against its schema on the way
    assert {"action": "confirm", "data": {"note": "go on", "selected_option": "for_self"}} == poll["result"]
    body = {"prefer_hitl": True, "hitl_continue_case_id": hitl["case_id"]}
    assert version == (await cv.agent.http.post(FLOW, json=body)).json()["hitl"]["spec_version"]


async def test_cards_reviewers_and_metadata_are_said_once_and_kept(cv: Runner, database_url: str) -> None:
    callback = "https://agent.example/hitl"
    terms = {"notify": ["slack:C0CV"], "reviewers": {"any_of": ["link"]}, "metadata": {"ticket": 7}}
    first = await cv.ask(cv_data=CV, hitl_callback_url=callback, **terms)
    await cv.answer(first, "confirm")
    second = await cv.go_on(first)
    assert [callback] * 2 == [first["callback_url"], second["callback_url"]]
    assert 2 == len(await rows(database_url, "SELECT card_id FROM cards WHERE channel = 'C0CV'"))


async def test_several_must_agree_where_a_button_is_pressed_and_one_chooses_where_something_is_chosen(
    cv: Runner,
) -> None:
    slug = await cv.ask(cv_data=CV, reviewers={"quorum": 2, "any_of": ["link", "slack:U0LEAD"]}, hitl_step="slug")
    await cv.answer(slug, "select", {"selected": ["dev"]})
    template = await cv.go_on(slug)
    await cv.answer(template, "select", {"selected": ["001"]})
    approval = await cv.go_on(template)
    one_of_two = await cv.agent.submit(approval, "approve")
    assert "in_progress" == one_of_two.json()["status"]
    assert "in_progress" == (await cv.refused(hitl_approved_case_id=approval["case_id"]))["status"]


async def test_the_claim_token_is_sealed_where_it_is_kept(cv: Runner, database_url: str) -> None:
    once = {"Idempotency-Key": "k"}
    approval = await cv.approval()
    await cv.tap(approval, "approve")
    made = [await cv.finish(approval), (await cv.post(once, skip_hitl=True, cv_data=CV)).json()]
    kept = str(await rows(database_url, "SELECT * FROM flow_runs")) + str(
        await rows(database_url, "SELECT * FROM idempotency")
    )
    assert [False, False] == [one["claim_token"] in kept for one in made]
