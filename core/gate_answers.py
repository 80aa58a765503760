"""What a gate of a run asks for, and its answer in the gate's own words. Pure.

A gate without a schema is a decision, `{choice: "yes"|"no", rationale?}`: approve and confirm mean yes, reject and
cancel no, the reason is the rationale. A gate with a JSON Schema asks for what that says; the schema becomes the form
of its case, so that a person on the page and a machine at the API are held to the same.

`terms["gate"]` of such a case holds `next_action`, `schema` and `integers` (the form knows numbers only), `body_hash`
(what was asked, to know it again) and `escalation`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidData, InvalidInput
from core.model import Case, JsonObject

CHOICE, RATIONALE = "choice", "rationale"
MAX_RATIONALE = 10_000
_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_YES = {"approval": "approve", "confirmation": "confirm"}
_NO = {"approval": "reject", "confirmation": "cancel"}
_CHOICES = {"approve": "yes", "confirm": "yes", "reject": "no", "cancel": "no"}
_SAYS_NOTHING = {"title", "description", "examples", "default", "$schema", "$id", "$defs", "$comment", "type"}
_FORMATS = {"date": "date", "email": "email", "uri": "url"}
_LONG = 200  # characters; text that may be longer gets more than one line


def gate_of(case: Case) -> JsonObject | None:
    """The terms of a gate of a run; None for every other case."""
    found: JsonObject | None = case.terms.get("gate")
    return found


# --- a reply in the gate's words → an answer to the case ---


def answer_of(case: Case, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any], InvalidInput | None]:
    """The action and data that a reply means, and what is wrong with it. (What fits a form is the form's to say.)"""
    gate = gate_of(case) or {}
    if gate.get("schema") is not None:
        return "submit", {name: value for name, value in payload.items() if value is not None}, None
    try:
        return _decided(case.type, payload)
    except InvalidInput as error:
        return _NO[case.type], dict(payload), error


def _decided(case_type: str, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any], None]:
    if unknown := sorted(set(payload) - {CHOICE, RATIONALE}):
        raise InvalidInput(f"payload.{unknown[0]} is not a known field", field=f"payload.{unknown[0]}")
    choice, rationale = payload.get(CHOICE), payload.get(RATIONALE)
    if choice not in ("yes", "no"):
        raise InvalidInput(f"payload.{CHOICE} must be yes or no", field=f"payload.{CHOICE}")
    if rationale is not None and (not isinstance(rationale, str) or len(rationale) > MAX_RATIONALE):
        field = f"payload.{RATIONALE}"
        raise InvalidInput(f"{field} must be text of at most {MAX_RATIONALE} characters", field=field)
    table = _YES if choice == "yes" else _NO
    return table[case_type], {"reason": rationale} if rationale else {}, None


def payload_of(case: Case) -> dict[str, Any] | None:
    """The answer of a closed case in its gate's words; None when nobody gave one."""
    if case.result is None:
        return None
    if (gate_of(case) or {}).get("schema") is not None:
        return dict(case.result["data"])
    reason = (case.answered or {}).get("reason")
    return {CHOICE: _CHOICES[case.result["action"]]} | ({RATIONALE: reason} if reason else {})


def check_integers(case: Case, data: Mapping[str, Any]) -> None:
    """Raise InvalidData where the gate's schema asks for a whole number and another one came."""
    names = (gate_of(case) or {}).get("integers") or ()
    wrong = {name: "this must be a whole number" for name in names if isinstance(data.get(name), float)}
    wrong = {name: words for name, words in wrong.items() if not data[name].is_integer()}
    if wrong:
        raise InvalidData(f"{next(iter(wrong))} must be a whole number", fields=wrong)


# --- a JSON Schema → the form of a case ---


def form_of(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The form that asks for what the schema describes, and its whole numbers. Raises InvalidInput for what people
    cannot be asked in a form: an object in an object, conditions, free lists.
    """
    root = _resolved(schema, schema, "schema")
    properties, required = root.get("properties"), root.get("required", [])
    if root.get("type") != "object" or not isinstance(properties, Mapping) or not properties:
        raise InvalidInput('schema must describe an object: {"type": "object", "properties": …}', field="schema")
    if not isinstance(required, list) or not set(map(str, required)) <= set(properties):
        raise InvalidInput("schema.required must list properties", field="schema.required")
    _only(root, {"properties", "required", "additionalProperties"}, "schema")
    fields, integers = [], []
    for name, one in properties.items():
        where = f"schema.properties.{name}"
        if not _KEY.fullmatch(name) or not isinstance(one, Mapping):
            raise InvalidInput(f"{where}: a name has letters, digits and _, and stands for an object", field=where)
        found = _resolved(one, schema, where)
        fields.append(_field(name, found, where) | ({"required": True} if name in required else {}))
        if found.get("type") == "integer":
            integers.append(name)
    return {"fields": fields}, integers


def _resolved(one: Mapping[str, Any], root: Mapping[str, Any], where: str, depth: int = 0) -> dict[str, Any]:
    """What stands behind a reference, a list of one, or `X or null`."""
    if depth > 8:
        raise InvalidInput(f"{where} refers to itself", field=where)
    rest = {name: value for name, value in one.items() if name not in ("$ref", "anyOf", "oneOf", "allOf")}
    target: Any = None
    if "$ref" in one:
        target = _named(str(one["$ref"]), root)
    for name in ("anyOf", "oneOf", "allOf"):
        if name in one:
            choices = one[name] if isinstance(one[name], list) else []
            kept = [choice for choice in choices if choice != {"type": "null"}]
            target = kept[0] if len(kept) == 1 else None
    if not {"$ref", "anyOf", "oneOf", "allOf"} & set(one):
        return _without_null(rest)
    if not isinstance(target, Mapping):
        raise InvalidInput(f"{where} has several forms, or none; people can be asked for one", field=where)
    return {**_resolved(target, root, where, depth + 1), **rest}


def _named(ref: str, root: Mapping[str, Any]) -> Any:
    place, _, name = ref.rpartition("/")
    return root.get("$defs", {}).get(name) if place == "#/$defs" and isinstance(root.get("$defs"), Mapping) else None


def _without_null(one: dict[str, Any]) -> dict[str, Any]:
    kinds = one.get("type")
    if isinstance(kinds, list):
        kept = [kind for kind in kinds if kind != "null"]
        one["type"] = kept[0] if len(kept) == 1 else kinds
    return one


def _field(name: str, one: Mapping[str, Any], where: str) -> dict[str, Any]:
    label, hint = one.get("title", name), one.get("description")
    found: dict[str, Any] = {"key": name, "label": label} | ({"hint": hint} if hint is not None else {})
    if one.get("default") is not None:
        found["default"] = one["default"]
    if "const" in one or "enum" in one:
        _only(one, {"const", "enum"}, where)
        return found | {"type": "select", "options": _options(one.get("enum", [one.get("const")]), where)}
    match one.get("type"):
        case "string":
            return found | _text(one, where)
        case "integer" | "number":
            _only(one, {"minimum", "maximum"}, where)
            return found | {"type": "number", "validation": _rules(one, {"minimum": "min", "maximum": "max"})}
        case "boolean":
            _only(one, set(), where)
            return found | {"type": "boolean"}
        case "array" if isinstance(one.get("items"), Mapping) and "enum" in one["items"]:
            _only(one, {"items", "uniqueItems"}, where)
            return found | {"type": "multiselect", "options": _options(one["items"]["enum"], where)}
        case kind:
            raise InvalidInput(
                f"{where}: people cannot be asked for {kind or 'this'} in a form; use text, a number, yes or no, a "
                "choice, or a list of choices",
                field=where,
            )


def _text(one: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(one, {"format", "minLength", "maxLength", "pattern"}, where)
    rules = _rules(one, {name: name for name in ("minLength", "maxLength", "pattern")})
    if "pattern" in rules:  # JSON Schema looks for it anywhere in the text, a form compares all of it
        rules["pattern"] = f"[\\s\\S]*(?:{rules['pattern']})[\\s\\S]*"
    longest = one.get("maxLength")
    short = isinstance(longest, int) and longest <= _LONG
    kind = _FORMATS.get(str(one.get("format")), "text" if short else "textarea")
    return {"type": kind, "validation": rules}


def _options(values: Any, where: str) -> list[dict[str, str]]:
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"{where}: choices must be texts", field=where)
    return [{"value": value, "label": value} for value in values]


def _rules(one: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {rule: one[name] for name, rule in names.items() if name in one}


def _only(one: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(one) - known - _SAYS_NOTHING):
        raise InvalidInput(f"{where}.{unknown[0]} is not something that a form can keep to", field=where)
