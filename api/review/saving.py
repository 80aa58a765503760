"""Keeping what is typed on the page, and filling in what others hold: two posts of its script, with the review token in
the body. Neither is a reply: the ledger knows nothing of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.http import BodyTooLarge, check_same_site, read_body
from api.review import drafts
from api.review.answer import FIELD
from api.review.browsers import data_headers
from api.review.drafts import Saved
from api.review.posted import Posted, parse
from api.services import Services
from api.visitors import Visitors
from core import strictjson
from core.errors import AssentError, InvalidToken
from core.forms import Field
from core.model import Case, JsonObject
from core.ports import Fetcher, FetchFailed
from core.reviewing import Reviewer
from core.states import TERMINAL

MAX_SAVED = 256 * 1024
MAX_FETCHED = 16 * 1024
FETCH_SECONDS = 5.0
_CASE_ID = re.compile(r"[\w-]{1,80}", re.ASCII)


class Saving:
    def __init__(self, services: Services, visitors: Visitors) -> None:
        self._services = services
        self._visitors = visitors

    async def save(self, request: Request) -> Response:
        """`POST …/save`, the form as it would be posted: `{"saved": true}`. Errors are worded as the API's are."""
        check_same_site(request.scope, self._services.public_url)
        body = await read_body(request.scope, request.receive)
        if len(body) > MAX_SAVED:
            raise BodyTooLarge(f"what is kept of a form may have {MAX_SAVED // 1024} KiB")
        posted = parse(body)
        case_id = _case_id(request)
        await self.keep(case_id, posted.one("token"), posted, await self._reviewer(request, case_id))
        return JSONResponse({"saved": True}, headers=data_headers())

    async def prefill(self, request: Request) -> Response:
        """`POST …/prefill` with `{"token"}`: what the form's `default_ref`s hold, as `{"values", "kept", "failed"}` by
        the controls' names. Sensitive values stay here; `kept` names them.
        """
        check_same_site(request.scope, self._services.public_url)
        token = strictjson.load_object(await read_body(request.scope, request.receive)).get("token")
        case_id, token = _case_id(request), token if isinstance(token, str) else ""
        case = await self._services.views.reviewed_case(case_id, token)
        asked = [FIELD + one["key"] for one in drafts.unfetched(case, await self.saved(case))]
        saved = await self.fetch(case, token, await self._reviewer(request, case_id))
        secrets = {FIELD + key for key in drafts.kept_secrets(case, saved)}
        shown = drafts.shown_again(case, saved).values
        answer = {
            "values": {name: list(shown[name]) for name in asked if name in shown},
            "kept": [name for name in asked if name in secrets],
            "failed": [name for name in asked if name not in shown and name not in secrets],
        }
        return JSONResponse(answer, headers=data_headers())

    async def _reviewer(self, request: Request, case_id: str) -> Reviewer:
        """Whoever types: nothing is decided here, so that the cookie alone says who it is."""
        visitor = await self._visitors.of(request)
        return await self._services.reviewing.reviewer(case_id, visitor.identity if visitor else None)

    async def saved(self, case: Case) -> Saved:
        """What was typed before and is not sent; after the answer, while it may be revised, what of it is secret."""
        if case.status in TERMINAL:
            return drafts.of_answer(case, self._services.saved.given(case))
        return Saved.of(await self._services.saved.load(case.case_id))

    async def keep(self, case_id: str, token: str, posted: Posted, reviewer: Reviewer) -> Saved:
        """Raises as `SavedAnswers.save` does."""

        def change(case: Case, before: JsonObject) -> JsonObject:
            return drafts.typed(case, posted, Saved.of(before)).as_json()

        return Saved.of(await self._services.saved.save(case_id, token, change, reviewer))

    async def try_to_keep(self, case: Case, token: str, posted: Posted, reviewer: Reviewer) -> None:
        """The same for a form's post that had another purpose, which nothing here may spoil: its sensitive values are
        not on the page that answers it.
        """
        with suppress(AssentError):
            if drafts.has_secrets(case):
                await self.keep(case.case_id, token, posted, reviewer)

    async def completed(self, case: Case, posted: Posted) -> Posted:
        """The post with the sensitive values that it leaves as they are kept."""
        return drafts.with_secrets(case, posted, await self.saved(case)) if drafts.has_secrets(case) else posted

    async def fetch(self, case: Case, token: str, reviewer: Reviewer) -> Saved:
        """Fill in what others hold and is not there yet; what does not come, stays empty."""
        before = await self.saved(case)
        wanted = drafts.unfetched(case, before)
        fetcher = self._services.fetcher
        if not wanted or fetcher is None or case.status in TERMINAL:
            return before
        answers = await asyncio.gather(*(_fetched(fetcher, case, token, one) for one in wanted))
        found = {FIELD + one["key"]: texts for one, texts in zip(wanted, answers, strict=True) if texts is not None}

        def change(case: Case, before: JsonObject) -> JsonObject:
            return drafts.filled(Saved.of(before), found).as_json()

        return Saved.of(await self._services.saved.save(case.case_id, token, change, reviewer))


async def _fetched(fetcher: Fetcher, case: Case, token: str, form_field: Field) -> list[str] | None:
    url = form_field["default_ref"]
    try:
        body = await fetcher.fetch(
            url, headers=_credentials(case, token, url), limit_bytes=MAX_FETCHED, timeout=FETCH_SECONDS
        )
    except FetchFailed:
        return None
    return drafts.fetched_value(form_field, body)


def _credentials(case: Case, token: str, url: str) -> Mapping[str, str]:
    """Proof of the review token, of use for this address alone. The token itself would let its receiver answer."""
    proof = hmac.new(token.encode(), url.encode(), hashlib.sha256).hexdigest()
    return {"X-HITL-Case-Id": case.case_id, "X-HITL-Proof": f"sha256={proof}"}


def _case_id(request: Request) -> str:
    case_id: str = request.path_params["case_id"]
    if not _CASE_ID.fullmatch(case_id):
        raise InvalidToken
    return case_id
