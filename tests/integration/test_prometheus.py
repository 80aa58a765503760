"""A real Prometheus takes what we serve and what we ship: the metrics, the alerts, every question of the dashboard."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import metrics
from bot.sandbox import Fault, Sandbox
from bot.sandbox.slack import Message as SlackMessage
from bot.sandbox.telegram import Message as TelegramMessage
from tests.support.programs import NoProgram, find
from tests.support.prometheus import PACKAGE, Prometheus, prometheus, promtool
from tests.support.receiver import receiver
from tests.support.watched import CHANNEL, GROUP, TOKEN, Watched, watched

MANIFESTS = Path(__file__).parents[2] / "manifests"
RULES = sorted((MANIFESTS / "prometheus").glob("*.yaml"))
ALERTS_TEST = Path(__file__).parent / "prometheus" / "alerts.yaml"
DASHBOARD = json.loads((MANIFESTS / "grafana" / "assent.json").read_text())
CHOSEN = {"tenant": ".*", "source": ".*", "job": "assent", "__range": "1h", "__rate_interval": "1m"}
SILENT = {
    "Deliveries waiting: endpoints {{tenant}} {{state}}": "no endpoint was paused, and none is given up so soon",
    "Database, in trouble: unavailable": "the database was never away",
}
"""What has nothing to say of a process that is well."""


@pytest.fixture(autouse=True)
def _prometheus_is_here() -> None:
    try:
        find("promtool", PACKAGE)
    except NoProgram as missing:
        pytest.skip(str(missing))


def asked(text: str) -> str:
    """As Grafana asks it, with every variable chosen."""
    return re.sub(r"\$(\w+)", lambda found: CHOSEN[found[1]], text)


def questions() -> Iterator[tuple[str, str, str]]:
    """Every expression of the dashboard: where it stands, what it is, and its legend."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']}: {target['legendFormat']}", asked(target["expr"]), target["legendFormat"]


def test_alerts_are_rules_and_speak_when_they_should() -> None:
    assert RULES
    status, said = promtool("check", "rules", *RULES)
    assert 0 == status, said
    status, said = promtool("test", "rules", ALERTS_TEST)
    assert 0 == status, said


def test_every_alert_has_a_case_in_which_it_speaks_and_one_in_which_it_does_not() -> None:
    cases = [
        one for group in yaml.safe_load(ALERTS_TEST.read_text())["tests"] for one in group.get("alert_rule_test", [])
    ]
    rules = [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    both = {(rule["alert"], speaks) for rule in rules for speaks in (True, False)}
    assert both == {(one["alertname"], bool(one["exp_alerts"])) for one in cases}


@pytest.mark.full  # a quarter of a minute of waiting for a clock that is not ours; the rules are tested without it
@pytest.mark.timeout(180)
async def test_prometheus_reads_our_metrics_and_the_dashboard_has_something_to_show(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "FIGURES_SECONDS", 0.0)
    async with Sandbox.running(rate_limits=False) as sandbox, receiver() as there, watched(sqlite_url, sandbox) as here:
        target = here.url.removeprefix("http://")
        with prometheus(target, TOKEN, RULES, tmp_path) as scraping:
            source, away = [await a_source(here, url) for url in (there.url(), "http://127.0.0.1:1/")]
            await seen(scraping, "up", 1)  # Prometheus takes five seconds to begin
            await some_trouble(here, sandbox, scraping, away)
            for number in (1, 2):  # rates are told of what changes between two looks
                await a_round(here, sandbox, source, number)
                await seen(scraping, 'sum(assent_delivery_attempts_total{outcome="delivered"})', 3 * number)
            held = sandbox.faults.next("chat.postMessage", Fault.held())
            here.clock.forward(hours=2)
            await seen(scraping, 'sum(assent_cases_closed_total{outcome="expired"})', 2)
            await seen(scraping, "sum(assent_notices_waiting)", 1)
            await seen(scraping, 'ALERTS{alertname="AssentCasesExpire", alertstate="firing"}', 1)
            status, said = promtool("check", "metrics", given=(await here.page()).text)
            silent = await without_answer(scraping)
            held.release()
            alerts = await scraping.ask("rules")

    assert (0, "") == (status, said)
    assert set(SILENT) == silent
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert {("ok", "")} == {(rule["health"], rule.get("lastError", "")) for rule in rules}
    [expired] = [one for rule in rules if rule["name"] == "AssentCasesExpire" for one in rule["alerts"]]
    assert ("firing", source) == (expired["state"], expired["labels"]["source"])


async def a_source(here: Watched, url: str) -> str:
    delivery = {"mode": "WEBHOOK_AND_PULL", "webhook": {"url": url, "secret": "an-old-but-good-key-of-ours"}}
    return str((await here.post("/sources", "admin", name="Payments", delivery=delivery))["id"])


async def some_trouble(here: Watched, sandbox: Sandbox, scraping: Prometheus, away: str) -> None:
    """Slack's limit is reached, Telegram keeps us waiting, a webhook does not arrive."""
    sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=2))
    held = sandbox.faults.next("sendMessage", Fault.held())
    asked = [await here.case(source_id=away, notify=[f"slack:{CHANNEL}", f"telegram:{GROUP}"]) for _ in range(2)]
    await seen(scraping, 'sum(assent_cards_queued{platform="slack"})', 1)
    await seen(scraping, 'sum(assent_cards_behind{platform="telegram"})', 1)
    held.release()
    for hitl in asked:
        await here.post(f"/api/hitl/cases/{hitl['case_id']}/cancel")
    await seen(scraping, "sum(assent_deliveries_waiting)", 1)


async def a_round(here: Watched, sandbox: Sandbox, source: str, number: int) -> None:
    """Something of everything. Three decisions are delivered."""
    on_slack, on_telegram = f"On Slack, {number}?", f"On Telegram, {number}?"
    for prompt, chat in ((on_slack, f"slack:{CHANNEL}"), (on_telegram, f"telegram:{GROUP}")):
        await here.case(source_id=source, prompt=prompt, notify=[chat])
    await here.case(source_id=source, prompt="Left alone?", timeout="1h", default_action="abort")
    reminder = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await here.case(prompt="Without a source?", notify=[f"slack:{CHANNEL}"], timeout="8h", reminder_at=[reminder])
    block = {"id": "mail", "label": "Mail", "type": "plaintext", "content": "Dear all", "editable": True}
    edited = await here.case(type="approval", source_id=source, blocks=[block])
    token = edited["review_url"].partition("token=")[2]
    reply = {"token": token, "result": {"action": "approve"}, "blocks": {"mail": "Dear both"}}
    answered = await here.http.post(f"/api/hitl/cases/{edited['case_id']}/respond", json=reply)
    assert answered.is_success, answered.text
    intent = await here.post("/api/intents", goal="Scale search")
    await here.post("/api/runs", **intent, queuePartitionKey="tests")

    def card() -> SlackMessage | None:
        return next((one for one in sandbox.slack.messages(CHANNEL) if on_slack in str(one.blocks)), None)

    def message() -> TelegramMessage | None:
        return next((one for one in sandbox.telegram.messages(GROUP) if on_telegram in one.text), None)

    tap = await sandbox.slack.tap(CHANNEL, (await sandbox.until(card, 20)).ts, "Confirm")
    assert 200 == tap.status
    shown = await sandbox.until(message, 20)
    await (await sandbox.telegram.tap(GROUP, shown.message_id, "Confirm")).answer()


async def seen(scraping: Prometheus, expression: str, at_least: float) -> None:
    """Once Prometheus knows so much."""
    found: Any = None
    async with asyncio.timeout(30):
        while not found or found[0][1] < at_least:
            found = await scraping.query(expression)
            await asyncio.sleep(0.1)


async def without_answer(scraping: Prometheus) -> set[str]:
    """The questions of the dashboard to which there never was an answer, or one without what its legend names."""
    silent = set()
    for place, expression, legend in questions():
        found = await scraping.query_range(expression)
        named = set(re.findall(r"{{(\w+)}}", legend)) - {"source"}  # cases without a source have none
        if not any(value == value and named <= set(labels) for labels, value in found):
            silent.add(place)
    for variable in DASHBOARD["templating"]["list"]:
        if asks := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            values = await scraping.ask(f"label/{asks[2]}/values", **{"match[]": asked(asks[1])})
            assert [] != values, variable["name"]
    return silent
