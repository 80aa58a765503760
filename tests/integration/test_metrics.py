"""What a process tells Prometheus: the right figures, to whoever may know, and nothing that is a secret."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from bot import metrics
from bot.metric_families import FAMILIES
from bot.metrics import MAX_SERIES, Exposition, Metrics
from bot.sandbox import Fault, Sandbox
from core.gate import Gate
from core.ledger import Tx, open_database
from core.ledger.watched import WatchedDatabase
from core.retention import Retention
from core.schedule import DAY
from tests.support.gates import MINUTE, World, reviewer, slack, until
from tests.support.receiver import answer, receiver
from tests.support.watched import CHANNEL, GROUP, SECRET, TOKEN, Page, watched

PROMPT = "Wire 9,000 to the harbour master?"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(rate_limits=False) as running:
        yield running


@pytest.fixture(autouse=True)
def _figures_are_read_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FIGURES_SECONDS", 0.0)


# --- who is told ---


async def test_without_a_token_in_the_settings_there_are_no_metrics(sqlite_url: str) -> None:
    async with watched(sqlite_url, metrics_token=None) as here:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
            assert 401 == (await here.http.get("/metrics", headers=headers)).status_code
        assert not isinstance(here.database, WatchedDatabase), "and nothing is counted"


async def test_only_whoever_brings_the_token_is_told(sqlite_url: str) -> None:
    async with watched(sqlite_url) as here:
        await here.case()
        for credentials in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {here.keys['agent']}"):
            refused = await here.http.get("/metrics", headers={"Authorization": credentials})
            assert 401 == refused.status_code
            assert "assent_" not in refused.text
        assert 401 == (await here.http.get("/metrics")).status_code
        assert FAMILIES
        assert {one.name: one.kind for one in FAMILIES}.items() <= (await here.page()).families.items()
        assert 401 == (await here.http.get("/api/hitl/inbox", headers={"Authorization": f"Bearer {TOKEN}"})).status_code


# --- a whole process, with messengers and webhooks ---


async def test_what_happened_is_told_and_nothing_that_is_secret(database_url: str, sandbox: Sandbox) -> None:
    async with receiver() as there, watched(database_url, sandbox) as here:
        key = "an-old-but-good-key-of-ours"
        delivery = {"mode": "WEBHOOK_AND_PULL", "webhook": {"url": there.url(), "secret": key}}
        source = (await here.post("/sources", "admin", name="Payments", delivery=delivery))["id"]
        asked = {"source_id": source, "prompt": PROMPT, "notify": [f"slack:{CHANNEL}", f"telegram:{GROUP}"]}
        tapped = await here.case(**asked)
        left = await here.case(**asked | {"prompt": "Left alone?"}, timeout="1h", default_action="abort")
        withdrawn = await here.case()
        await here.post(f"/api/hitl/cases/{withdrawn['case_id']}/cancel")

        def cards() -> list[str]:
            return [str(one.ts) for one in sandbox.slack.messages(CHANNEL) if "harbour" in str(one.blocks)]

        await sandbox.until(cards, 20)
        await until(lambda: [2, 2] == [len(sandbox.slack.messages(CHANNEL)), len(sandbox.telegram.messages(GROUP))])
        tap = await sandbox.slack.tap(CHANNEL, cards()[0], "Confirm", user="Reviewer One")
        assert 200 == tap.status
        await until(lambda: there.received)
        waiting = await here.page()
        here.clock.forward(hours=2)

        def settled(page: Page) -> bool:
            delivered = page.total("assent_delivery_attempts_total", outcome="delivered") == 2
            shown = page.total("assent_cases_closed_total") == 3 and page.total("assent_cards_behind") == 0
            return delivered and shown and page.total("assent_ledger_unsealed") == 0

        page = await here.page_when(settled)

    mine = {"tenant": here.tenant_id, "source": source}
    assert 1 == waiting.total("assent_cases_waiting", **mine) == waiting.total("assent_cases_waiting")
    assert 0 <= waiting.total("assent_cases_oldest_waiting_seconds", **mine) < 60
    assert 0 == page.total("assent_cases_waiting")
    assert 2 == page.total("assent_cases_opened_total", **mine, type="confirmation")
    assert 3 == page.total("assent_cases_opened_total", tenant=here.tenant_id)
    closed = {
        one: page.total("assent_cases_closed_total", outcome=one) for one in ("completed", "expired", "cancelled")
    }
    assert {"completed": 1, "expired": 1, "cancelled": 1} == closed
    assert 1 == page.total("assent_cases_closed_total", **mine, outcome="expired")
    decided = {
        (has["source"], has["verdict"], has["via"]): n
        for name, has, n in page.samples
        if name.endswith("decisions_total")
    }
    assert {
        (source, "APPROVE", "slack_block_action"): 1,
        (source, "DENY", "timer"): 1,
        ("", "DENY", "api"): 1,
    } == decided
    assert 1 == page.total("assent_decision_seconds_count", **mine) == page.total("assent_decision_seconds_count")
    assert 0 < page.total("assent_decision_seconds_sum") < 60
    assert 1 == page.total("assent_tap_seconds_count", platform="slack", outcome="recorded")
    for platform in ("slack", "telegram"):
        assert 2 == page.total("assent_messages_total", platform=platform, kind="card", way="post", outcome="sent")
    assert 2 == page.total("assent_delivery_seconds_count", kind="decision")
    assert 2 == page.total("assent_events_unacked", **mine)
    assert 3600 < page.total("assent_events_oldest_unacked_seconds", **mine)
    assert 3 == page.total("assent_http_request_seconds_count", route="/api/hitl/cases", method="POST", status="202")
    assert 1 == page.total("assent_http_request_seconds_count", door="messengers", route="/slack/interactions")
    assert page.total("assent_transaction_seconds_count", kind="write", outcome="committed") >= 5
    assert {1.0} == {value for name, _, value in page.samples if name == "assent_worker_beating"}
    assert (1, 0) == (page.total("assent_database_up"), page.total("assent_policies_broken"))

    told = page.text + waiting.text
    secrets = [TOKEN, SECRET, key, sandbox.slack.app.bot_token, sandbox.telegram.token, *here.keys.values()]
    secrets += [one["submit_token"] for one in (tapped, left)] + [
        one["review_url"].partition("=")[2] for one in (tapped, left)
    ]
    people = ["U0REVIEW1", "Reviewer One", CHANNEL, GROUP, PROMPT, "harbour", "Payments", there.url(), "127.0.0.1"]
    assert [] == [one for one in secrets + people if one in told]
    assert [] == [one["case_id"] for one in (tapped, left, withdrawn) if one["case_id"] in told]
    ids = {value for _, has, _ in page.samples for value in has.values() if re.search(r"[A-Za-z0-9_-]{16,}", value)}
    declared = {"ledger", "slack_block_action", "confirmation"} | {one for one in ids if one.startswith("/")}
    assert ids - declared <= {here.tenant_id, source}


async def test_what_a_platform_refuses_shows(sqlite_url: str, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=1))
    sandbox.faults.next("sendMessage", Fault.platform_error("Forbidden: bot was kicked from the group chat", 403))
    async with watched(sqlite_url, sandbox) as here:
        await here.case(notify=[f"slack:{CHANNEL}"])
        await sandbox.until(lambda: sandbox.calls("chat.postMessage"), 20)
        behind = await here.page()
        await here.case(notify=[f"telegram:{GROUP}"])
        await sandbox.until(lambda: sandbox.calls("sendMessage") and sandbox.slack.messages(CHANNEL), 20)
        page = await here.page_when(lambda page: page.total("assent_cards_behind") == 0)
    assert 1 == behind.total("assent_cards_behind", platform="slack")
    assert 1 == page.total("assent_messages_total", platform="slack", way="post", outcome="limited")
    assert 1 == page.total("assent_messages_total", platform="slack", way="post", outcome="sent")
    assert 1 == page.total("assent_messages_total", platform="telegram", way="post", outcome="dead")


async def test_endpoints_of_one_state_are_one_series_however_often_they_failed(here: World, counting: Metrics) -> None:
    for number in (1, 2):
        await here.answer(await here.open(sourced=False, callback_url=f"https://agent.test/{number}"))
    failures = "CASE WHEN endpoint_id = (SELECT min(endpoint_id) FROM endpoints) THEN 99 ELSE 0 END"
    await here.execute(f"UPDATE endpoints SET state = 'paused', failures = {failures}")
    page = await page_of(counting, here)
    assert [2.0] == [value for name, _, value in page.samples if name == "assent_endpoints_waiting"]


async def test_webhooks_that_do_not_arrive_show(sqlite_url: str) -> None:
    async with receiver() as there, watched(sqlite_url) as here:
        there.then = answer(500)
        delivery = {"mode": "WEBHOOK_ONLY", "webhook": {"url": there.url(), "secret": "an-old-but-good-key-of-ours"}}
        source = (await here.post("/sources", "admin", name="Away", delivery=delivery))["id"]
        hitl = await here.case(source_id=source)
        await here.post(f"/api/hitl/cases/{hitl['case_id']}/cancel")
        page = await here.page_when(lambda page: page.total("assent_delivery_attempts_total", outcome="retry") > 0)
    assert 1 == page.total("assent_deliveries_waiting", tenant=here.tenant_id, state="active")
    assert 1 == page.total("assent_endpoints_waiting", tenant=here.tenant_id, state="active")
    assert 1 == page.total("assent_delivery_attempt_seconds_count", kind="decision")
    assert 0 == page.total("assent_events_unacked"), "nobody pulls there"


# --- what counts as what ---


@pytest.fixture
def counting(here: World) -> Metrics:
    """The gate of this world counts."""
    found = Metrics()
    here.gate = Gate(WatchedDatabase(here.database, found), here.hub, here.ring)
    return found


async def page_of(counting: Metrics, here: World) -> Page:
    exposition = Exposition(counting, here.database, lambda: {"seals": False}, lambda: True)
    return Page((await exposition.page()).decode())


async def test_an_answer_that_may_be_revised_is_counted_once_it_stands(here: World, counting: Metrics) -> None:
    opened = await here.open(grace_ms=MINUTE)
    await here.answer(opened, "approve", door="page")
    await here.answer(opened, "reject", door="page", revision=1)
    before = await page_of(counting, here)
    here.clock.forward(MINUTE + 1)
    await here.gate.settle_due()
    after = await page_of(counting, here)
    assert (0, 1) == (before.total("assent_decisions_total"), after.total("assent_decisions_total"))
    assert 1 == after.total("assent_decisions_total", verdict="DENY", via="review_page")
    assert 1 == after.total("assent_decisions_overridden_total", how="revised", source=here.source_id)


async def test_a_decision_that_changes_what_was_proposed_is_an_override(here: World, counting: Metrics) -> None:
    block = {"id": "body", "type": "text", "content": "Dear all", "editable": True}
    for blocks in ({"body": "Dear both"}, {}):
        opened = await here.open(blocks=(block,), grace_ms=0)
        await here.answer(opened, door="page", blocks=blocks)
    page = await page_of(counting, here)
    assert 2 == page.total("assent_decisions_total", verdict="APPROVE")
    assert 1 == page.total("assent_decisions_overridden_total", how="edited")


async def test_what_changed_nothing_is_not_counted_again(here: World, counting: Metrics) -> None:
    opened = await here.open()
    for _ in range(3):
        await here.answer(opened, by=reviewer(1), delivery_id="d1")
    page = await page_of(counting, here)
    assert (1, 1) == (page.total("assent_cases_opened_total"), page.total("assent_decisions_total"))
    assert 1 == page.total("assent_decision_seconds_count")


async def test_a_transaction_that_fails_counts_no_case(here: World, counting: Metrics) -> None:
    opened = await here.open()
    database = WatchedDatabase(here.database, counting)

    async def body(tx: Tx) -> None:
        tx.tell(replace(opened.case))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.transact(body)
    page = await page_of(counting, here)
    assert 1 == page.total("assent_cases_opened_total")
    assert 1 == page.total("assent_transaction_seconds_count", kind="write", outcome="refused")


async def test_a_transaction_that_is_run_once_more_counts_its_case_once(on_postgres: World) -> None:
    counting, case = Metrics(), (await on_postgres.open()).case
    failures = [asyncpg.SerializationError("again, please")]

    async def body(tx: Tx) -> None:
        tx.tell(case)
        if failures:
            raise failures.pop()

    await WatchedDatabase(on_postgres.database, counting).transact(body)
    page = await page_of(counting, on_postgres)
    assert 1 == page.total("assent_cases_opened_total")
    assert 1 == page.total("assent_transaction_retries_total")
    assert 1 == page.total("assent_transaction_seconds_count", kind="write", outcome="committed")


async def test_a_worker_that_stands_and_files_that_are_wrong_show(here: World, counting: Metrics) -> None:
    page = await page_of(counting, here)
    assert [({"worker": "seals"}, 0.0)] == [one[1:] for one in page.samples if one[0] == "assent_worker_beating"]
    assert 1 == page.total("assent_policies_broken")


async def test_what_is_not_sealed_shows_with_its_age(here: World, counting: Metrics) -> None:
    await here.answer(await here.open())
    here.clock.forward(MINUTE)
    behind = await page_of(counting, here)
    await here.seal()
    assert 1 == behind.total("assent_ledger_unsealed")
    assert 60 <= behind.total("assent_ledger_seal_lag_seconds") < 120
    assert 0 == (await page_of(counting, here)).total("assent_ledger_unsealed")


async def test_what_waits_no_more_is_told_as_none(here: World, counting: Metrics) -> None:
    """A series that ended would leave its last figure standing, and a line that breaks off."""
    exposition = Exposition(counting, here.database, dict, lambda: False)
    opened = await here.open(notify=(slack(),), callback_url="https://agent.test/back")
    await here.answer(await here.open())
    await here.seal()
    here.clock.forward(MINUTE)
    waiting = Page((await exposition.page()).decode())
    await here.answer(opened)
    await here.events.ack(
        here.agent.tenant_id, here.source_id, [row["event_id"] for row in await here.rows("decision_events")]
    )
    await here.execute("UPDATE cards SET shown_version = wanted_version")
    await here.execute("UPDATE deliveries SET state = 'failed'")
    over = Page((await exposition.page()).decode())

    names = {
        "assent_cases_waiting", "assent_cases_oldest_waiting_seconds", "assent_cards_behind",
        "assent_cards_behind_seconds", "assent_events_unacked", "assent_events_oldest_unacked_seconds",
    }  # fmt: skip
    told = [(name, has) for name, has, value in waiting.samples if name in names and value > 0]
    assert names == {name for name, _ in told}
    left = {(name, str(has)): value for name, has, value in over.samples}
    assert dict.fromkeys([(name, str(has)) for name, has in told], 0.0).items() <= left.items()


async def test_what_waited_once_makes_no_metric_grow_without_end(
    here: World, counting: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MAX_SERIES", 2)
    exposition = Exposition(counting, here.database, dict, lambda: False)
    pages = []
    for _ in range(4):
        opened = await here.open(source_id=await here.new_source(here.agent))
        pages.append(Page((await exposition.page()).decode()))
        await here.answer(opened)
    assert [1, 1, 1, 1] == [page.total("assent_cases_waiting") for page in pages]
    assert 2 == len([name for name, _, _ in pages[-1].samples if name == "assent_cases_waiting"])


async def test_what_should_have_been_erased_is_counted_once_it_is_two_days_late(here: World, counting: Metrics) -> None:
    retention = Retention(here.database, here.hub, here.ring, 1)
    exposition = Exposition(counting, here.database, dict, lambda: False, retention_days=1)

    async def overdue() -> float:
        assert 0 == (await page_of(counting, here)).total("assent_retention_overdue"), "nothing is to be erased there"
        page = Page((await exposition.page()).decode())
        assert "assent_retention_overdue" in {name for name, _, _ in page.samples}
        return page.total("assent_retention_overdue")

    await here.answer(await here.open())
    await here.answer(await here.open(sourced=False))
    # The first gate of a workflow waits for the second, which ends by itself.
    await here.answer(await here.open(sourced=False, workflow_id="w", gate_key="first"))
    await here.open(sourced=False, workflow_id="w", gate_key="second", timeout_ms=30 * DAY)
    await here.seal()
    here.clock.forward(3 * DAY - MINUTE)
    assert 0 == await overdue()
    here.clock.forward(2 * MINUTE)
    assert 2 == await overdue()
    assert 1 == await retention.sweep()
    assert 1 == await overdue()
    await here.events.ack(here.agent.tenant_id, here.source_id, [(await here.row("decision_events"))["event_id"]])
    assert 1 == await retention.sweep()
    assert 0 == await overdue()


async def test_without_the_database_the_rest_is_told_all_the_same(database_url: str) -> None:
    closed = open_database(database_url)  # and never started
    page = Page((await Exposition(Metrics(), closed, dict, lambda: False).page()).decode())
    assert 0 == page.total("assent_database_up")
    assert 1 == page.total("assent_info")
    assert [] == [name for name, _, _ in page.samples if name.startswith("assent_cases_waiting")]


# --- bounds ---


async def test_no_number_of_sources_makes_a_metric_grow_without_end(here: World, counting: Metrics) -> None:
    case = (await here.open()).case
    for number in range(MAX_SERIES + 500):
        counting.moved(replace(case, source_id=f"src_{number}"))
    page = await page_of(counting, here)
    series = [has for name, has, _ in page.samples if name == "assent_cases_opened_total"]
    assert MAX_SERIES <= len(series) <= MAX_SERIES + 10
    assert MAX_SERIES + 501 == page.total("assent_cases_opened_total")
    assert 501 == page.total("assent_cases_opened_total", source="other", tenant="other")


async def test_an_address_that_is_none_of_ours_is_counted_as_one(sqlite_url: str) -> None:
    async with watched(sqlite_url) as here:
        for path in ("/wp-admin", "/api/hitl/cases/x/y/z", "/%00"):
            await here.http.get(path)
        await here.http.request("PROPFIND", "/readyz")
        page = await here.page()
    places = {
        (has["door"], has["route"], has["method"])
        for name, has, _ in page.samples
        if name.endswith("seconds_count") and "route" in has
    }
    assert ("other", "other", "GET") in places
    assert {"GET", "other"} == {method for _, _, method in places}
    assert not any("wp-admin" in route for _, route, _ in places)


async def test_figures_are_read_once_for_many_who_ask(
    here: World, counting: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "FIGURES_SECONDS", 60.0)
    watching = Metrics()
    exposition = Exposition(watching, WatchedDatabase(here.database, watching), dict, lambda: False)
    await asyncio.gather(*(exposition.page() for _ in range(8)))
    page = Page((await exposition.page()).decode())
    assert 1 == page.total("assent_transaction_seconds_count", kind="read")


async def test_a_process_without_the_api_role_is_watched_too(postgres_url: str) -> None:
    async with watched(postgres_url, roles=("clock",)) as here:
        page = await here.page()
        assert 404 == (await here.http.get("/docs")).status_code
    assert 1 == page.total("assent_worker_beating", worker="seals")
    assert 1 == page.total("assent_info", database="postgresql")
