"""Answering alike cases together: a page that shows every one of them whole, and one reply for each that was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from api.inbox import bulk
from api.inbox.base import PATH, Pages
from api.inbox.queue import alike, short
from api.inbox.strings import Words
from api.review.answer import words_field
from api.review.ending import ending_words, person_words, state_of
from api.review.html import CASE_ID
from api.review.posted import Posted
from api.review.strings import Texts, problem_words
from api.visitors import Visitor
from core import errors
from core.chat_terms import asks_reason
from core.forms import MAX_TEXT
from core.model import Case
from core.replies import page_reply
from core.states import TERMINAL, Status

LOOKED_AT = 200
DIGEST = "digest."  # before the id of the case whose content was shown

Tone = Literal["good", "warning"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case."""

    case_id: str
    prompt: str
    words: str
    tone: Tone


class Answering(Pages):
    def routes(self) -> list[BaseRoute]:
        return [self.route(PATH + "/together", self.together, ["GET", "POST"], "inbox_together")]

    async def together(self, request: Request) -> Response:
        if request.method == "POST":
            visitor, posted = await self.signed(request)
            return await self._answer(request, visitor, posted)
        visitor = await self.visitor(request)
        waiting = await self._waiting(visitor)
        asked = request.query_params.getlist("case")[: 2 * bulk.MOST]
        if group := request.query_params.get("alike"):
            asked = [case_id for case_id, case in waiting.items() if alike(case) == group]
        return await self._show(request, visitor, waiting, [one for one in asked if CASE_ID.fullmatch(one)])

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        waiting: Mapping[str, Case],
        asked: Sequence[str],
        status: int = 200,
        **more: Any,
    ) -> Response:
        texts, words = self.texts(request)
        found = bulk.chosen(asked, waiting)
        names = await self.services.records.source_names({case.source_id for case in found.cases})

        def values() -> dict[str, Any]:
            return {
                "items": [bulk.whole(case, names, texts, words) for case in found.cases],
                "left": bulk.left_words(found.left, waiting, words),
                "presses": bulk.presses(found.cases, texts, words) if found.cases else [],
                "wants_reason": any(map(asks_reason, found.cases)),
                "limit": MAX_TEXT,
                "digest": DIGEST,
                "section": "waiting",
            }

        shown = {"reason": "", "problem": None} | await asyncio.to_thread(values) | more
        return await self.page(request, "together.html", status, visitor, **shown)

    async def _answer(self, request: Request, visitor: Visitor, posted: Posted) -> Response:
        texts, words = self.texts(request)
        action, reason = posted.one("do"), posted.one("reason").strip()[:MAX_TEXT]
        taken = [one for one in dict.fromkeys(posted.all("take")) if CASE_ID.fullmatch(one)][: bulk.MOST]
        waiting = await self._waiting(visitor)
        found = bulk.chosen(taken, waiting)
        if action not in {one for pair in bulk.ANSWERS.values() for one in pair}:
            raise errors.InvalidInput("this is no answer to several cases", field="do")
        if bulk.lacks_reason(found.cases, action, reason):
            return await self._show(request, visitor, waiting, taken, 400, problem=words["bulk_reason_hint"])
        answered = {case.case_id: case for case in found.cases}
        results = []
        for case_id in taken:
            case, digest = answered.get(case_id), posted.one(DIGEST + case_id)
            if case is None or not digest:
                results.append(await self._unanswered(visitor, case_id, texts, words))
            else:
                results.append(await self._answered(visitor, case, action, reason, digest, texts, words))
        values = {"results": results, "done": sum(1 for one in results if one.tone == "good"), "section": "waiting"}
        return await self.page(request, "answered.html", 200, visitor, **values)

    async def _answered(
        self, visitor: Visitor, case: Case, action: str, reason: str, digest: str, texts: Texts, words: Words
    ) -> Result:
        """One case, whatever becomes of the others: its own reply, bound to what was shown of it."""
        token = await self.services.views.review_token(case.case_id)
        field = words_field(case)
        data = {field: reason} if reason and field else {}
        reply = page_reply(case.case_id, token or "", action, data, digest, identity=visitor.identity)
        said: Mapping[str, str] = words["outcomes"]
        tone: Tone = "warning"
        try:
            now = (await self.services.gate.respond(reply)).case
        except errors.ContentChanged:
            told = said["changed"]
        except (errors.AlreadyDecided, errors.CaseCancelled, errors.CaseExpired):
            return await self._unanswered(visitor, case.case_id, texts, words)
        except (errors.Unavailable, errors.RateLimited):
            told = said["unavailable"]
        except errors.NotFound:
            told = said["gone"]
        except errors.AssentError as error:
            told = said["refused"].format(problem_words(error.message, texts))
        else:
            tone = "good"
            told = ending_words(now, "completed", texts)[0] if now.status in TERMINAL else said["voted"]
        return Result(case.case_id, short(case.prompt), told, tone)

    async def _unanswered(self, visitor: Visitor, case_id: str, texts: Texts, words: Words) -> Result:
        """How a case stands that could not be answered; nothing of one that this person may not see."""
        said: Mapping[str, str] = words["outcomes"]
        case = await self.services.inbox.may_see(visitor.identity, case_id)
        if case is None:
            return Result("", case_id, said["gone"], "warning")
        told = said["gone"]
        if case.status is Status.COMPLETED:
            told = said["already"].format(person_words((case.answered or {}).get("by") or {}, texts))
        elif case.status is Status.CANCELLED:
            told = said["withdrawn"]
        elif state_of(case, await self.services.records.now()) == "expired":
            told = said["expired"]
        return Result(case.case_id, short(case.prompt), told, "warning")

    async def _waiting(self, visitor: Visitor) -> dict[str, Case]:
        page = await self.services.inbox.waiting(visitor.identity, limit=LOOKED_AT)
        return {one.case.case_id: one.case for one in page.items}
