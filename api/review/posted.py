"""A form post as it came: bytes in, fields out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from core.errors import InvalidInput

MAX_FIELDS = 5_000


@dataclass(frozen=True, slots=True)
class Posted:
    """The fields of a form post, each with all values that came under its name."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> Sequence[str]:
        return self.values.get(name, ())


def parse(body: bytes) -> Posted:
    """The fields of an application/x-www-form-urlencoded body. Raises InvalidInput."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS, separator="&"
        )
    except ValueError:
        raise InvalidInput("the form is not readable") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise InvalidInput("text must not contain NUL characters")
        values.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Posted(values)
