"""Multi-step flows as values: what a flow is, and which step comes next. Pure: no I/O, no clock, no randomness.

A flow is an ordered list of steps, each of which asks one case. The answer to a case leads on: to the next step of the
list, to the same step again, to a named step, to the finish, or to a stop. The run's history decides; nothing is
stored that could be derived from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.digest import canonical
from core.errors import InvalidInput, NotReady
from core.forms import fields_of
from core.model import JsonObject, actions_of
from core.states import TERMINAL, Status

NEXT, AGAIN, FINISH, STOP = "next", "again", "finish", "stop"
TARGETS = (NEXT, AGAIN, FINISH, STOP)
# Where an answer leads when the flow does not say: agreement goes on, `edit` asks again, all else ends the flow.
LEADS_TO = {"confirm": NEXT, "select": NEXT, "submit": NEXT, "approve": NEXT, "edit": AGAIN}
REVISING = frozenset({"edit", "retry"})  # after these the agent may change what a reviewer had settled

MAX_DATA = 200 * 1024


@dataclass(frozen=True, slots=True)
class Input:
    """Something that comes with the request or is chosen in a step. `one_of`: the step whose options it must be one of;
    `default`: a template, for when it was neither given nor chosen.
    """

    name: str
    pattern: re.Pattern[str] | None = None
    meaning: str = ""
    one_of: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """An action that is no longer offered once `answer` has been given `after` times in the run."""

    action: str
    answer: str
    after: int


@dataclass(frozen=True, slots=True)
class Step:
    """One case of the flow. Texts, context, options, form and blocks are templates.

    `answers`: per action, what is added to the answer's data: literals, or `{name}` for another entry of it.
    `takes`: which inputs are set from which entries of that data; `takes_data`: the form's answers correct the data.
    `needs`: what must have been given; `skip_if_given`, `skip_unless_given`: what decides whether the step is asked.
    `aside`: not in the list's order, only reached by an answer. `jump`: may be named in `hitl_step`.
    """

    name: str
    type: str
    prompt: str
    message: str | None = None
    context: JsonObject = field(default_factory=dict)
    options: tuple[JsonObject, ...] = ()
    form: JsonObject | None = None
    blocks: tuple[JsonObject, ...] = ()
    leads_to: JsonObject = field(default_factory=dict)
    answers: JsonObject = field(default_factory=dict)
    takes: JsonObject = field(default_factory=dict)
    takes_data: bool = False
    needs: tuple[str, ...] = ()
    skip_if_given: tuple[str, ...] = ()
    skip_unless_given: tuple[str, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    aside: bool = False
    jump: bool = True

    def target(self, action: str) -> str:
        return str(self.leads_to.get(action, LEADS_TO.get(action, STOP)))


@dataclass(frozen=True, slots=True)
class Flow:
    """A whole flow. `data`: the request's field with what the flow is about; `override`: the flow's own name of
    `hitl_data_override`; `result`: templates of the final answer.
    """

    name: str
    data: str
    override: str | None
    inputs: Mapping[str, Input]
    steps: tuple[Step, ...]
    result: Mapping[str, str]
    timeout: str | None = None
    default_action: str = "skip"

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def jumps(self) -> tuple[str, ...]:
        """What `hitl_step` may name."""
        return tuple(step.name for step in self.steps if step.jump)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What one request of the agent brings, besides where it wants to go."""

    data: JsonObject | None = None
    override: JsonObject = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    terms: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run has been given so far. `chosen`: the inputs that a reviewer settled; `terms`: how its cases are asked
    (timeout, notify, reviewers, …), as the agent wrote it.
    """

    data: JsonObject = field(default_factory=dict)
    override: JsonObject = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    terms: JsonObject = field(default_factory=dict)

    @property
    def effective(self) -> dict[str, Any]:
        """The data with the human's corrections on top; a field that was emptied there is gone."""
        return {name: value for name, value in {**self.data, **self.override}.items() if value is not None}

    def given(self, flow: Flow, name: str) -> bool:
        return bool(self.effective) if name == flow.data else name in self.values

    def as_json(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "override": self.override,
            "values": self.values,
            "chosen": list(self.chosen),
            "terms": self.terms,
        }


def inputs_of(value: JsonObject) -> Inputs:
    return Inputs(**{**value, "chosen": tuple(value["chosen"])})


@dataclass(frozen=True, slots=True)
class Past:
    """One case of the run as it stands; `action` and `data` once it is completed."""

    case_id: str
    step: str
    round: int
    status: Status
    action: str | None = None
    data: JsonObject = field(default_factory=dict)

    @property
    def note(self) -> str | None:
        return next((str(self.data[key]) for key in ("note", "feedback", "reason") if self.data.get(key)), None)


@dataclass(frozen=True, slots=True)
class Ask:
    """The next case: this step, for the `round`-th time."""

    step: Step
    round: int
    actions: tuple[str, ...]

    @property
    def gate_key(self) -> str:
        return self.step.name if self.round == 1 else f"{self.step.name}.{self.round}"


@dataclass(frozen=True, slots=True)
class Finished:
    """The last answer leads to the finish."""

    case_id: str


# --- what comes next


def next_step(flow: Flow, inputs: Inputs, history: Sequence[Past], jump: str | None = None) -> Ask | Finished:
    """What follows in this run. Raises NotReady that says what is missing or what can be done, and InvalidInput for a
    step that cannot be jumped to, or not without what it needs.
    """
    wanted = _jump(flow, history, jump)
    if not history:
        return _ask(flow, inputs, wanted or _onward(flow, inputs, None), history)
    last = history[-1]
    step = flow.step(last.step)
    if step is None:
        raise NotReady(f"the flow no longer has a step {last.step}; begin anew", case_id=last.case_id)
    if last.status is not Status.COMPLETED:
        if last.status not in TERMINAL:
            raise NotReady(f"{last.step} has not been answered yet; wait for {last.case_id}", **_about(last))
        if wanted is None or not (step.jump or wanted is step):
            raise NotReady(
                f"{last.step} {_ended(last.status)}; to ask again, send hitl_step: {last.step} with "
                "hitl_continue_case_id, or begin anew",
                **_about(last),
            )
        return _ask(flow, inputs, wanted, history)
    assert last.action is not None
    target = _target(flow, inputs, step, last.action)
    if target is None:
        raise NotReady(f"the flow ended when {last.step} was answered with {last.action}; begin anew", **_about(last))
    if wanted is not None:
        if isinstance(target, Step) and not target.jump and wanted is not target:
            raise NotReady(
                f"{last.step} was answered with {last.action}, so {target.name} comes next; leave hitl_step out",
                **_about(last),
            )
        return _ask(flow, inputs, wanted, history)
    return Finished(last.case_id) if target == FINISH else _ask(flow, inputs, target, history)


def check_finished(flow: Flow, inputs: Inputs, history: Sequence[Past], case_id: str) -> None:
    """Raise NotReady unless the run can be finalized by this case."""
    last = history[-1]
    if last.case_id != case_id:
        raise NotReady(f"{case_id} is not the flow's last case; that is {last.case_id}, {last.step}", **_about(last))
    found = next_step(flow, inputs, history)
    if isinstance(found, Ask):
        raise NotReady(
            f"{last.step} was answered with {last.action}, so {found.step.name} is still missing: continue with "
            f"hitl_continue_case_id: {case_id}",
            missing=found.step.name,
            **_about(last),
        )


def _about(last: Past) -> dict[str, Any]:
    found = {"case_id": last.case_id, "step": last.step, "status": str(last.status)}
    return found | ({"action": last.action} if last.action is not None else {})


def _ended(status: Status) -> str:
    return "was not answered in time" if status is Status.EXPIRED else "was closed without an answer"


def _jump(flow: Flow, history: Sequence[Past], jump: str | None) -> Step | None:
    if jump is None:
        return None
    step = flow.step(jump)
    asking_again = bool(history) and history[-1].step == jump and history[-1].status is not Status.COMPLETED
    if step is None or not (step.jump or asking_again):
        raise InvalidInput(f"hitl_step must be one of {', '.join(flow.jumps)}", field="hitl_step")
    return step


def _target(flow: Flow, inputs: Inputs, step: Step, action: str) -> Step | str | None:
    """The step that the answer leads to, FINISH, or None where the flow stops."""
    match step.target(action):
        case "stop":
            return None
        case "again":
            return step
        case "next":
            return _onward(flow, inputs, step) or FINISH
        case "finish":
            return FINISH
        case name:
            return flow.step(name)


def _onward(flow: Flow, inputs: Inputs, after: Step | None) -> Step | None:
    """The first step behind `after` in the list's order that is not to be skipped."""
    start = 0 if after is None else flow.steps.index(after) + 1
    return next((step for step in flow.steps[start:] if not step.aside and not _skipped(flow, inputs, step)), None)


def _skipped(flow: Flow, inputs: Inputs, step: Step) -> bool:
    return any(inputs.given(flow, name) for name in step.skip_if_given) or any(
        not inputs.given(flow, name) for name in step.skip_unless_given
    )


def _ask(flow: Flow, inputs: Inputs, step: Step | str | None, history: Sequence[Past]) -> Ask:
    assert isinstance(step, Step)  # the last step in the order is never skipped, and every target exists
    check_given(flow, inputs, (*step.needs, *step.skip_unless_given))
    withheld = {
        rule.action for rule in step.withheld if sum(past.action == rule.answer for past in history) >= rule.after
    }
    actions = tuple(action for action in actions_of(step.type) if action not in withheld)
    return Ask(step, 1 + sum(past.step == step.name for past in history), actions)


# --- what the run has been given


def take_in(flow: Flow, inputs: Inputs, last: Past | None, submitted: Submitted) -> Inputs:
    """The inputs after the last answer and this request. Raises InvalidInput when the agent says something else than a
    reviewer has settled.
    """
    data, override = dict(inputs.data), dict(inputs.override)
    values, chosen = dict(inputs.values), set(inputs.chosen)
    revising = last is not None and last.action in REVISING
    step = flow.step(last.step) if last is not None else None
    if last is not None and step is not None and last.status is Status.COMPLETED:
        for name, answer in step.takes.items():
            if isinstance(value := last.data.get(answer), str):
                values[name] = value
                chosen.add(name)
        if step.takes_data:
            override |= {one["key"]: last.data.get(one["key"]) for one in fields_of({"form": step.form})}
    for name, value in submitted.values.items():
        if name in chosen and value != values[name]:
            if not revising:
                raise InvalidInput(
                    f"{name}: the reviewer has chosen {values[name]}; send that, or leave it out", field=name
                )
            chosen.discard(name)
        values[name] = value
    if submitted.data is not None:
        if revising:  # the reviewer asked for changes: a field that the agent changes now is no longer corrected
            override = {
                name: value
                for name, value in override.items()
                if name not in submitted.data or submitted.data[name] == data.get(name)
            }
        data = dict(submitted.data)
    override |= submitted.override
    found = Inputs(data, override, values, tuple(sorted(chosen)), {**inputs.terms, **submitted.terms})
    if len(canonical(found.effective)) > MAX_DATA:
        raise InvalidInput(f"{flow.data} may have {MAX_DATA // 1024} KiB", field=flow.data)
    return found


def check_given(flow: Flow, inputs: Inputs, names: Sequence[str]) -> None:
    """Raise InvalidInput that names what is missing."""
    for name in names:
        if not inputs.given(flow, name):
            raise InvalidInput(f"{name} is missing; send it", field=name)


def carries(inputs: Inputs, submitted: Submitted) -> bool:
    """Whether the request brings nothing that the run has not been given already."""
    return (
        submitted.data in (None, inputs.data)
        and _within(submitted.override, inputs.override)
        and _within(submitted.values, inputs.values)
        and _within(submitted.terms, inputs.terms)
    )


def _within(part: JsonObject, whole: JsonObject) -> bool:
    return all(name in whole and whole[name] == value for name, value in part.items())


def check_values(flow: Flow, values: Mapping[str, str]) -> None:
    """Raise InvalidInput unless every input that the agent gives is one that can be."""
    for name, value in values.items():
        wanted = flow.inputs[name]
        if wanted.pattern is not None and not wanted.pattern.fullmatch(value):
            raise InvalidInput(f"{name} must be {wanted.meaning or wanted.pattern.pattern}", field=name)
        if wanted.one_of is not None and (step := flow.step(wanted.one_of)) is not None:
            known = [str(option["id"]) for option in step.options]
            if value not in known:
                raise InvalidInput(f"{name} must be one of {', '.join(known)}", field=name)
