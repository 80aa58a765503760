"""People who are signed in to the inbox, as browsers without scripts; and cases that wait for them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from core.model import Identity, Opened, Policy
from core.replies import page_reply
from tests.support.review_page import Desk, browser

ADA = Identity("slack", "UADA", "Ada Park", team="T1", verified=True)
BEN = Identity("slack", "UBEN", "Ben Ode", team="T1", verified=True)
EVE = Identity("telegram", "66", "Eve", verified=True)
NAMED = Policy(any_of=(ADA.address, BEN.address))
INBOX = "/en/inbox"


async def enter(found: Desk, client: httpx.AsyncClient, who: Identity = ADA) -> httpx.Response:
    """Sign in by the bot's link, as a person does."""
    code = await found.services.sessions.sign_in_code(who)
    return await client.post(f"{INBOX}/enter", data={"code": code})


@asynccontextmanager
async def signed_in(found: Desk, who: Identity = ADA) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(found) as client:
        answer = await enter(found, client, who)
        assert 303 == answer.status_code, answer.text
        yield client


def signed(html: str) -> str:
    """What the forms of this page bring along."""
    found = re.search(r'name="signed" value="([0-9a-f]{64})"', html)
    assert found is not None, "nobody is signed in on this page"
    return found[1]


async def asked(found: Desk, prompt: str = "Refund order 1001?", **more: Any) -> Opened:
    """An approval that Ada or Ben may answer, as nobody else may."""
    return await found.ask(more.pop("case_type", "approval"), prompt, **({"policy": NAMED} | more))


async def answered(found: Desk, opened: Opened, who: Identity, action: str = "approve", **data: Any) -> None:
    digest = opened.case.content_digest
    await found.services.gate.respond(
        page_reply(opened.case.case_id, opened.review_token, action, data, digest, identity=who)
    )


def place(opened: Opened, more: str = "") -> str:
    """The case's page in the inbox."""
    return f"{INBOX}/cases/{opened.case.case_id}{more}"
