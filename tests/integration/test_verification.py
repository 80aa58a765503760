"""Verification through the HITL door: policies, evidence, refusals, single use, and what becomes of the proofs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import structlog.testing

from adapters.telegram.initdata import InitDataVerifier, start_param
from core.verifiers import Verifiers
from tests.support.databases import rows
from tests.support.dump import everything, row_counts
from tests.support.evidence import BOT_TOKEN, RAW, Acme, evidence, init_data, policy
from tests.support.schemas import problems
from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    let_in,
    review_token,
    running,
)


@pytest.fixture
def acme() -> Acme:
    return Acme(proved_at=int(time.time() * 1000))


@pytest.fixture
async def server(database_url: str, acme: Acme) -> AsyncIterator[Server]:
    async with running(database_url, verifiers=Verifiers(acme, InitDataVerifier(BOT_TOKEN))) as found:
        yield found


def seconds() -> int:
    return int(time.time())


async def context(agent: Client, hitl: dict[str, Any]) -> dict[str, Any]:
    """The submission_context of a completed case."""
    found: dict[str, Any] = (await agent.poll(hitl)).json()["submission_context"]
    assert [] == problems("submission-context", found)
    return found


# --- opening


async def test_a_policy_is_repeated_with_a_challenge_of_its_own(agent: Client) -> None:
    posted = policy("world_id", expires_at="2027-01-01T00:00:00Z")
    first, second = [await agent.case(verification_policy=posted) for _ in range(2)]
    challenges = [hitl["verification_policy"]["binding"].pop("challenge") for hitl in (first, second)]
    assert posted == first["verification_policy"] == second["verification_policy"]
    assert 2 == len(set(challenges))
    assert all(43 == len(challenge) for challenge in challenges)
    own = await agent.case(verification_policy=policy(challenge="my own"))
    assert "my own" == own["verification_policy"]["binding"]["challenge"]
    assert "verification_policy" not in await agent.case()


WRONG: list[tuple[str, Any, str]] = [
    ("mode", "sometimes", "verification_policy.mode"),
    ("required_for", [], "verification_policy.required_for"),
    ("required_for", ["inline_submit", "inline_submit"], "verification_policy.required_for"),
    ("required_for", ["by_mail"], "verification_policy.required_for[0]"),
    ("requirements", {"any_of": []}, "verification_policy.requirements.any_of"),
    ("requirements", {"any_of": [{"all_of": []}]}, "verification_policy.requirements.any_of[0].all_of"),
    (
        "requirements",
        {"any_of": [{"all_of": [{"proof_type": "passport"}]}]},
        "verification_policy.requirements.any_of[0].all_of[0].proof_type",
    ),
    (
        "requirements",
        {"any_of": [{"all_of": [{"proof_type": "x-a", "min_assurance": "some"}]}]},
        "verification_policy.requirements.any_of[0].all_of[0].min_assurance",
    ),
    ("freshness_seconds", 0, "verification_policy.binding.freshness_seconds"),
    ("freshness_seconds", "300", "verification_policy.binding.freshness_seconds"),
    ("single_use", 1, "verification_policy.binding.single_use"),
    ("expires_at", "tomorrow", "verification_policy.binding.expires_at"),
    ("fallback", {"on_missing": "reject"}, "verification_policy.fallback.on_invalid"),
    ("extra", 1, "verification_policy.extra"),
]


@pytest.mark.parametrize(("name", "value", "field"), WRONG, ids=[f"{field}={value}" for _, value, field in WRONG])
async def test_a_policy_is_read_strictly(sqlite_url: str, name: str, value: Any, field: str) -> None:
    async with running(sqlite_url) as server:
        agent = await server.client("agent")
        answer = await agent.open(verification_policy=policy(**{name: value}))
        assert (400, "invalid_body", field) == (answer.status_code, answer.json()["error"], answer.json()["field"])


async def test_where_only_the_page_verifies_nothing_is_answered_inline(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy(required_for=["browser_submit"]))
    assert not {"submit_url", "submit_token", "inline_actions"} & set(hitl)
    optional = await agent.case(verification_policy=policy(mode="optional", required_for=["browser_submit"]))
    assert ["confirm", "cancel"] == optional["inline_actions"]


# --- answering inline


async def test_evidence_that_satisfies_the_policy_completes_the_case(agent: Client, acme: Acme) -> None:
    hitl = await agent.case(verification_policy=policy())
    answer = await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    assert (200, "completed") == (answer.status_code, answer.json()["status"])
    result = (await context(agent, hitl))["verification_result"]
    assert (True, []) == (result["satisfied"], result["missing_requirements"])
    (accepted,) = result["verified_evidence"]
    assert accepted.pop("verified_at")
    assert {
        "proof_type": "proof_of_human",
        "provider": "acme",
        "assurance_level": "high",
        "bound_to_case": True,
        "bound_to_action": True,
        "fresh": True,
        "single_use_enforced": True,
    } == accepted
    (asked,) = acme.asked
    challenge = hitl["verification_policy"]["binding"]["challenge"]
    assert (hitl["case_id"], "confirm", challenge) == (asked.case_id, asked.action, asked.challenge)


async def test_without_evidence_the_answer_is_refused_and_points_to_the_page(agent: Client, database_url: str) -> None:
    hitl = await agent.case(verification_policy=policy())
    before = await row_counts(database_url)
    answer = await agent.tap(hitl, "confirm")
    found = answer.json()
    assert (403, "verification_required") == (answer.status_code, found["error"])
    assert (hitl["case_id"], hitl["review_url"]) == (found["case_id"], found["review_url"])
    assert "pending" == await agent.status(hitl)
    after = await row_counts(database_url)
    assert {"case_events": 1} == {name: after[name] - before[name] for name in after if after[name] != before[name]}


async def test_a_policy_that_rejects_points_nowhere(agent: Client) -> None:
    strict = policy(fallback={"on_missing": "reject", "on_invalid": "reject"})
    hitl = await agent.case(verification_policy=strict)
    missing = (await agent.tap(hitl, "confirm")).json()
    invalid = (await agent.tap(hitl, "confirm", verification_evidence=[evidence("forged")])).json()
    assert ("verification_required", "verification_failed") == (missing["error"], invalid["error"])
    for found in (missing, invalid):
        assert hitl["case_id"] == found["case_id"]
        assert "review_url" not in found


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (evidence("forged"), "it is forged"),
        (evidence(provider="world_id"), "cannot be verified here"),
        (evidence(proof_type="x-unheard-of"), "cannot be verified here"),
        (evidence(binding={"case_id": "review_other"}), "another case_id"),
        (evidence(binding={"action": "cancel"}), "another action"),
        (evidence(binding={"challenge": "guessed"}), "another challenge"),
    ],
)
async def test_evidence_that_proves_nothing_fails_closed(agent: Client, sent: dict[str, Any], reason: str) -> None:
    hitl = await agent.case(verification_policy=policy(None))
    answer = await agent.tap(hitl, "confirm", verification_evidence=[sent])
    found = answer.json()
    assert (403, "verification_failed") == (answer.status_code, found["error"])
    assert reason in found["message"]
    assert hitl["review_url"] == found["review_url"]
    assert "pending" == await agent.status(hitl)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"proof_type": "passport"}, "proof_type"),
        ({"format": "pdf"}, "format"),
        ({"presentation": 3}, "presentation"),
        ({"binding": "none"}, "binding"),
        ({"binding": {"case_id": 3}}, "binding"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_evidence_is_read_strictly(sqlite_url: str, sent: dict[str, Any], field: str) -> None:
    async with running(sqlite_url) as server:
        agent = await server.client("agent")
        hitl = await agent.case()
        answer = await agent.tap(hitl, "confirm", verification_evidence=[evidence(**sent)])
        named = f"verification_evidence[0].{field}"
        assert (400, "invalid_body", named) == (answer.status_code, answer.json()["error"], answer.json()["field"])
        assert RAW not in answer.text


async def test_a_step_up_is_asked_of_those_who_let_something_happen(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy(mode="step_up"))
    assert "verification_required" == (await agent.tap(hitl, "confirm")).json()["error"]
    assert 200 == (await agent.tap(hitl, "cancel")).status_code
    assert "verification_result" not in await context(agent, hitl)


async def test_optional_evidence_is_reported_whether_it_holds_or_not(agent: Client) -> None:
    for sent, satisfied in ([evidence("good")], True), ([evidence("forged")], False), ([], None):
        hitl = await agent.case(verification_policy=policy(mode="optional"))
        assert 200 == (await agent.tap(hitl, "confirm", verification_evidence=sent)).status_code
        result = (await context(agent, hitl)).get("verification_result")
        assert satisfied is (result and result["satisfied"])


async def test_evidence_for_a_case_without_a_policy_is_reported_too(agent: Client) -> None:
    hitl = await agent.case()
    await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    assert (await context(agent, hitl))["verification_result"]["satisfied"] is True


async def test_an_answer_that_is_repeated_needs_no_new_proof(agent: Client, acme: Acme) -> None:
    hitl = await agent.case(verification_policy=policy())
    first = await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    acme.proved_at -= 3_600_000
    again = await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    assert (200, first.json()) == (again.status_code, again.json())


async def test_a_provider_that_is_away_leaves_the_case_open(agent: Client, acme: Acme) -> None:
    hitl = await agent.case(verification_policy=policy())
    acme.away = True
    answer = await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    assert (503, "7", "unavailable") == (answer.status_code, answer.headers["retry-after"], answer.json()["error"])
    acme.away = False
    assert 200 == (await agent.tap(hitl, "confirm", verification_evidence=[evidence()])).status_code


async def test_whoever_holds_no_token_has_no_proof_looked_at(agent: Client, acme: Acme) -> None:
    hitl = await agent.case(verification_policy=policy())
    answer = await agent.tap(hitl | {"submit_token": "guessed"}, "confirm", verification_evidence=[evidence()])
    assert (403, "invalid_token", []) == (answer.status_code, answer.json()["error"], acme.asked)


async def test_evidence_grows_old_and_policies_end(agent: Client, server: Server, acme: Acme) -> None:
    hitl = await agent.case(verification_policy=policy(freshness_seconds=60))
    server.clock.forward(seconds=120)
    late = (await agent.tap(hitl, "confirm", verification_evidence=[evidence()])).json()
    assert ("verification_failed", True) == (late["error"], "older than 60 seconds" in late["message"])
    ended = await agent.case(verification_policy=policy(expires_at="2020-01-01T00:00:00Z"))
    acme.proved_at += 120_000
    over = (await agent.tap(ended, "confirm", verification_evidence=[evidence()])).json()
    assert ("verification_failed", True) == (over["error"], "the time for verification is over" in over["message"])


# --- single use


async def test_one_proof_answers_one_case_however_many_come_at_once(agent: Client, database_url: str) -> None:
    wanted = policy(case_id=False)
    cases = [await agent.case(verification_policy=wanted) for _ in range(50)]
    proof = [evidence()]
    answers = await asyncio.gather(
        *(let_in(partial(agent.tap, hitl, "confirm", verification_evidence=proof)) for hitl in cases)
    )
    assert [200] + [403] * 49 == sorted(answer.status_code for answer in answers)
    assert {"verification_failed"} == {answer.json()["error"] for answer in answers if answer.status_code == 403}
    assert 1 == len(await rows(database_url, "SELECT * FROM human_interactions"))
    assert 1 == len(await rows(database_url, "SELECT * FROM used_evidence"))
    assert ["completed"] + ["pending"] * 49 == sorted([await agent.status(hitl) for hitl in cases])


async def test_a_proof_that_may_be_used_again_may(agent: Client) -> None:
    for _ in range(2):
        hitl = await agent.case(verification_policy=policy(single_use=False))
        assert 200 == (await agent.tap(hitl, "confirm", verification_evidence=[evidence()])).status_code
        (accepted,) = (await context(agent, hitl))["verification_result"]["verified_evidence"]
        assert accepted["single_use_enforced"] is False


async def test_a_used_proof_counts_for_nothing_where_it_is_optional(agent: Client) -> None:
    found = []
    for _ in range(2):
        hitl = await agent.case(verification_policy=policy(mode="optional"))
        await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
        found.append((await context(agent, hitl))["verification_result"]["satisfied"])
    assert [True, False] == found


async def test_a_refused_answer_uses_no_proof_up(agent: Client, acme: Acme) -> None:
    asked = policy()
    asked["requirements"]["any_of"][0]["all_of"].append({"proof_type": "x-badge"})
    hitl = await agent.case(verification_policy=asked)
    refused = await agent.tap(hitl, "confirm", verification_evidence=[evidence()])
    assert "verification_failed" == refused.json()["error"]
    both = [evidence(), evidence("badge", proof_type="x-badge")]
    assert 200 == (await agent.tap(hitl, "confirm", verification_evidence=both)).status_code


# --- Telegram's Mini Apps


async def test_a_mini_app_that_was_opened_for_this_action_satisfies_the_policy(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy("telegram"))
    challenge = hitl["verification_policy"]["binding"]["challenge"]
    started = start_param(hitl["case_id"], "confirm", challenge)
    data = init_data(start_param=started, auth_date=seconds())
    sent = [evidence(data, "telegram")]
    wrong = await agent.tap(hitl, "cancel", verification_evidence=sent)
    assert "not bound to this case" in wrong.json()["message"]
    somebody = {"platform": "telegram", "platform_user_id": "1002"}
    other = await agent.tap(hitl, "confirm", verification_evidence=sent, submitted_by=somebody)
    assert "somebody else" in other.json()["message"]
    answer = await agent.tap(hitl, "confirm", verification_evidence=sent)
    assert 200 == answer.status_code, answer.text
    (accepted,) = (await context(agent, hitl))["verification_result"]["verified_evidence"]
    assert ("telegram", "medium") == (accepted["provider"], accepted["assurance_level"])
    assert (True, True) == (accepted["bound_to_case"], accepted["bound_to_action"])


async def test_a_mini_app_that_was_opened_for_the_case_does_not_claim_the_action(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy("telegram"))
    sent = [evidence(init_data(start_param=hitl["case_id"], auth_date=seconds()), "telegram")]
    assert (
        "not bound to this action" in (await agent.tap(hitl, "confirm", verification_evidence=sent)).json()["message"]
    )
    looser = await agent.case(verification_policy=policy("telegram", action=False))
    sent = [evidence(init_data(start_param=looser["case_id"], auth_date=seconds()), "telegram")]
    assert 200 == (await agent.tap(looser, "confirm", verification_evidence=sent)).status_code
    (accepted,) = (await context(agent, looser))["verification_result"]["verified_evidence"]
    assert (True, False) == (accepted["bound_to_case"], accepted["bound_to_action"])


@pytest.mark.parametrize("change", [{"token": "123456789:BBF-another-bot"}, {"auth_date": 1_600_000_000}])
async def test_forged_and_old_mini_app_data_fail(agent: Client, change: dict[str, Any]) -> None:
    hitl = await agent.case(verification_policy=policy("telegram", action=False))
    data = init_data(**({"start_param": hitl["case_id"], "auth_date": seconds()} | change))
    answer = await agent.tap(hitl, "confirm", verification_evidence=[evidence(data, "telegram")])
    assert (403, "verification_failed") == (answer.status_code, answer.json()["error"])


# --- the page


async def test_the_page_brings_evidence_of_its_own(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy("telegram", action=False, required_for=["browser_submit"]))
    missing = await agent.submit(hitl, "confirm")
    found = missing.json()
    assert (403, "verification_required") == (missing.status_code, found["error"])
    assert review_token(hitl) not in missing.text
    sent = [evidence(init_data(start_param=hitl["case_id"], auth_date=seconds()), "telegram")]
    assert 200 == (await agent.submit(hitl, "confirm", verification_evidence=sent)).status_code
    found = await context(agent, hitl)
    assert ("browser_submit", True) == (found["mode"], found["verification_result"]["satisfied"])


@pytest.mark.parametrize("field", ["", "not json", "{}", '[{"provider": "telegram"}]'])
async def test_the_pages_form_is_told_what_is_wrong_with_its_evidence(agent: Client, field: str) -> None:
    hitl = await agent.case(verification_policy=policy("telegram", required_for=["browser_submit"]))
    form = {"token": review_token(hitl), "action": "confirm", "verification_evidence": field}
    answer = await agent.page.post(hitl["review_url"].partition("?")[0], data=form)
    assert (400 if field else 403) == answer.status_code
    assert "pending" == await agent.status(hitl)


async def test_the_page_needs_no_evidence_that_only_the_inline_way_asks_for(agent: Client) -> None:
    hitl = await agent.case(verification_policy=policy())
    assert 200 == (await agent.submit(hitl, "confirm")).status_code
    assert "verification_result" not in await context(agent, hitl)


# --- what becomes of the proofs


async def test_a_raw_proof_is_kept_and_shown_nowhere(agent: Client, database_url: str) -> None:
    with structlog.testing.capture_logs() as logs:
        accepted, refused = [await agent.case(verification_policy=policy()) for _ in range(2)]
        seen = [await agent.tap(accepted, "confirm", verification_evidence=[evidence({"proof": RAW})])]
        seen.append(await agent.tap(refused, "confirm", verification_evidence=[evidence(RAW, "world_id")]))
        seen += [await agent.poll(accepted), await agent.poll(refused)]
        stream = await agent.http.get(accepted["events_url"])
    assert [200, 403, 200, 200] == [answer.status_code for answer in seen]
    for text in (*(answer.text for answer in seen), stream.text, str(logs), await everything(database_url)):
        assert RAW not in text
