"""The workflows that are carried out here: each a pure function from a run to what comes next. No I/O, no clock.

A step either did something (and names the step after it, or how the run ends), or asks people behind a gate. It may be
done more than once, so what it makes follows from the run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.gate_answers import form_of
from core.model import INLINE_ACTIONS, Address, Draft, JsonObject, Policy
from core.plan_approval import carried_out, differences, plan_of, words_of
from core.rows import address_of, policy_of, to_json
from core.run_moves import Run
from core.states import GateState

PLAN_APPROVAL, EXTERNAL = "plan-approval", "external"
ESCALATION_GATE = "escalation"
DEFAULT_TIMEOUT, DAY_MS = "24h", 86_400_000
MAX_PROMPT = 500


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that a step made."""

    task_key: str
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Did:
    """A step is done. `then`: the next one; None: the run has ended, with `outcome`."""

    output: JsonObject
    then: str | None
    status: Literal["completed", "skipped"] = "completed"
    artifacts: tuple[Artifact, ...] = ()
    state: JsonObject = field(default_factory=dict)  # what is added to the run's
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a gate asks. `next_action` says it in a word while the run waits. `escalation`: `notify` (addresses),
    `timeout`, `timeout_ms`, `policy`. `body_hash`: of the request that asked, to know its repetition.
    """

    gate_key: str
    prompt: str
    next_action: str
    type: str = "approval"
    message: str | None = None
    context: JsonObject = field(default_factory=dict)
    blocks: tuple[JsonObject, ...] = ()
    schema: JsonObject | None = None
    timeout: str = DEFAULT_TIMEOUT
    timeout_ms: int = DAY_MS
    reminder_at: tuple[int, ...] | None = None
    notify: tuple[Address, ...] | None = None
    policy: Policy | None = None
    escalation: JsonObject | None = None
    requested_by: str | None = None
    callback_url: str | None = None
    body_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Asks:
    """People are asked; `then` follows once the gate has ended."""

    asked: Asked
    then: str


Step = Callable[[Run], Did | Asks]


def step_of(run: Run) -> Step:
    """What comes next for this run."""
    return STEPS[run.kind][str(run.step)]


def draft_of(run: Run, asked: Asked) -> Draft:
    """The case behind a gate. Raises InvalidInput for a schema that people cannot be asked for."""
    context, case_type = dict(asked.context), asked.type
    integers: list[str] = []
    if asked.schema is not None:
        form, integers = form_of(asked.schema)
        context["form"], case_type = form, "input"
    actions = INLINE_ACTIONS.get(case_type, ("submit",))  # nobody can ask for changes: the workflow takes yes or no
    return Draft(
        type=case_type,
        prompt=asked.prompt,
        message=asked.message,
        context=context,
        blocks=asked.blocks,
        actions=actions,
        inline_actions=INLINE_ACTIONS.get(case_type, ()),
        timeout=asked.timeout,
        timeout_ms=asked.timeout_ms,
        reminder_at=asked.reminder_at,
        notify=asked.notify,
        policy=asked.policy,
        requested_by=asked.requested_by,
        callback_url=asked.callback_url,
        source_id=run.source_id,
        workflow_id=run.workflow_id,
        gate_key=asked.gate_key,
        grace_ms=0,  # the workflow goes on at once: there are no second thoughts
        gate={
            "next_action": asked.next_action,
            "schema": asked.schema,
            "integers": integers,
            "escalation": asked.escalation,
            "body_hash": asked.body_hash,
            "key_id": run.key_id,
        },
    )


# --- plan-approval: compile, ask, apply, decide, execute, on the data that it ships with ---


def _compile(run: Run) -> Did:
    plan = plan_of(run.state["goal"], run.state.get("input", {}))
    return Did(
        {"operations": len(plan)},
        "gate",
        artifacts=(Artifact("plan", "application/json", to_json(plan)),),
        state={"plan": plan},
    )


def _ask(run: Run) -> Asks:
    terms = run.state.get("terms", {})
    plan = run.state["plan"]
    block = {"id": "plan", "label": "Plan", "type": "json", "content": plan, "editable": False, "render_hints": {}}
    notify, policy = terms.get("notify"), terms.get("policy")
    asked = Asked(
        PLAN_APPROVAL,
        f"Carry out this plan? {run.state['goal']}"[:MAX_PROMPT],
        "APPROVE_PLAN",
        message=words_of(plan),
        blocks=(block,),
        timeout=terms.get("timeout", DEFAULT_TIMEOUT),
        timeout_ms=terms.get("timeout_ms", DAY_MS),
        notify=None if notify is None else tuple(map(address_of, notify)),
        policy=None if policy is None else policy_of(policy),
        escalation=terms.get("escalation"),
        requested_by=terms.get("requested_by"),
    )
    return Asks(asked, "apply")


def _answer(run: Run) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.results[PLAN_APPROVAL]
    return found


def _agreed(run: Run) -> bool:
    """Whether people said yes. A deadline that passed is no assent."""
    answer = _answer(run)
    return bool(answer["state"] == GateState.RECEIVED and answer["payload"]["choice"] == "yes")


def _apply(run: Run) -> Did:
    """What the plan would make of the data, beside the data as it is; nothing of it counts yet."""
    if not _agreed(run):
        return Did({"reason": "nobody agreed to the plan"}, "decide", "skipped")
    made = differences(run.state["plan"])
    artifact = Artifact("difference", "application/json", to_json(made))
    return Did({"changes": len(made)}, "decide", artifacts=(artifact,))


def _decide(run: Run) -> Did:
    answer = _answer(run)
    outcome = "timed_out" if answer["state"] == GateState.TIMED_OUT else "approved" if _agreed(run) else "denied"
    output = {"outcome": outcome, "rationale": (answer["payload"] or {}).get("rationale")}
    return Did(output, "execute", state={"outcome": outcome})


def _execute(run: Run) -> Did:
    outcome = run.state["outcome"]
    if outcome != "approved":
        return Did({"reason": f"the plan was {outcome.replace('_', ' ')}"}, None, "skipped", outcome=outcome)
    result = Artifact("inventory", "application/json", to_json(carried_out(run.state["plan"])))
    return Did({"operations": len(run.state["plan"])}, None, artifacts=(result,), outcome="executed")


# --- escalation: nobody answered a gate in time, and others are told ---


def _escalate(run: Run) -> Asks:
    state = run.state
    policy = state.get("policy")
    asked = Asked(
        ESCALATION_GATE,
        f"Nobody answered in time: {state['prompt']}"[:MAX_PROMPT],
        "ACKNOWLEDGE_ESCALATION",
        type="confirmation",
        message="The question above is closed and counts as not agreed to. Confirm that you take care of what follows.",
        context={"workflow": state["workflow_id"], "gate": state["gate_key"], "expired_at": state["expired_at"]},
        timeout=state["timeout"],
        timeout_ms=state["timeout_ms"],
        notify=tuple(map(address_of, state["notify"])),
        policy=None if policy is None else policy_of(policy),
    )
    return Asks(asked, "acknowledged")


def _acknowledged(run: Run) -> Did:
    answer = run.results[ESCALATION_GATE]
    if answer["state"] == GateState.TIMED_OUT:
        return Did({}, None, outcome="timed_out")
    taken = answer["payload"]["choice"] == "yes"
    return Did({"payload": answer["payload"]}, None, outcome="acknowledged" if taken else "declined")


STEPS: Mapping[str, Mapping[str, Step]] = {
    PLAN_APPROVAL: {"compile": _compile, "gate": _ask, "apply": _apply, "decide": _decide, "execute": _execute},
    "escalation": {"escalate": _escalate, "acknowledged": _acknowledged},
}
FIRST_STEP = {PLAN_APPROVAL: "compile"}
WORKFLOWS = (PLAN_APPROVAL, EXTERNAL)  # what an intent may name
