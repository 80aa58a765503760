"""Door 1, multi-step flows: ask the next step, finish what was approved, or create without asking."""

from __future__ import annotations

from functools import partial

from pydantic_core import to_json

from api.auth import principal_by
from api.call import Call
from api.hitl import ASK_AGAIN, DOOR, draft_of
from api.http import Answers, raw_json_answer
from api.once import once_of
from api.schemas.flows import FlowCall, asked_answer, flow_call
from core.errors import Refused
from core.flows import Flow
from core.model import Idempotency, Opened, Principal, Repeated
from core.strictjson import load_object

SCOPES = ("agent", "admin")


async def run_flow(call: Call) -> Answers:
    """`POST /api/agent/{flow}`. The key may also come as `access_id` in the body."""
    raw = await call.body()
    body = load_object(raw)
    access_id = body.get("access_id")
    given = access_id if isinstance(access_id, str) else None
    principal = await principal_by(call.services, call.scope, given, SCOPES, door=DOOR)
    if principal.sources is not None:
        raise Refused("this key is bound to sources, and a flow belongs to none; use a key of the whole tenant")
    flow = call.services.flows.get(call.params["flow"])
    found = flow_call(flow, body)
    once = once_of(call, f"flow:{flow.name}", raw)
    flows = call.services.flows
    if found.mode == "ask":
        return await _ask(call, principal, flow, found, once)
    if found.mode == "create":
        text = await flows.create(principal, flow, found.submitted, once)
    else:
        text = await flows.finish(principal, flow, found.case_id or "", found.submitted, once)
    return raw_json_answer(201, text.encode())


async def _ask(call: Call, principal: Principal, flow: Flow, found: FlowCall, once: Idempotency | None) -> Answers:
    services = call.services

    def render(opened: Opened) -> str:
        return to_json(asked_answer(opened, services.public_url)).decode()

    opened = await services.flows.ask(
        principal,
        flow,
        found.submitted,
        partial(draft_of, services),
        after=found.case_id,
        jump=found.step,
        once=once,
        render=render,
    )
    text = opened.answer if isinstance(opened, Repeated) else render(opened)
    return raw_json_answer(202, text.encode(), ASK_AGAIN)
