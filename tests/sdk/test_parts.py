"""The parts of the SDK that need no server: pauses, event streams, the store, requests that fail."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent import (
    Answer,
    AssentError,
    Backoff,
    ContentErased,
    Entry,
    RateLimited,
    ServerFailed,
    SQLiteStore,
    Standing,
    StoreFailed,
    UnexpectedAnswer,
    Unreachable,
)
from assent.http import Http
from assent.pacing import LONGEST_PAUSE, retry_after
from assent.sse import Frame, Frames
from tests.sdk.support import FastClock, direct
from tests.support.receiver import Receiver, answer, receiver

NOW = 1_790_000_000.0


def test_pauses_double_up_to_a_cap_and_are_never_shorter_than_the_server_says() -> None:
    backoff = Backoff(base=1, cap=10)
    assert [1, 2, 4, 8, 10, 10] == [backoff.pause(n) for n in (1, 2, 3, 4, 5, 5000)]
    assert 4 <= backoff.pause(4, luck=0.999) < 8
    assert (30, LONGEST_PAUSE) == (backoff.pause(1, 30), backoff.pause(1, 1e9))


def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing() -> None:
    assert (0, 120, LONGEST_PAUSE) == (retry_after("0", NOW), retry_after(" 120 ", NOW), retry_after("999999999", NOW))
    assert 60 == retry_after("Mon, 21 Sep 2026 14:14:20 GMT", NOW)
    assert 0 == retry_after("Mon, 21 Sep 2020 14:14:20 GMT", NOW)
    assert [None] * 6 == [retry_after(text, NOW) for text in (None, "", "soon", "-1", "1_0", "9" * 5000)]


STREAM = (
    b': hello\n\nevent: review.status\ndata: {"a":\ndata: 1}\n\n'
    b"id: c-1\r\nevent: review.opened\r\ndata: \xe2\x80\xa8x\r\n\r\n"
    b"event: nothing\n\nid: c-2\rdata: last\r\rdata: never ends"
)
FRAMES = [
    Frame("review.status", '{"a":\n1}', None),
    Frame("review.opened", "\u2028x", "c-1"),
    Frame("message", "last", "c-2"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_is_the_same_frames_however_its_bytes_come(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    frames = Frames()
    found = [frame for a, b in pairwise(edges) for frame in frames.feed(STREAM[a:b])]
    assert (FRAMES, "c-2") == (found, frames.last_id)


# --- the store


def test_an_event_goes_through_its_standings(tmp_path: Path) -> None:
    moment = [NOW]
    store = SQLiteStore(tmp_path / "x.db", now=lambda: moment[0])
    assert Entry("e", Standing.NEW) == store.look("e") == store.begin("e", "me", 60)
    assert Standing.BEGUN == store.begin("e", "you", 60).standing == store.begin("e", "me", 60).standing
    store.end("e", Standing.HELD, "not mine", owner="you")
    store.end("e", Standing.LOST, "nobody's", owner=None)
    assert Standing.BEGUN == store.look("e").standing
    moment[0] += 59
    store.renew("e", "me", 60)
    store.renew("e", "you", 600)
    moment[0] += 59
    assert Standing.BEGUN == store.look("e").standing
    moment[0] += 2
    assert Entry("e", Standing.UNFINISHED, 1) == store.begin("e", "you", 60)
    assert Standing.BEGUN == store.look("e").standing
    store.end("e", Standing.NEW, "failed", owner="you")
    assert Entry("e", Standing.NEW, 2, "failed") == store.begin("e", "you", 60)
    store.end("e", Standing.HELD, "look at it", owner="you")
    assert [Entry("e", Standing.HELD, 3, "look at it")] == store.held()
    store.end("e", Standing.DONE, "", owner="me")
    for ending in (Standing.NEW, Standing.HELD, Standing.LOST):
        store.end("e", ending)
    assert Standing.DONE == store.begin("e", "me", 60).standing
    store.close()


def test_of_many_that_begin_at_once_one_does_and_the_file_remembers(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    stores = [SQLiteStore(path) for _ in range(4)]
    together = threading.Barrier(8)

    def begin(n: int) -> list[Standing]:
        together.wait()
        return [stores[n % 4].begin(f"e{k}", f"owner{n}", 60).standing for k in range(20)]

    with ThreadPoolExecutor(8) as threads:
        found = Counter(standing for each in threads.map(begin, range(8)) for standing in each)
    assert Counter({Standing.NEW: 20, Standing.BEGUN: 140}) == found
    names = {store.identity() for store in stores}
    for store in stores:
        store.close()
    again = SQLiteStore(path)
    assert (names, Standing.BEGUN) == ({again.identity()}, again.look("e0").standing)
    again.close()
    other = SQLiteStore(tmp_path / "y.db")
    assert other.identity() not in names
    other.close()


def test_a_store_that_cannot_be_had_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="nowhere"):
        SQLiteStore(tmp_path / "nowhere" / "x.db")
    (tmp_path / "text").write_text("this is no database, and long enough to be seen as none" * 100)
    with pytest.raises(StoreFailed):
        SQLiteStore(tmp_path / "text")


# --- asking


async def _asked(there: Receiver, clock: FastClock, **fields: Any) -> httpx.Response:
    http = Http(there.url(""), "ak_x", {"connect": direct, "clock": clock, "backoff": Backoff(1, 8, 60)})
    try:
        return await http.ask("GET", "/x", **fields)
    finally:
        await http.close()


async def test_what_may_pass_is_asked_again_after_the_pause_that_the_server_wants() -> None:
    clock = FastClock()
    async with receiver() as there:
        there.script.extend(
            [
                answer(503, retry_after="7"),
                answer(429, '{"error": "rate_limited", "message": "slow down"}', retry_after="20"),
                answer(500, "oops"),
                answer(409, '{"error": "idempotency_in_flight", "message": "wait"}', retry_after="1"),
                answer(409, '{"error": {"code": "IDEMPOTENCY_IN_FLIGHT", "message": "wait"}}', retry_after="1"),
            ]
        )
        assert 200 == (await _asked(there, clock)).status_code
        assert 6 == len(there.received)
        assert {"Bearer ak_x"} == {request.headers["authorization"] for request in there.received}
    assert [7, 20] == clock.slept[:2]
    assert 2 <= clock.slept[2] <= 4
    assert 4 <= clock.slept[3] <= 8


@pytest.mark.parametrize(
    ("status", "text", "kind", "said"),
    [
        (429, '{"error": {"code": "RATE_LIMITED", "message": "slow down", "details": {}}}', RateLimited, "slow down"),
        (502, "<html>bad gateway</html>", ServerFailed, "502"),
        (302, "", UnexpectedAnswer, "redirect"),
        (418, "[1]", AssentError, "418"),
    ],
)
async def test_when_patience_ends_the_last_refusal_is_raised(
    status: int, text: str, kind: type[AssentError], said: str
) -> None:
    clock = FastClock()
    async with receiver() as there:
        there.then = answer(status, text, location="http://elsewhere")
        with pytest.raises(kind, match=said):
            await _asked(there, clock)
        asked = len(there.received)
    assert clock.moved <= 60
    assert (asked > 5) == (status in (429, 502))


async def test_a_server_that_is_not_there_is_unreachable_after_that_time_and_no_sooner() -> None:
    clock = FastClock()
    async with receiver() as there:
        pass
    with pytest.raises(Unreachable, match="could not be reached"):
        await _asked(there, clock)
    assert 50 < clock.moved <= 60


def test_an_answer_of_which_only_the_action_is_left_is_not_taken_for_an_empty_one() -> None:
    at = "2026-11-21T10:00:00Z"
    told = {"case_id": "review_1", "status": "completed", "created_at": at, "expires_at": at}
    erased = Answer.model_validate(told | {"result": {"action": "select"}})
    assert (True, "select", None) == (erased.approved, erased.action, erased.feedback)
    for read in (lambda: erased.data, lambda: erased.selected):
        with pytest.raises(ContentErased):
            read()
    withdrawn = Answer.model_validate(told | {"status": "cancelled", "reason": "late"})
    assert ({}, [], "late") == (withdrawn.data, withdrawn.selected, withdrawn.feedback)
