"""The queue's pages: the list, a case beside it, and what its script asks for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from api.inbox.base import PATH, Pages
from api.inbox.queue import Filters, Queue, filters_of, queue_of
from api.review.ending import state_of
from api.review.html import CASE_ID, Html
from api.review.page import may_revise
from api.review.routes import CasePages
from api.services import Services
from api.visitors import Visitor
from core.errors import NotFound
from core.inbox import Waiting
from core.model import Case

SHOWN = 200
MOST_LOOKS = 5


class Queueing(Pages):
    def __init__(self, services: Services, html: Html, cases: CasePages) -> None:
        super().__init__(services, html)
        self._cases = cases

    def routes(self) -> list[BaseRoute]:
        return [
            self.route(PATH, self.queue, ["GET"], "inbox"),
            self.route(PATH + "/list", self.listed, ["GET"], "inbox_list"),
            self.route(PATH + "/cases/{case_id}", self.case, ["GET"], "inbox_case"),
        ]

    async def queue(self, request: Request) -> Response:
        visitor = await self.html.visitors.of(request)
        if visitor is None:
            return await self.page(request, "welcome.html", 200, None)
        values = await self._values(request, visitor)
        return await self.page(request, "queue.html", 200, visitor, case_id=None, **values)

    async def listed(self, request: Request) -> Response:
        """The list alone, for the script of an open page."""
        visitor = await self.visitor(request)
        values, case_id = await self._values(request, visitor), request.query_params.get("case", "")
        return await self.page(request, "list.html", 200, visitor, case_id=case_id, **values)

    async def case(self, request: Request) -> Response:
        """A case beside the list, as its review page shows it. Its link's token is in the form of whoever may answer it
        as themselves, and nowhere else.
        """
        visitor, (texts, _) = await self.visitor(request), self.texts(request)
        case = await self.seen(visitor, request.path_params["case_id"])
        review = await self.services.views.shown(case.tenant_id, case.case_id)
        reviewing, token = self.services.reviewing, ""
        reviewer = await reviewing.reviewer(case.case_id, visitor.identity, by_link=False)
        standing = await reviewing.standing(review.case, reviewer)
        waits = state_of(review.case, review.now) == "open" or may_revise(review.case, review.now)
        if standing.admitted and waits:
            token = await self.services.views.review_token(case.case_id) or ""
        shown = await self._cases.shown(review, token, texts, visitor, standing=standing)
        hosts = shown["page"].content.image_hosts
        del shown["languages"]  # of the review page
        values = await self._values(request, visitor) | shown
        values |= {"case_id": case.case_id, "pane": True, "image_hosts": hosts}
        return await self.page(request, "case_beside.html", 200, visitor, **values)

    async def seen(self, visitor: Visitor, case_id: str) -> Case:
        """The case, if it is one of those that this person may see. Raises NotFound for all others alike."""
        case = await self.services.inbox.may_see(visitor.identity, case_id) if CASE_ID.fullmatch(case_id) else None
        if case is None:
            raise NotFound
        return case

    async def _values(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        filters = filters_of(request.query_params)
        return {"filters": filters, "queue": await self._queue(request, visitor, filters), "section": "waiting"}

    async def _queue(self, request: Request, visitor: Visitor, filters: Filters) -> Queue:
        texts, words = self.texts(request)
        records = self.services.records
        found: list[Waiting] = []
        total, after = 0, None
        # The most urgent ones; where somebody looks for something, further on, too.
        for _ in range(MOST_LOOKS if filters.narrow else 1):
            page = await self.services.inbox.waiting(visitor.identity, limit=SHOWN, after=after, search=filters.search)
            found, total, after = [*found, *page.items], total + page.total, page.next
            if after is None:
                break
        names = await records.source_names({one.case.source_id for one in found})
        now, more = await records.now(), after is not None
        return queue_of(found, filters, names, texts, words, now=now, total=total, more=more)
