"""What the reference page shows, taken from the OpenAPI document, and the page itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from api.docs_page.words import Field, Part, curl, fields_of, kind_of, limits_of
from api.doors.entry import Door
from api.openapi.errors import Row, error_rows

FOLDER = Path(__file__).parent
_METHODS = ("get", "post", "put", "patch", "delete")
_TITLES = {"hitl": "HITL Protocol"}
_CREDENTIALS = {
    "key": "an API key",
    "submitToken": "the case's submit token",
    "slackSignature": "Slack's signature",
    "telegramSecret": "Telegram's secret",
    "session": "the cookie of whoever is signed in",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer: `kind` of its body, `media` where that is not JSON."""

    status: str
    about: str
    kind: tuple[Part, ...]
    media: str


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    summary: str
    about: Sequence[str]
    credentials: str
    parameters: Sequence[tuple[str, Field]]  # with where they stand
    body: tuple[Part, ...]
    fields: Sequence[Field]  # of the body, where it is one model
    optional: bool
    answers: Sequence[Shown]
    curl: str


@dataclass(frozen=True, slots=True)
class Section:
    """A door; `errors` is empty where it has none of its own."""

    name: str
    title: str
    about: str
    operations: Sequence[Operation]
    errors: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    about: str
    fields: Sequence[Field]


def sections_of(document: Mapping[str, Any], doors: Sequence[Door]) -> list[Section]:
    url, schemas = document["servers"][0]["url"], document["components"]["schemas"]
    by_tag: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method in filter(methods.__contains__, _METHODS):
            one = methods[method]
            by_tag.setdefault(one["tags"][0], []).append(_operation(method.upper(), path, url, one, schemas))
    return [
        Section(
            door.name,
            _TITLES.get(door.name, door.name.capitalize()),
            door.about,
            by_tag[door.name],
            error_rows(door) if door.entries else (),
        )
        for door in doors
        if door.name in by_tag
    ]


def models_of(document: Mapping[str, Any]) -> list[Model]:
    schemas = document["components"]["schemas"]
    return [Model(name, one.get("description", ""), fields_of(one)) for name, one in schemas.items()]


def _operation(method: str, path: str, url: str, one: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    parameters = [
        (
            param["in"],
            Field(
                param["name"],
                tuple(kind_of(param["schema"])),
                limits_of(param["schema"]),
                param["required"],
                param["description"],
            ),
        )
        for param in one.get("parameters", ())
    ]
    body = one.get("requestBody", {"content": {}})
    contents = list(body["content"].values())
    kind = tuple(kind_of(contents[0]["schema"])) if contents else ()
    return Operation(
        name=one["operationId"],
        method=method,
        path=path,
        summary=one["summary"],
        about=one.get("description", "").split("\n\n") if one.get("description") else (),
        credentials=_credentials(one["security"]),
        parameters=parameters,
        body=kind,
        fields=fields_of(schemas[kind[0].text]) if len(kind) == 1 and kind[0].model else (),
        optional=not body.get("required", True),
        answers=[_answer(status, answer) for status, answer in one["responses"].items()],
        curl=curl(method, url + path, one),
    )


def _answer(status: str, answer: Mapping[str, Any]) -> Shown:
    for media, content in answer.get("content", {}).items():
        shown = "" if media == "application/json" else media
        return Shown(status, answer["description"], tuple(kind_of(content["schema"])) if not shown else (), shown)
    return Shown(status, answer["description"], (), "")


def _credentials(security: Sequence[Mapping[str, Any]]) -> str:
    """What a route asks for where it is not simply a key, of which its description speaks."""
    named = [_CREDENTIALS[name] for one in security for name in one if name in _CREDENTIALS]
    if {} in security:
        return " or ".join([*named, "a token in the request"])
    return "" if any("key" in one for one in security) else " or ".join(named)


def rendered(document: Mapping[str, Any], doors: Sequence[Door]) -> str:
    """The page of this document, which is of these doors."""
    return (
        _templates()
        .get_template("docs.html")
        .render(
            title=document["info"]["title"],
            about=document["info"]["description"].split("\n\n"),
            url=document["servers"][0]["url"],
            sections=sections_of(document, doors),
            models=models_of(document),
        )
    )


@cache
def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["words"] = _words
    found.filters["breakable"] = _breakable
    return found


def _words(text: str) -> Markup:
    """Text whose `quoted` parts are code."""
    parts = re.split(r"`([^`]+)`", text)
    html = [f"<code>{escape(part)}</code>" if n % 2 else str(escape(part)) for n, part in enumerate(parts)]
    return Markup("".join(html))  # noqa: S704 - every part is escaped


def _breakable(path: str) -> Markup:
    """An address that may be broken after its slashes, on narrow screens."""
    return Markup("<wbr>/").join(path.split("/"))
