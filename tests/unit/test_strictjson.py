"""JSON as the doors accept it: nothing that two readers could understand differently, and nothing slow."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.digest import canonical
from core.errors import InvalidInput
from core.strictjson import MAX_DEPTH, MAX_INTEGER, load_object, loads
from tests.unit.test_digest import VALUES

JSON = VALUES.filter(lambda value: "\\u0000" not in json.dumps(value))

MIB = 1 << 20
BUDGET_SECONDS = 0.1


@given(JSON)
def test_ordinary_json_is_read_as_it_stands(value: Any) -> None:
    assert value == loads(json.dumps(value).encode())
    assert value == loads(json.dumps(value, ensure_ascii=False, indent=1).encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_json_or_invalid_input(body: bytes) -> None:
    try:
        canonical(loads(body))
    except InvalidInput as error:
        json.dumps([error.message, dict(error.details)], ensure_ascii=False).encode()  # a door can say it


BAD = {
    "a duplicate key": b'{"a": 1, "a": 2}',
    "a duplicate key far down": b'[[{"x": {"a": 1, "b": 2, "a": 1}}]]',
    "a duplicate key in other letters": b'{"a": 1, "\\u0061": 2}',
    "a duplicate lone surrogate": b'{"\\ud800": 1, "\\ud800": 2}',
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "1e999": b'{"a": 1e999}',
    "-1e999": b"[-1e999]",
    "5,000 digits": b"[" + b"7" * 5_000 + b"]",
    "minus 5,000 digits": b"[-" + b"7" * 5_000 + b"]",
    "5,000 digits and a fraction": b"[" + b"7" * 5_000 + b".5]",
    "5,000 digits of fraction": b"[0." + b"7" * 5_000 + b"]",
    "an integer that no double holds": b"[9007199254740993]",
    "a float that would be written as such an integer": b"[1e20]",
    "a lone high surrogate": b'["\\ud800"]',
    "a lone low surrogate": b'["x\\uDFFFx"]',
    "a lone surrogate in a key": b'{"\\udc00": 1}',
    "surrogates in the wrong order": b'["\\udc00\\ud800"]',
    "NUL": b'["a\\u0000b"]',
    "NUL in a key": b'{"a\\u0000": 1}',
    "a raw NUL": b'["a\x00b"]',
    "a raw newline in a string": b'["a\nb"]',
    "depth 65": b"[" * 65 + b"]" * 65,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 100,000, never closed": b'{"a":' * 100_000,
    "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "invalid UTF-8": b'["\xff"]',
    "an encoded surrogate": b'["\xed\xa0\x80"]',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "nothing": b"",
    "a trailing comma": b"[1,]",
    "two values": b"{} {}",
    "single quotes": b"{'a': 1}",
    "a comment": b"{} // yes",
    "1_700": b"[1_700]",
    "a leading zero": b"[017]",
    "a leading plus": b"[+1]",
    "hexadecimal": b"[0x10]",
}


@pytest.mark.parametrize("name", BAD)
def test_it_refuses(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        loads(BAD[name])
    said = json.dumps([caught.value.message, dict(caught.value.details)], ensure_ascii=False).encode()
    assert len(said) < 500, "an error quotes no more than a glimpse of what was sent"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'["\\ud83d\\ude00"]', ["\U0001f600"]),
        (b'["\\\\u0000"]', ["\\u0000"]),
        (b'["\\\\ud800"]', ["\\ud800"]),
        (b"[9007199254740991]", [MAX_INTEGER]),
        (b"[-0, 0.5, 1e3, 1e-7]", [0, 0.5, 1000.0, 1e-7]),
        (b'"' + b"[" * 500 + b'"', "[" * 500),
        (b'["\\"[[", ' + b"[]," * 100 + b"1]", ['"[[', *([[]] * 100), 1]),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
    ],
)
def test_it_accepts(body: bytes, expected: Any) -> None:
    assert expected == loads(body)


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null"])
def test_a_body_must_be_an_object(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        load_object(body)


def test_the_duplicate_key_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        loads(b'{"prompt": 1, "prompt": 2}')
    assert "prompt" == caught.value.details["field"]


def filled(start: bytes, unit: bytes, end: bytes) -> bytes:
    """A body of 1 MiB: `start`, as many `unit`s as fit, `end`."""
    return start + unit * ((MIB - len(start) - len(end)) // len(unit)) + end


LARGE = {
    "one string": filled(b'{"a":"', b"x", b'"}'),
    "a string of opening brackets": filled(b'{"a":"', b"[", b'"}'),
    "a string of backslashes": filled(b'{"a":"', b"\\\\", b'"}'),
    "a string of escaped quotes": filled(b'{"a":"' + b"[" * 100, b'\\"', b'"}'),
    "a string of NULs": filled(b'{"a":"', b"\\u0000", b'"}'),
    "a string of lone surrogates": filled(b'{"a":"', b"\\ud800", b'"}'),
    "escaped quotes that never end": filled(b'{"a":"' + b"[" * 100, b'\\"', b""),
    "a string that never ends": filled(b'{"a":"', b"[", b""),
    "empty lists": filled(b"[", b"[],", b"1]"),
    "lists in lists": filled(b"[", b"[[[[]]]],", b"1]"),
    "empty objects": filled(b"[", b"{},", b"1]"),
    "small objects": filled(b"[", b'{"a":1},', b"1]"),
    "numbers": filled(b"[", b"1,", b"1]"),
    "floats": filled(b"[", b"1.5,", b"1]"),
    "one number": filled(b"[", b"9", b"]"),
    "one float": filled(b"[0.", b"9", b"]"),
    "one exponent": filled(b"[1e", b"9", b"]"),
    "duplicate keys": filled(b'{"a":1', b',"a":1', b"}"),
    "opening brackets": filled(b"", b"[", b""),
    "closing brackets": filled(b"", b"]", b""),
    "opening and closing in turns": filled(b"", b"][", b""),
    "a depth of a quarter million": filled(b"", b'{"":', b""),
    "white space": filled(b"", b" ", b"{}"),
    "quotes": filled(b"", b'"', b""),
    "different keys": json.dumps({f"key {n}": n for n in range(45_000)}).encode()[: MIB - 1] + b"}",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_mebibyte_is_judged_within_a_tenth_of_a_second(name: str) -> None:
    """Beyond what Python's own parser takes for a body that is fine; a refused one costs next to nothing there."""
    body = LARGE[name]
    assert BUDGET_SECONDS > min(seconds_of_work(loads, body) - seconds_of_work(json.loads, body) for _ in range(3))


@pytest.mark.parametrize("name", [name for name in LARGE if "string" in name or "bracket" in name or "one " in name])
def test_what_is_refused_is_refused_as_fast(name: str) -> None:
    assert BUDGET_SECONDS > min(seconds_of_work(loads, LARGE[name]) for _ in range(3))


def seconds_of_work(read: Callable[[bytes], Any], body: bytes) -> float:
    """The processor's time, which neither other programs nor this one's garbage lengthen."""
    gc.disable()
    try:
        began = time.thread_time()
        with suppress(InvalidInput, ValueError, RecursionError):
            read(body)
        return time.thread_time() - began
    finally:
        gc.enable()
