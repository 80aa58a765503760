"""Applying JSON Patches (RFC 6902), whose places are JSON Pointers (RFC 6901). Pure: what was given stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from core.digest import canonical
from core.errors import InvalidInput

OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_ESCAPE = re.compile(r"~(?![01])")


class BadPatch(InvalidInput):
    """This patch does not fit what it is for."""


def applied(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The document after all operations. Raises BadPatch when one of them cannot be applied."""
    for operation in operations:
        document = _apply(document, operation)
    return document


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    path = pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _added(document, path, _value(operation))
        case "remove":
            return _removed(document, path)
        case "replace":
            return _replaced(document, path, _value(operation))
        case "copy":
            return _added(document, path, found(document, pointer(operation["from"])))
        case "move":
            source = pointer(operation["from"])
            if path != source and path[: len(source)] == source:
                raise BadPatch(f"{operation['from']!r} cannot be moved into itself")
            return _added(_removed(document, source), path, found(document, source))
        case "test":
            if canonical(found(document, path)) != canonical(_value(operation)):
                raise BadPatch(f"what stands at {operation['path']!r} is not what the patch tests for")
            return document
        case other:
            raise BadPatch(f"op {other!r} is none of {', '.join(OPERATIONS)}")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise BadPatch(f"op {operation['op']} needs a value")
    return operation["value"]


def pointer(text: str) -> tuple[str, ...]:
    """The steps of a JSON Pointer; () for the whole document. Raises BadPatch."""
    if text and (not text.startswith("/") or _ESCAPE.search(text)):
        raise BadPatch(f"{text!r} is not a JSON Pointer: it is empty or begins with /, and ~ stands only in ~0 and ~1")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def found(document: Any, path: Sequence[str]) -> Any:
    """What stands at that place. Raises BadPatch when there is nothing."""
    for step in path:
        document = document[_place(document, step)]
    return document


def _place(within: Any, step: str, *, new: bool = False) -> Any:
    """The key or index that the step means in this object or list. `new`: where something may be added."""
    if isinstance(within, dict):
        if not new and step not in within:
            raise BadPatch(f"there is nothing called {step!r}")
        return step
    if not isinstance(within, list):
        raise BadPatch(f"{step!r} leads into something that is neither an object nor a list")
    if new and step == "-":
        return len(within)
    if not _INDEX.fullmatch(step) or int(step) >= len(within) + new:
        raise BadPatch(f"the list has no place {step!r}")
    return int(step)


def _within(document: Any, path: Sequence[str], change: Callable[[Any, str], None]) -> Any:
    """A copy of the document in which `change` was made to what holds the last step."""
    copy = deepcopy(document)
    change(found(copy, path[:-1]), path[-1])
    return copy


def _added(document: Any, path: Sequence[str], value: Any) -> Any:
    def change(holder: Any, step: str) -> None:
        place = _place(holder, step, new=True)
        if isinstance(holder, list):
            holder.insert(place, deepcopy(value))
        else:
            holder[place] = deepcopy(value)

    return _within(document, path, change) if path else value


def _removed(document: Any, path: Sequence[str]) -> Any:
    def change(holder: Any, step: str) -> None:
        del holder[_place(holder, step)]

    return _within(document, path, change) if path else None


def _replaced(document: Any, path: Sequence[str], value: Any) -> Any:
    def change(holder: Any, step: str) -> None:
        holder[_place(holder, step)] = deepcopy(value)

    return _within(document, path, change) if path else value
