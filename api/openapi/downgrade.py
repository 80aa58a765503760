"""From OpenAPI 3.1 to 3.0.3: the same document in the words of an older dialect of JSON Schema. Pure.

What 3.0.3 cannot say is said in its nearest way that refuses nothing which 3.1 allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SUBSCHEMAS = ("items", "not", "additionalProperties")
_LISTS = ("allOf", "anyOf", "oneOf")
# What 3.0.3 has no word for. `propertyNames` and the like narrow, so leaving them out refuses nothing.
_DROPPED = (
    "$defs", "$schema", "$id", "$comment", "contentEncoding", "contentMediaType", "contentSchema", "propertyNames",
    "patternProperties", "unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas", "if",
    "then", "else", "contains", "minContains", "maxContains",
)  # fmt: skip


def downgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """The 3.0.3 document that says what this 3.1 document says."""
    found = _walk(dict(document))
    return {**found, "openapi": "3.0.3"}


def _walk(node: Any) -> Any:
    """The document's own objects; wherever a schema stands, it is converted."""
    if isinstance(node, list):
        return [_walk(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    found: dict[str, Any] = {}
    for name, value in node.items():
        if name == "schema":
            found[name] = schema(value)
        elif name == "schemas":
            found[name] = {key: schema(one) for key, one in value.items()}
        elif name in ("example", "examples"):
            found[name] = value
        else:
            found[name] = _walk(value)
    return found


def schema(given: Mapping[str, Any] | bool) -> dict[str, Any]:
    """One JSON Schema of 2020-12 as a Schema Object of 3.0.3."""
    if isinstance(given, bool):
        return {} if given else {"not": {}}
    found = {name: value for name, value in given.items() if name not in _DROPPED}
    if "$ref" in found and len(found) > 1:  # beside a reference, 3.0.3 reads nothing
        reference = {"$ref": found.pop("$ref")}
        found["allOf"] = [reference, *found.get("allOf", [])]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if examples := found.pop("examples", None):
        found.setdefault("example", examples[0])
    _bounds(found)
    _types(found)
    if prefix := found.pop("prefixItems", None):
        found["items"] = {"anyOf": [*prefix]}
        found.setdefault("minItems", len(prefix))
    for name in _SUBSCHEMAS:
        if isinstance(found.get(name), Mapping):
            found[name] = schema(found[name])
    if found.get("type") == "array":
        found.setdefault("items", {})
    for name in _LISTS:
        if name in found:
            found[name] = [schema(one) for one in found[name]]
    if "properties" in found:
        found["properties"] = {name: schema(one) for name, one in found["properties"].items()}
    return _nullable(found)


def _bounds(found: dict[str, Any]) -> None:
    """`exclusiveMinimum: 0` → `minimum: 0, exclusiveMinimum: true`"""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(exclusive), (int, float)) and not isinstance(found[exclusive], bool):
            found[bound], found[exclusive] = found[exclusive], True


def _types(found: dict[str, Any]) -> None:
    """`type: [a, b]` → `anyOf`; `type: [a, "null"]` → a that is nullable."""
    types = found.get("type")
    if types == "null":
        found |= _NULL
    if not isinstance(types, list):
        return
    found.pop("type")
    if "null" in types:
        found["nullable"] = True
    rest = [one for one in types if one != "null"]
    if len(rest) == 1:
        found["type"] = rest[0]
    else:
        found["anyOf"] = [{"type": one} for one in rest]


def _nullable(found: dict[str, Any]) -> dict[str, Any]:
    """`anyOf: [x, null]` → x that is nullable, where x has a type: without one, `nullable` says nothing."""
    for name in ("anyOf", "oneOf"):
        options = found.get(name, [])
        rest = [one for one in options if one != _NULL]
        if len(rest) == 1 and len(options) == 2 and "type" in rest[0]:
            others = {key: value for key, value in found.items() if key != name}
            return {**rest[0], **others, "nullable": True} | _with_null(rest[0])
    return found


_NULL: dict[str, Any] = {"type": "object", "nullable": True, "enum": [None]}


def _with_null(inner: Mapping[str, Any]) -> dict[str, Any]:
    """A nullable enum lists null, too."""
    return {"enum": [*inner["enum"], None]} if "enum" in inner and None not in inner["enum"] else {}
