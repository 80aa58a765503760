"""The policies that a process has in force, and what is wrong with newer ones, if anything is."""

from __future__ import annotations

from dataclasses import dataclass

from core.guard.rules import PolicySet


@dataclass(slots=True)
class Policies:
    """`current` is replaced whole or not at all. `problem`: why the files' newer content is not in force; None when it
    is. `loaded_at`: since when `current` is in force in this process, ms UTC by its own clock.
    """

    current: PolicySet
    problem: str | None = None
    loaded_at: int = 0
