"""Sensitive answers: nowhere in clear at rest, in clear for whoever they are for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import AlreadyDecided
from core.model import Opened
from core.sealed import MARK
from tests.support.dump import everything
from tests.support.gates import SECRET, World, world

VALUE = "4929-not-for-logs"
FORM = {
    "form": {
        "fields": [
            {"key": "name", "label": "Name", "type": "text"},
            {"key": "card", "label": "Card number", "type": "text", "sensitive": True},
        ]
    }
}
DATA = {"name": "Ada", "card": VALUE}


async def asked(here: World, **changes: Any) -> Opened:
    return await here.open("input", context=FORM, **changes)


async def test_a_sensitive_answer_is_nowhere_in_the_database_and_the_agent_reads_it(here: World) -> None:
    opened = await asked(here)
    await here.answer(opened, "submit", DATA, door="page")
    stored = json.loads((await here.case_row(opened))["result"])
    assert ("Ada", {MARK}) == (stored["data"]["name"], set(stored["data"]["card"]))
    assert VALUE not in await everything(here.url)
    case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    assert {"action": "submit", "data": DATA} == case.result
    assert [] == await here.findings()


async def test_an_executor_gets_it_in_clear_and_the_same_bytes_each_time(here: World) -> None:
    opened = await asked(here)
    await here.answer(opened, "submit", DATA, door="page")
    await here.seal()
    pages = [await here.events.pull(here.source_id, 0, 10) for _ in range(2)]
    assert DATA == json.loads(pages[0].items[0])["result"]["data"]
    assert pages[0] == pages[1]


async def test_the_same_answer_again_is_recognised_though_it_is_sealed(here: World) -> None:
    opened = await asked(here)
    first = await here.answer(opened, "submit", DATA, door="page")
    again = await here.answer(opened, "submit", DATA, door="page")
    assert (True, first.interaction_id) == (again.replay, again.interaction_id)
    with pytest.raises(AlreadyDecided):
        await here.answer(opened, "submit", DATA | {"card": "another"}, door="page")


async def test_it_is_recognised_and_read_after_the_secret_was_rotated(here: World) -> None:
    opened = await asked(here)
    first = await here.answer(opened, "submit", DATA, door="page")
    async with world(here.url, beside=here, secrets=("a newer secret for tests", SECRET)) as later:
        again = await later.answer(opened, "submit", DATA, door="page")
        assert (True, first.interaction_id) == (again.replay, again.interaction_id)
        case = await later.views.case(here.agent.tenant_id, opened.case.case_id)
        assert {"action": "submit", "data": DATA} == case.result


async def test_what_only_looks_sealed_stays_as_it_is(here: World) -> None:
    opened = await here.open("confirmation")
    forged = {"note": {MARK: "0123456789abcdef.AAAA"}, "other": {MARK: 7}}
    await here.answer(opened, "confirm", forged, door="page")
    case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    assert {"action": "confirm", "data": forged} == case.result


async def test_a_sealed_value_moved_to_another_case_does_not_open(here: World) -> None:
    opened, other = await asked(here), await here.open("confirmation")
    await here.answer(opened, "submit", DATA, door="page")
    sealed = json.loads((await here.case_row(opened))["result"])["data"]["card"]
    await here.answer(other, "confirm", {"card": sealed}, door="page")
    case = await here.views.case(here.agent.tenant_id, other.case.case_id)
    assert {"action": "confirm", "data": {"card": sealed}} == case.result
