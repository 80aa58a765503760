"""Deliveries: retried with the same bytes, fenced, fair, with circuits; and what operators can do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.couriers import Courier
from core.deliveries import LEASE_MS, MAX_KEPT
from core.errors import NotFound
from core.lanes import CIRCUIT_BASE, FAILURES, PER_ENDPOINT, Load, pick
from core.model import Opened, Principal
from core.schedule import HOUR, MINUTE, SECOND
from core.sending import Meaning, Receipt
from tests.support.crowd import crowd
from tests.support.gates import World, until, world
from tests.support.post import Post, couriering
from tests.support.receiver import Receiver, answer, held, receiver

STRANGER = "6f6c3b62-57a0-4c9c-8a07-0f9d4c9a2f10"  # another tenant


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


@pytest.fixture
def post(here: World) -> Post:
    return Post(here)


async def attempts_of(post: Post, opened: Opened) -> list[Any]:
    return await post.deliveries.attempts((await post.row(opened))["delivery_id"])


# --- at least once, the same every time ---


async def test_a_delivery_arrives_once_and_is_noted_down(post: Post, there: Receiver) -> None:
    opened = await post.closed(there.url())
    assert (1, 0) == (await post.work(), await post.work())
    row = await post.row(opened)
    assert ("delivered", 1, 200, None) == (row["state"], row["attempts"], row["last_status"], row["last_error"])
    assert row["finished_at"] >= row["created_at"]
    (attempt,) = await attempts_of(post, opened)
    assert (1, 200, "thank you", None) == (attempt.number, attempt.status, attempt.response, attempt.error)
    assert 1 == len(there.received)


async def test_what_failed_is_tried_again_on_schedule_with_the_same_bytes_and_id(
    post: Post, here: World, there: Receiver
) -> None:
    there.script.extend([answer(500), answer(302, location=there.url("/other")), answer(408)])
    opened = await post.closed(there.url())
    for wait in (30 * SECOND, 2 * MINUTE, 10 * MINUTE):
        assert 1 == await post.work()
        assert wait - SECOND < await post.wait_for(opened) <= wait
        here.clock.forward(wait - SECOND)
        assert 0 == await post.work()
        here.clock.forward(SECOND)
    assert 1 == await post.work()
    assert "delivered" == (await post.row(opened))["state"]
    assert 4 == len(there.received)
    assert 1 == len({request.body for request in there.received})
    assert 1 == len({request.headers["webhook-id"] for request in there.received})
    assert 1 == len({request.headers["x-hitl-signature"] for request in there.received})
    assert 4 == len({request.headers["webhook-timestamp"] for request in there.received})
    assert {"/hook"} == {request.target for request in there.received}
    assert [500, 302, 408, 200] == [attempt.status for attempt in await attempts_of(post, opened)]


async def test_after_eleven_attempts_it_has_failed_and_the_log_says_so(
    post: Post, here: World, there: Receiver
) -> None:
    there.then = answer(503)
    opened = await post.closed(there.url())
    with capture_logs() as logs:
        for _ in range(11):
            assert 1 == await post.work()
            here.clock.forward(26 * HOUR)
        assert 0 == await post.work()
    row = await post.row(opened)
    assert ("failed", 11, 503) == (row["state"], row["attempts"], row["last_status"])
    assert 11 == len(there.received)
    (failed,) = [entry for entry in logs if entry["event"] == "delivery.failed"]
    assert ("error", opened.case.case_id, 11) == (failed["log_level"], failed["case_id"], failed["attempt"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 451])
async def test_a_4xx_is_permanent(post: Post, there: Receiver, status: int) -> None:
    there.then = answer(status)
    opened = await post.closed(there.url())
    await post.work()
    row = await post.row(opened)
    assert ("failed", 1, status) == (row["state"], row["attempts"], row["last_status"])
    assert "active" == (await post.endpoint(opened))["state"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 301, 307])
async def test_these_are_tried_again(post: Post, there: Receiver, status: int) -> None:
    there.then = answer(status, location=there.url())
    opened = await post.closed(there.url())
    await post.work()
    assert "waiting" == (await post.row(opened))["state"]


@pytest.mark.parametrize(("asked", "waited"), [("120", 2 * MINUTE), ("1", 30 * SECOND), ("86400", HOUR)])
async def test_retry_after_is_honoured_up_to_an_hour_for_all_that_goes_there(
    post: Post, here: World, there: Receiver, asked: str, waited: int
) -> None:
    there.script.append(answer(429, retry_after=asked))
    opened = await post.closed(there.url())
    await post.work()
    assert waited - SECOND < await post.wait_for(opened) <= waited
    other = await post.closed(there.url())
    held_back = int(asked) > 30
    assert (0 if held_back else 1) == await post.work() or int(asked) == 1
    here.clock.forward(waited)
    await post.work()
    assert ["delivered"] * 2 == [(await post.row(one))["state"] for one in (opened, other)]


async def test_410_disables_the_endpoint_until_an_operator_says_otherwise(
    post: Post, here: World, there: Receiver
) -> None:
    there.script.append(answer(410))
    first = await post.closed(there.url())
    await post.work()
    assert "failed" == (await post.row(first))["state"]
    endpoint = await post.endpoint(first)
    assert "disabled" == endpoint["state"]
    assert "410" in endpoint["reason"]
    second = await post.closed(there.url())
    here.clock.forward(HOUR)
    assert 0 == await post.work()
    assert 1 == len(there.received)
    await post.deliveries.resume(endpoint["endpoint_id"])
    assert 1 == await post.work()
    assert ["failed", "delivered"] == [(await post.row(one))["state"] for one in (first, second)]


async def test_a_receiver_that_cannot_be_reached_is_tried_again(post: Post, there: Receiver) -> None:
    opened = await post.closed("http://127.0.0.1:9/")
    await post.work()
    row = await post.row(opened)
    assert ("waiting", None, "no whole answer came in time") == (row["state"], row["last_status"], row["last_error"])


async def test_what_receivers_say_is_kept_truncated_and_without_what_looks_like_a_secret(
    post: Post, there: Receiver
) -> None:
    secrets = ["ak_0123456789abcdef", "whsec_MfKQ9r8GKYqrTwjU", "hunter2", "eyJhbGciOi.eyJzdWIi.c2ln", "xoxb-1-2-abc"]
    said = (
        f'key {secrets[0]} {secrets[1]} {{"password": "{secrets[2]}"}} Authorization: Bearer {secrets[3]} {secrets[4]} '
        f"api_key={secrets[2]}&x=1 nul \x00 esc \x1b[31m " + "y" * 10_000
    )
    there.then = answer(200, said)
    opened = await post.closed(there.url())
    await post.work()
    (attempt,) = await attempts_of(post, opened)
    kept = attempt.response
    assert len(kept) < MAX_KEPT + 100
    assert [] == [secret for secret in secrets if secret in kept]
    assert "[redacted]" in kept
    assert "&x=1" in kept
    assert not any(ord(char) < 32 for char in kept)


# --- leases ---


async def claimed(post: Post) -> list[Any]:
    now, lanes = await post.deliveries.look()
    return await post.deliveries.claim(pick(lanes, Load.none(), 100, now))


async def test_a_courier_stopped_past_its_lease_and_resumed_changes_nothing(
    post: Post, here: World, there: Receiver
) -> None:
    opened = await post.closed(there.url())
    (late,) = await claimed(post)
    assert [] == await claimed(post)
    here.clock.forward(LEASE_MS + 1)
    assert 1 == await post.work()
    before = await post.row(opened), await post.endpoint(opened), await attempts_of(post, opened)
    for receipt in (Receipt(500, 1), Receipt(410, 1), Receipt(200, 1), Receipt(404, 1), Receipt(None, 1, error="x")):
        assert await post.deliveries.save(late, receipt) is None
    assert not await post.deliveries.give_up(late, "too late")
    assert before == (await post.row(opened), await post.endpoint(opened), await attempts_of(post, opened))
    assert "delivered" == before[0]["state"]


async def test_a_courier_stopped_past_its_lease_does_not_undo_a_second_claim(
    post: Post, here: World, there: Receiver
) -> None:
    opened = await post.closed(there.url())
    (late,) = await claimed(post)
    here.clock.forward(LEASE_MS + 1)
    (second,) = await claimed(post)
    assert (1, 2) == (late.lease, second.lease)
    assert await post.deliveries.save(late, Receipt(200, 1)) is None
    assert "waiting" == (await post.row(opened))["state"]
    assert Meaning.DELIVERED is await post.deliveries.save(second, Receipt(200, 1))


async def test_a_delivery_whose_courier_was_killed_is_sent_again_with_the_same_id(
    post: Post, here: World, there: Receiver
) -> None:
    opened = await post.closed(there.url())
    (lost,) = await claimed(post)
    await post.sender.send(lost.outgoing)  # answered 2xx, and killed before the save
    here.clock.forward(LEASE_MS + 1)
    assert 1 == await post.work()
    assert 2 == len(there.received)
    assert 1 == len({(request.headers["webhook-id"], request.body) for request in there.received})
    assert "delivered" == (await post.row(opened))["state"]


async def test_two_processes_share_the_work_and_send_nothing_twice(postgres_url: str, there: Receiver) -> None:
    async with world(postgres_url) as one, world(postgres_url, beside=one) as two:
        first, second = Post(one), Post(two)
        for n in range(60):
            await first.closed(there.url(f"/{n % 20}"))

        async def all_of(post: Post) -> int:
            sent = 0
            while got := await post.work():
                sent += got
            return sent

        async with asyncio.timeout(60):
            while "waiting" in {row["state"] for row in await one.rows("deliveries")}:
                await asyncio.gather(all_of(first), all_of(second))
        ids = [request.headers["webhook-id"] for request in there.received]
        assert 60 == len(ids) == len(set(ids))


# --- fairness ---


async def rows_for(post: Post, count: int, template: Opened) -> None:
    """Many waiting deliveries of one endpoint, made after the one that a case has."""
    row = await post.row(template)
    numbers = (
        f"generate_series(1, {count}) AS n"
        if post.world.url.startswith("postgresql:")
        else f"(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {count}) SELECT n FROM r)"
    )
    columns = (
        "tenant_id, endpoint_id, kind, case_id, event_id, key_id, url, body, state, attempts, due_at, lease, "
        "created_at, finished_at, last_status, last_error"
    )
    # A courier may have taken the first already; nobody has taken these.
    as_made = columns.replace("attempts, due_at, lease", "0, created_at, 0")
    await post.world.execute(
        f"INSERT INTO deliveries (delivery_id, message_id, {columns}) "
        f"SELECT 'more' || n, 'more' || n, {as_made} FROM deliveries, {numbers} WHERE delivery_id = :delivery_id",
        delivery_id=row["delivery_id"],
    )


async def p95(post: Post, live: Receiver, count: int = 20) -> float:
    """Seconds from an answer to its callback's arrival, one after the other."""
    took = []
    for _ in range(count):
        began, wanted = time.monotonic(), len(live.received) + 1
        await post.closed(live.url())
        await until(lambda wanted=wanted: len(live.received) == wanted)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    return sorted(took)[round(count * 0.95) - 1]


async def test_a_dead_endpoint_with_a_thousand_waiting_does_not_slow_another(
    post: Post, here: World, there: Receiver
) -> None:
    """Of another tenant, in one run: p95 with the dead one beside it, against p95 without. The two take turns, and the
    best round of each counts: what else the machine does only ever adds.
    """
    never = asyncio.Event()
    _, stranger = await here.keys.create("agent", STRANGER)
    async with receiver() as dead, couriering(post.courier, here.hub):
        dead.then = held(never)
        try:
            mine, here.agent = here.agent, stranger
            hopeless = await post.closed(dead.url(), sourced=False)
            await rows_for(post, 1_000, hopeless)
            here.agent = mine
            endpoint_id = (await post.endpoint(hopeless))["endpoint_id"]
            await until(lambda: dead.connections == PER_ENDPOINT)
            alone, beside = [], []
            for _ in range(6):
                beside.append(await p95(post, there))
                await postpone(post, endpoint_id, HOUR)
                alone.append(await p95(post, there))
                await postpone(post, endpoint_id, -HOUR)
            of_dead = "delivery_id IN (SELECT delivery_id FROM deliveries WHERE endpoint_id = :endpoint_id)"
            given_up = await here.rows("delivery_attempts", of_dead, endpoint_id=endpoint_id)
            # No more than its places: on a slow machine the first attempts may have timed out and made room.
            assert PER_ENDPOINT >= dead.connections - len(given_up)
        finally:
            never.set()
    best, worst = min(alone), min(beside)
    print(f"p95 alone {best * 1000:.1f} ms, beside a dead endpoint {worst * 1000:.1f} ms: x{worst / best:.2f}")
    # The claim is 20 %; on a machine that others use, a few milliseconds are no difference.
    assert worst < best * 1.2 + 0.02 * crowd()


async def postpone(post: Post, endpoint_id: str, ms: int) -> None:
    """All that waits for the endpoint waits so much longer."""
    await post.world.execute(
        "UPDATE deliveries SET due_at = due_at + :ms WHERE endpoint_id = :endpoint_id AND attempts = 0",
        ms=ms,
        endpoint_id=endpoint_id,
    )


async def test_one_tenants_many_dead_endpoints_leave_room_for_another(post: Post, here: World, there: Receiver) -> None:
    never = asyncio.Event()
    async with receiver() as dead:
        dead.then = held(never)
        for n in range(60):
            await post.closed(dead.url(f"/{n}"))
        _, here.agent = await here.keys.create("agent", STRANGER)
        await post.closed(there.url(), sourced=False)
        async with couriering(post.courier, here.hub):
            try:
                await until(lambda: len(there.received) == 1, 4)  # long before a dead one has timed out
            finally:
                never.set()


# --- circuits ---


async def test_the_circuit_opens_and_half_opens_with_one_try_by_itself(
    post: Post, here: World, there: Receiver
) -> None:
    there.then = answer(500)
    many = [await post.closed(there.url()) for _ in range(FAILURES + 3)]
    assert FAILURES + 3 == await post.work()  # all of them were under way before anything was known
    endpoint = await post.endpoint(many[0])
    assert endpoint["failures"] == FAILURES
    here.clock.forward(CIRCUIT_BASE - SECOND)
    assert 0 == await post.work()
    here.clock.forward(2 * SECOND)
    assert 1 == await post.work()  # one try
    assert 0 == await post.work()
    assert (await post.endpoint(many[0]))["open_until"] > endpoint["open_until"]
    here.clock.forward(2 * CIRCUIT_BASE + SECOND)
    there.then = answer(200)
    assert 1 == await post.work()
    endpoint = await post.endpoint(many[0])
    assert (0, 0) == (endpoint["failures"], endpoint["open_until"])
    here.clock.forward(2 * MINUTE)
    assert FAILURES + 2 == await post.work()  # and then the others
    assert {"delivered"} == {(await post.row(one))["state"] for one in many}


async def test_only_one_process_tries_a_circuit_that_half_opens(post: Post, here: World, there: Receiver) -> None:
    there.then = answer(500)
    many = [await post.closed(there.url()) for _ in range(FAILURES)]
    await post.work()
    here.clock.forward(CIRCUIT_BASE + SECOND)
    now, lanes = await post.deliveries.look()
    picked = pick(lanes, Load.none(), 10, now)
    assert 1 == len(picked)
    assert [1, 0] == [len(await post.deliveries.claim(picked)) for _ in range(2)]
    now, lanes = await post.deliveries.look()
    assert [] == pick(lanes, Load.none(), 10, now)
    here.clock.forward(LEASE_MS + SECOND)  # it was killed in the middle: the next one may try
    there.then = answer(200)
    assert 1 == await post.work()
    assert "delivered" in {(await post.row(one))["state"] for one in many}


async def test_a_refusal_shows_that_the_receiver_works(post: Post, there: Receiver) -> None:
    there.script.extend([answer(500)] * (FAILURES - 1) + [answer(404)] + [answer(500)])
    many = []
    for _ in range(FAILURES + 1):
        many.append(await post.closed(there.url()))
        await post.work()
    assert 1 == (await post.endpoint(many[0]))["failures"]


# --- operators ---


async def test_failed_deliveries_are_replayed_by_id_or_by_range_with_the_same_id(
    post: Post, here: World, there: Receiver
) -> None:
    there.then = answer(400)
    many = []
    for _ in range(3):
        many.append(await post.closed(there.url()))
        here.clock.forward(MINUTE)
    await post.work()
    rows = [await post.row(one) for one in many]
    assert ["failed"] * 3 == [row["state"] for row in rows]
    there.then = answer(200)
    assert 1 == await post.deliveries.replay([rows[0]["delivery_id"], "dlv_unknown"])
    assert 0 == await post.deliveries.replay([rows[0]["delivery_id"]])
    assert 1 == await post.work()
    assert 1 == await post.deliveries.replay_range(rows[1]["created_at"], rows[2]["created_at"])
    assert 1 == await post.deliveries.replay_range(0, 2**52, rows[0]["endpoint_id"])
    assert 0 == await post.deliveries.replay_range(0, 2**52, rows[0]["endpoint_id"])
    assert 2 == await post.work()
    rows = [await post.row(one) for one in many]
    assert [("delivered", 1)] * 3 == [(row["state"], row["attempts"]) for row in rows]
    assert [1, 2] == [attempt.number for attempt in await attempts_of(post, many[0])]
    assert 3 == len({request.headers["webhook-id"] for request in there.received})


async def test_a_replayed_delivery_has_its_whole_schedule_again(post: Post, here: World, there: Receiver) -> None:
    there.then = answer(400)
    opened = await post.closed(there.url())
    await post.work()
    there.then = answer(500)
    await post.deliveries.replay([(await post.row(opened))["delivery_id"]])
    await post.work()
    assert 29 * SECOND < await post.wait_for(opened) <= 30 * SECOND


async def test_a_paused_endpoint_waits_and_is_resumed(post: Post, there: Receiver) -> None:
    opened = await post.closed(there.url())
    endpoint_id = (await post.row(opened))["endpoint_id"]
    await post.deliveries.pause(endpoint_id)
    assert 0 == await post.work()
    (listed,) = await post.deliveries.listing(state="waiting")
    assert ("paused", endpoint_id, opened.case.case_id) == (listed.endpoint_state, listed.endpoint_id, listed.case_id)
    await post.deliveries.resume(endpoint_id)
    assert 1 == await post.work()
    assert [] == await post.deliveries.listing(state="waiting")
    assert 1 == len(await post.deliveries.listing(endpoint_id=endpoint_id, tenant_id=opened.case.tenant_id))
    assert [] == await post.deliveries.listing(tenant_id="another")
    for move in (post.deliveries.pause, post.deliveries.resume):
        with pytest.raises(NotFound):
            await move("cb_unknown")


async def test_the_loop_comes_again_when_the_next_one_is_due(post: Post, here: World, there: Receiver) -> None:
    there.script.append(answer(500))
    assert 1.0 == await post.courier.round()  # nothing waits at all
    await post.closed(there.url())
    assert 0.0 == await post.courier.round()
    await post.courier.drain(None)
    here.clock.forward(30 * SECOND - 300)
    assert 0 < await post.courier.round() <= 0.3
    here.clock.forward(300)
    assert 0.0 == await post.courier.round()
    await post.courier.drain(None)
    assert 2 == len(there.received)


async def test_every_lane_has_its_turn_however_many_there_are(post: Post, here: World, there: Receiver) -> None:
    """A courier that sees two lanes at a time, most of them paused, finds those that are not."""
    many = [await post.closed(there.url(f"/{n}")) for n in range(9)]
    lanes = sorted([await post.endpoint(one) for one in many], key=lambda endpoint: str(endpoint["endpoint_id"]))
    for endpoint in lanes[:4] + lanes[5:8]:
        await post.deliveries.pause(endpoint["endpoint_id"])
    courier = Courier(post.deliveries, post.sender, here.hub, window=2)
    async with couriering(courier, here.hub):
        await until(lambda: len(there.received) == 2)
        for endpoint in lanes[:4]:
            await post.deliveries.resume(endpoint["endpoint_id"])
        await until(lambda: len(there.received) == 6)
    assert 6 == len({request.target for request in there.received})


async def test_what_cannot_be_signed_is_given_up_with_a_reason_and_harms_no_other(
    post: Post, here: World, there: Receiver
) -> None:
    revoked = await post.closed(there.url())
    await here.execute("UPDATE api_keys SET revoked_at = 1 WHERE key_id = :key_id", key_id=here.agent.key_id)
    _, here.agent = await here.keys.create("agent", here.agent.tenant_id)
    good = await post.closed(there.url())
    assert 2 == await post.work()
    row = await post.row(revoked)
    assert "failed" == row["state"]
    assert "revoked" in row["last_error"]
    assert "delivered" == (await post.row(good))["state"]
    assert 1 == len(there.received)
    assert isinstance(here.agent, Principal)
