"""The names of a gate's events and topic, as the server has them: written here and nowhere else in the SDK."""

from __future__ import annotations


def prompt_key(gate_key: str) -> str:
    """What is asked."""
    return f"ui:{gate_key}"


def result_key(gate_key: str) -> str:
    """What came of it."""
    return f"ui:{gate_key}:result"


def human_topic(gate_key: str) -> str:
    """The lane on which people reply."""
    return f"human:{gate_key}"
