"""A flow's file, already parsed, becomes a Flow, or an error that says where and what. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.flow_text import placeholders, render
from core.flows import TARGETS, Flow, Input, Step, Withheld
from core.forms import check_form, fields_of
from core.model import ACTIONS, actions_of
from core.nodes import Node, Path, WrongFile
from core.schedule import parse_timeout

# The fields of every request to a flow; a flow's own fields cannot have their names.
TERMS = (
    "timeout",
    "hitl_callback_url",
    "notify",
    "reviewers",
    "requested_by",
    "source_id",
    "metadata",
    "spec_version",
    "grace_period",
)
MODES = ("prefer_hitl", "skip_hitl", "hitl_approved_case_id")
RESERVED = frozenset(
    (*TERMS, *MODES, "hitl_continue_case_id", "hitl_step", "hitl_data_override", "access_id")
) | frozenset(("data", "answers", "count", "note", "flow", "public_url", "secret"))
DEFAULT_ACTIONS = ("skip", "reject", "abort")  # not `approve`: a deadline that passes publishes nothing
_FLOW_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_STEP_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)  # gate keys are made of it
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_SCOPE = frozenset(("data", "answers", "count", "note", "flow", "public_url"))


@dataclass(frozen=True, slots=True)
class _Node(Node):
    def template(self, known: frozenset[str]) -> Any:
        """The value as it is, once every placeholder in it can be filled in."""
        for name in placeholders(self.value):
            if name.partition(".")[0] not in known:
                self.fail(f"{{{name}}} is not a placeholder; known are {', '.join(sorted(known))}")
        return self.value


_KEYS = ("flow", "data", "override", "timeout", "default_action", "inputs", "steps", "result")
_STEP_KEYS = (
    "name", "type", "prompt", "message", "context", "options", "form", "blocks", "leads_to", "answers", "takes",
    "needs", "skip_if_given", "skip_unless_given", "not_offered", "aside", "jump",
)  # fmt: skip


def read_flow(value: Any) -> Flow:
    """The flow that a parsed file describes. Raises WrongFile."""
    root = _Node(value)
    root.mapping(*_KEYS)
    name = root.at("flow").name(_FLOW_NAME, "small letters, digits and hyphens")
    data, override = root.at("data"), root.at("override")
    data_name = _own(data, data.name(_FIELD_NAME, "the name of a field"))
    override_name = (
        None if override.value is None else _own(override, override.name(_FIELD_NAME, "the name of a field"))
    )
    inputs = root.at("inputs")
    input_names = tuple(inputs.mapping()) if inputs.value is not None else ()
    for taken in input_names:
        if taken in (data_name, override_name):
            inputs.at(taken).fail("has the name of the flow's data")
    known = _SCOPE | frozenset(input_names)
    steps = root.at("steps").entries()
    names = tuple(step.at("name").name(_STEP_NAME, "small letters, digits and underscores") for step in steps)
    if not steps:
        root.at("steps").fail("needs at least one step")
    for n, step in enumerate(steps):
        if names[n] in names[:n] or names[n] in TARGETS:
            step.at("name").fail("is the name of an earlier step, or a word of its own")
    result = root.at("result")
    flow = Flow(
        name=name,
        data=data_name,
        override=override_name,
        inputs={one: _input(inputs.at(one), one, names, known) for one in input_names},
        steps=tuple(_step(step, names, (data_name, *input_names), known) for step in steps),
        result={key: _filled(result.at(key), known | {"secret"}) for key in result.mapping()},
        timeout=_timeout(root.at("timeout")),
        default_action=root.at("default_action").choice(*DEFAULT_ACTIONS) if "default_action" in value else "skip",
    )
    if not flow.result:
        result.fail("needs at least one field")
    _check_whole(flow, root)
    return flow


def _own(node: _Node, name: str) -> str:
    if name in RESERVED:
        node.fail("is a name that every flow's requests or templates use already")
    return name


def _timeout(node: _Node) -> str | None:
    text = node.maybe_text()
    if text is not None:
        node.parsed(parse_timeout)
    return text


def _filled(node: _Node, known: frozenset[str]) -> str:
    text: str = _Node(node.text(), node.path).template(known)
    return text


def _input(node: _Node, name: str, steps: tuple[str, ...], known: frozenset[str]) -> Input:
    _own(node, name)
    if not _FIELD_NAME.fullmatch(name):
        node.fail("must be the name of a field")
    node.mapping("pattern", "meaning", "one_of", "default")
    pattern = None
    if (text := node.at("pattern").maybe_text()) is not None:
        try:
            pattern = re.compile(text, re.ASCII)
        except re.error as error:
            node.at("pattern").fail(f"is not a pattern: {error}")
    one_of, default = node.at("one_of"), node.at("default")
    return Input(
        name=name,
        pattern=pattern,
        meaning=node.at("meaning").maybe_text() or "",
        one_of=None if one_of.value is None else one_of.choice(*steps),
        default=None if default.value is None else _filled(default, known),
    )


def _step(node: _Node, steps: tuple[str, ...], given: tuple[str, ...], known: frozenset[str]) -> Step:
    node.mapping(*_STEP_KEYS)
    case_type = node.at("type").text()
    if case_type not in ACTIONS and not case_type.startswith("x-"):
        node.at("type").fail(f"must be one of {', '.join(ACTIONS)}, or begin with x-")
    actions = actions_of(case_type)
    message, context = node.at("message"), node.at("context")
    takes = node.at("takes")
    form = _form(node.at("form"), case_type, known)
    takes_data = takes.value == given[0]
    if takes_data and form is None:
        takes.fail("is the data, so the step needs a form whose answers correct it")
    return Step(
        name=node.at("name").text(),
        type=case_type,
        prompt=_filled(node.at("prompt"), known),
        message=None if message.value is None else _filled(message, known),
        context={} if context.value is None else dict(_Node(context.mapping(), context.path).template(known)),
        options=_options(node.at("options"), case_type, known),
        form=form,
        blocks=_blocks(node.at("blocks"), known),
        leads_to=_per_action(node.at("leads_to"), actions, lambda found: found.choice(*TARGETS, *steps)),
        answers=_per_action(node.at("answers"), actions, _answer),
        takes={} if takes_data or takes.value is None else _takes(takes, given[1:]),
        takes_data=takes_data,
        needs=node.at("needs").names(given),
        skip_if_given=node.at("skip_if_given").names(given),
        skip_unless_given=node.at("skip_unless_given").names(given),
        withheld=_withheld(node.at("not_offered"), actions),
        aside=node.at("aside").flag(False),
        jump=node.at("jump").flag(True),
    )


def _options(node: _Node, case_type: str, known: frozenset[str]) -> tuple[Mapping[str, Any], ...]:
    if (case_type == "selection") == (node.value is None):
        node.fail("is missing: a selection needs options" if node.value is None else "belongs to a selection")
    if node.value is None:
        return ()
    found = []
    for option in node.entries():
        option.mapping("id", "label", "description", "image")
        for key in ("id", "label"):
            _filled(option.at(key), known)
        found.append(_Node(option.value, option.path).template(known))
    if not any(not list(placeholders(option["id"])) for option in found):
        node.fail("needs one option whose id has no placeholder, so that there is always something to choose")
    return tuple(found)


def _form(node: _Node, case_type: str, known: frozenset[str]) -> Mapping[str, Any] | None:
    if (case_type == "input") and node.value is None:
        node.fail("is missing: an input needs a form")
    if node.value is None:
        return None
    form = node.template(known)
    try:
        check_form({"form": render(form, {})})
    except InvalidInput as error:
        raise WrongFile(
            error.message.replace("context.form.", ""), _within(node, str(error.details["field"]))
        ) from None
    for n, field in enumerate(fields_of({"form": form})):
        if field.get("sensitive"):
            node.fail(
                f"the field {field['key']} (number {n + 1}) is sensitive; later steps would show it: ask for it apart"
            )
    return dict(form)


def _within(node: _Node, field: str) -> Path:
    """`context.form.fields[0].key` as a path from the form on."""
    parts = re.findall(r"\w+", field.removeprefix("context.form"))
    return (*node.path, *(int(part) if part.isdigit() else part for part in parts))


def _blocks(node: _Node, known: frozenset[str]) -> tuple[Mapping[str, Any], ...]:
    if node.value is None:
        return ()
    for block in node.entries():
        block.mapping("id", "label", "type", "content")
        block.at("id").text()
        block.at("type").choice("markdown", "plaintext", "json")
        if block.at("content").value is None:
            block.at("content").fail("is missing")
        block.template(known)
    return tuple(node.value)


def _per_action(node: _Node, actions: tuple[str, ...], read: Callable[[_Node], Any]) -> dict[str, Any]:
    if node.value is None:
        return {}
    return {action: read(node.at(action)) for action in node.mapping(*actions)}


def _answer(node: _Node) -> Mapping[str, Any]:
    for name in node.mapping():
        _Node(name, node.at(name).path).name(_FIELD_NAME, "the name of an entry of the answer's data")
        value = node.at(name).text()
        if ("{" in value or "}" in value) and not re.fullmatch(r"\{\w+\}", value):
            node.at(name).fail("must be a text, or {name} of another entry of the answer's data")
    return dict(node.value)


def _takes(node: _Node, inputs: tuple[str, ...]) -> Mapping[str, str]:
    if isinstance(node.value, str):
        node.fail("must be the flow's data, or an object of inputs and the entries that they are taken from")
    return {name: node.at(name).text() for name in (node.mapping(*inputs) if inputs else node.mapping("nothing"))}


def _withheld(node: _Node, actions: tuple[str, ...]) -> tuple[Withheld, ...]:
    rules = _per_action(node, actions, lambda found: found)
    if len(rules) >= len(actions):
        node.fail("must leave one action that is always offered")
    for rule in rules.values():
        rule.mapping("after", "answer")
    return tuple(Withheld(action, rule.at("answer").text(), rule.at("after").count()) for action, rule in rules.items())


def _check_whole(flow: Flow, root: _Node) -> None:
    """What no part of the file can say for itself."""
    order = [n for n, step in enumerate(flow.steps) if not step.aside]
    steps = root.at("steps").entries()
    if not order:
        root.at("steps").fail("needs a step that is not aside")
    last = steps[order[-1]]
    for key in ("skip_if_given", "skip_unless_given"):
        if last.at(key).value is not None:
            last.at(key).fail("stands in the last step of the order, which is asked always")
    for name, found in flow.inputs.items():
        step = flow.step(found.one_of) if found.one_of is not None else None
        if step is not None and (not step.options or any(map(_open, step.options))):
            root.at("inputs").at(name).at("one_of").fail("must name a selection whose ids have no placeholders")
    for n, step in enumerate(flow.steps):
        known = {action for one in flow.steps for action in actions_of(one.type)}
        for rule in step.withheld:
            if rule.answer not in known:
                steps[n].at("not_offered").at(rule.action).at("answer").fail(
                    f"must be one of {', '.join(sorted(known))}"
                )


def _open(option: Mapping[str, Any]) -> bool:
    return bool(list(placeholders(option["id"])))
