"""The contract's table of bad inputs, on a server that is mounted in another application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.test_runs_door import (
    Desk,
    test_a_known_dedupe_key_with_another_payload_or_topic_is_409_and_one_row_stays,
    test_errors_where_there_is_no_route_are_worded_as_the_doors_are,
    test_malformed_intents_and_runs_are_400,
    test_malformed_replies_are_400_and_leave_no_row,
    test_replies_to_what_does_not_wait_are_409_and_leave_no_row,
    test_the_same_reply_fifty_times_at_once_is_one_row_and_one_answer,
    test_unknown_runs_and_gates_are_404_and_leave_no_row,
)
from tests.support.server import running

__all__ = [
    "test_a_known_dedupe_key_with_another_payload_or_topic_is_409_and_one_row_stays",
    "test_errors_where_there_is_no_route_are_worded_as_the_doors_are",
    "test_malformed_intents_and_runs_are_400",
    "test_malformed_replies_are_400_and_leave_no_row",
    "test_replies_to_what_does_not_wait_are_409_and_leave_no_row",
    "test_the_same_reply_fifty_times_at_once_is_one_row_and_one_answer",
    "test_unknown_runs_and_gates_are_404_and_leave_no_row",
]


@pytest.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with running(sqlite_url, prefix="/gate") as server:
        yield Desk(server, sqlite_url, await server.client("agent"), await server.client("reviewer"))
