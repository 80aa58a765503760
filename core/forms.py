"""Forms of input cases (HITL Protocol v0.8, section 10.3): the definition is checked when a case opens, the answer
when it is given. Both raise errors that name the field in the reviewer's or the agent's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import re2

from core.errors import InvalidData, InvalidInput

FIELD_TYPES = (
    "text",
    "textarea",
    "number",
    "date",
    "email",
    "url",
    "boolean",
    "select",
    "multiselect",
    "range",
)
_PROPERTIES: dict[str, type] = {
    "key": str, "label": str, "type": str, "required": bool, "placeholder": str, "hint": str, "default": object,
    "default_ref": str, "sensitive": bool, "options": list, "validation": dict, "conditional": dict,
}  # fmt: skip
_RULES: dict[str, tuple[type, ...]] = {
    "minLength": (int,), "maxLength": (int,), "pattern": (str,), "min": (int, float), "max": (int, float),
}  # fmt: skip
_OPERATORS = ("eq", "neq", "in", "gt", "lt")
_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"https?://[^\s/]+\S*", re.IGNORECASE)
MAX_FIELDS = 200
MAX_TEXT = 20_000

Field = Mapping[str, Any]


def fields_of(context: Mapping[str, Any]) -> list[Field]:
    """All fields of `context.form`, the steps' fields in order; [] when the case has no form."""
    form = context.get("form") or {}
    steps = form.get("steps")
    return [field for step in steps for field in step["fields"]] if steps else list(form.get("fields", ()))


def items_of(context: Mapping[str, Any]) -> list[Any]:
    """The choices in `context.items`; [] when that is something else, which is then content like any other."""
    items = context.get("items")
    return items if isinstance(items, list) else []


def check_form(context: Mapping[str, Any]) -> None:
    """Raise InvalidInput unless `context.form`, if there is one, is a form that can be shown and answered."""
    form = context.get("form")
    if form is None:
        return
    if (
        not isinstance(form, Mapping)
        or set(form) - {"fields", "steps", "session_id"}
        or ("fields" in form) == ("steps" in form)
    ):
        raise InvalidInput("context.form must have either fields or steps", field="context.form")
    if not isinstance(form.get("session_id", ""), str):
        raise InvalidInput("context.form.session_id must be text", field="context.form.session_id")
    groups: list[tuple[str, Any]] = [("context.form.fields", form.get("fields"))]
    if "steps" in form:
        groups = []
        for n, step in enumerate(_list(form["steps"], "context.form.steps")):
            where = f"context.form.steps[{n}]"
            if not isinstance(step, Mapping) or not isinstance(step.get("title"), str):
                raise InvalidInput(f"{where} needs a title", field=where)
            _only(step, {"title", "description", "fields"}, where)
            if not isinstance(step.get("description", ""), str):
                raise InvalidInput(f"{where}.description must be text", field=f"{where}.description")
            groups.append((f"{where}.fields", step.get("fields")))
    keys: list[str] = []
    for where, fields in groups:
        for n, field in enumerate(_list(fields, where)):
            keys.append(_check_field(field, f"{where}[{n}]", keys))
    if len(keys) > MAX_FIELDS:
        raise InvalidInput(f"a form may have {MAX_FIELDS} fields", field="context.form")


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{where} must be a list with at least one entry", field=where)
    return value


def _only(value: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if unknown := sorted(set(value) - allowed):
        raise InvalidInput(f"{where}.{unknown[0]} is not a known property", field=f"{where}.{unknown[0]}")


def _check_field(field: Any, where: str, seen: Sequence[str]) -> str:
    if not isinstance(field, Mapping):
        raise InvalidInput(f"{where} must be an object", field=where)
    _only(field, set(_PROPERTIES), where)
    for name, kind in _PROPERTIES.items():
        if name in field and not isinstance(field[name], kind):
            raise InvalidInput(f"{where}.{name} has the wrong type", field=f"{where}.{name}")
    for name in ("key", "label", "type"):
        if name not in field:
            raise InvalidInput(f"{where}.{name} is missing", field=f"{where}.{name}")
    key, kind = field["key"], field["type"]
    if not _KEY.fullmatch(key) or key in seen:
        raise InvalidInput(f"{where}.key must be unique and start with a letter", field=f"{where}.key")
    if len(field["label"]) > 200:
        raise InvalidInput(f"{where}.label may have 200 characters", field=f"{where}.label")
    if kind not in FIELD_TYPES and not kind.startswith("x-"):
        raise InvalidInput(f"{where}.type {kind!r} is unknown; custom types begin with x-", field=f"{where}.type")
    if field.get("sensitive") and "default" in field:
        raise InvalidInput(f"{where}: a sensitive field takes default_ref, not default", field=f"{where}.default")
    _check_options(field, where)
    _check_rules(field.get("validation", {}), f"{where}.validation")
    if "conditional" in field:
        _check_condition(field["conditional"], f"{where}.conditional", seen)
    return str(key)


def _check_options(field: Field, where: str) -> None:
    options = field.get("options")
    if options is None:
        if field["type"] in ("select", "multiselect"):
            raise InvalidInput(f"{where}.options is missing", field=f"{where}.options")
        return
    for n, option in enumerate(_list(options, f"{where}.options")):
        if (
            not isinstance(option, Mapping)
            or {*option} != {"value", "label"}
            or not all(isinstance(v, str) for v in option.values())
        ):
            raise InvalidInput(f"{where}.options[{n}] needs value and label", field=f"{where}.options[{n}]")


def _check_rules(rules: Mapping[str, Any], where: str) -> None:
    _only(rules, set(_RULES), where)
    for name, value in rules.items():
        if isinstance(value, bool) or not isinstance(value, _RULES[name]):
            raise InvalidInput(f"{where}.{name} has the wrong type", field=f"{where}.{name}")
    if any(rules.get(name, 0) < 0 for name in ("minLength", "maxLength")):
        raise InvalidInput(f"{where}: lengths cannot be negative", field=where)
    if "pattern" in rules:
        _pattern(rules["pattern"], f"{where}.pattern")


def _pattern(text: str, where: str) -> Callable[[str], Any]:
    # RE2 runs in linear time: an agent's pattern cannot stall the server on a reviewer's answer.
    try:
        matcher: Callable[[str], Any] = re2.compile(text, _re2_options()).fullmatch
        return matcher
    except re2.error as error:
        raise InvalidInput(f"{where} is not a pattern that can be used here: {error}", field=where) from None


def _re2_options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


def _check_condition(condition: Mapping[str, Any], where: str, seen: Sequence[str]) -> None:
    _only(condition, {"field", "operator", "value"}, where)
    if condition.get("field") not in seen or condition.get("operator") not in _OPERATORS or "value" not in condition:
        raise InvalidInput(
            f"{where} needs an earlier field, an operator ({', '.join(_OPERATORS)}) and a value", field=where
        )
    if condition["operator"] == "in" and not isinstance(condition["value"], list):
        raise InvalidInput(f"{where}.value must be a list for the operator in", field=f"{where}.value")


def visible(field: Field, answers: Mapping[str, Any]) -> bool:
    """Whether the field's condition holds for the answers so far."""
    condition = field.get("conditional")
    if condition is None:
        return True
    value, wanted = answers.get(condition["field"]), condition["value"]
    match condition["operator"]:
        case "eq":
            return bool(value == wanted)
        case "neq":
            return bool(value != wanted)
        case "in":
            return value in wanted
        case _:
            if not _comparable(value, wanted):
                return False
            return bool(value > wanted if condition["operator"] == "gt" else value < wanted)


def _comparable(one: Any, other: Any) -> bool:
    numbers = (int, float)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or (
        isinstance(one, str) and isinstance(other, str)
    )


def check_answers(context: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to keep: typed, validated, without those of hidden fields. Raises InvalidData with `fields`."""
    kept: dict[str, Any] = {}
    problems: dict[str, str] = {}
    fields = fields_of(context)
    for field in fields:
        key = field["key"]
        if not visible(field, kept):
            continue
        value = data.get(key)
        if value is None or value in ("", []):
            if field.get("required"):
                problems[key] = f"{field['label']} is required"
            continue
        if problem := _problem(field, value):
            problems[key] = f"{field['label']} {problem}"
        else:
            kept[key] = value
    for key in sorted(set(data) - {field["key"] for field in fields}):
        problems[key] = "the form has no such field"
    if problems:
        raise InvalidData(f"please correct: {'; '.join(problems.values())}", fields=problems)
    return kept


def _problem(field: Field, value: Any) -> str | None:
    rules = field.get("validation", {})
    match field["type"]:
        case "number" | "range":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return "must be a number"
            return _outside(value, rules)
        case "boolean":
            return None if isinstance(value, bool) else "must be yes or no"
        case "multiselect":
            known = {option["value"] for option in field["options"]}
            fits = isinstance(value, list) and all(isinstance(item, str) and item in known for item in value)
            return None if fits and len(set(value)) == len(value) else "must be taken from the choices"
        case "select":
            return None if value in [option["value"] for option in field["options"]] else "must be one of the choices"
        case kind:
            return _text_problem(kind, value, rules)


def _outside(value: float, rules: Mapping[str, Any]) -> str | None:
    if "min" in rules and value < rules["min"]:
        return f"must be at least {rules['min']}"
    if "max" in rules and value > rules["max"]:
        return f"must be at most {rules['max']}"
    return None


def _text_problem(kind: str, value: Any, rules: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if len(value) > min(MAX_TEXT, rules.get("maxLength", MAX_TEXT)):
        return f"may have {min(MAX_TEXT, rules.get('maxLength', MAX_TEXT))} characters"
    if len(value) < rules.get("minLength", 0):
        return f"needs at least {rules['minLength']} characters"
    if kind == "date":
        try:
            if date.fromisoformat(value).isoformat() != value:  # it takes 20260221 and 2026-W08-6, too
                raise ValueError
        except ValueError:
            return "must be a date like 2026-02-21"
    if kind == "email" and not _EMAIL.fullmatch(value):
        return "must be an e-mail address"
    if kind == "url" and not _URL.fullmatch(value):
        return "must be a web address"
    if "pattern" in rules and not _pattern(rules["pattern"], "pattern")(value):
        return "does not have the expected form"
    return None
