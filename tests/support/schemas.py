"""The public schemas of the HITL Protocol, held against everything that the HITL door says in a test."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

FOLDER = Path(__file__).parents[1] / "conformance" / "hitl" / "schemas"

_CASES = re.compile(r"/api/hitl/cases")
_STATUS = re.compile(r"/api/hitl/cases/[^/]+/status")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

_formats = FormatChecker(formats=())
_formats.checks("date-time")(lambda value: not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None)


@cache
def _documents() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resources((found["$id"], Resource.from_contents(found)) for found in _documents())


@cache
def _validator(name: str, spec_version: str) -> Draft202012Validator:
    """The schema is that of 0.8; a version that adds nothing to it differs by its number."""
    text = (FOLDER / f"{name}.schema.json").read_text()
    schema = json.loads(text.replace('"const": "0.8"', f'"const": "{spec_version}"'))
    return Draft202012Validator(schema, registry=_registry(), format_checker=_formats)


def problems(name: str, value: Any, spec_version: str = "0.8") -> list[str]:
    """What the schema (`hitl-object`, `poll-response`, `submit-request`, …) holds against the value."""
    return [f"{error.json_path}: {error.message}" for error in _validator(name, spec_version).iter_errors(value)]


def check(response: httpx.Response) -> None:
    """Hold an answer of the HITL door against its schema; answers that have none pass."""
    path, status = response.request.url.path, response.status_code
    if status == 202 and _CASES.fullmatch(path):
        found = response.json()["hitl"]
        _expect_none("hitl-object", problems("hitl-object", found, found["spec_version"]))
    elif status == 200 and response.request.method == "GET" and _STATUS.fullmatch(path):
        _expect_none("poll-response", problems("poll-response", response.json()))
    elif status == 200 and response.request.method == "GET" and path == "/.well-known/hitl.json":
        _expect_none("discovery-response", problems("discovery-response", response.json()))


def _expect_none(name: str, found: list[str]) -> None:
    assert [] == found, f"not a {name}: {found}"
