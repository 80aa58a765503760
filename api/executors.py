"""Door 2, executors: sources and their webhooks, pulling decision events with acks, and claims."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pydantic_core import from_json, to_json

from api.call import Call, while_known
from api.http import Answers, json_answer, raw_json_answer, unless_gone
from api.once import once_of
from api.schemas.base import NoFields, parse
from api.schemas.events import Acked
from api.schemas.source_answers import (
    PushedPage,
    Replayed,
    SourceAnswer,
    SourcesAnswer,
    claim_answer,
    pushed_answer,
    rotated_answer,
    source_answer,
    trial_answer,
)
from api.schemas.sources import Acks, ChangedSource, NewSecret, NewSource, Replays, WantedClaim
from core.errors import Conflict, InvalidInput
from core.events import MAX_PAGE, Page
from core.model import Source
from core.pushes import Shown, Trial
from core.sources import Changed
from core.strictjson import load_object
from core.webhooks import new_secret

DEFAULT_PAGE = 100
DELIVERY_STATES = ("waiting", "delivered", "failed")
MAX_WAIT_SECONDS = 30.0
_CURSOR = re.compile(r"p([0-9]{1,18})", re.ASCII)
_PLACE = re.compile(r"([0-9]{1,16})\.([A-Za-z0-9_-]{1,100})", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,2}(\.[0-9]{1,3})?", re.ASCII)


async def create_source(call: Call) -> Answers:
    """`POST /sources`: a secret that is made up for its webhook is in this answer, and in no other."""
    body = await call.body()
    wanted = parse(NewSource, load_object(body)).wanted(call.services.destinations)
    webhook, made_up = wanted.webhook, None
    if webhook is not None and webhook.url is not None and webhook.secret is None:
        made_up = new_secret()
        wanted = replace(wanted, webhook=replace(webhook, secret=made_up))

    def render(shown: Shown) -> str:
        return to_json(source_answer(shown.source, shown, secret=made_up)).decode()

    once = once_of(call, "sources", body)
    text = await call.services.sources.create_once(call.caller, wanted, once, render)
    location = (b"location", f"/sources/{from_json(text)['id']}".encode())
    return raw_json_answer(201, text.encode(), location)


async def change_source(call: Call) -> Answers:
    """`PATCH /sources/{source_id}`: as above, for a webhook that was not there before."""
    wanted = parse(ChangedSource, await call.json()).wanted(call.services.destinations)
    changed = await call.services.sources.change(call.caller.tenant_id, call.params["source_id"], wanted)
    return json_answer(200, await _source(call, changed.source, changed.secret))


async def _source(call: Call, source: Source, secret: str | None) -> SourceAnswer:
    shown = await call.services.pushes.show(call.caller.tenant_id, source.source_id)
    return source_answer(source, shown, secret=secret)


async def list_sources(call: Call) -> Answers:
    """`GET /sources`"""
    found = await call.services.pushes.all(call.caller.tenant_id)
    reached = [shown for shown in found if call.caller.reaches(shown.source.source_id)]
    return json_answer(200, SourcesAnswer(items=[source_answer(shown.source, shown) for shown in reached]))


async def get_source(call: Call) -> Answers:
    """`GET /sources/{source_id}`"""
    shown = await call.services.pushes.show(call.caller.tenant_id, call.params["source_id"])
    return json_answer(200, source_answer(shown.source, shown))


async def rotate_secret(call: Call) -> Answers:
    """`POST /sources/{source_id}/webhook/rotate-secret`"""
    wanted = parse(NewSecret, _maybe_object(body := await call.body()))
    source_id = call.params["source_id"]

    def render(changed: Changed) -> str:
        return to_json(rotated_answer(changed)).decode()

    once = once_of(call, f"rotate-secret:{source_id}", body)
    text = await call.services.sources.rotate_secret(
        call.caller.tenant_id, source_id, wanted.secret, wanted.grace_ms(), once, render
    )
    return raw_json_answer(200, text.encode())


async def try_webhook(call: Call) -> Answers:
    """`POST /sources/{source_id}/webhook/test`"""
    parse(NoFields, _maybe_object(body := await call.body()))
    source_id = call.params["source_id"]

    def render(trial: Trial) -> str:
        return to_json(trial_answer(trial)).decode()

    once = once_of(call, f"webhook-test:{source_id}", body)
    trial = call.services.pushes.trial_once(call.caller.tenant_id, source_id, once, render)
    return raw_json_answer(200, (await unless_gone(call.receive, trial)).encode())


async def pause_webhook(call: Call) -> Answers:
    """`POST /sources/{source_id}/webhook/pause`"""
    parse(NoFields, _maybe_object(await call.body()))
    await call.services.pushes.pause(call.caller.tenant_id, call.params["source_id"])
    return await get_source(call)


async def resume_webhook(call: Call) -> Answers:
    """`POST /sources/{source_id}/webhook/resume`"""
    parse(NoFields, _maybe_object(await call.body()))
    await call.services.pushes.resume(call.caller.tenant_id, call.params["source_id"])
    return await get_source(call)


async def list_deliveries(call: Call) -> Answers:
    """`GET /sources/{source_id}/deliveries`"""
    query = call.query("state", "after", "limit")
    state, limit = query.get("state"), _limit(query.get("limit"))
    if state is not None and state not in DELIVERY_STATES:
        raise InvalidInput(f"state must be one of {', '.join(DELIVERY_STATES)}", field="state")
    found = await call.services.pushes.listing(
        call.caller.tenant_id,
        call.params["source_id"],
        state=state,
        after=_place(query.get("after")),
        limit=limit + 1,
    )
    items, more = found[:limit], len(found) > limit
    last = items[-1].delivery if more else None
    cursor = None if last is None else f"{last.created_at}.{last.delivery_id}"
    return json_answer(200, PushedPage(items=[pushed_answer(one) for one in items], next_cursor=cursor))


async def replay_deliveries(call: Call) -> Answers:
    """`POST /sources/{source_id}/deliveries/replay`"""
    body = await call.body()
    failed, source_id = parse(Replays, load_object(body)).failed(), call.params["source_id"]

    def render(count: int) -> str:
        return to_json(Replayed(replayed=count)).decode()

    once = once_of(call, f"replay:{source_id}", body)
    text = await call.services.pushes.replay_once(call.caller.tenant_id, source_id, failed, once, render)
    return raw_json_answer(200, text.encode())


def _maybe_object(body: bytes) -> dict[str, Any]:
    """What the body of a request holds that may do without one."""
    return load_object(body) if body else {}


async def pull(call: Call) -> Answers:
    """`GET /sources/{source_id}/decision-events`"""
    query = call.query("after", "limit", "wait")
    after, limit, wait = _after(query.get("after")), _limit(query.get("limit")), _wait(query.get("wait"))
    source_id = await _pullable(call)
    if wait == 0:
        return _page(await call.services.events.pull(source_id, after, limit, wait))
    await call.body()
    return _page(await while_known(call, call.services.events.pull(source_id, after, limit, wait)))


def _page(page: Page) -> Answers:
    # Every event is the text that was recorded: re-encoding it could change the bytes that its hash is over.
    items = ",".join(page.items)
    return raw_json_answer(200, f'{{"items":[{items}],"next_cursor":"p{page.cursor}"}}'.encode())


async def ack(call: Call) -> Answers:
    """`POST /sources/{source_id}/decision-events/ack`"""
    acks = parse(Acks, await call.json())
    source_id = await _pullable(call)
    acked, unknown = await call.services.events.ack(call.caller.tenant_id, source_id, acks.event_ids)
    return json_answer(200, Acked(acked=acked, unknown=unknown))


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


def _place(text: str | None) -> tuple[int, str] | None:
    if text is None or text == "":
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("after must be a next_cursor that an earlier answer gave", field="after")
    return int(found[1]), found[2]


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
