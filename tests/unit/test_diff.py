"""What an edit changed: what is written down makes the new text out of the old one, and takes no time to find."""

from __future__ import annotations

import time
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diff import json_changes, json_patch, text_diff, text_hunks, unified_diff, words_between
from core.digest import canonical

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", "a longer line", "\r", "é"]), max_size=30).map("\n".join)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, -0.0, 2.5, "", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(["a", "b", "", "~", "/", "~1"]), inner, max_size=4)
    ),
    max_leaves=20,
)
BUSY = 10  # seconds of work; each of these takes well under one


def applied(before: str, unified: str) -> str:
    """What becomes of a text when its lines are replaced hunk by hunk, as the program `patch` does it."""
    old, found, at, sign = _lines(before), list[str](), 0, ""
    for line in _lines(unified)[2:]:
        if line.startswith("\\"):  # the line before this one has no end
            if sign != "-":
                found[-1] = found[-1].removesuffix("\n")
            continue
        sign, rest = line[0], line[1:]
        if sign == "@":
            start, _, count = line.split(" ")[1].removeprefix("-").partition(",")
            first = int(start) - (count != "0")
            found, at = found + old[at:first], first
        elif sign == "+":
            found.append(rest)
        else:
            assert rest.removesuffix("\n") == old[at].removesuffix("\n")
            found += [rest] if sign == " " else []
            at += 1
    return "".join(found + old[at:])


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    return lines[:-1] + ([lines[-1][:-1]] if lines[-1] != "\n" else [])


def test_a_small_edit_is_a_small_diff() -> None:
    before = "".join(f"line {n}\n" for n in range(1, 21))
    found = text_diff("notes", before, before.replace("line 10\n", "line ten\nand more\n"))
    assert {
        "block_id": "notes",
        "unified_diff": "--- original\n+++ final\n@@ -7,7 +7,8 @@\n line 7\n line 8\n line 9\n-line 10\n+line ten\n"
        "+and more\n line 11\n line 12\n line 13\n",
    } == found


def test_a_missing_line_end_is_said_as_every_unified_diff_says_it() -> None:
    assert ("--- original\n+++ final\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n") == unified_diff(
        "a", "a\n"
    )


@given(TEXTS, TEXTS)
def test_a_unified_diff_makes_one_text_out_of_the_other(before: str, after: str) -> None:
    found = unified_diff(before, after)
    assert (found == "") == (before == after)
    assert after == (applied(before, found) if found else before)


@given(VALUES, VALUES)
def test_a_json_patch_makes_one_value_out_of_the_other(before: Any, after: Any) -> None:
    patch = json_patch("settings", before, after)["patch"]
    assert canonical(after) == canonical(jsonpatch.apply_patch(before, patch))
    assert (patch == []) == (canonical(before) == canonical(after))


def test_values_are_named_by_where_they_stand() -> None:
    before = {"hosts": ["a1", "a2", "a3"], "limits": {"cpu": 1, "a/b": True}}
    after = {"hosts": ["a2", "a3", "a4"], "limits": {"cpu": 1.0, "a/b": 1}}
    assert [
        {"op": "remove", "path": "/hosts/0"},
        {"op": "add", "path": "/hosts/2", "value": "a4"},
        {"op": "replace", "path": "/limits/a~1b", "value": 1},
    ] == json_patch("settings", before, after)["patch"]
    assert [("hosts", 0), ("hosts", 2), ("limits", "a/b")] == [change.path for change in json_changes(before, after)]


def test_the_words_that_changed_within_a_line_are_found() -> None:
    assert (("We ship on ", False), ("Tuesday", True), (".", False)) == words_between(
        "We ship on Monday.", "We ship on Tuesday."
    )
    assert () == words_between("Nothing alike", "Completely other words here")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n" * 120_000, "x\n" * 80_000),
        ("a\nb\n" * 5_000, "b\na\nc\n" * 4_000),
        ("".join(f"{n}\nold {n}\n" for n in range(20_000)), "".join(f"{n}\nnew {n}\n" for n in range(20_000))),
    ],
    ids=["all other", "repetitive", "every second line"],
)
def test_no_edit_takes_long_to_compare(before: str, after: str) -> None:
    started = time.process_time()
    assert text_hunks(before, after)
    assert json_changes(before.split("\n"), after.split("\n"))
    assert time.process_time() - started < BUSY
