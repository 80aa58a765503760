"""Answering a case through the HITL door: inline by the agent, and by the review page."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.dump import row_counts
from tests.support.server import (  # noqa: F401 (fixtures)
    TAPPED,
    Client,
    Server,
    agent_fixture,
    leaf,
    review_token,
    server_fixture,
    until,
)

ITEMS = {"items": [{"id": "blue", "title": "Blue"}, {"id": "red", "title": "Red"}, "green"]}
FORM = {
    "form": {
        "fields": [
            {"key": "city", "label": "City", "type": "text", "required": True},
            {"key": "people", "label": "People", "type": "number", "validation": {"min": 1, "max": 9}},
        ]
    }
}
INLINE = {
    "confirmation": ("confirm", "cancel"),
    "escalation": ("retry", "skip", "abort"),
    "approval": ("approve", "reject"),
}


def _problem(response: httpx.Response) -> tuple[int, str]:
    assert response.json()["message"], response.text
    return response.status_code, response.json()["error"]


# --- inline


@pytest.mark.parametrize("case_type", INLINE)
async def test_a_tap_completes_the_case_with_its_action(agent: Client, case_type: str) -> None:
    for action in INLINE[case_type]:
        hitl = await agent.case(type=case_type)
        answer = await agent.tap(hitl, action, data={"note": "fine"})
        poll = (await agent.poll(hitl)).json()
        expected = {
            "success": True,
            "case_id": hitl["case_id"],
            "status": "completed",
            "completed_at": poll["completed_at"],
        }
        assert (200, expected) == (answer.status_code, answer.json())
        assert ("completed", {"action": action, "data": {"note": "fine"}}) == (poll["status"], poll["result"])
        assert {"mode": "inline_submit", **TAPPED} == poll["submission_context"]


async def test_a_tap_needs_no_data_and_may_name_the_person(agent: Client) -> None:
    hitl = await agent.case()
    person = {"platform": "discord", "platform_user_id": "77", "display_name": "Reviewer One"}
    answer = await agent.tap(hitl, "confirm", submitted_via="discord_component", submitted_by=person)
    poll = (await agent.poll(hitl)).json()
    assert 200 == answer.status_code
    assert ({"action": "confirm", "data": {}}, {"name": "Reviewer One"}) == (poll["result"], poll["responded_by"])


async def test_the_same_tap_again_gets_the_same_answer_and_changes_nothing(agent: Client, database_url: str) -> None:
    hitl = await agent.case()
    first = await agent.tap(hitl, "confirm")
    etag = (await agent.poll(hitl)).headers["etag"]
    before = await row_counts(database_url)
    again = await agent.tap(hitl, "confirm")
    after = await row_counts(database_url)
    assert (200, first.content) == (again.status_code, again.content)
    assert etag == (await agent.poll(hitl)).headers["etag"]
    for table in ("case_events", "chains", "seals"):  # the audit notes the repetition; sealing is nobody's answer
        before.pop(table), after.pop(table)
    assert before == after


async def test_a_second_answer_is_a_duplicate_whoever_gives_it(agent: Client) -> None:
    hitl = await agent.case()
    await agent.tap(hitl, "confirm")
    other = {"platform": "slack", "platform_user_id": "U0OTHER"}
    answers = [
        await agent.tap(hitl, "cancel"),
        await agent.tap(hitl, "confirm", data={"note": "changed"}),
        await agent.tap(hitl, "confirm", submitted_by=other),
        await agent.submit(hitl, "confirm"),
    ]
    assert [(409, "duplicate_submission")] * 4 == [_problem(answer) for answer in answers]
    assert "confirm" == (await agent.poll(hitl)).json()["result"]["action"]


async def test_many_identical_taps_at_once_are_one_answer(agent: Client, database_url: str) -> None:
    hitl = await agent.case()
    answers = await asyncio.gather(*(agent.tap(hitl, "confirm") for _ in range(12)))
    assert ({200}, 1) == ({a.status_code for a in answers}, len({a.content for a in answers}))
    assert 1 == (await row_counts(database_url))["human_interactions"]


async def test_confirm_and_cancel_at_once_give_one_decision(agent: Client, database_url: str) -> None:
    hitl = await agent.case()
    answers = await asyncio.gather(*(agent.tap(hitl, action) for action in ("confirm", "cancel") * 4))
    winner = (await agent.poll(hitl)).json()["result"]["action"]
    for answer, action in zip(answers, ("confirm", "cancel") * 4, strict=True):
        assert (200 if action == winner else 409) == answer.status_code
    assert 1 == (await row_counts(database_url))["decisions"]


async def test_an_action_that_is_not_inline_leads_to_the_review_page(agent: Client) -> None:
    hitl = await agent.case(type="approval", inline_actions=["approve"])
    for action in ("edit", "reject", "no_such_action"):
        answer = await agent.tap(hitl, action)
        assert (403, "action_not_inline") == _problem(answer)
        assert (hitl["case_id"], hitl["review_url"]) == (answer.json()["case_id"], answer.json()["review_url"])
    assert "pending" == await agent.status(hitl)


async def test_what_a_tap_must_say_is_named_when_it_is_wrong(agent: Client, database_url: str) -> None:
    hitl = await agent.case()
    before = await row_counts(database_url)
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"action": None}, "missing_action", "action"),
        ({"action": ""}, "missing_action", "action"),
        ({"action": 1}, "invalid_body", "action"),
        ({"data": []}, "invalid_body", "data"),
        ({"submitted_via": "carrier_pigeon"}, "invalid_body", "submitted_via"),
        ({"submitted_via": None}, "invalid_body", "submitted_via"),
        ({"submitted_by": {"platform": "slack"}}, "invalid_body", "submitted_by.platform_user_id"),
        ({"submitted_by": {"platform": "link", "platform_user_id": "holder"}}, "invalid_body", "submitted_by.platform"),
        (
            {"submitted_by": {"platform": "system", "platform_user_id": "clock"}},
            "invalid_body",
            "submitted_by.platform",
        ),
        (
            {"submitted_by": {"platform": "slack", "platform_user_id": "U1", "role": "boss"}},
            "invalid_body",
            "submitted_by.role",
        ),
        ({"decided_by": "boss"}, "invalid_body", "decided_by"),
        ({"token": "x"}, "invalid_body", "token"),
        (
            {"verification_evidence": [{"proof_type": "proof_of_human"}]},
            "invalid_body",
            "verification_evidence[0].provider",
        ),
    ]
    for fields, code, field in wrong:
        answer = await agent.tap(hitl, "confirm", **fields)
        assert (400, code, field) == (answer.status_code, answer.json()["error"], answer.json()["field"]), fields
    assert before == await row_counts(database_url)
    assert (
        200
        == (
            await agent.tap(
                hitl, "confirm", submitted_via="x-kiosk", submitted_by={"platform": "x-kiosk", "platform_user_id": "7"}
            )
        ).status_code
    )


async def test_only_the_cases_own_submit_token_answers_it(agent: Client, database_url: str) -> None:
    hitl, other = await agent.case(), await agent.case()
    before = await row_counts(database_url)
    for token in ("wrong", other["submit_token"], review_token(hitl), agent.key, "ключ"):
        headers = {b"Authorization": f"Bearer {token}".encode()}
        answer = await agent.http.post(hitl["submit_url"], json={"action": "confirm", **TAPPED}, headers=headers)
        assert (403, "invalid_token") == _problem(answer)
    assert before == await row_counts(database_url)


async def test_without_any_credential_nothing_is_answered(server: Server, agent: Client) -> None:
    hitl = await agent.case()
    nobody = server.nobody()
    for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}):
        answer = await nobody.http.post(hitl["submit_url"], json={"action": "confirm", **TAPPED}, headers=headers)
        assert (401, "unauthorized") == _problem(answer)
        assert "Bearer" == answer.headers["www-authenticate"]


async def test_an_unknown_case_is_not_found(agent: Client) -> None:
    hitl = await agent.case()
    address = hitl["submit_url"].replace(hitl["case_id"], "review_unknown")
    inline = await agent.http.post(
        address, json={"action": "confirm", **TAPPED}, headers={"Authorization": f"Bearer {hitl['submit_token']}"}
    )
    page = await agent.page.post(address, json={"token": review_token(hitl), "result": {"action": "confirm"}})
    assert [(404, "not_found")] * 2 == [_problem(inline), _problem(page)]


async def test_a_claimed_identity_counts_for_the_channel_but_not_for_a_named_list(agent: Client) -> None:
    named = await agent.case(type="approval", reviewers={"any_of": ["slack:U0REVIEWER"]})
    channel = await agent.case(type="approval", reviewers={"any_of": ["channel"]})
    assert (403, "not_a_reviewer") == _problem(await agent.tap(named, "approve"))
    assert (403, "not_a_reviewer") == _problem(await agent.submit(channel, "approve"))
    assert 200 == (await agent.tap(channel, "approve")).status_code
    assert "pending" == await agent.status(named)


async def test_whoever_asked_cannot_be_the_one_who_agrees(agent: Client) -> None:
    for requested_by in ("slack:U0REVIEWER", TAPPED["submitted_by"]):
        hitl = await agent.case(type="approval", requested_by=requested_by)
        assert (403, "self_approval") == _problem(await agent.tap(hitl, "approve"))
        other = {"platform": "slack", "platform_user_id": "U0OTHER"}
        assert 200 == (await agent.tap(hitl, "approve", submitted_by=other)).status_code


async def test_an_answer_to_other_content_than_was_shown_is_refused(agent: Client) -> None:
    hitl = await agent.case()
    stale = "sha256:" + "0" * 64
    assert (409, "content_changed") == _problem(await agent.tap(hitl, "confirm", content_digest=stale))
    assert (409, "content_changed") == _problem(await agent.submit(hitl, "confirm", content_digest=stale))
    assert "pending" == await agent.status(hitl)


# --- time and withdrawal


async def test_after_the_deadline_nobody_can_answer(agent: Client, server: Server) -> None:
    hitl = await agent.case(timeout="10s", default_action="reject")
    server.clock.forward(seconds=10.5)
    assert (410, "case_expired") == _problem(await agent.tap(hitl, "confirm"))
    assert (410, "case_expired") == _problem(await agent.submit(hitl, "confirm"))

    async def expired() -> bool:
        return await agent.status(hitl) == "expired"

    await until(expired)
    poll = (await agent.poll(hitl)).json()
    assert ("reject", True) == (poll["default_action"], "expired_at" in poll)
    assert "result" not in poll
    assert (410, "case_expired") == _problem(await agent.tap(hitl, "confirm"))
    assert (410, "case_expired") == _problem(await agent.http.post(leaf(hitl, "cancel")))


async def test_just_before_the_deadline_an_answer_counts(agent: Client, server: Server) -> None:
    hitl = await agent.case(timeout="1h")
    server.clock.forward(seconds=3590)
    assert 200 == (await agent.tap(hitl, "confirm")).status_code


async def test_an_agent_withdraws_its_case(agent: Client) -> None:
    hitl = await agent.case()
    answer = await agent.http.post(leaf(hitl, "cancel"), json={"reason": "The numbers were wrong."})
    poll = (await agent.poll(hitl)).json()
    expected = {
        "success": True,
        "case_id": hitl["case_id"],
        "status": "cancelled",
        "cancelled_at": poll["cancelled_at"],
    }
    assert (200, expected) == (answer.status_code, answer.json())
    assert ("cancelled", "The numbers were wrong.") == (poll["status"], poll["reason"])
    assert (409, "case_cancelled") == _problem(await agent.tap(hitl, "confirm"))
    assert (409, "case_cancelled") == _problem(await agent.submit(hitl, "confirm"))
    assert answer.content == (await agent.http.post(leaf(hitl, "cancel"))).content


async def test_a_withdrawal_needs_no_body_and_takes_nothing_unknown(agent: Client) -> None:
    hitl = await agent.case()
    refused = await agent.http.post(leaf(hitl, "cancel"), json={"why": "?"})
    assert (400, "invalid_body") == _problem(refused)
    assert 200 == (await agent.http.post(leaf(hitl, "cancel"))).status_code
    assert "reason" not in (await agent.poll(hitl)).json()


async def test_what_is_decided_cannot_be_withdrawn(agent: Client) -> None:
    hitl = await agent.case()
    await agent.tap(hitl, "confirm")
    assert (409, "duplicate_submission") == _problem(await agent.http.post(leaf(hitl, "cancel")))
    assert "completed" == await agent.status(hitl)


# --- the review page


async def test_the_page_answers_every_type(agent: Client) -> None:
    cases: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"type": "approval"}, "edit", {"feedback": "Shorter, please."}),
        ({"type": "selection", "context": ITEMS}, "select", {"selected": ["red", "green"]}),
        ({"type": "input", "context": FORM}, "submit", {"city": "Lyon", "people": 3}),
        ({"type": "confirmation"}, "cancel", {}),
        ({"type": "escalation"}, "skip", {}),
        ({"type": "x-legal-hold"}, "submit", {"until": "2030"}),
    ]
    for fields, action, data in cases:
        hitl = await agent.case(**fields)
        answer = await agent.submit(hitl, action, data)
        assert (200, "completed") == (answer.status_code, answer.json().get("status")), answer.text
        poll = (await agent.poll(hitl)).json()
        assert {"action": action, "data": data} == poll["result"]
        assert {"mode": "browser_submit", "submitted_via": "review_page"} == poll["submission_context"]
        assert "responded_by" not in poll
        assert answer.content == (await agent.submit(hitl, action, data)).content


async def test_an_answer_that_does_not_fit_the_form_says_what_to_change(agent: Client) -> None:
    form, choice = await agent.case(type="input", context=FORM), await agent.case(type="selection", context=ITEMS)
    answer = await agent.submit(form, "submit", {"people": 12, "colour": "blue"})
    assert (400, "invalid_data") == _problem(answer)
    assert {"city", "people", "colour"} == set(answer.json()["fields"])
    for selected in ([], ["purple"], ["red", "red"], "red"):
        answer = await agent.submit(choice, "select", {"selected": selected})
        assert (400, "invalid_data", {"selected"}) == (*_problem(answer), set(answer.json()["fields"]))
    assert ["pending", "pending"] == [await agent.status(form), await agent.status(choice)]


async def test_what_the_page_must_say_is_named_when_it_is_wrong(agent: Client) -> None:
    hitl = await agent.case()
    token = review_token(hitl)
    wrong: list[tuple[Any, str]] = [
        ({"token": token, "result": {}}, "missing_action"),
        ({"token": token, "result": {"action": "explode"}}, "invalid_action"),
        ({"token": token, "result": {"action": "confirm", "by": "me"}}, "invalid_body"),
        ({"token": token, "result": {"action": "confirm", "data": [1]}}, "invalid_body"),
        ({"token": token, "result": "confirm"}, "invalid_body"),
        ({"token": token}, "invalid_body"),
        ({"token": [token], "result": {"action": "confirm"}}, "invalid_body"),
    ]
    for body, code in wrong:
        answer = await agent.page.post(leaf(hitl, "respond"), json=body)
        assert (400, code) == _problem(answer), body
    assert "pending" == await agent.status(hitl)


async def test_only_the_cases_own_review_token_answers_on_the_page(agent: Client) -> None:
    hitl, other = await agent.case(), await agent.case()
    for token in ("wrong", review_token(other), hitl["submit_token"], agent.key):
        body = {"token": token, "result": {"action": "confirm"}}
        answer = await agent.page.post(leaf(hitl, "respond"), json=body)
        assert (403, "invalid_token") == _problem(answer)


async def test_another_web_site_cannot_answer(agent: Client, server: Server) -> None:
    own_host = server.url.partition("://")[2]
    foreign: list[dict[str, str]] = [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": server.url},
        {"Origin": "https://evil.example"},
        {"Origin": f"https://evil.example#{own_host}"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
    ]
    own: list[dict[str, str]] = [
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": server.url},
        {"Origin": f"https://{own_host}"},
        {},
    ]
    hitl = await agent.case()
    for name, body in (
        ("respond", {"token": review_token(hitl), "result": {"action": "confirm"}}),
        ("opened", {"token": review_token(hitl)}),
        ("progress", {"token": review_token(hitl)}),
    ):
        for headers in foreign:
            answer = await agent.page.post(leaf(hitl, name), json=body, headers=headers)
            assert (403, "forbidden") == _problem(answer), (name, headers)
    assert "pending" == await agent.status(hitl)
    for headers in own:
        hitl = await agent.case()
        body = {"token": review_token(hitl), "result": {"action": "confirm"}}
        answer = await agent.page.post(leaf(hitl, "respond"), json=body, headers=headers)
        assert 200 == answer.status_code, (headers, answer.text)


async def test_a_submit_token_is_not_asked_where_it_comes_from(agent: Client) -> None:
    hitl = await agent.case()
    headers = {"Authorization": f"Bearer {hitl['submit_token']}", "Origin": "https://agent.example"}
    body = {"action": "confirm", **TAPPED}
    assert 200 == (await agent.http.post(hitl["submit_url"], json=body, headers=headers)).status_code


async def test_a_plain_form_post_is_passed_on_to_the_page(agent: Client) -> None:
    hitl = await agent.case()
    form = {"token": review_token(hitl), "action": "confirm"}
    moved = await agent.page.post(leaf(hitl, "respond"), data=form)
    page = hitl["review_url"].partition("?")[0]
    assert (307, page) == (moved.status_code, str(moved.next_request and moved.next_request.url))
    odd = await agent.page.post("/api/hitl/cases/a%0D%0Ab/respond", data=form)
    assert (307, "/en/hitl/review/-") == (odd.status_code, odd.headers["location"])
    answered = await agent.page.post(leaf(hitl, "respond"), data=form, follow_redirects=True)
    assert (200, "completed") == (answered.status_code, await agent.status(hitl))
    assert "text/html" in answered.headers["content-type"]


async def test_the_page_reports_that_somebody_is_looking_and_how_far_they_are(agent: Client) -> None:
    hitl = await agent.case(type="input", context=FORM)
    token = review_token(hitl)
    opened = await agent.page.post(leaf(hitl, "opened"), json={"token": token})
    assert (200, {"success": True, "case_id": hitl["case_id"], "status": "opened"}) == (
        opened.status_code,
        opened.json(),
    )
    first = (await agent.poll(hitl)).json()
    again = await agent.page.post(leaf(hitl, "opened"), json={"token": token})
    assert (200, first) == (again.status_code, (await agent.poll(hitl)).json())

    figures = {"current_step": 1, "total_steps": 1, "completed_fields": 1, "total_fields": 2}
    moved = await agent.page.post(leaf(hitl, "progress"), json={"token": token, "progress": figures})
    poll = (await agent.poll(hitl)).json()
    assert (200, "in_progress") == (moved.status_code, moved.json()["status"])
    assert ("in_progress", figures, first["opened_at"]) == (poll["status"], poll["progress"], poll["opened_at"])
    bare = await agent.case(type="input", context=FORM)
    for _ in range(2):
        moved = await agent.page.post(leaf(bare, "progress"), json={"token": review_token(bare)})
        assert (200, "in_progress") == (moved.status_code, moved.json()["status"])
    assert '"in_progress-2"' == (await agent.poll(bare)).headers["etag"]
    assert 200 == (await agent.submit(hitl, "submit", {"city": "Lyon"})).status_code
    assert "progress" not in (await agent.poll(hitl)).json()


async def test_a_report_needs_the_review_token_and_sane_figures(agent: Client) -> None:
    hitl = await agent.case()
    wrong: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({}, (400, "invalid_body")),
        ({"token": "wrong"}, (403, "invalid_token")),
        ({"token": hitl["submit_token"]}, (403, "invalid_token")),
        ({"token": review_token(hitl), "progress": {"current_step": 0}}, (400, "invalid_body")),
        ({"token": review_token(hitl), "progress": {"completed_fields": -1}}, (400, "invalid_body")),
        ({"token": review_token(hitl), "progress": {"percent": 50}}, (400, "invalid_body")),
        ({"token": review_token(hitl), "progress": 0.5}, (400, "invalid_body")),
    ]
    for body, expected in wrong:
        assert expected == _problem(await agent.page.post(leaf(hitl, "progress"), json=body)), body
    unknown = leaf(hitl, "opened").replace(hitl["case_id"], "review_unknown")
    assert (404, "not_found") == _problem(await agent.page.post(unknown, json={"token": "x"}))
    assert "pending" == await agent.status(hitl)
