"""Pages for people, and the addresses that messengers call: served elsewhere, told of here."""

from __future__ import annotations

from collections.abc import Collection

from api.doors.entry import Door, Gives
from api.errors import HITL

_REVIEW = "/{lang}/hitl/review/{case_id}"
_OPERATORS = "/operators/source"
_HTML = "text/html"
_FORM = "application/x-www-form-urlencoded"

_NO_LINK = Gives("This link opens nothing: unknown, revoked, or incomplete.", str, media=_HTML)
_BUSY = Gives("Try again in a moment.", str, media=_HTML)

PAGES_DOOR = Door("pages", (), HITL, (), about="Pages for people. They keep no session: the link is the credential.")


def messengers_door(paths: Collection[str]) -> Door:
    """What of a messenger's webhooks is mounted at these paths."""
    return Door("messengers", (), HITL, (), about="Where messengers send what people tap.")
