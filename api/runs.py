"""Door 4, runs and durable gates: intents, runs, what runs leave, gates, replies, and what waits for people.

A reply is judged in a fixed order: JSON, schema, gate key, run, gate, topic, known dedupe key, whether the gate waits.
"""

from __future__ import annotations

import re

from api.call import Call, while_known
from api.http import Answers, json_answer
from api.run_stream import RunStream
from api.schemas.base import parse
from api.schemas.run_answers import (
    artifact_answer,
    gate_answer,
    inbox_item,
    interaction_answer,
    replied_answer,
    run_answer,
    step_answer,
)
from api.schemas.runs import Finish, GateReply, HitlEvent, NewIntent, OpenGate, StartRun
from core.errors import InvalidInput
from core.gate_keys import check_gate_key
from core.model import Origin
from core.run_states import RunStatus
from core.urls import review_url

MAX_WAIT_SECONDS = 30
DEFAULT_INBOX, MAX_INBOX = 50, 200
_WHOLE = re.compile(r"[0-9]{1,4}", re.ASCII)


async def post_intent(call: Call) -> Answers:
    """`POST /api/intents`"""
    intent = parse(NewIntent, await call.json()).intent()
    return json_answer(201, {"intentId": await call.services.runs.intend(call.caller, intent)})


async def start_run(call: Call) -> Answers:
    """`POST /api/runs`: one run per intent; the same again gives the same run."""
    wanted = parse(StartRun, await call.json())
    run = await call.services.runs.start(call.caller, wanted.intentId, wanted.partition())
    return json_answer(201, {"workflowID": run.workflow_id, "runId": run.run_id})


async def get_run(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}`"""
    seconds = _wait(call)
    reading = call.services.run_views.run(call.caller, call.params["workflow_id"], seconds)
    return json_answer(200, run_answer(await (while_known(call, reading) if seconds else reading)))


async def finish_run(call: Call) -> Answers:
    """`POST /api/runs/{workflow_id}/finish`"""
    wanted = parse(Finish, await call.json())
    run = await call.services.runs.finish(
        call.caller, call.params["workflow_id"], RunStatus(wanted.status), wanted.outcome
    )
    return json_answer(200, run_answer(run))


async def list_steps(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}/steps`"""
    steps, artifacts = await call.services.run_views.steps(call.caller, call.params["workflow_id"])
    return json_answer(
        200, {"items": list(map(step_answer, steps)), "artifacts": list(map(artifact_answer, artifacts))}
    )


async def list_gates(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}/gates`"""
    gates = await call.services.run_views.gates(call.caller, call.params["workflow_id"])
    return json_answer(200, {"items": list(map(gate_answer, gates))})


async def list_interactions(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}/interactions`"""
    rows = await call.services.run_views.interactions(call.caller, call.params["workflow_id"])
    return json_answer(200, {"items": list(map(interaction_answer, rows))})


async def stream(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}/stream`"""
    return RunStream(call.streams, call.caller, call.params["workflow_id"], call.header(b"last-event-id"))


async def get_gate(call: Call) -> Answers:
    """`GET /api/runs/{workflow_id}/gates/{gate_key}`"""
    seconds, gate_key = _wait(call), check_gate_key(call.params["gate_key"])
    reading = call.services.run_views.gate(call.caller, call.params["workflow_id"], gate_key, seconds)
    return json_answer(200, gate_answer(await (while_known(call, reading) if seconds else reading)))


async def open_gate(call: Call) -> Answers:
    """`POST /api/runs/{workflow_id}/gates/{gate_key}`: for a run that its agent carries out."""
    body = await call.json()
    wanted, gate_key = parse(OpenGate, body), check_gate_key(call.params["gate_key"])
    services, workflow_id = call.services, call.params["workflow_id"]
    case = await services.runs.open_gate(call.caller, workflow_id, wanted.asked(gate_key, body, services.destinations))
    token = await services.views.review_token(case.case_id)
    link = None if token is None else review_url(services.public_url, case, token)
    view = await services.run_views.gate(call.caller, workflow_id, gate_key)
    return json_answer(200, {**gate_answer(view), "reviewUrl": link})


async def reply(call: Call) -> Answers:
    """`POST /api/runs/{workflow_id}/gates/{gate_key}/reply`"""
    given = parse(GateReply, await call.json())
    return await _reply(call, call.params["workflow_id"], call.params["gate_key"], given, given.topic)


async def post_event(call: Call) -> Answers:
    """`POST /api/events/hitl`: the same, with the address in the body."""
    given = parse(HitlEvent, await call.json())
    return await _reply(call, given.workflowId, given.gateKey, given, given.topic)


async def _reply(call: Call, workflow_id: str, key: str, given: GateReply | HitlEvent, topic: str | None) -> Answers:
    gate_key = check_gate_key(key)
    answered = await call.services.runs.reply(
        call.caller,
        workflow_id,
        gate_key,
        payload=given.payload,
        dedupe_key=given.dedupeKey,
        origin=Origin(given.origin),
        topic=topic,
    )
    view = await call.services.run_views.gate(call.caller, workflow_id, gate_key)
    return json_answer(200, replied_answer(view, answered.interaction_id, replay=answered.replay))


async def inbox(call: Call) -> Answers:
    """`GET /api/hitl/inbox`"""
    limit = _number(call.query("limit").get("limit"), "limit", DEFAULT_INBOX, 1, MAX_INBOX)
    waiting = await call.services.run_views.inbox(call.caller, limit)
    return json_answer(200, {"items": list(map(inbox_item, waiting))})


def _wait(call: Call) -> int:
    return _number(call.query("timeoutS").get("timeoutS"), "timeoutS", 0, 0, MAX_WAIT_SECONDS)


def _number(text: str | None, field: str, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise InvalidInput(f"{field} must be a whole number from {least} to {most}", field=field)
    return int(text)
