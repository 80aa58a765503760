"""JSON Schemas in words, and requests as curl takes them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_PLAIN = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_FORMATS = {"date-time": "moment, RFC 3339", "uuid": "UUID"}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what a type is called: words, the name of a model that they link to, or a value as it is sent."""

    text: str
    model: bool = False
    value: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: tuple[Part, ...]
    limits: str
    required: bool
    about: str = ""


def fields_of(schema: Schema) -> list[Field]:
    """The fields of an object, those that must be there first."""
    required = schema.get("required", ())
    found = [
        Field(name, tuple(kind_of(one)), limits_of(one), name in required, _about(one))
        for name, one in schema.get("properties", {}).items()
    ]
    return sorted(found, key=lambda field: not field.required)


def kind_of(schema: Schema) -> list[Part]:
    """What a value of this schema is."""
    if "$ref" in schema:
        return [Part(schema["$ref"].rpartition("/")[2], model=True)]
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return _joined([kind_of(one) for one in schema[name]], " or ")
    if "allOf" in schema:
        return kind_of(schema["allOf"][0])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return _joined([[Part(json.dumps(value), value=True)] for value in values], ", ")
    kind = schema.get("type")
    if kind == "array":
        return [Part("list of "), *kind_of(schema.get("items", {}))]
    if kind == "object" and isinstance(inner := schema.get("additionalProperties"), Mapping) and inner:
        return [Part("object of "), *kind_of(inner)]
    return [Part(_FORMATS.get(schema.get("format", ""), _PLAIN.get(str(kind), "any JSON")))]


def _about(schema: Schema) -> str:
    """What is said of it, or of what it is when it is not null."""
    options = [schema, *schema.get("anyOf", ())]
    return next(filter(None, (one.get("description", "") for one in options)), "")


def limits_of(schema: Schema) -> str:
    """How long, how many, how much, as far as the schema says so."""
    for name in ("anyOf", "oneOf"):
        if name in schema:
            found = [limits_of(one) for one in schema[name]]
            return next(filter(None, found), "")
    words = [
        _range(schema.get("minLength"), schema.get("maxLength"), "characters"),
        _range(schema.get("minItems"), schema.get("maxItems"), "entries"),
        _range(schema.get("minimum"), schema.get("maximum"), ""),
    ]
    return ", ".join(filter(None, words))


def _range(least: float | None, most: float | None, unit: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"at least {least:,} {unit}".strip()
    if not least:
        return f"up to {most:,} {unit}".strip()
    return f"{least:,} to {most:,} {unit}".strip()


def _joined(options: Sequence[Sequence[Part]], between: str) -> list[Part]:
    found: list[Part] = []
    for option in options:
        if found:
            found.append(Part(between))
        found.extend(option)
    return found


def curl(method: str, url: str, operation: Mapping[str, Any]) -> str:
    """A command that calls this operation. What whoever runs it has to fill in is a shell variable."""
    address = re.sub(r"{(\w+)}", lambda found: "$" + found[1].upper(), url)
    lines = [f'curl "{address}"' if method == "GET" else f'curl -X {method} "{address}"']
    if any("key" in one for one in operation["security"]):
        lines.append('-H "Authorization: Bearer $ASSENT_KEY"')
    elif any("submitToken" in one for one in operation["security"]):
        lines.append('-H "Authorization: Bearer $SUBMIT_TOKEN"')
    for one in operation.get("parameters", ()):
        if one["in"] == "header" and one["required"]:
            value = "$TENANT_ID" if one["name"] == "X-Tenant-ID" else "$(uuidgen)"
            lines.append(f'-H "{one["name"]}: {value}"')
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if example := body.get("examples"):
        text = json.dumps(example["typical"]["value"], ensure_ascii=False, indent=2)
        lines.append("-H 'Content-Type: application/json'")
        lines.append("-d '" + text.replace("'", "'\\''") + "'")
    return " \\\n  ".join(lines)
