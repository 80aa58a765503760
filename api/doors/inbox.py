"""The reviewer's inbox: pages for whoever is signed in, and the ways in. Served elsewhere, told of here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.doors.entry import About, Door, Gives, Method, Page, Param
from api.doors.pages import Form, html_answers
from api.errors import HITL
from api.http import BodyTooLarge
from api.openapi.security import SESSION
from core.errors import InvalidInput, RateLimited, Refused, Unavailable

_INBOX = "/{lang}/inbox"
_FORM = "application/x-www-form-urlencoded"
_OPEN = ("",)
_SIGNED_IN = (SESSION,)

_PAGE = {
    200: "The page.",
    400: "The address asks for what there is not.",
    403: "Nobody is signed in: the page says how to.",
    404: "There is no such case, or none that this person may see.",
    503: "Try again in a moment.",
}
_POSTED = {
    400: "The form cannot be read.",
    403: "The post came from another web site, or its session has ended.",
    413: "The form is too large.",
    415: "This is no form.",
    503: "Try again in a moment.",
}
_ELSEWHERE = {303: Gives("To the inbox.", headers=(Param("Location", "Its address.", required=True),))}
_SEARCH = Param("q", "Words that what is asked must have.")
_FILTERS = (
    _SEARCH,
    Param("source", "Of this source only."),
    Param("type", "Of this type only."),
    Param("risk", "Of this risk only: critical, high, medium or low."),
    Param("sort", "By deadline, risk, or newest."),
)


class InitData(TypedDict):
    """What Telegram puts behind the address of a Mini App: `Telegram.WebApp.initData`."""

    init_data: str


class SignedIn(TypedDict):
    """The answer also sets the session's cookie."""

    signed_in: Literal[True]


def _page(path: str, name: str, summary: str, *query: Param, detail: str = "") -> Page:
    about = About(summary, html_answers(_PAGE), detail=detail, query=query, credentials=_SIGNED_IN)
    return Page("GET", _INBOX + path, name, about)


def _post(path: str, name: str, summary: str, gives: dict[int, Gives], *, signed_in: bool, detail: str = "") -> Page:
    about = About(
        summary,
        html_answers(_POSTED) | gives,
        detail=detail or "The page's own form. A post from another web site is refused.",
        takes=Form,
        media=_FORM,
        credentials=_SIGNED_IN if signed_in else _OPEN,
    )
    return Page("POST", _INBOX + path, name, about)


def _open(method: Method, path: str, name: str, about: About) -> Page:
    return Page(method, path, name, about)


_EXPORTED: dict[int, Any] = {
    **html_answers(_PAGE),
    200: Gives("The file, as it is read.", str, media="text/csv"),
}

INBOX_DOOR = Door(
    "inbox",
    (),
    HITL,
    (),
    about="What waits for a reviewer, on the web. A messenger says who they are: a session's cookie lets them in.",
    pages=(
        _open(
            "GET",
            _INBOX,
            "queue",
            About("What waits for me", html_answers(_PAGE), query=_FILTERS, credentials=("", SESSION)),
        ),
        _page(
            "/list", "list", "The list alone", *_FILTERS, Param("case", "Which one is open."), detail="For the script."
        ),
        _page("/cases/{case_id}", "case", "A case beside the list", *_FILTERS),
        _page("/cases/{case_id}/timeline", "timeline", "Everything that happened to a case"),
        _page(
            "/together",
            "together",
            "Alike cases, each shown whole",
            Param("case", "A case's id; up to 50 of them."),
            Param("alike", "Or all that ask the same."),
        ),
        _post(
            "/together",
            "answer_together",
            "Answer alike cases",
            html_answers({200: "What became of each.", 400: "Something is missing: the page says what."}),
            signed_in=True,
            detail="One reply for each case that was taken, bound to the digest of what was shown of it.",
        ),
        _page("/history", "history", "What was decided", _SEARCH, Param("before", "Where the last page ended.")),
        _open(
            "GET",
            f"{_INBOX}/export",
            "export",
            About(
                "The audit export",
                _EXPORTED,
                detail="Closed cases that this person may see, with their rows of the ledger. JSON Lines are "
                "application/x-ndjson.",
                query=(
                    Param("format", "What kind of file.", Literal["csv", "jsonl"]),
                    Param("days", "Of the last so many days only.", Annotated[int, Field(ge=1, le=3660)]),
                    _SEARCH,
                ),
                credentials=_SIGNED_IN,
            ),
        ),
        _page(
            "/figures",
            "figures",
            "How many, how fast, by whom",
            Param("days", "Of 7, 30 or 90 days."),
        ),
        _open(
            "GET",
            f"{_INBOX}/events",
            "events",
            About(
                "Whether something has changed of what waits",
                {
                    **html_answers({403: _PAGE[403]}),
                    200: Gives("Event `changed`, each time.", str, media="text/event-stream"),
                },
                credentials=_SIGNED_IN,
            ),
        ),
        *(
            _open(
                "GET",
                path,
                name,
                About(
                    "On to the inbox",
                    _ELSEWHERE,
                    detail="In the first language of ours that the browser names.",
                    credentials=_OPEN,
                ),
            )
            for path, name in (("/", "front"), ("/inbox", "way_in"))
        ),
        _open(
            "GET",
            f"{_INBOX}/enter",
            "look_at_link",
            About(
                "Whom the bot's link would sign in",
                html_answers({200: "Is that you?", 403: "The link is used, or too old.", 503: _PAGE[503]}),
                detail="Nothing is used up by looking.",
                query=(Param("code", "As the link has it."), Param("case", "Where to go afterwards.")),
                credentials=_OPEN,
            ),
        ),
        _post("/enter", "enter", "Sign in by the bot's link", _ELSEWHERE, signed_in=False),
        _post("/leave", "leave", "Sign out", _ELSEWHERE, signed_in=True),
        _post(
            "/slack",
            "ask_slack",
            "Sign in with Slack",
            html_answers({200: "A page that goes on to Slack.", 404: "That is not set up here."}),
            signed_in=False,
        ),
        _open(
            "GET",
            "/inbox/slack",
            "from_slack",
            About(
                "Where Slack sends the browser back",
                html_answers({403: "Nobody is signed in by this.", 404: "That is not set up here.", 503: _PAGE[503]})
                | _ELSEWHERE,
                query=(Param("code", "Slack's."), Param("state", "Ours, as it was sent."), Param("error", "Why not.")),
                credentials=_OPEN,
            ),
        ),
        _open(
            "POST",
            f"{_INBOX}/telegram",
            "in_telegram",
            About(
                "Sign in inside Telegram",
                {200: Gives("Signed in.", SignedIn)},
                detail="Of the pages' own script.",
                takes=InitData,
                errors=(InvalidInput, Refused, BodyTooLarge, RateLimited, Unavailable),
                credentials=_OPEN,
            ),
        ),
    ),
)
