"""The names of a gate's events are made in one module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assent import gate_keys as keys_of_sdk
from core import gate_keys
from core.errors import InvalidInput

ROOT = Path(__file__).parents[2]
RAW = re.compile(r"""["'](?:ui|decision|human|esc):""")


def test_no_other_module_spells_a_key_or_topic() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("adapters", "api", "bot", "core", "sdk/assent")
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if RAW.search(line)
    ]
    # The SDK, a distribution of its own, has one such module too.
    modules = {"core/gate_keys.py", "sdk/assent/gate_keys.py"}
    assert modules == {place.partition(":")[0] for place in found}, found


def test_the_keys_are_those_of_the_contract() -> None:
    names = [gate_keys.prompt_key, gate_keys.result_key, gate_keys.decision_key, gate_keys.audit_key]
    assert ["ui:g", "ui:g:result", "decision:g", "ui:g:audit"] == [name("g") for name in names]
    assert ("human:g", "esc:w:g") == (gate_keys.human_topic("g"), gate_keys.escalation_of("w", "g"))
    for name in ("prompt_key", "result_key", "human_topic"):
        assert getattr(gate_keys, name)("g") == getattr(keys_of_sdk, name)("g")


@pytest.mark.parametrize("key", ["a", "0", "plan-approval", "a.b_c-1", "a" * 64])
def test_a_gate_key_is_taken(key: str) -> None:
    assert key == gate_keys.check_gate_key(key)


@pytest.mark.parametrize("key", ["", "A", "-a", ".a", "a b", "a:b", "a\n", "a" * 65, "é", "a/b"])
def test_what_is_no_gate_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        gate_keys.check_gate_key(key)
