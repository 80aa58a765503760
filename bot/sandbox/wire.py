"""Reading what an SDK sends (JSON, form fields, multipart, a query string) into one dictionary."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

Json = dict[str, Any]


class Unreadable(Exception):
    """The body is not what its Content-Type says."""


async def read_params(request: Request) -> Json:
    """Query and body in one dictionary, the body winning. Form values stay text."""
    params: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        body = await request.body()
        try:
            sent = json.loads(body) if body else {}
        except (ValueError, RecursionError) as error:
            raise Unreadable("the body is not JSON") from error
        if not isinstance(sent, dict):
            raise Unreadable("the body is not a JSON object")
        params.update(sent)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        async with request.form() as form:
            for name, value in form.items():
                params[name] = value.filename or "" if isinstance(value, UploadFile) else value
    return params


def decoded(value: Any) -> Any:
    """A structure that may have come as JSON text in a form field; ValueError when the text is not JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return value


def flag(value: Any) -> bool:
    return value in (True, 1) or str(value).lower() in ("true", "1")
