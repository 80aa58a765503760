"""`POST /api/agent/{flow}`: the body, whose fields the flow has a say in, and the 202."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict

from api.schemas.answers import OpenedAnswer, opened_answer
from api.schemas.base import MAX_FIELDS, Wire, parse
from core.errors import InvalidInput
from core.flow_reading import MODES, TERMS
from core.flows import Flow, Submitted
from core.model import JsonObject, Opened

_OVERRIDE = "hitl_data_override"


class FlowRequest(Wire):
    """What every flow's requests may hold. How its cases are asked (TERMS) is read where cases are."""

    prefer_hitl: bool | None = None
    skip_hitl: bool | None = None
    hitl_approved_case_id: str | None = None
    hitl_continue_case_id: str | None = None
    hitl_step: str | None = None
    hitl_data_override: dict[str, Any] | None = None
    access_id: str | None = None


class FlowBody(FlowRequest):
    """The whole body: a flow's own fields (its data, its inputs, how its cases are asked) stand beside these."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class FlowCall:
    """A request to a flow, understood."""

    mode: Literal["ask", "finish", "create"]
    submitted: Submitted
    case_id: str | None = None  # to go on from, or to finish with
    step: str | None = None


def flow_call(flow: Flow, body: JsonObject) -> FlowCall:
    """Raises InvalidInput that names the field, or says which of the three ways to choose from."""
    if len(body) > MAX_FIELDS:
        raise InvalidInput("the body has too many fields")
    own = {flow.data, flow.override, *flow.inputs, *TERMS} - {None}
    request = parse(FlowRequest, {name: value for name, value in body.items() if name not in own})
    chosen = [name for name in MODES if getattr(request, name)]
    if len(chosen) != 1:
        problem = f"{' and '.join(chosen)} exclude each other" if chosen else "say how this shall go on"
        raise InvalidInput(
            f"{problem}: choose exactly one of prefer_hitl (ask a human), skip_hitl (create at once, without a human) "
            "and hitl_approved_case_id (finish what was approved)",
            field=chosen[1] if chosen else MODES[0],
        )
    for name in ("hitl_continue_case_id", "hitl_step"):
        if getattr(request, name) is not None and not request.prefer_hitl:
            raise InvalidInput(f"{name} goes with prefer_hitl: true only", field=name)
    submitted = _submitted(flow, request, body)
    if request.skip_hitl:
        return FlowCall("create", submitted)
    if request.hitl_approved_case_id:
        return FlowCall("finish", submitted, request.hitl_approved_case_id)
    return FlowCall("ask", submitted, request.hitl_continue_case_id, request.hitl_step)


def _submitted(flow: Flow, request: FlowRequest, body: JsonObject) -> Submitted:
    alias = _object(body, flow.override) if flow.override is not None else None
    if alias is not None and request.hitl_data_override is not None:
        raise InvalidInput(f"{flow.override} is another name of {_OVERRIDE}; send one of them", field=flow.override)
    values = {name: _text(name, body[name]) for name in flow.inputs if body.get(name) is not None}
    return Submitted(
        data=_object(body, flow.data),
        override=alias or request.hitl_data_override or {},
        values=values,
        terms={name: body[name] for name in TERMS if body.get(name) is not None},
    )


def _object(body: JsonObject, name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(f"{name} must be an object", field=name)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise InvalidInput(f"{name} must be text of 1 to 200 characters", field=name)
    return value


def asked_answer(opened: Opened, public_url: str) -> OpenedAnswer:
    """The body of the 202. Version 0.6 also says in `surface_data` which step, and which kind of selection, this is;
    later versions have no place for it.
    """
    found = opened_answer(opened, public_url)
    case = opened.case
    if case.terms["spec_version"] == "0.6":
        kind = case.content["context"].get("selection_type")
        about = {"step": case.terms["flow"]["step"]} | ({"selection_type": kind} if kind else {})
        found["hitl"]["surface_data"] = about
    return found
