"""Parsed files of people, value by value: what is wrong is said about the place where it stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never, Protocol, Self, TypeVar

from core.errors import AssentError, InvalidInput

Path = tuple[str | int, ...]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Parse(Protocol[T_co]):
    """How the core reads a text: InvalidInput names `field`."""

    def __call__(self, text: str, /, *, field: str) -> T_co: ...


class WrongFile(AssentError):
    """A file is not valid. `path` leads to the key in question."""

    code = "wrong_file"

    def __init__(self, problem: str, path: Path) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{key_of(path)}: {problem}" if path else problem)


def key_of(path: Path) -> str:
    """`steps[2].leads_to.reject` and the like."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file, and where it stands. What does not fit raises WrongFile."""

    value: Any
    path: Path = ()

    def fail(self, problem: str) -> Never:
        raise WrongFile(problem, self.path)

    def mapping(self, *known: str) -> Mapping[str, Any]:
        """The value as an object; with `known`, of no other keys."""
        if not isinstance(self.value, Mapping):
            self.fail("is missing" if self.value is None and self.path else "must be an object")
        for key in self.value:
            if known and key not in known:
                self.at(key).fail(f"is not a known key; known are {', '.join(known)}")
        return self.value

    def entries(self) -> list[Self]:
        if not isinstance(self.value, list):
            self.fail("is missing" if self.value is None and self.path else "must be a list")
        return [type(self)(one, (*self.path, n)) for n, one in enumerate(self.value)]

    def one_or_more(self) -> list[Self]:
        """A value alone, or those of a list that is not empty."""
        if self.value == []:
            self.fail("needs at least one entry")
        return self.entries() if isinstance(self.value, list) else [self]

    def at(self, key: str) -> Self:
        value = self.value.get(key) if isinstance(self.value, Mapping) else None
        return type(self)(value, (*self.path, key))

    def has(self, key: str) -> bool:
        return isinstance(self.value, Mapping) and key in self.value

    def text(self) -> str:
        if self.value is None:
            self.fail("is missing")
        if not isinstance(self.value, str) or not self.value:
            self.fail("must be text; put numbers and dates in quotes")
        return self.value

    def maybe_text(self) -> str | None:
        return None if self.value is None else self.text()

    def name(self, form: re.Pattern[str], words: str) -> str:
        text = self.text()
        if not form.fullmatch(text):
            self.fail(f"must be {words}")
        return text

    def choice(self, *known: str) -> str:
        text = self.text()
        if text not in known:
            self.fail(f"must be one of {', '.join(known)}")
        return text

    def flag(self, default: bool) -> bool:
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            self.fail("must be true or false")
        return self.value

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 1:
            self.fail("must be a whole number from 1 on")
        return self.value

    def names(self, known: Mapping[str, Any] | tuple[str, ...]) -> tuple[str, ...]:
        """One name or a list of names, each of `known`; none when absent."""
        if self.value is None:
            return ()
        nodes = [self] if isinstance(self.value, str) else self.entries()
        return tuple(node.choice(*known) for node in nodes)

    def parsed(self, parse: Parse[T]) -> T:
        """What a parser of the core makes of this text; where it refuses, the file is wrong here."""
        try:
            return parse(self.text(), field="this")
        except InvalidInput as error:
            self.fail(error.message)
