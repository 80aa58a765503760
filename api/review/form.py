"""The fields of an input case as the page asks them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.review.answer import FIELD, Posted
from api.review.content import scalar, shown
from api.review.strings import Texts
from core.forms import FIELD_TYPES, MAX_TEXT
from core.forms import Field as Definition

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
    that conditions compare it as a number; `slider` that it has both ends, so that the script may add one.
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
    """A step of the form, or all of it; then `title` is None."""

    title: str | None
    description: str | None
    fields: tuple[Field, ...]


def groups_of(context: Mapping[str, Any], texts: Texts, posted: Posted, errors: Mapping[str, str]) -> tuple[Group, ...]:
    """The steps of `context.form`, or its fields as the one step; with what was posted, but never a sensitive value."""
    form = context["form"]
    steps: Sequence[Mapping[str, Any]] = form.get("steps") or [{"fields": form["fields"]}]
    known = {definition["key"]: definition for step in steps for definition in step["fields"]}
    return tuple(
        Group(
            title=shown(step["title"]) if "title" in step else None,
            description=shown(str(step["description"])) if step.get("description") else None,
            fields=tuple(_field(definition, known, texts, posted, errors) for definition in step["fields"]),
        )
        for step in steps
    )


def _field(
    definition: Definition, known: Mapping[str, Definition], texts: Texts, posted: Posted, errors: Mapping[str, str]
) -> Field:
    kind = definition["type"] if definition["type"] in FIELD_TYPES else "text"
    name = FIELD + definition["key"]
    sensitive = bool(definition.get("sensitive"))
    required = bool(definition.get("required"))
    given = _given(definition, posted, name, required=required)
    condition = definition.get("conditional")
    control = _control(kind, required=required)
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
        number=kind in ("number", "range"),
        slider=kind == "range" and not sensitive and {"min", "max"} <= set(rules),
        hint=shown(definition["hint"]) if definition.get("hint") else None,
        range_hint=_range_hint(kind, definition.get("validation", {}), texts),
        placeholder=shown(definition.get("placeholder", "")),
        rules=rules,
        when=condition,
        when_words=_when_words(condition, known, texts) if condition else None,
        error=shown(errors[definition["key"]]) if definition["key"] in errors else None,
    )


def _given(definition: Definition, posted: Posted, name: str, *, required: bool) -> Sequence[str]:
    """What the field starts with: what was posted, else the default. Nothing sensitive goes out."""
    if definition.get("sensitive"):
        return ()
    if posted.values:
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
        whole = kind == "range" and all(isinstance(validation.get(name, 0), int) for name in ("min", "max"))
        return found | {"step": "1" if whole else "any"}
    if kind in ("text", "textarea", "email", "url"):
        found["maxlength"] = str(min(MAX_TEXT, validation.get("maxLength", MAX_TEXT)))
        if "minLength" in validation:
            found["minlength"] = str(validation["minLength"])
        # POSIX classes mean something else in a browser; the server judges those alone.
        if kind != "textarea" and "[:" not in (pattern := validation.get("pattern", "[:")):
            found["pattern"] = pattern
    return found


def _range_hint(kind: str, validation: Mapping[str, Any], texts: Texts) -> str | None:
    if kind not in ("number", "range"):
        return None
    low, high = (_grouped(validation.get(name), texts) for name in ("min", "max"))
    if low is not None and high is not None:
        return str(texts["between"]).format(low, high)
    if low is not None:
        return str(texts["at_least"]).format(low)
    return str(texts["at_most"]).format(high) if high is not None else None


def _grouped(number: float | None, texts: Texts) -> str | None:
    return None if number is None else f"{number:,}".replace(",", texts["thousands"])


def _when_words(condition: Mapping[str, Any], known: Mapping[str, Definition], texts: Texts) -> str:
    definition = known[condition["field"]]
    labels = {option["value"]: shown(option["label"]) for option in definition.get("options") or ()}
    wanted = condition["value"] if isinstance(condition["value"], list) else [condition["value"]]
    words = [labels[one] if isinstance(one, str) and one in labels else scalar(one, texts) for one in wanted]
    form: str = texts["only_if"][condition["operator"]]
    return form.format(field=shown(definition["label"]), value=", ".join(f"“{word}”" for word in words))
