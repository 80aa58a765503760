"""Sensitive answers at rest: what a form's `sensitive` fields were given stands in the ledger, in results, events and
callbacks as `{"$sealed": …}`, and only whoever the answer is for gets it in clear.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.digest import canonical
from core.forms import fields_of
from core.sealing import KeyRing, Unsealable

MARK = "$sealed"
_IN_JSON = f'"{MARK}"'


def sealed_data(
    keys: KeyRing, case_id: str, context: Mapping[str, Any], data: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The data with its sensitive values sealed, once per key of the ring and the one in force first; a list of one
    when there is nothing sensitive in it.
    """
    secret = [field["key"] for field in fields_of(context) if field.get("sensitive") and field["key"] in data]
    if not secret:
        return [dict(data)]
    sealed = {key: keys.seal_value(canonical(data[key]).decode(), about=f"{case_id}:{key}") for key in secret}
    spellings = len(next(iter(sealed.values())))
    return [dict(data) | {key: {MARK: sealed[key][n]} for key in secret} for n in range(spellings)]


def opened(keys: KeyRing, case_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data in clear. What only looks sealed, or was sealed under a key that is gone, stays as it is."""
    return {name: _opened(keys, f"{case_id}:{name}", value) for name, value in data.items()}


def opened_text(keys: KeyRing, text: str) -> str:
    """The JSON text of an object with `case_id` and `result`, its sensitive values in clear: always the same bytes."""
    if _IN_JSON not in text:
        return text
    body = json.loads(text)
    if not isinstance(result := body.get("result"), dict):
        return text
    result["data"] = opened(keys, body["case_id"], result["data"])
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _opened(keys: KeyRing, about: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or set(value) != {MARK} or not isinstance(value[MARK], str):
        return value
    try:
        return json.loads(keys.unseal_value(value[MARK], about=about))
    except Unsealable:
        return value
