"""The figures' page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from api.inbox.base import PATH, Pages
from api.inbox.charts import days_of, rows_of, tiles_of
from core.records import MOST_ENDED
from core.review_figures import review_figures
from core.schedule import DAY

PERIODS = (7, 30, 90)
LOOKED_AT = 200


class Counting(Pages):
    def routes(self) -> list[BaseRoute]:
        return [self.route(PATH + "/figures", self.figures, ["GET"], "inbox_figures")]

    async def figures(self, request: Request) -> Response:
        """`?days=7|30|90`, of the cases that this person may see."""
        visitor, (texts, words) = await self.visitor(request), self.texts(request)
        asked = request.query_params.get("days", "")
        days = next((one for one in PERIODS if str(one) == asked), PERIODS[1])
        records = self.services.records
        now = await records.now()
        ended = await records.ended(visitor.identity, (now // DAY - days + 1) * DAY)
        waiting = await self.services.inbox.waiting(visitor.identity, limit=LOOKED_AT)
        oldest = min((one.case.created_at for one in waiting.items), default=None)
        found = review_figures(ended, now=now, days=days)
        so_many = f"{waiting.total}{'+' if waiting.next else ''}"
        names = await records.source_names({one.key for one in found.by_source})
        values = {
            "days": days,
            "periods": PERIODS,
            "tiles": tiles_of(found, so_many, None if oldest is None else now - oldest, texts, words),
            "chart": days_of(found),
            "sources": rows_of(found.by_source, names, texts, words),
            "reviewers": rows_of(found.by_reviewer, {}, texts, words),
            "most": MOST_ENDED if len(ended) >= MOST_ENDED else 0,
            "section": "figures",
        }
        return await self.page(request, "figures.html", 200, visitor, **values)
