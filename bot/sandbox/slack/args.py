"""The arguments of one Web API call, read with the errors that Slack gives."""

from __future__ import annotations

from typing import Any

from bot.sandbox.slack.blocks import TOTAL_TEXT, BlockCheck, text_length, with_ids
from bot.sandbox.wire import Json, decoded, flag


class SlackError(Exception):
    """`{"ok": false, "error": code}`. Slack sends it with HTTP 200, and 429 when `retry_after` is set."""

    def __init__(self, code: str, *messages: str, retry_after: int = 0, **more: str) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages
        self.retry_after = retry_after
        self.more = more

    def wire(self) -> Json:
        body: Json = {"ok": False, "error": self.code} | self.more
        if self.messages:
            body["errors"] = list(self.messages)
            body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return body


class Args:
    def __init__(self, params: Json) -> None:
        self._params = params

    def __contains__(self, name: str) -> bool:
        return self._params.get(name) is not None

    def text(self, name: str) -> str:
        """The argument as text, empty when it is missing."""
        value = self._params.get(name)
        return "" if value is None else str(value)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise SlackError("invalid_arguments", f"missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        return flag(self._params.get(name))

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if value and not (value.isascii() and value.isdigit()):
            raise SlackError("invalid_arguments", f"must be an integer [json-pointer:/{name}]")
        return int(value) if value else default

    def structure(self, name: str, error: str) -> Any:
        """A structure sent as JSON or as JSON text; `error` when it cannot be read."""
        try:
            return decoded(self._params.get(name))
        except ValueError as problem:
            raise SlackError(error) from problem

    def blocks(self) -> list[Json] | None:
        """The blocks, checked against every limit and with ids filled in; None when there are none."""
        blocks = self.structure("blocks", "invalid_blocks_format")
        return None if blocks is None else checked_blocks(blocks)


def checked_blocks(blocks: Any, surface: str = "message") -> list[Json]:
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if complaints := BlockCheck(surface).check(blocks):
        raise SlackError("invalid_blocks", *complaints)
    if surface == "message" and text_length(blocks) > TOTAL_TEXT:
        raise SlackError("msg_blocks_too_long")
    return with_ids(blocks)
