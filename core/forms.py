"""Forms of input cases (HITL Protocol v0.8, section 10.3): the definition is checked when a case opens, the answer
when it is given. Both raise errors that name the field in the reviewer's or the agent's own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from core.errors import InvalidData, InvalidInput
from core.patterns import full_match
from core.problems import Problem

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
    "minLength": (int, float), "maxLength": (int, float), "pattern": (str,), "min": (int, float), "max": (int, float),
}  # fmt: skip
_OPERATORS = ("eq", "neq", "in", "gt", "lt")
_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL = re.compile(r"https?://[^\s/]+\S*", re.IGNORECASE)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MILLISECONDS = 1e11  # a moment from here on is in milliseconds: in seconds it would be after the year 5000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_FIELDS = 200
MAX_TEXT = 20_000
MAX_REFS = 20  # each is a request to somebody else's server

Field = Mapping[str, Any]


def fields_of(context: Mapping[str, Any]) -> list[Field]:
    """All fields of `context.form`, the steps' fields in order; [] when the case has no form."""
    return [field for step in steps_of(context) for field in step["fields"]]


def steps_of(context: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The steps of `context.form`; a form without steps is one, without a title. [] when the case has no form."""
    form = context.get("form") or {}
    steps: Sequence[Mapping[str, Any]] = form.get("steps") or ([{"fields": form["fields"]}] if "fields" in form else [])
    return steps


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
    refs = 0
    for where, fields in groups:
        # A step without fields shows the answers so far; a form must ask for something.
        for n, field in enumerate([] if "steps" in form and fields == [] else _list(fields, where)):
            keys.append(_check_field(field, f"{where}[{n}]", keys))
            refs += "default_ref" in field
    if not 0 < len(keys) <= MAX_FIELDS:
        raise InvalidInput(f"a form must have 1 to {MAX_FIELDS} fields", field="context.form")
    if refs > MAX_REFS:
        raise InvalidInput(f"a form may have {MAX_REFS} fields with default_ref", field="context.form")


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
    if "default_ref" in field and not _fetchable(field["default_ref"]):
        raise InvalidInput(
            f"{where}.default_ref must be an https address without user name and password", field=f"{where}.default_ref"
        )
    _check_options(field, where)
    _check_rules(field.get("validation", {}), f"{where}.validation", kind)
    if "conditional" in field:
        _check_condition(field["conditional"], f"{where}.conditional", seen)
    return str(key)


def _check_options(field: Field, where: str) -> None:
    options = field.get("options")
    if options is None:
        if field["type"] in ("select", "multiselect"):
            raise InvalidInput(f"{where}.options is missing", field=f"{where}.options")
        return
    if options == [] and field["type"] not in ("select", "multiselect"):
        return
    for n, option in enumerate(_list(options, f"{where}.options")):
        if (
            not isinstance(option, Mapping)
            or {*option} != {"value", "label"}
            or not all(isinstance(v, str) for v in option.values())
        ):
            raise InvalidInput(f"{where}.options[{n}] needs value and label", field=f"{where}.options[{n}]")


def _fetchable(url: str) -> bool:
    """https; http only to this machine, which the server that fetches it allows in development."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and host in _LOOPBACK
    return bool(host) and (parts.scheme == "https" or plain) and "@" not in parts.netloc and len(url) <= 2_000


def _check_rules(rules: Mapping[str, Any], where: str, kind: str) -> None:
    _only(rules, set(_RULES), where)
    for name, value in rules.items():
        if kind == "date" and name in ("min", "max"):
            if rule_date(value) is None:
                raise InvalidInput(f"{where}.{name} must be a date like 2026-02-21", field=f"{where}.{name}")
        elif isinstance(value, bool) or not isinstance(value, _RULES[name]):
            raise InvalidInput(f"{where}.{name} has the wrong type", field=f"{where}.{name}")
    for name in ("minLength", "maxLength"):
        # JSON Schema has one kind of numbers: 2.0 is an integer.
        if rules.get(name, 0) < 0 or rules.get(name, 0) % 1:
            raise InvalidInput(f"{where}.{name} must be a whole number from 0", field=where)
    if "pattern" in rules:
        full_match(rules["pattern"], field=f"{where}.pattern")


def rule_date(value: Any) -> str | None:
    """A date's `min` or `max`: a date as text, or (the public schema knows numbers only) a moment since 1970 in seconds
    or milliseconds, whose date in UTC it is. None for what is neither.
    """
    if isinstance(value, str):
        return value if _is_date(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = value / 1000 if abs(value) >= _MILLISECONDS else value
        return (_EPOCH + timedelta(seconds=seconds)).date().isoformat()
    except (OverflowError, ValueError):
        return None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text  # it takes 20260221 and 2026-W08-6, too
    except ValueError:
        return False


def _check_condition(condition: Mapping[str, Any], where: str, seen: Sequence[str]) -> None:
    _only(condition, {"field", "operator", "value"}, where)
    if condition.get("field") not in seen or condition.get("operator") not in _OPERATORS or "value" not in condition:
        raise InvalidInput(
            f"{where} needs an earlier field, an operator ({', '.join(_OPERATORS)}) and a value", field=where
        )
    if condition["operator"] == "in" and not isinstance(condition["value"], list):
        raise InvalidInput(f"{where}.value must be a list for the operator in", field=f"{where}.value")


def visible(field: Field, answers: Mapping[str, Any]) -> bool:
    """Whether the field's condition holds for the answers so far. The page's script has the same rule (`holds`)."""
    condition = field.get("conditional")
    if condition is None:
        return True
    value, wanted = answers.get(condition["field"]), condition["value"]
    match condition["operator"]:
        case "eq":
            return _same(value, wanted)
        case "neq":
            return not _same(value, wanted)
        case "in":
            return any(_same(value, one) for one in wanted)
        case operator:
            if not _comparable(value, wanted):
                return False
            return bool(value > wanted if operator == "gt" else value < wanted)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: in Python, yes is also 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _comparable(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    numbers = (int, float)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or (
        isinstance(one, str) and isinstance(other, str)
    )


def check_answers(context: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to keep: typed, validated, without those of hidden fields. Raises InvalidData with `problems`."""
    kept: dict[str, Any] = {}
    problems: dict[str, Problem] = {}
    fields = fields_of(context)
    for field in fields:
        key = field["key"]
        if not visible(field, kept):
            continue
        value = data.get(key)
        if value is None or value in ("", []):
            if field.get("required"):
                problems[key] = Problem("required", field["label"])
            continue
        if problem := problem_of(field, value):
            problems[key] = problem
        else:
            kept[key] = value
    for key in sorted(set(data) - {field["key"] for field in fields}):
        problems[key] = Problem("unknown_field")
    if problems:
        raise InvalidData(problems=problems)
    return kept


def problem_of(field: Field, value: Any) -> Problem | None:
    """What is wrong with one value that was given for the field; None when it fits."""
    found = _problem(field, value)
    return None if found is None else Problem(found[0], field["label"], found[1])


_Found = tuple[str, dict[str, Any]] | None  # code and parameters


def _problem(field: Field, value: Any) -> _Found:
    rules = field.get("validation", {})
    match field["type"]:
        case "number" | "range":
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return "not_a_number", {}
            return _outside(value, rules)
        case "boolean":
            return None if isinstance(value, bool) else ("not_yes_or_no", {})
        case "multiselect":
            known = {option["value"] for option in field["options"]}
            fits = isinstance(value, list) and all(isinstance(item, str) and item in known for item in value)
            return None if fits and len(set(value)) == len(value) else ("not_choices", {})
        case "select":
            return None if value in [option["value"] for option in field["options"]] else ("not_one_choice", {})
        case kind:
            return _text_problem(kind, value, rules)


def _outside(value: float, rules: Mapping[str, Any]) -> _Found:
    if "min" in rules and value < rules["min"]:
        return "too_small", {"limit": rules["min"]}
    if "max" in rules and value > rules["max"]:
        return "too_large", {"limit": rules["max"]}
    return None


def _text_problem(kind: str, value: Any, rules: Mapping[str, Any]) -> _Found:
    if not isinstance(value, str):
        return "not_text", {}
    longest = int(min(MAX_TEXT, rules.get("maxLength", MAX_TEXT)))
    if len(value) > longest:
        return "too_long", {"limit": longest}
    if len(value) < rules.get("minLength", 0):
        return "too_short", {"limit": int(rules["minLength"])}
    if kind == "date":
        return _date_problem(value, rules)
    if kind == "email" and not _EMAIL.fullmatch(value):
        return "not_an_email", {}
    if kind == "url" and not _URL.fullmatch(value):
        return "not_a_url", {}
    if "pattern" in rules and not full_match(rules["pattern"], field="pattern")(value):
        return "not_matching", {}
    return None


def _date_problem(value: str, rules: Mapping[str, Any]) -> _Found:
    if not _is_date(value):
        return "not_a_date", {}
    # Dates as text are in the order of their days.
    if "min" in rules and value < (earliest := rule_date(rules["min"]) or ""):
        return "too_early", {"limit": earliest}
    if "max" in rules and value > (latest := rule_date(rules["max"]) or value):
        return "too_late", {"limit": latest}
    return None
