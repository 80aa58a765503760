"""The fields of an input case as the page asks them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.review.answer import FIELD
from api.review.pieces import scalar, shown
from api.review.posted import Posted
from api.review.strings import Texts, number_words
from core.forms import FIELD_TYPES, MAX_TEXT, rule_date, steps_of
from core.forms import Field as Definition

_UNSENT = ("boolean", "multiselect")  # controls that post nothing when nothing is chosen
_INPUT_TYPES = {"date": "date", "email": "email", "url": "url", "number": "number", "range": "number"}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `control` is input, textarea, select, checkbox, yes_no or checkboxes; `type` the input's HTML type.

    `value` is the text to start with, `choices` what select, yes_no and checkboxes offer. `required` is left to the
    script for a field that a condition may hide (`when`, with `when_words` for readers without script). `number` says
    that conditions compare it as a number; `slider` that it has both ends, so that the script may add one. `kept`: the
    server holds a sensitive value, which an empty control stands for; `fetched`: a value is still to come from
    elsewhere.
    """

    key: str
    name: str
    label: str
    control: str
    type: str
    value: str
    choices: tuple[Choice, ...]
    required: bool
    sensitive: bool
    kept: bool
    fetched: bool
    number: bool
    slider: bool
    hint: str | None
    range_hint: str | None
    placeholder: str
    rules: Mapping[str, str]
    when: Mapping[str, Any] | None
    when_words: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """A step of the form, or all of it; then `title` is None. `position` says which step of several it is. A step
    without fields shows the answers so far.
    """

    number: int
    position: str | None
    title: str | None
    description: str | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What a form starts with: what was posted or typed before, what was wrong with it, the keys of the sensitive
    fields that hold a value (`kept`), and of those whose value is still to come from elsewhere (`fetched`).
    """

    posted: Posted = field(default_factory=Posted)
    errors: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    fetched: frozenset[str] = frozenset()


def groups_of(context: Mapping[str, Any], texts: Texts, start: Start) -> tuple[Group, ...]:
    """The steps of `context.form`, or its fields as the one step; with what was posted, but never a sensitive value."""
    steps = steps_of(context)
    known = {definition["key"]: definition for step in steps for definition in step["fields"]}
    return tuple(
        Group(
            number=number,
            position=texts["step_of"].format(number, len(steps)) if len(steps) > 1 else None,
            title=shown(step["title"]) if "title" in step else None,
            description=shown(str(step["description"])) if step.get("description") else None,
            fields=tuple(_field(definition, known, texts, start) for definition in step["fields"]),
        )
        for number, step in enumerate(steps, 1)
    )


def step_of(context: Mapping[str, Any], keys: Collection[str]) -> int | None:
    """The number of the first step that has one of these fields; None when none has."""
    for number, step in enumerate(steps_of(context), 1):
        if any(definition["key"] in keys for definition in step["fields"]):
            return number
    return None


def _field(definition: Definition, known: Mapping[str, Definition], texts: Texts, start: Start) -> Field:
    kind = definition["type"] if definition["type"] in FIELD_TYPES else "text"
    name = FIELD + definition["key"]
    sensitive = bool(definition.get("sensitive"))
    required = bool(definition.get("required"))
    given = _given(definition, start.posted, name, required=required)
    condition = definition.get("conditional")
    control = _control(kind, required=required)
    error = start.errors.get(definition["key"])
    rules = _rules(kind, definition.get("validation", {}), masked=sensitive)
    return Field(
        key=definition["key"],
        name=name,
        label=shown(definition["label"]),
        control=control,
        type="password" if sensitive else _INPUT_TYPES.get(kind, "text"),
        value=given[0] if given and control in ("input", "textarea") else "",
        choices=_choices(definition, control, given, texts),
        required=required and control != "checkbox",
        sensitive=sensitive,
        kept=definition["key"] in start.kept,
        fetched=definition["key"] in start.fetched,
        number=kind in ("number", "range"),
        slider=kind == "range" and not sensitive and {"min", "max"} <= set(rules),
        hint=shown(definition["hint"]) if definition.get("hint") else None,
        range_hint=_range_hint(kind, definition.get("validation", {}), texts),
        placeholder=shown(definition.get("placeholder", "")),
        rules=rules,
        when=condition,
        when_words=_when_words(condition, known, texts) if condition else None,
        error=None if error is None else shown(error),
    )


def _given(definition: Definition, posted: Posted, name: str, *, required: bool) -> Sequence[str]:
    """What the field starts with: what was posted, else the default. Nothing sensitive goes out."""
    if definition.get("sensitive"):
        return ()
    if name in posted.values or (posted.values and definition["type"] in _UNSENT):
        return posted.all(name)
    default = definition.get("default")
    if default is None:
        return ()
    if isinstance(default, bool):
        return ("true",) if default else ("false",) if required else ()
    return tuple(map(str, default)) if isinstance(default, list) else (str(default),)


def _control(kind: str, *, required: bool) -> str:
    match kind:
        case "textarea" | "select":
            return kind
        case "multiselect":
            return "checkboxes"
        case "boolean":
            # A box that is left empty cannot tell a no from nothing said.
            return "yes_no" if required else "checkbox"
        case _:
            return "input"


def _choices(definition: Definition, control: str, given: Sequence[str], texts: Texts) -> tuple[Choice, ...]:
    options = [(option["value"], shown(option["label"])) for option in definition.get("options") or ()]
    if control in ("yes_no", "checkbox"):
        options = [("true", texts["yes"]), ("false", texts["no"])]
    elif control not in ("select", "checkboxes"):
        return ()
    return tuple(Choice(value, label, value in given) for value, label in options)


def _rules(kind: str, validation: Mapping[str, Any], *, masked: bool) -> dict[str, str]:
    """The validation as HTML attributes, where HTML means the same as the server does."""
    found: dict[str, str] = {}
    if kind in ("number", "range"):
        if masked:
            return {"inputmode": "decimal"}
        found = {name: str(validation[name]) for name in ("min", "max") if name in validation}
        return found | {"step": "any"}
    if kind == "date":
        limits = {name: rule_date(validation[name]) for name in ("min", "max") if name in validation}
        return {name: limit for name, limit in limits.items() if limit is not None and not masked}
    if kind in ("text", "textarea", "email", "url"):
        found["maxlength"] = str(int(min(MAX_TEXT, validation.get("maxLength", MAX_TEXT))))
        if "minLength" in validation:
            found["minlength"] = str(int(validation["minLength"]))
        # POSIX classes mean something else in a browser; the server judges those alone.
        if kind != "textarea" and "[:" not in (pattern := validation.get("pattern", "[:")):
            found["pattern"] = pattern
    return found


def _range_hint(kind: str, validation: Mapping[str, Any], texts: Texts) -> str | None:
    if kind not in ("number", "range", "date"):
        return None
    low, high = (_limit(validation.get(name), kind, texts) for name in ("min", "max"))
    if low is not None and high is not None:
        return str(texts["between"]).format(low, high)
    if low is not None:
        return str(texts["not_before"] if kind == "date" else texts["at_least"]).format(low)
    if high is not None:
        return str(texts["not_after"] if kind == "date" else texts["at_most"]).format(high)
    return None


def _limit(value: Any, kind: str, texts: Texts) -> str | None:
    if value is None:
        return None
    return rule_date(value) if kind == "date" else number_words(value, texts)


def _when_words(condition: Mapping[str, Any], known: Mapping[str, Definition], texts: Texts) -> str:
    definition = known[condition["field"]]
    labels = {option["value"]: shown(option["label"]) for option in definition.get("options") or ()}
    wanted = condition["value"] if isinstance(condition["value"], list) else [condition["value"]]
    words = [labels[one] if isinstance(one, str) and one in labels else scalar(one, texts) for one in wanted]
    form: str = texts["only_if"][condition["operator"]]
    return form.format(field=shown(definition["label"]), value=", ".join(map(texts["quoted"].format, words)))
