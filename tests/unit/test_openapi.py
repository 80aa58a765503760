"""The OpenAPI documents: valid, whole, self-contained, and the older one says what the newer one says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from pydantic import TypeAdapter

from api.doors import DOORS, Door, Entry, Page, all_doors
from api.http import MethodNotAllowed
from api.openapi.document import build, operation_id
from api.openapi.downgrade import downgraded, schema
from api.openapi.errors import codes_of, error_rows, errors_at
from bot.reference import DOCS
from core.errors import NotFound

URL = "https://assent.test"
MESSENGERS = ("/slack/interactions", "/slack/events", "/slack/install", "/slack/oauth_redirect", "/telegram/webhook")
SERVED = all_doors(dict, URL, MESSENGERS)
NEWEST = build(SERVED, URL)
OLDER = downgraded(NEWEST)
ENTRIES: list[tuple[Door, Entry | Page]] = [
    (door, entry) for door in SERVED for entry in [*list[Entry | Page](door.entries), *door.pages]
]


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def test_both_documents_are_valid() -> None:
    assert [] == [error.message for error in OpenAPIV31SpecValidator(NEWEST).iter_errors()]
    assert [] == [error.message for error in OpenAPIV30SpecValidator(OLDER).iter_errors()]


@pytest.mark.parametrize("document", [NEWEST, OLDER], ids=["3.1", "3.0.3"])
def test_a_document_points_to_nothing_outside_itself(document: dict[str, Any]) -> None:
    references = {node["$ref"] for node in _nodes(document) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_route_of_every_door_is_in_the_document() -> None:
    there = {(method.upper(), path) for path, methods in NEWEST["paths"].items() for method in methods}
    assert {(entry.method, entry.path) for _, entry in ENTRIES} == there


def test_both_documents_have_the_same_operations_and_answers() -> None:
    def told(document: dict[str, Any]) -> list[tuple[str, list[str]]]:
        return [(one["operationId"], list(one["responses"])) for one in _operations(document)]

    assert told(NEWEST) == told(OLDER)


def test_operations_have_names_of_their_own() -> None:
    names = [operation_id(door, entry) for door, entry in ENTRIES]
    assert sorted(set(names)) == sorted(names)


def test_links_lead_to_operations_that_take_their_parameters() -> None:
    taken = {one["operationId"]: {param["name"] for param in one.get("parameters", ())} for one in _operations(NEWEST)}
    links = [
        link
        for one in _operations(NEWEST)
        for answer in one["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert links
    for link in links:
        assert set(link["parameters"]) <= taken[link["operationId"]]


def test_everything_is_described() -> None:
    assert [] == [door.name for door in SERVED if not door.about]
    nameless = [
        (one["operationId"], param["name"])
        for one in _operations(NEWEST)
        for param in one.get("parameters", ())
        if not param["description"]
    ]
    assert [] == nameless


@pytest.mark.parametrize(
    "entry", [entry for _, entry in ENTRIES if entry.about.example is not None], ids=lambda entry: entry.path
)
def test_an_example_is_accepted_as_it_stands(entry: Entry) -> None:
    TypeAdapter(entry.about.takes).validate_python(json.loads(json.dumps(entry.about.example)))


@pytest.mark.parametrize(
    "entry",
    [entry for _, entry in ENTRIES if entry.method in ("POST", "PATCH") and entry.scopes and not entry.about.optional],
    ids=lambda entry: f"{entry.method} {entry.path}",
)
def test_whoever_needs_a_body_is_shown_one(entry: Entry) -> None:
    assert entry.about.takes is not None
    assert entry.about.example is not None


# --- errors: one list in code, document and docs


def _documented(door: Door) -> dict[int, set[str]]:
    """The codes that the document gives this door's routes, by status."""
    found: dict[int, set[str]] = {}
    for one in _operations(NEWEST):
        if one["tags"] != [door.name]:
            continue
        for status, answer in one["responses"].items():
            if int(status) >= 400:
                body = answer["content"]["application/json"]["schema"]["allOf"][1]["properties"]["error"]
                codes = body["enum"] if "enum" in body else body["properties"]["code"]["enum"]
                found.setdefault(int(status), set()).update(codes)
    return found


def _in_docs(door: Door) -> dict[int, set[str]]:
    section = (DOCS / "errors.md").read_text().partition(f"\n## {door.name}\n")[2].partition("\n## ")[0]
    found: dict[int, set[str]] = {}
    for status, code in re.findall(r"^\| (\d+) \| `(\w+)` \|", section, re.MULTILINE):
        found.setdefault(int(status), set()).add(code)
    return found


# What a route has no need to say: that there is none, or none for this method.
_NO_ROUTE = (NotFound, MethodNotAllowed)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_the_errors_of_a_door_are_one_list_in_code_docs_and_document(door: Door) -> None:
    in_code = {status: set(codes) for status, codes in codes_of(door.vocabulary, errors_at(door)).items()}
    assert in_code == _in_docs(door)
    beside = codes_of(door.vocabulary, _NO_ROUTE)
    documented = _documented(door)
    assert in_code == {
        status: documented.get(status, set()) | set(beside.get(status, ()))
        for status in documented.keys() | beside.keys()
    }


def _closed(door: Door) -> set[str]:
    """The enum of a door whose table gives every error its code; nothing when errors bring their own."""
    codes = {code for _, code in door.vocabulary.table.values()}
    return set() if None in codes else {str(code) for code in codes}


@pytest.mark.parametrize("door", [door for door in DOORS if _closed(door)], ids=lambda door: door.name)
def test_a_closed_enum_is_the_same_in_docs_and_document(door: Door) -> None:
    same_words = [other for other in DOORS if other.vocabulary is door.vocabulary]
    assert _closed(door) == {code for other in same_words for codes in _in_docs(other).values() for code in codes}


def test_the_enum_of_the_tasks_door_is_the_contracts() -> None:
    contract = {
        "SCHEMA_VALIDATION_FAILED",
        "AUTHENTICATION_FAILED",
        "AUTHORIZATION_FAILED",
        "RESOURCE_NOT_FOUND",
        "RATE_LIMIT_EXCEEDED",
        "HITL_REQUIRED",
        "EXECUTION_TIMEOUT",
        "DEPENDENCY_FAILED",
        "INTERNAL_ERROR",
    }
    (tasks,) = [door for door in DOORS if door.name == "tasks"]
    assert contract == _closed(tasks)
    assert contract == {code for codes in _documented(tasks).values() for code in codes}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_every_code_has_a_meaning_in_words(door: Door) -> None:
    for _, _, words in error_rows(door):
        assert words
        assert all(words)


# --- 3.1 in the words of 3.0.3


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"const": "a"}, {"enum": ["a"]}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
            {"type": "string", "maxLength": 5, "nullable": True},
        ),
        (
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
            {"type": "string", "enum": ["a", None], "nullable": True},
        ),
        (
            {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
            {"anyOf": [{"$ref": "#/x"}, {"type": "object", "nullable": True, "enum": [None]}]},
        ),
        ({"$ref": "#/x", "description": "y"}, {"allOf": [{"$ref": "#/x"}], "description": "y"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}]},
            {"type": "array", "items": {"anyOf": [{"type": "string"}]}, "minItems": 1},
        ),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"type": "object", "propertyNames": {"pattern": "a"}}, {"type": "object"}),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"enum": [1]}}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        (True, {}),
        (False, {"not": {}}),
    ],
)
def test_a_schema_is_said_in_the_older_words(newer: Any, older: dict[str, Any]) -> None:
    assert older == schema(newer)


def test_the_older_document_has_no_word_of_the_newer_one() -> None:
    for node in _nodes(OLDER["components"]["schemas"]):
        assert not isinstance(node.get("type"), list)
        assert "null" != node.get("type")
        if "properties" not in node:  # there, these are names of fields
            assert not {"const", "$defs", "prefixItems", "examples", "if", "patternProperties"} & set(node)
