"""What a process tells a collector of traces, over real HTTP: how pieces of work hang together, and only their ids."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bot.sandbox import Sandbox
from bot.settings import WrongSetting
from tests.support.gates import until
from tests.support.receiver import Receiver, receiver
from tests.support.watched import CHANNEL, SECRET, watched

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
COLLECTOR_KEY = "the-collectors-own-key"
PROMPT, REASON = "Wire 9,000 to the harbour master?", "because the moon is full"


@dataclass(frozen=True)
class Told:
    """A span as the collector got it."""

    name: str
    trace: str
    id: str
    parent: str
    facts: dict[str, Any]


def spans(collector: Receiver) -> list[Told]:
    found = []
    for request in collector.received:
        assert "/v1/traces" == request.target
        message = ExportTraceServiceRequest.FromString(request.body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for one in scope.spans:
                    facts = {pair.key: pair.value.string_value or pair.value.int_value for pair in one.attributes}
                    found.append(Told(one.name, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(), facts))
    return found


def with_collector(collector: Receiver) -> dict[str, Any]:
    return {
        "otel_exporter_otlp_endpoint": collector.url(""),
        "otel_exporter_otlp_headers": f"x-collector-key={COLLECTOR_KEY}",
    }


async def test_requests_verbs_messages_and_deliveries_are_traced_without_what_they_are_about(
    database_url: str,
) -> None:
    async with receiver() as collector, receiver() as there, Sandbox.running(rate_limits=False) as sandbox:
        async with watched(database_url, sandbox, **with_collector(collector)) as here:
            key = "an-old-but-good-key-of-ours"
            delivery = {"mode": "WEBHOOK_ONLY", "webhook": {"url": there.url(), "secret": key}}
            source = (await here.post("/sources", "admin", name="Payments", delivery=delivery))["id"]
            asked = {"source_id": source, "prompt": PROMPT, "notify": [f"slack:{CHANNEL}"]}
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "our-request"}
            hitl = await here.case(**asked, headers=headers)
            await sandbox.until(lambda: sandbox.slack.messages(CHANNEL), 20)
            card = sandbox.slack.messages(CHANNEL)[0]
            assert 200 == (await sandbox.slack.tap(CHANNEL, card.ts, "Confirm", user="Reviewer One")).status
            await until(lambda: there.received)
            expiring = await here.case()
            withdrawn = await here.case()
            await here.post(f"/api/hitl/cases/{withdrawn['case_id']}/cancel", reason=REASON)
            here.clock.forward(hours=13)
            await until(lambda: any(one.name == "gate.remind" for one in spans(collector)))
            here.clock.forward(hours=12)
            await until(lambda: any(one.name == "gate.expire" for one in spans(collector)))
            keys = list(here.keys.values())
        told = spans(collector)  # the process has ended, and sent the last of them
        sent = b"".join(request.body for request in collector.received)
        (pushed, *_) = there.received
        case_id = hitl["case_id"]

    def named(name: str, **facts: Any) -> Told:
        (found,) = [one for one in told if one.name == name and facts.items() <= one.facts.items()]
        return found

    posted = named("POST /api/hitl/cases", request_id="our-request")
    assert (TRACE, PARENT) == (posted.trace, posted.parent)
    assert ("hitl", 202, here.tenant_id) == tuple(
        posted.facts[name] for name in ("door", "http.response.status_code", "tenant_id")
    )
    opened = named("gate.open", case_id=case_id)
    assert (TRACE, posted.id, "our-request") == (opened.trace, opened.parent, opened.facts["request_id"])
    tapped, answered = named("POST /slack/interactions"), named("gate.respond", case_id=case_id)
    assert (tapped.trace, tapped.id) == (answered.trace, answered.parent)
    assert ("slack_block_action", "completed") == (answered.facts["via"], answered.facts["status"])
    assert answered.facts["interaction_id"].startswith("int_")
    assert {"sent"} == {one.facts["outcome"] for one in told if one.name.startswith("card.")}
    attempt = named("delivery.attempt", case_id=case_id)
    assert ["00", attempt.trace, attempt.id] == pushed.headers["traceparent"].split("-")[:3]
    assert ("delivered", 200) == (attempt.facts["outcome"], attempt.facts["status"])
    assert here.tenant_id == named("gate.expire", case_id=expiring["case_id"]).facts["tenant_id"]
    named("gate.remind", case_id=expiring["case_id"])
    named("gate.cancel", case_id=withdrawn["case_id"])
    assert {COLLECTOR_KEY} == {request.headers["x-collector-key"] for request in collector.received}

    secrets = [SECRET, key, COLLECTOR_KEY, sandbox.slack.app.bot_token, sandbox.telegram.token, *keys]
    secrets += [one["submit_token"] for one in (hitl, expiring)]
    secrets += [one["review_url"].partition("=")[2] for one in (hitl, expiring)]
    people = [PROMPT, REASON, "harbour", "U0REVIEW1", "Reviewer One", CHANNEL, "Payments", there.url(), "trigger"]
    assert [] == [one for one in secrets + people if one.encode() in sent]


async def test_an_error_is_told_by_its_code_alone(sqlite_url: str) -> None:
    async with receiver() as collector:
        async with watched(sqlite_url, **with_collector(collector)) as here:
            hitl = await here.case()
            url = hitl["submit_url"].removeprefix(here.process.assembly.services.public_url)
            body = {"action": "launch", "submitted_via": "slack_block_action"}
            body |= {"submitted_by": {"platform": "slack", "platform_user_id": "U0SOMEBODY"}}  # type: ignore[dict-item]
            refused = await here.http.post(url, json=body, headers={"Authorization": f"Bearer {hitl['submit_token']}"})
            assert 400 <= refused.status_code < 500
        (found,) = [one for one in spans(collector) if one.name == "gate.respond"]
        sent = b"".join(request.body for request in collector.received)
    assert hitl["case_id"] == found.facts["case_id"]
    assert found.facts["error.type"] in ("action_not_inline", "invalid_action")
    assert [] == [word for word in (b"launch", b"U0SOMEBODY") if word in sent]


async def test_a_collector_that_is_away_costs_nothing_but_its_spans(sqlite_url: str) -> None:
    async with receiver() as gone:
        settings = with_collector(gone)
    async with watched(sqlite_url, **settings) as here:
        hitl = await here.case()
        await here.post(f"/api/hitl/cases/{hitl['case_id']}/cancel")


async def test_without_its_extra_a_collector_stops_the_start_and_is_named(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(WrongSetting, match=r"OTEL_EXPORTER_OTLP_ENDPOINT: install Assent's extra otel"):
        async with watched(sqlite_url, otel_exporter_otlp_endpoint="http://localhost:4318"):
            pass
