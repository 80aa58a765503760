"""Whether an answer is what its JSON Schema describes: of the language, as much as a form can keep to. Pure.

Assent refuses a schema with anything else in it when the gate is opened, so nothing is passed over here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": Mapping,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
}


def problems(schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What does not fit, in words that name the place."""
    yield from _problems(schema, value, schema, "payload")


def _problems(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        yield from _problems(root.get("$defs", {})[name], value, root, where)
    for one in schema.get("allOf", ()):
        yield from _problems(one, value, root, where)
    for name in ("anyOf", "oneOf"):
        fitting = [one for one in schema.get(name, ()) if not any(_problems(one, value, root, where))]
        if name in schema and (not fitting or (name == "oneOf" and len(fitting) > 1)):
            yield f"{where} fits none of its forms" if not fitting else f"{where} fits several of its forms"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} must be one of {json.dumps(schema['enum'], ensure_ascii=False)}"
    if "const" in schema and value != schema["const"]:
        yield f"{where} must be {json.dumps(schema['const'], ensure_ascii=False)}"
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(_is(kind, value) for kind in kinds):
        yield f"{where} must be of type {' or '.join(kinds)}"
        return
    match value:
        case Mapping():
            yield from _of_object(schema, value, root, where)
        case list():
            yield from _of_list(schema, value, root, where)
        case str():
            yield from _of_text(schema, value, where)
        case bool():
            return
        case int() | float():
            if value < schema.get("minimum", value) or value > schema.get("maximum", value):
                yield f"{where} is out of range"


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _KINDS.get(kind, ()))


def _of_object(
    schema: Mapping[str, Any], value: Mapping[str, Any], root: Mapping[str, Any], where: str
) -> Iterator[str]:
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}.{name} is missing"
    for name, one in value.items():
        if name in properties:
            yield from _problems(properties[name], one, root, f"{where}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{where}.{name} is not known"


def _of_list(schema: Mapping[str, Any], value: Sequence[Any], root: Mapping[str, Any], where: str) -> Iterator[str]:
    for n, one in enumerate(value):
        yield from _problems(schema.get("items", {}), one, root, f"{where}[{n}]")
    if schema.get("uniqueItems") and any(one in value[:n] for n, one in enumerate(value)):
        yield f"{where} holds something twice"


def _of_text(schema: Mapping[str, Any], value: str, where: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{where} is too short or too long"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where} is not of its form"
