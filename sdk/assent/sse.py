"""Server-sent events, without I/O: bytes in, frames out (WHATWG HTML, "Event stream interpretation")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_FRAME = 16 * 1024 * 1024
_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a CR at the end may be half of CRLF: the rest decides


@dataclass(frozen=True, slots=True)
class Frame:
    """One event; `id` is the last id that the stream has given, for `Last-Event-ID`."""

    event: str
    data: str
    id: str | None


class TooLong(Exception):
    """A frame that does not end."""


class Frames:
    """One stream. Lines are split by what the standard names, and by nothing else that Unicode calls a line's end."""

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises TooLong."""
        *lines, self._rest = _LINE.split(self._rest + chunk)
        self._size += sum(map(len, lines))
        if self._size + len(self._rest) > MAX_FRAME:
            raise TooLong
        for line in lines:
            if frame := self._line(line.decode("utf-8", "replace")):
                yield frame

    def _line(self, line: str) -> Frame | None:
        if line:
            self._field(*_parted(line))
            return None
        event, data = self._event or "message", "\n".join(self._data)
        empty = not self._data
        self._event, self._data, self._size = "", [], 0
        return None if empty else Frame(event, data, self.last_id)

    def _field(self, name: str, value: str) -> None:
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self.last_id = value
            case _:  # comments and what the standard says to ignore
                return


def _parted(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")
