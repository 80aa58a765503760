"""JSON as the doors accept it: RFC 8259 objects, read once, with nothing that two readers could understand differently.

Refused, each with its reason: invalid UTF-8, duplicate keys, NaN and Infinity, numbers that a double cannot hold
exactly, NUL characters (PostgreSQL cannot store them), lone surrogates, and nesting beyond what anybody reviews.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from core.errors import InvalidInput

MAX_DEPTH = 64
# RFC 8785, section 3.2.2.3 (I-JSON): beyond this, two readers may see two different integers.
MAX_INTEGER = 2**53 - 1
# A double between MAX_INTEGER and this would be written as an integer (same section) that is then too large.
WRITTEN_AS_INTEGER = 1e21
MAX_DIGITS = 100
QUOTED = 80  # how much of a key an error repeats
# The closing quote is optional, so that a string without an end is looked through once.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_ROUND_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_OPEN = ord("[")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NUL = re.compile(r"\\u0000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(body: bytes) -> Any:
    """The JSON value in `body`. Raises InvalidInput that says what is wrong and where."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8 (byte {error.start})") from None
    _check_depth(body)
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


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    # Only the brackets are walked: what is between them is taken away at the speed of C.
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(_ROUND_TO_SQUARE, delete=_NO_BRACKETS):
        depth += 1 if bracket == _OPEN else -1
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the JSON is nested more than {MAX_DEPTH} levels deep")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                name = key[:QUOTED].encode("utf-8", "replace").decode()
                raise InvalidInput(f"the key {name!r} stands twice in one object", field=name)
            seen.add(key)
    return value


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
        raise InvalidInput(f"the number {digits[:24]} is too large; send it as a string")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    exact = -MAX_INTEGER <= value <= MAX_INTEGER or WRITTEN_AS_INTEGER <= abs(value) < math.inf
    if not exact or len(digits) > MAX_DIGITS:
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
