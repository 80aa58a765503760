"""What was decided: the history with its search, the timeline of a case, and the export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from api.inbox.base import PATH, Pages
from api.inbox.exporting import csv_head, csv_lines, json_lines
from api.inbox.queue import MAX_SEARCH, kind_of, short, source_of
from api.inbox.queueing import Queueing
from api.inbox.strings import Words
from api.inbox.timeline import lines_of, spots_of
from api.review.browsers import data_headers
from api.review.ending import Moment, State, Tone, ending_words, moment_of, person_words, state_of
from api.review.html import Html
from api.review.strings import Texts
from api.services import Services
from api.visitors import Visitor
from core.errors import InvalidInput
from core.inbox import PastPage
from core.messages import visible
from core.model import Case
from core.records import Exported
from core.schedule import DAY
from core.states import Status

SHOWN = 30
MOST_LOOKS = 10
MOST_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Past:
    """One line of the history."""

    case_id: str
    prompt: str
    kind: str
    source: str
    ended: str
    tone: Tone
    by: str
    when: Moment


class Looking(Pages):
    def __init__(self, services: Services, html: Html, queueing: Queueing) -> None:
        super().__init__(services, html)
        self._queueing = queueing

    def routes(self) -> list[BaseRoute]:
        return [
            self.route(PATH + "/history", self.history, ["GET"], "inbox_history"),
            self.route(PATH + "/cases/{case_id}/timeline", self.timeline, ["GET"], "inbox_timeline"),
            self.route(PATH + "/export", self.export, ["GET"], "inbox_export"),
        ]

    async def history(self, request: Request) -> Response:
        visitor, (texts, words) = await self.visitor(request), self.texts(request)
        search, before = _search(request), request.query_params.get("before", "")
        before = before if before.isascii() and before.isdigit() and len(before) < 17 else ""
        page = await self._page(visitor, before, search)
        names = await self.services.records.source_names({case.source_id for case in page.items})
        items = [_past(case, names, texts, words) for case in page.items]
        values = {"items": items, "search": search, "older": page.next, "before": before, "section": "history"}
        return await self.page(request, "history.html", 200, visitor, **values)

    async def _page(self, visitor: Visitor, before: str, search: str) -> PastPage:
        """A page of the history; where a search leaves much out, it looks further back for some."""
        found: list[Case] = []
        older: str | None = before or None
        for _ in range(MOST_LOOKS):
            page = await self.services.inbox.history(
                visitor.identity, limit=SHOWN - len(found), before=older, search=search
            )
            found, older = [*found, *page.items], page.next
            if older is None or len(found) >= SHOWN:
                break
        return PastPage(tuple(found), older)

    async def timeline(self, request: Request) -> Response:
        visitor, (texts, words) = await self.visitor(request), self.texts(request)
        case = await self._queueing.seen(visitor, request.path_params["case_id"])
        found = await self.services.records.timeline(case)
        values: dict[str, Any] = {
            "case_id": case.case_id,
            "prompt": visible(case.prompt),
            "kind": kind_of(case, words),
            "lines": lines_of(case, found, texts, words),
            "spots": spots_of(found.places, words),
            "section": "waiting" if case.closed_at is None else "history",
        }
        return await self.page(request, "timeline.html", 200, visitor, **values)

    async def export(self, request: Request) -> Response:
        """`?format=csv|jsonl`, with `q` and `days`: what this person may see, page by page as it is read."""
        visitor, form = await self.visitor(request), request.query_params.get("format", "csv")
        writes, media = {
            "csv": (csv_lines, "text/csv; charset=utf-8"),
            "jsonl": (json_lines, "application/x-ndjson; charset=utf-8"),
        }.get(form, (None, ""))
        days = request.query_params.get("days", "")
        if writes is None or (days and not (days.isascii() and days.isdigit() and 0 < int(days[:6]) <= MOST_DAYS)):
            raise InvalidInput("format is csv or jsonl, and days a number of days", field="format")
        records = self.services.records
        since = await records.now() - int(days) * DAY if days else 0
        found = records.exported(visitor.identity, _search(request), since)
        # Asked before the answer begins: what goes wrong with the first page can still be said.
        first = await anext(found, None)
        headers = data_headers() | {"Content-Disposition": f'attachment; filename="assent-history.{form}"'}
        lines = self._lines(first, found, writes, csv_head() if form == "csv" else "")
        return StreamingResponse(lines, headers=headers, media_type=media)

    async def _lines(
        self,
        first: Exported | None,
        others: AsyncIterator[Exported],
        writes: Callable[[Exported, Mapping[str, str]], str],
        head: str,
    ) -> AsyncIterator[str]:
        yield head
        names: dict[str, str] = {}
        one = first
        while one is not None:
            source_id = one.case.source_id
            if source_id is not None and source_id not in names:
                names |= await self.services.records.source_names({source_id})
            yield writes(one, names)
            one = await anext(others, None)
            await asyncio.sleep(0)


def _search(request: Request) -> str:
    return request.query_params.get("q", "").replace("\x00", "").strip()[:MAX_SEARCH]


def _past(case: Case, names: Mapping[str, str], texts: Texts, words: Words) -> Past:
    state: State = state_of(case, case.closed_at or case.expires_at)
    title, _, tone = ending_words(case, state, texts)
    by = person_words((case.answered or {}).get("by") or {}, texts) if case.status is Status.COMPLETED else ""
    return Past(
        case_id=case.case_id,
        prompt=short(case.prompt),
        kind=kind_of(case, words),
        source=source_of(case, names),
        ended=title,
        tone=tone,
        by=by,
        when=moment_of(case.closed_at or case.expires_at, texts),
    )
