"""One person in several workspaces of an organisation: whoever has left has left them all, and has one voice however
much of the organisation Slack told.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.codes import CodeDesk
from core.errors import AlreadyDecided, NotAReviewer
from core.model import Identity, Policy
from core.people import People
from core.states import Status
from tests.support.gates import world

HERE = Identity("slack", "T0SECOND/UADA", "Ada", team="E0ORG/T0SECOND", verified=True)
THERE = replace(HERE, user_id="T0THIRD/UADA", team="E0ORG/T0THIRD")
UNTOLD = replace(HERE, team="T0SECOND")
BEN = Identity("slack", "T0SECOND/UBEN", "Ben", team="T0SECOND", verified=True)


async def test_who_has_left_decides_in_no_workspace_of_the_organisation(database_url: str) -> None:
    async with world(database_url) as here:
        people = People(here.database, CodeDesk(here.database))
        await people.seen(HERE)
        assert [HERE.address] == await people.remove(HERE.address)
        opened = await here.open(policy=Policy((HERE.address, THERE.address)))
        for who in (HERE, THERE):
            with pytest.raises(NotAReviewer, match="no reviewer here any more"):
                await here.answer(opened, by=who)
            with pytest.raises(NotAReviewer):
                await people.seen(who)
        assert await people.restore(HERE.address)
        assert not await people.restore(HERE.address)
        assert (await here.answer(opened, by=THERE)).case.status is Status.COMPLETED


async def test_nobody_has_two_voices_because_one_door_knew_less_of_their_organisation(database_url: str) -> None:
    async with world(database_url) as here:
        people = People(here.database, CodeDesk(here.database))
        for who in (HERE, UNTOLD):
            await people.seen(who)
        opened = await here.open(policy=Policy((HERE.address, BEN.address), quorum=2))
        assert (await here.answer(opened, by=HERE)).case.status is not Status.COMPLETED
        with pytest.raises(AlreadyDecided):
            await here.answer(opened, by=UNTOLD)
        assert (await here.answer(opened, by=BEN)).case.status is Status.COMPLETED
