"""Bodies out of JSON schemas: valid ones, and valid ones with one thing changed.

Knows of JSON Schema what the public schemas use. What a changed body is worth, a validator says, not this module: a
change may well leave it valid.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.support import schemas

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

# Text as people write it; what a body can carry at all (no NUL, no lone surrogates) is tested with hostile input.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6, width=32) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)
STRANGERS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    "",
    "nonsense",
    "x-",
    "X-other",
    [],
    {},
    [None],
    ["a", "a"],
)
FORMATS = {"date-time": st.sampled_from(["2030-01-01T12:00:00Z", "2031-02-03T04:05:06.789+02:00"]),
           "uri": st.sampled_from(["https://example.com/value", "https://example.com/a?b=c"])}  # fmt: skip
PATTERNS = {
    "^x-": TEXT.map(lambda text: "x-" + text),
    "^[a-zA-Z][a-zA-Z0-9_]*$": st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,9}", fullmatch=True),
}


def schema(name: str) -> Schema:
    found: Schema = json.loads((schemas.FOLDER / f"{name}.schema.json").read_text())
    return found


def valid(about: Schema, root: Schema | None = None) -> st.SearchStrategy[Any]:
    """Values that the schema allows. `root`: where its `#/…` references point to."""
    root = about if root is None else root
    if reference := about.get("$ref"):
        return _referred(str(reference), root)
    for several in ("anyOf", "oneOf"):
        if several in about and not (several == "oneOf" and "properties" in about):
            base = {name: value for name, value in about.items() if name != several}
            return st.one_of([valid({**base, **one}, root) for one in about[several]])
    if "enum" in about:
        return st.sampled_from(about["enum"])
    match about.get("type"):
        case "object":
            return _objects(about, root)
        case "array":
            unique = json.dumps if about.get("uniqueItems") else None
            size = about.get("minItems", 0)
            return st.lists(valid(about["items"], root), min_size=size, max_size=size + 2, unique_by=unique)
        case "string":
            return _texts(about)
        case "integer":
            return st.integers(about.get("minimum", -1000), 100_000)
        case "number":
            return st.integers(-1000, 1000) | st.floats(-1e6, 1e6, width=32)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return JSON


def _referred(reference: str, root: Schema) -> st.SearchStrategy[Any]:
    if not reference.startswith("#/"):
        other = schema(reference.removesuffix(".json"))
        return st.deferred(lambda: valid(other))
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return st.deferred(lambda: valid(found, root))


def _texts(about: Schema) -> st.SearchStrategy[str]:
    if pattern := about.get("pattern"):
        return PATTERNS[pattern]
    if examples := about.get("examples"):
        return st.sampled_from([*examples, *examples, ""]).flatmap(lambda one: st.just(one) if one else TEXT)
    if about.get("format") in FORMATS:
        return FORMATS[about["format"]]
    return TEXT.filter(lambda text: len(text) >= about.get("minLength", 0))


@st.composite
def _objects(draw: st.DrawFn, about: Schema, root: Schema) -> dict[str, Any]:
    properties, required = about.get("properties"), set(about.get("required", ()))
    if properties is None:
        return draw(st.dictionaries(WORDS, JSON, max_size=3))
    if "oneOf" in about:  # which of the properties are required, and only those
        choices = [one["required"] for one in about["oneOf"]]
        chosen = draw(st.sampled_from(choices))
        required |= set(chosen)
        excluded = {name for names in choices for name in names} - set(chosen)
        properties = {name: value for name, value in properties.items() if name not in excluded}
    names = [name for name in properties if name in required or draw(st.booleans())]
    return {name: draw(valid(properties[name], root)) for name in names}


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one thing changed at some place: a property gone, a strange one come, another value or type."""
    value = copy.deepcopy(value)
    path = draw(st.sampled_from(_places(value)))
    here = _at(value, path)
    kinds = ["replace"] if path else []
    if isinstance(here, dict):
        kinds += ["add"] + (["drop"] * 3 if here else [])
    if isinstance(here, list) and here:
        kinds += ["drop", "twice"]
    match draw(st.sampled_from(kinds or ["add"])):
        case "drop" if isinstance(here, dict):
            del here[draw(st.sampled_from(sorted(here)))]
        case "drop":
            here.pop()
        case "twice":
            here.append(copy.deepcopy(here[0]))
        case "add":
            here[draw(st.sampled_from(["stranger", "Action", "x-stranger", "ID"]))] = draw(st.sampled_from(STRANGERS))
        case _:
            _at(value, path[:-1])[path[-1]] = copy.deepcopy(draw(st.sampled_from(STRANGERS)))
    return value


def _places(value: Any, path: Path = ()) -> list[Path]:
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        found += _places(one, (*path, name))
    return found


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value
