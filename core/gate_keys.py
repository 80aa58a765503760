"""The names of a gate's events, topics and escalation: written here and nowhere else, and a test looks for strays.

Each event is written once per workflow. Topics say who may send: people to a gate, the system about a kind of thing.
"""

from __future__ import annotations

import re

from core.errors import InvalidInput

_PROMPT, _DECISION, _RESULT, _AUDIT = "ui:", "decision:", ":result", ":audit"
_HUMAN, _ESCALATION = "human:", "esc:"
_GATE_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

# For SQL that looks for all keys of a kind.
LIKE_RESULT = f"{_PROMPT}%{_RESULT}"
LIKE_DECISION = f"{_DECISION}%"
LIKE_ESCALATION = f"{_ESCALATION}%"


def check_gate_key(text: str) -> str:
    """The gate key. Raises InvalidInput."""
    if not _GATE_KEY.fullmatch(text):
        raise InvalidInput(
            "gateKey may have 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit", field="gateKey"
        )
    return text


def prompt_key(gate_key: str) -> str:
    """What is asked."""
    return f"{_PROMPT}{gate_key}"


def result_key(gate_key: str) -> str:
    """What came of it; never written for a gate that was withdrawn."""
    return f"{_PROMPT}{gate_key}{_RESULT}"


def audit_key(gate_key: str) -> str:
    """Who ended it, through what, and when."""
    return f"{_PROMPT}{gate_key}{_AUDIT}"


def decision_key(gate_key: str) -> str:
    """The branch that was taken."""
    return f"{_DECISION}{gate_key}"


def event_keys(gate_key: str) -> dict[str, str]:
    """All events that a gate may have, by what they are."""
    return {
        "prompt": prompt_key(gate_key),
        "result": result_key(gate_key),
        "decision": decision_key(gate_key),
        "audit": audit_key(gate_key),
    }


def human_topic(gate_key: str) -> str:
    """The lane on which people reply."""
    return f"{_HUMAN}{gate_key}"


def escalation_of(workflow_id: str, gate_key: str) -> str:
    """The workflow that starts when nobody answers this gate in time."""
    return f"{_ESCALATION}{workflow_id}:{gate_key}"
