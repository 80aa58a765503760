"""What a step of a flow shows, what its answer adds to the data, and what comes out in the end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.errors import InvalidData, InvalidInput
from core.flow_text import render, sentence
from core.flows import FINISH, NEXT, Ask, Flow, Inputs, Past, Step
from core.forms import fields_of
from core.model import INLINE_ACTIONS, JsonObject

MAX_PROMPT = 500
MAX_MESSAGE = 2_000


def scope_of(flow: Flow, inputs: Inputs, history: Sequence[Past], public_url: str) -> dict[str, Any]:
    """What placeholders can name."""
    answers: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for past in history:
        answers |= past.data
        if past.action is not None:
            counts[past.action] = counts.get(past.action, 0) + 1
    scope = {
        "data": inputs.effective,
        "answers": answers,
        "count": counts,
        "note": history[-1].note if history else None,
        "flow": flow.name,
        "public_url": public_url,
    }
    for name, value in inputs.values.items():
        scope[name] = value
    for name, known in flow.inputs.items():
        if name not in inputs.values and known.default is not None:
            value = render(known.default, scope)
            if isinstance(value, str) and (known.pattern is None or known.pattern.fullmatch(value)):
                scope[name] = value
    return scope


def case_body(flow: Flow, inputs: Inputs, ask: Ask, scope: JsonObject) -> dict[str, Any]:
    """The case as the body of an opening request, with the agent's terms. Raises InvalidInput when something is missing
    that the flow cannot go on without.
    """
    step = ask.step
    context: dict[str, Any] = render(step.context, scope)
    if step.options:
        context["items"] = list(_options(step, scope))
        context["multiple"] = False
    if step.form is not None:
        context["form"] = _prefilled(render(step.form, scope))
    if any(_finishes(flow, step, action) for action in ask.actions):
        result_of(flow, scope, "-")  # nobody should agree to what could then not be finished
    body: dict[str, Any] = {
        "type": step.type,
        "prompt": sentence(step.prompt, scope, MAX_PROMPT),
        "message": sentence(step.message, scope, MAX_MESSAGE) if step.message else None,
        "context": context,
        "blocks": [block for block in map(_whole_block(scope), step.blocks) if block is not None],
        "actions": list(ask.actions),
        "timeout": flow.timeout,
        "default_action": flow.default_action,
    }
    return {**body, **_terms(step, inputs.terms)}


def _terms(step: Step, terms: JsonObject) -> JsonObject:
    """How the agent wants its cases asked, as far as this step can be: only a button can be agreed on by several."""
    reviewers = terms.get("reviewers")
    if step.type in INLINE_ACTIONS or not isinstance(reviewers, dict):
        return terms
    return {**terms, "reviewers": {k: v for k, v in reviewers.items() if k not in ("quorum", "reject_quorum")}}


def _finishes(flow: Flow, step: Step, action: str) -> bool:
    """Whether this answer may lead to the finish."""
    target = step.target(action)
    return target == FINISH or (
        target == NEXT and all(later.aside for later in flow.steps[flow.steps.index(step) + 1 :])
    )


def _options(step: Step, scope: JsonObject) -> Iterator[JsonObject]:
    """The options that can be offered: those with an id, each id once."""
    seen: set[str] = set()
    for template in step.options:
        option = render(template, scope)
        if isinstance(option.get("id"), str) and option["id"] not in seen:
            seen.add(option["id"])
            yield option


def _prefilled(form: dict[str, Any]) -> dict[str, Any]:
    """Defaults from the data may be anything; a field can start with a text, a number or a yes."""
    for one in fields_of({"form": form}):
        if isinstance(one, dict) and isinstance(one.get("default"), (dict, list)):
            del one["default"]
    return form


def _whole_block(scope: JsonObject) -> Any:
    def whole(template: JsonObject) -> JsonObject | None:
        block: JsonObject = render(template, scope)
        return block if "content" in block else None

    return whole


def result_of(flow: Flow, scope: JsonObject, secret: str) -> dict[str, Any]:
    """The final answer. Raises InvalidInput that names the input which is missing."""
    filled = render(flow.result, {**scope, "secret": secret})
    for name in flow.result:
        if name not in filled:
            missing = [one for one in flow.inputs if "{" + one in flow.result[name] and one not in scope]
            about = missing[0] if missing else flow.data
            raise InvalidInput(f"{about} is missing, and cannot be made from {flow.data}; send it", field=about)
    return {name: filled[name] for name in flow.result}


def named_answer(answers: JsonObject, action: str, data: JsonObject) -> dict[str, Any]:
    """An answer's data with what the flow adds to it; `answers` as in Step. A selection that was answered by the added
    name alone (`selected_slug`) gets `selected`, too. Raises InvalidData for an added entry whose value stands for no
    action of the step.
    """
    named = dict(data)
    for name, value in answers.get(action, {}).items():
        source = value[1:-1] if isinstance(value, str) and value.startswith("{") and value.endswith("}") else None
        if source is None:
            known = [rules[name] for rules in answers.values() if name in rules]
            if name in named and named[name] not in known:
                problem = f"must be one of {', '.join(map(str, known))}"
                raise InvalidData(f"{name} {problem}", fields={name: problem})
            named.setdefault(name, value)
        elif source == "selected":
            if "selected" not in named and isinstance(named.get(name), str):
                named["selected"] = [named[name]]
            chosen = named.get("selected")
            if isinstance(chosen, list) and chosen:
                named[name] = chosen[0]
        elif named.get(source) and not named.get(name):
            named[name] = named[source]
    return named
