"""Door 2, executors: sources, pulling decision events with acks, and claims."""

from __future__ import annotations

import re

from api.http import Answers, Call, json_answer, raw_json_answer, unless_gone
from api.schemas.base import parse
from api.schemas.sources import Acks, NewSource, WantedClaim, claim_answer, source_answer
from core.errors import Conflict, InvalidInput
from core.events import MAX_PAGE, Page

DEFAULT_PAGE = 100
MAX_WAIT_SECONDS = 30.0
_CURSOR = re.compile(r"p([0-9]{1,18})", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?", re.ASCII)


async def create_source(call: Call) -> Answers:
    """`POST /sources`"""
    wanted = parse(NewSource, await call.json())
    source = await call.services.sources.create(
        call.caller,
        name=wanted.name,
        description=wanted.description,
        mode=wanted.mode(),
        notify=wanted.addresses(),
        policy=wanted.policy(),
        grace_ms=wanted.grace_ms(),
        signed=bool(wanted.signed_responses),
        images=bool(wanted.allow_images),
    )
    return json_answer(201, source_answer(source), (b"location", f"/sources/{source.source_id}".encode()))


async def list_sources(call: Call) -> Answers:
    """`GET /sources`"""
    sources = await call.services.sources.list(call.caller.tenant_id)
    return json_answer(200, {"items": [source_answer(source) for source in sources]})


async def get_source(call: Call) -> Answers:
    """`GET /sources/{source_id}`"""
    return json_answer(
        200, source_answer(await call.services.sources.get(call.caller.tenant_id, call.params["source_id"]))
    )


async def pull(call: Call) -> Answers:
    """`GET /sources/{source_id}/decision-events`"""
    query = call.query("after", "limit", "wait")
    after, limit, wait = _after(query.get("after")), _limit(query.get("limit")), _wait(query.get("wait"))
    source_id = await _pullable(call)
    work = call.services.events.pull(source_id, after, limit, wait)
    if wait == 0:
        return _page(await work)
    await call.body()
    return _page(await unless_gone(call.receive, work))


def _page(page: Page) -> Answers:
    # Every event is the text that was recorded: re-encoding it could change the bytes that its hash is over.
    items = ",".join(page.items)
    return raw_json_answer(200, f'{{"items":[{items}],"next_cursor":"p{page.cursor}"}}'.encode())


async def ack(call: Call) -> Answers:
    """`POST /sources/{source_id}/decision-events/ack`"""
    acks = parse(Acks, await call.json())
    source_id = await _pullable(call)
    acked, unknown = await call.services.events.ack(call.caller.tenant_id, source_id, acks.event_ids)
    return json_answer(200, {"acked": acked, "unknown": unknown})


async def claim(call: Call) -> Answers:
    """`POST /sources/{source_id}/decision-events/{event_id}/claim`: in every mode, also where events are pushed."""
    wanted = parse(WantedClaim, await call.json())
    source_id, event_id = call.params["source_id"], call.params["event_id"]
    given = await call.services.events.claim(call.caller, source_id, event_id, wanted.final_digest, wanted.claimer_id)
    return json_answer(200, claim_answer(given))


async def _pullable(call: Call) -> str:
    """The source's id. Raises NotFound, and Conflict when its events are only pushed."""
    source = await call.services.sources.get(call.caller.tenant_id, call.params["source_id"])
    if source.mode == "WEBHOOK_ONLY":
        raise Conflict("the events of this source go to its webhook only (delivery.mode is WEBHOOK_ONLY)")
    return source.source_id


def _after(text: str | None) -> int:
    if text is None or text == "":
        return 0
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidInput("after must be a next_cursor that an earlier answer gave", field="after")
    return int(found[1])


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= MAX_PAGE:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_PAGE}", field="limit")
    return int(text)


def _wait(text: str | None) -> float:
    if text is None:
        return 0.0
    if not _SECONDS.fullmatch(text) or float(text) > MAX_WAIT_SECONDS:
        raise InvalidInput(f"wait must be a number of seconds from 0 to {MAX_WAIT_SECONDS:.0f}", field="wait")
    return float(text)
