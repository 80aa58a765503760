"""JSON as the doors accept it: RFC 8259 objects, read once, with nothing that two readers could understand differently.

Refused, each with its reason: invalid UTF-8, duplicate keys, NaN and Infinity, numbers that a double cannot hold
exactly, NUL characters (PostgreSQL cannot store them), lone surrogates, and nesting beyond what anybody reviews.
"""

from __future__ import annotations

import json
import re
from typing import Any

from core.errors import InvalidInput

MAX_DEPTH = 64
# RFC 8785, section 3.2.2.3 (I-JSON): beyond this, two readers may see two different integers.
MAX_INTEGER = 2**53 - 1
_NUL = re.compile(r"\\u0000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(body: bytes) -> Any:
    """The JSON value in `body`. Raises InvalidInput that says what is wrong and where."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8 (byte {error.start})") from None
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise InvalidInput("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"malformed JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    if _NUL.search(text) or _SURROGATE.search(text):
        _check_strings(value)
    return value


def load_object(body: bytes) -> dict[str, Any]:
    """Like `loads`, for the doors: the body must be a JSON object."""
    value = loads(body)
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object")
    return value


def _check_depth(text: str) -> None:
    # Cheap upper bound first: only a body with many brackets is worth walking.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidInput(f"the JSON is nested more than {MAX_DEPTH} levels deep")
        elif char in "]}":
            depth -= 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidInput(f"the key {key!r} stands twice in one object", field=key)
            seen.add(key)
    return value


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
        raise InvalidInput(f"the number {digits[:24]} is too large; send it as a string")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise InvalidInput(f"the number {digits[:24]} is too large; send it as a string")
    return value


def _constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not JSON")


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidInput("text must not contain NUL characters")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidInput("text must not contain lone surrogates") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
