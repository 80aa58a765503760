"""The inbox's routes."""

from __future__ import annotations

from starlette.routing import BaseRoute

from api.inbox.answering import Answering
from api.inbox.base import TEMPLATES
from api.inbox.counting import Counting
from api.inbox.entering import Entering
from api.inbox.past import Looking
from api.inbox.queueing import Queueing
from api.inbox.stream import Live
from api.review.html import Html
from api.review.routes import CasePages
from api.review.saving import Saving
from api.services import Services
from api.streams import Streams


def routes(services: Services, streams: Streams) -> list[BaseRoute]:
    html = Html(services, TEMPLATES)
    cases = CasePages(services, Saving(services, html.visitors), html)
    queueing = Queueing(services, html, cases)
    return [
        *Entering(services, html).routes(),
        *queueing.routes(),
        *Answering(services, html).routes(),
        *Looking(services, html, queueing).routes(),
        *Counting(services, html).routes(),
        *Live(services, html, streams).routes(),
    ]
