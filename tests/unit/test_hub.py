"""Wake-ups inside one process."""

from __future__ import annotations

import asyncio
from functools import partial

from core.hub import Hub

SOON = 5.0  # seconds within which a wake-up that comes at all has come


async def test_a_waiter_is_woken_by_any_of_its_keys() -> None:
    hub = Hub()
    with hub.subscribe("case:1", "case:2") as waiter:
        hub.wake("case:2")
        assert await waiter.wait(SOON)


async def test_a_waiter_is_not_woken_by_a_key_of_others() -> None:
    hub = Hub()
    with hub.subscribe("case:1") as waiter:
        hub.wake("case:2")
        assert not await waiter.wait(0)


async def test_a_wake_before_the_wait_is_not_lost() -> None:
    hub = Hub()
    with hub.subscribe("seal") as waiter:
        hub.wake("seal")
        hub.wake("seal")
        assert await waiter.wait(SOON)
        assert not await waiter.wait(0), "two wakes before one wait are one"


async def test_all_who_wait_for_a_key_are_woken() -> None:
    hub = Hub()
    with hub.subscribe("seal") as one, hub.subscribe("seal") as other:
        waiting = [asyncio.create_task(waiter.wait(SOON)) for waiter in (one, other)]
        await asyncio.sleep(0)
        hub.wake("seal")
        assert [True, True] == [await task for task in waiting]


async def test_everybody_is_woken_after_a_gap() -> None:
    hub = Hub()
    with hub.subscribe("case:1") as one, hub.subscribe("cards") as other:
        hub.wake_everybody()
        assert await one.wait(SOON)
        assert await other.wait(SOON)


async def test_who_watches_for_good_asks_without_waiting() -> None:
    hub = Hub()
    watching = hub.watch("keys")
    assert not watching.taken()
    hub.wake("seal")
    assert not watching.taken()
    for wake in (partial(hub.wake, "keys", local=False), hub.wake_everybody):
        wake()
        assert watching.taken()
        assert not watching.taken(), "once is once"


async def test_who_has_left_is_forgotten() -> None:
    hub = Hub()
    with hub.subscribe("case:1", "case:1", "events:a"):
        assert ["case:1"] == hub.watched("case:")
    assert [] == hub.watched("")


async def test_local_wakes_are_relayed_and_remote_ones_are_not_sent_back() -> None:
    hub = Hub()
    relayed: list[tuple[str, ...]] = []
    hub.relay = relayed.append
    hub.wake("case:1", "seal")
    hub.wake("case:2", local=False)
    hub.wake()
    assert [("case:1", "seal")] == relayed
