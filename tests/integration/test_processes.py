"""Whole processes, started as operators start them: restarts, replicas, signals, and what is left in logs and dumps."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import asyncpg
import httpx
import pytest

from bot.sandbox import Sandbox
from tests.support.crowd import crowd
from tests.support.process import ServerProcess, make_key, run_assent, serving

CHANNEL = "C0APPROVE"
GROUP = "-4001"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(rate_limits=False) as running:
        yield running


def both_messengers(sandbox: Sandbox) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": sandbox.slack.app.bot_token,
        "SLACK_SIGNING_SECRET": sandbox.slack.app.signing_secret,
        "SLACK_BASE_URL": sandbox.slack.base_url,
        "TELEGRAM_BOT_TOKEN": sandbox.telegram.token,
        "TELEGRAM_BASE_URL": sandbox.telegram.base_url,
    }


async def open_case(server: ServerProcess, key: str, **fields: Any) -> dict[str, Any]:
    body = {"type": "approval", "prompt": "Deploy?", "notify": [f"slack:{CHANNEL}", f"telegram:{GROUP}"]} | fields
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        answer = await http.post("/api/hitl/cases", json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 202, answer.text
        return dict(answer.json()["hitl"])


async def poll(server: ServerProcess, key: str, case_id: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        answer = await http.get(f"/api/hitl/cases/{case_id}/status", headers={"Authorization": f"Bearer {key}"})
        return dict(answer.raise_for_status().json())


async def slack_card(sandbox: Sandbox) -> Any:
    """The one card in the Slack channel, with its buttons."""
    return await sandbox.until(
        lambda: next((m for m in sandbox.slack.messages(CHANNEL) if "a:" in str(m.blocks)), None), 20
    )


async def slack_closed(sandbox: Sandbox) -> None:
    await sandbox.until(lambda: all("a:" not in str(m.blocks) for m in sandbox.slack.messages(CHANNEL)), 20)


async def test_a_card_posted_before_a_restart_decides_after_it(sandbox: Sandbox, database_url: str) -> None:
    key = await make_key(database_url, "agent")
    async with serving(database_url, environment=both_messengers(sandbox)) as first:
        case = await open_case(first, key)
        card = await slack_card(sandbox)
    async with serving(database_url, environment=both_messengers(sandbox)) as second:
        sandbox.slack.app.request_url = f"{second.url}/slack/interactions"
        tap = await sandbox.slack.tap(CHANNEL, card.ts, "Approve", user="Reviewer One")
        assert 200 == tap.status
        await slack_closed(sandbox)
        assert "completed" == (await poll(second, key, case["case_id"]))["status"]


async def test_a_redelivered_tap_at_two_replicas_is_one_row_and_one_redraw(sandbox: Sandbox, postgres_url: str) -> None:
    key = await make_key(postgres_url, "agent")
    environment = both_messengers(sandbox)
    async with (
        serving(postgres_url, environment=environment) as one,
        serving(postgres_url, environment=environment) as two,
    ):
        await open_case(one, key, notify=[f"slack:{CHANNEL}"])
        card = await slack_card(sandbox)
        tap = sandbox.slack.prepare(CHANNEL, card.ts, "Approve", user="Reviewer One")
        for server in (one, two):
            sandbox.slack.app.request_url = f"{server.url}/slack/interactions"
            assert 200 == (await sandbox.slack.deliver(tap)).status
        await slack_closed(sandbox)
        connection = await asyncpg.connect(postgres_url)
        try:
            assert 1 == await connection.fetchval("SELECT count(*) FROM human_interactions")
        finally:
            await connection.close()
        assert 1 == len([call for call in sandbox.calls("chat.update") if "Approved" in str(call)])
        assert 1 == len(sandbox.calls("chat.postMessage"))


async def test_roles_can_be_split_over_processes(sandbox: Sandbox, postgres_url: str) -> None:
    key = await make_key(postgres_url, "agent")
    environment = both_messengers(sandbox)
    async with (
        serving(postgres_url, "--roles", "api,clock") as api,
        serving(postgres_url, "--roles", "slack", environment=environment) as slack,
        serving(postgres_url, "--roles", "telegram,courier", environment=environment),
    ):
        case = await open_case(api, key)
        card = await slack_card(sandbox)
        await sandbox.until(lambda: sandbox.telegram.messages(GROUP), 20)
        sandbox.slack.app.request_url = f"{slack.url}/slack/interactions"
        assert 200 == (await sandbox.slack.tap(CHANNEL, card.ts, "Reject", user="Reviewer One")).status
        await slack_closed(sandbox)
        await sandbox.until(lambda: all("a:" not in str(m.markup) for m in sandbox.telegram.messages(GROUP)), 20)
        assert "reject" == (await poll(api, key, case["case_id"]))["result"]["action"]


async def test_a_stop_signal_lets_a_tap_under_way_reach_the_ledger(sandbox: Sandbox, sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    path = sqlite_url.removeprefix("sqlite:///")
    async with serving(sqlite_url, environment=both_messengers(sandbox)) as server:
        sandbox.slack.app.request_url = f"{server.url}/slack/interactions"
        await open_case(server, key)
        card = await slack_card(sandbox)
        with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            tap = asyncio.create_task(sandbox.slack.tap(CHANNEL, card.ts, "Approve", user="Reviewer One"))
            assert 200 == (await tap).status  # acknowledged, and not recorded: the database is held
            server.terminate()
            await asyncio.sleep(0.5)
            assert server.alive
            blocker.execute("ROLLBACK")
        assert 0 == await server.ended()
    with closing(sqlite3.connect(path)) as connection:
        assert [("completed",)] == connection.execute("SELECT status FROM cases").fetchall()


async def test_no_token_is_in_a_dump_or_a_log(sandbox: Sandbox, sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    async with serving(sqlite_url, environment=both_messengers(sandbox)) as server:
        sandbox.slack.app.request_url = f"{server.url}/slack/interactions"
        case = await open_case(server, key, message="look at the card")
        card = await slack_card(sandbox)
        review_token = case["review_url"].partition("token=")[2]
        links = re.findall(r"token=([\w-]+)", str(card.blocks))
        assert links, "the card has a review link"
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            await http.get(case["review_url"].replace("http://localhost", "http://127.0.0.1"))
            await http.get(f"/api/hitl/cases/{case['case_id']}/status?token={review_token}")
            await http.post(f"/api/hitl/cases/{case['case_id']}/respond", json={"token": review_token, "result": 7})
        await sandbox.slack.tap(CHANNEL, card.ts, "Approve", user="Reviewer One")
        await slack_closed(sandbox)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        dump = "\n".join(connection.iterdump())
    secrets = [key, review_token, case["submit_token"], *both_messengers(sandbox).values()]
    for place in (dump, server.log):
        assert not [secret for secret in [*secrets, *links] if secret in place and not secret.startswith("http")]


async def test_serve_is_ready_within_a_second_and_five(database_url: str) -> None:
    async with serving(database_url, afresh=True) as server:
        assert server.ready_after < 5 * crowd()


async def test_verify_exits_zero_only_when_every_oracle_is(sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    async with serving(sqlite_url) as server:
        case = await open_case(server, key, notify=[])
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            answer = await http.post(
                f"/api/hitl/cases/{case['case_id']}/respond",
                json={
                    "action": "approve",
                    "submitted_via": "x-test",
                    "submitted_by": {"platform": "x-test", "platform_user_id": "1"},
                },
                headers={"Authorization": f"Bearer {case['submit_token']}"},
            )
            assert 200 == answer.status_code, answer.text
    status, out, _ = await run_assent("verify", "--database", sqlite_url)
    assert (0, True) == (status, "All oracles are zero" in out)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("""UPDATE human_interactions SET payload = '{"action":"reject","data":{}}'""")
        connection.commit()
    status, out, _ = await run_assent("verify", "--database", sqlite_url)
    assert (1, True) == (status, "this ledger row was altered" in out)


async def test_a_database_of_another_secret_key_is_refused_in_words(sqlite_url: str) -> None:
    await make_key(sqlite_url, "agent")
    other = {"ASSENT_SECRET_KEY": "another secret key altogether"}
    status, _, err = await run_assent("serve", "--port", "0", "--database", sqlite_url, environment=other)
    assert (1, True) == (status, "ASSENT_SECRET_KEY is not the one" in err)


async def test_cases_lists_what_is_waiting_and_where_its_cards_stand(sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    async with serving(sqlite_url) as server:
        case = await open_case(server, key)
    status, out, _ = await run_assent("cases", "--database", sqlite_url, "--json")
    assert 0 == status
    assert case["case_id"] in out
    assert f"slack:{CHANNEL} waiting" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "--database", "mysql://x/y"), "DATABASE_URL"),
        (("serve", "--roles", "api"), "SQLite runs all roles"),
        (("keys", "create", "--scope", "king"), "--scope"),
        (("keys", "create", "--scope", "agent", "--tenant", "not-a-uuid"), "tenant must be a UUID"),
    ],
)
async def test_a_wrong_command_line_says_what_is_wrong(arguments: tuple[str, ...], words: str, sqlite_url: str) -> None:
    given = arguments if "--database" in arguments else (*arguments, "--database", sqlite_url)
    status, out, err = await run_assent(*given)
    assert status != 0
    assert words in out + err
