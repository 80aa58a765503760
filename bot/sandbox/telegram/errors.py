"""How Telegram refuses: an error code that is also the HTTP status, words, and sometimes parameters."""

from __future__ import annotations

from bot.sandbox.wire import Json


class TelegramError(Exception):
    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def wire(self) -> Json:
        body: Json = {"ok": False, "error_code": self.code, "description": self.description}
        return body | ({"parameters": self.parameters} if self.parameters else {})


def bad_request(words: str, **parameters: int) -> TelegramError:
    return TelegramError(400, f"Bad Request: {words}", **parameters)


def too_many_requests(seconds: int) -> TelegramError:
    return TelegramError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
