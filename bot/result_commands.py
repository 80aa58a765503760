"""`assent verify-result`: whether a signed result is what the server gave."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import AssentError, InvalidInput
from core.signing import check
from core.strictjson import load_object
from core.wording import visible

FETCH_SECONDS = 10.0
MAX_KEYS = 256 * 1024


class Unreadable(AssentError):
    """This could not be read."""

    code = "unreadable"


def verify_result(
    answer: Annotated[str, typer.Argument(help="A file with the poll answer or the callback's body; - for the input")],
    jwks: Annotated[str, typer.Option(help="The server's keys: https://…/.well-known/jwks.json, or a file")],
) -> None:
    """Check the signature of a result. Exits 0 only when it is good. Needs no database."""
    given = _object(answer, sys.stdin.buffer.read() if answer == "-" else _read(answer))
    case_id, result = given.get("case_id"), given.get("result")
    if not isinstance(case_id, str) or not isinstance(result, Mapping):
        raise Unreadable(f"{answer}: there is no case_id and no result in it; save a completed case's whole answer")
    found = check(case_id, result, _object(jwks, _published(jwks)))
    if not found.good:
        print(f"NOT GOOD: {visible(found.reason)}. Do not act on it.")
        raise SystemExit(1)
    signed_at = result["signature"]["signed_at"]
    print(f"Good: {visible(case_id)} was answered {visible(str(result['action']))!r}, signed at {signed_at}")
    print(f"by the key {visible(str(found.key_id))} of {jwks}.")


def _published(place: str) -> bytes:
    import httpx  # a server loads this module, too, and fetches nothing

    if not place.startswith(("https://", "http://")):
        return _read(place)
    try:
        with httpx.stream("GET", place, timeout=FETCH_SECONDS, follow_redirects=False) as response:
            if response.status_code != 200:
                raise Unreadable(f"{place}: answered {response.status_code} instead of the keys")
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_KEYS:
                    raise Unreadable(f"{place}: this is too long for a set of keys")
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreadable(f"{place}: could not be fetched ({type(error).__name__})") from None


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror}") from None


def _object(name: str, body: bytes) -> dict[str, Any]:
    try:
        return load_object(body)
    except InvalidInput as error:
        raise Unreadable(f"{name}: {error.message}") from None
