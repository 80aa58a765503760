"""What executors see of a review task, from its decision alone; and what an option makes of the blocks."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.jsonpatch import BadPatch
from core.tasks import ARCHIVED_AFTER, TaskStatus, check_options, status_of, with_option

BLOCKS: list[dict[str, Any]] = [
    {"id": "body", "type": "markdown", "content": "One."},
    {"id": "data", "type": "json", "content": {"to": ["a"]}},
]


@pytest.mark.parametrize(
    ("verdict", "dispatched_at", "now", "status"),
    [
        (None, None, 5, "PENDING"),
        ("APPROVE", None, 10**15, "APPROVED"),
        ("DENY", None, 10**15, "DENIED"),
        ("APPROVE", 5, 5, "DISPATCHED"),
        ("DENY", 5, 4 + ARCHIVED_AFTER, "DISPATCHED"),
        ("DENY", 5, 5 + ARCHIVED_AFTER, "ARCHIVED"),
    ],
)
def test_the_status_follows_from_the_decision_and_who_has_it(
    verdict: str | None, dispatched_at: int | None, now: int, status: str
) -> None:
    assert TaskStatus(status) is status_of(verdict, dispatched_at, now)


def test_an_option_changes_the_blocks_that_it_names() -> None:
    option = {
        "patches": [
            {"block_id": "data", "op": "add", "path": "/to/-", "value": "b"},
            {"block_id": "data", "op": "remove", "path": "/to/0"},
            {"block_id": "body", "op": "replace", "value": "One."},
        ]
    }
    assert {"data": {"to": ["b"]}} == with_option(BLOCKS, option), "the body is what it was"
    assert ["a"] == BLOCKS[1]["content"]["to"]
    assert {} == with_option(BLOCKS, {"id": "as-is"})


def test_an_option_that_does_not_fit_is_named_with_its_field() -> None:
    good = {"patches": [{"block_id": "body", "op": "replace", "value": "Two."}]}
    for bad in (
        {"patches": [{"block_id": "none", "op": "replace", "value": "Two."}]},
        {"patches": [{"block_id": "body", "op": "replace", "value": 2}]},
    ):
        with pytest.raises(BadPatch):
            with_option(BLOCKS, bad)
        with pytest.raises(InvalidInput, match=r"options\[1\]") as found:
            check_options(BLOCKS, [good, bad], "options")
        assert "options" == found.value.details["field"]
