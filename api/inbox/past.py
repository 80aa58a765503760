"""What was decided: the history with its search, the timeline of a case, and the export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

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
from core.model import Case
from core.records import Exported
from core.schedule import DAY
from core.states import Status
from core.wording import visible

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
        search, asked = _search(request), request.query_params
        page = await self._page(visitor, search, before=asked.get("before"), after=asked.get("after"))
        names = await self.services.records.source_names({case.source_id for case in page.items})
        items = [_past(case, names, texts, words) for case in page.items]
        turns = {
            "newer": urlencode({"q": search, "after": page.newer}) if page.newer else "",
            "older": urlencode({"q": search, "before": page.next}) if page.next else "",
        }
        values = {"items": items, "search": search, "section": "history", **turns}
        return await self.page(request, "history.html", 200, visitor, **values)

    async def _page(self, visitor: Visitor, search: str, *, before: str | None, after: str | None) -> PastPage:
        """A page of the history; where a search leaves much out, it looks further back for some. Towards what is newer,
        what is no whole page is the first one.
        """
        if after:
            page = await self._newer(visitor, search, after)
            return page if page.newer is not None else await self._page(visitor, search, before=None, after=None)
        found: list[Case] = []
        older, newer = before or None, None
        for look in range(MOST_LOOKS):
            page = await self.services.inbox.history(
                visitor.identity, limit=SHOWN - len(found), before=older, search=search
            )
            found, older, newer = [*found, *page.items], page.next, page.newer if look == 0 else newer
            if older is None or len(found) >= SHOWN:
                break
        if before and not (found or older or search):  # nothing is there, wherever that address came from
            return await self._page(visitor, search, before=None, after=None)
        return PastPage(tuple(found), older, newer)

    async def _newer(self, visitor: Visitor, search: str, after: str) -> PastPage:
        found: list[Case] = []
        older, newer = None, after
        for look in range(MOST_LOOKS):
            page = await self.services.inbox.history(
                visitor.identity, limit=SHOWN - len(found), after=newer, search=search
            )
            older = page.next if look == 0 else older
            if page.newer is None:
                return PastPage((), older)
            found, newer = [*page.items, *found], page.newer
            if len(found) >= SHOWN:
                break
        return PastPage(tuple(found), older, newer)

    async def timeline(self, request: Request) -> Response:
        visitor, (texts, words) = await self.visitor(request), self.texts(request)
        case = await self._queueing.seen(visitor, request.path_params["case_id"])
        found = await self.services.records.timeline(case)
        values: dict[str, Any] = {
            "case_id": case.case_id,
            "prompt": visible(case.prompt),
            "kind": kind_of(case, words),
            "lines": lines_of(case, found, texts, words),
            "spots": spots_of(found, words),
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
