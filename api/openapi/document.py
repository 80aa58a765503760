"""The OpenAPI 3.1 document: the doors' routes and the types that serve, put into OpenAPI's words. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID

from api.doors.entry import ONCE, RETRY_AFTER, About, Door, Entry, Gives, Page, Param
from api.headers import IDEMPOTENCY_KEY, TENANT
from api.openapi.errors import RETRIED, codes_of, errors_of, narrowed, needed_headers
from api.openapi.models import Models
from api.openapi.security import SCHEMES, security_of

VERSION = "1.0"
JSON = "application/json"
TITLE = "Assent"
ABOUT = (
    "A gate between autonomous agents and the systems that carry out what they propose. An agent posts a case, a "
    "person answers it in Slack, Telegram or on a review page, and the answer becomes one decision.\n\n"
    "A request body is one JSON object, whatever its Content-Type says; null means the same as leaving a field out, "
    "unless a schema says otherwise. Every answer has an `X-Request-Id`."
)
_NAMES = re.compile(r"{(\w+)}")
_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"}
_OTHER_IDS: Mapping[str, dict[str, Any]] = {
    "gate_key": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
    "workflow_id": {"type": "string", "pattern": "^[A-Za-z0-9:._-]{1,200}$"},
    **{name: {"type": "string", "minLength": 1} for name in ("lang", "name", "version")},
}
_PATH: Mapping[str, str] = {
    "case_id": "The case: the `case_id` that it was opened with.",
    "event_id": "The decision event.",
    "flow": "The flow's name: that of its file.",
    "gate_key": "The gate's key.",
    "grant_id": "The grant: the `grant_id` that it was given with.",
    "key_id": "The key.",
    "lang": "The language of the page; one that is not there is English.",
    "name": "The file.",
    "source_id": "The source.",
    "group_name": "The group: the name after `group:` in policies.",
    "task_id": "The task: the `task_id` that it was accepted with.",
    "tenant_id": "The tenant.",
    "version": "The version of the page's files.",
    "workflow_id": "The run: the `workflowID` that it was started with.",
}
_NEEDED: Mapping[str, Param] = {
    TENANT: Param(TENANT, "The tenant that the key belongs to.", UUID, required=True),
    IDEMPOTENCY_KEY: replace(ONCE, required=True),
}
_COUNTED = (
    Param("X-RateLimit-Limit", "How many requests the tenant has at this door in one period.", int),
    Param("X-RateLimit-Remaining", "How many of them are left.", int),
    Param("X-RateLimit-Reset", "In how many seconds the period ends.", int),
)
_REQUEST_ID = Param(
    "X-Request-Id",
    "Finds the request in the log: the caller's own `X-Request-Id`, or one that was made up.",
    required=True,
)


_COMMON = (_REQUEST_ID, RETRY_AFTER, *_COUNTED)


def build(doors: Sequence[Door], url: str) -> dict[str, Any]:
    """The whole document. `url`: where the server is."""
    return _Builder(doors).document(url)


class _Builder:
    def __init__(self, doors: Sequence[Door]) -> None:
        self._doors = doors
        abouts = [entry.about for door in doors for entry in _routes(door)]
        taken = [one for about in abouts for one in _taken(about)]
        given = [one for about in abouts for one in _given(about)]
        taken += [param.type for param in _NEEDED.values()]
        given += [param.type for param in _COMMON] + [door.vocabulary.model for door in doors]
        self._models = Models(dict.fromkeys(taken), dict.fromkeys(given))

    def document(self, url: str) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for door in self._doors:
            for entry in _routes(door):
                paths.setdefault(entry.path, {})[entry.method.lower()] = self._operation(door, entry)
        return {
            "openapi": "3.1.0",
            "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
            "servers": [{"url": url}],
            "tags": [{"name": door.name, "description": door.about} for door in self._doors],
            "paths": paths,
            "components": {
                "schemas": self._models.components,
                "headers": {one.name: self._header(one) for one in _COMMON},
                "securitySchemes": SCHEMES,
            },
        }

    def _operation(self, door: Door, entry: Entry | Page) -> dict[str, Any]:
        about = entry.about
        found: dict[str, Any] = {
            "operationId": operation_id(door, entry),
            "tags": [door.name],
            "summary": about.summary,
        }
        scopes = f"Needs a key of scope {' or '.join(entry.scopes)}." if entry.scopes else ""
        if entry.scopes:
            found["x-scopes"] = list(entry.scopes)
        if words := "\n\n".join(filter(None, (about.detail, scopes))):
            found["description"] = words
        parameters = [_path_param(name) for name in _NAMES.findall(entry.path)]
        parameters += [self._param(one, "query") for one in about.query]
        parameters += [self._param(_NEEDED[name], "header") for name in needed_headers(door, entry)]
        there = {one["name"] for one in parameters}
        parameters += [self._param(one, "header") for one in about.headers if one.name not in there]
        if parameters:
            found["parameters"] = parameters
        if about.takes is not None:
            found["requestBody"] = self._body(about)
        found["responses"] = self._responses(door, entry)
        found["security"] = security_of(door, entry)
        return found

    def _param(self, param: Param, place: str) -> dict[str, Any]:
        return {
            "name": param.name,
            "in": place,
            "required": param.required,
            "description": param.about,
            "schema": self._models.taken(param.type),
        }

    def _body(self, about: About) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._models.taken(about.takes)}
        if about.example is not None:
            content["examples"] = {"typical": {"value": about.example}}
        return {"required": not about.optional, "content": {about.media: content}}

    def _responses(self, door: Door, entry: Entry | Page) -> dict[str, Any]:
        found = {str(status): self._answer(gives) for status, gives in entry.about.gives.items()}
        name = door.vocabulary.model.__name__
        for status, codes in codes_of(door.vocabulary, errors_of(door, entry)).items():
            if str(status) in found:
                continue
            found[str(status)] = {
                "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}",
                "headers": _refs(RETRY_AFTER) if status in RETRIED else {},
                "content": {JSON: {"schema": narrowed(self._models.components[name], name, codes)}},
            }
        common = _refs(_REQUEST_ID, *_COUNTED) if entry.scopes else _refs(_REQUEST_ID)
        for answer in found.values():
            answer["headers"] = {**answer["headers"], **common}
        return dict(sorted(found.items()))

    def _answer(self, gives: Gives) -> dict[str, Any]:
        found: dict[str, Any] = {"description": gives.about}
        found["headers"] = {one.name: self._header(one) for one in gives.headers}
        if gives.type is not None:
            found["content"] = {gives.media: {"schema": self._models.given(gives.type)}}
        if gives.links:
            found["links"] = {
                link.to: {
                    "operationId": link.to,
                    "parameters": {name: f"$response.body#{pointer}" for name, pointer in link.params.items()},
                }
                for link in gives.links
            }
        return found

    def _header(self, header: Param) -> dict[str, Any]:
        schema = self._models.given(header.type)
        return {"description": header.about, "required": header.required, "schema": schema}


def _refs(*headers: Param) -> dict[str, Any]:
    """These headers, as they stand among the components."""
    return {one.name: {"$ref": f"#/components/headers/{one.name}"} for one in headers}


def operation_id(door: Door, entry: Entry | Page) -> str:
    return f"{door.name.replace('-', '_')}_{entry.name}"


def _routes(door: Door) -> tuple[Entry | Page, ...]:
    return (*door.entries, *door.pages)


def _path_param(name: str) -> dict[str, Any]:
    schema = _OTHER_IDS.get(name, _ID)
    return {"name": name, "in": "path", "required": True, "description": _PATH.get(name, ""), "schema": schema}


def _taken(about: About) -> list[Any]:
    found = [param.type for param in (*about.query, *about.headers)]
    return found if about.takes is None else [*found, about.takes]


def _given(about: About) -> list[Any]:
    found = [gives.type for gives in about.gives.values() if gives.type is not None]
    return found + [param.type for gives in about.gives.values() for param in gives.headers]
