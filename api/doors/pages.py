"""Pages for people, and the addresses that messengers call: served elsewhere, told of here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, WithJsonSchema
from typing_extensions import TypedDict

from api.doors.entry import RETRY_AFTER, About, Door, Gives, Page, Param
from api.errors import HITL
from api.http import BodyTooLarge
from api.openapi.security import SLACK, TELEGRAM
from core.errors import (
    AlreadyDecided,
    CaseCancelled,
    CaseExpired,
    InvalidInput,
    InvalidToken,
    NotAReviewer,
    RateLimited,
    Refused,
    SelfApproval,
    Unavailable,
)

_REVIEW = "/{lang}/hitl/review/{case_id}"
_TASK = "/{lang}/tasks/{task_id}"
_OPERATORS = "/operators/source"
_HTML = "text/html"
_FORM = "application/x-www-form-urlencoded"
_TEXT = "text/plain"
_OPEN = ("",)  # no header says who somebody is: the link's own token does


def html_answers(words: Mapping[int, str]) -> dict[int, Gives]:
    return {
        status: Gives(text, str, media=_HTML, headers=(RETRY_AFTER,) if status in (429, 503) else ())
        for status, text in words.items()
    }


class PageToken(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    token: str


class StateAnswer(TypedDict):
    """`status`: whether the case can still be answered on this page."""

    status: str
    version: int


class KeptAnswer(TypedDict):
    saved: Literal[True]


class PrefillAnswer(TypedDict):
    """By the names of the page's controls: what others hold, which secrets are kept here, and what did not come."""

    values: dict[str, list[str]]
    kept: list[str]
    failed: list[str]


class PageForm(TypedDict):
    """The page's form as its script or a plain browser posts it: the review token, what is pressed, and the fields."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    token: str
    action: NotRequired[str]


Form = Annotated[dict[str, str], WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}})]
Update = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]

_LINK = (InvalidInput, InvalidToken, Refused, BodyTooLarge, RateLimited, Unavailable)
_SCRIPT = "Of the page's own script."
_TOKEN = Param("token", "The review token, as the link has it.")
_SEEN = {
    200: "The page.",
    403: "The link opens nothing: unknown, revoked, or incomplete.",
    429: "Try again in a moment.",
    503: "Try again in a moment.",
}
_ANSWERED = _SEEN | {
    200: "The page, with the answer that now stands.",
    400: "The page again, saying what to change.",
    409: "The page as it stands now: somebody else was faster, or the content has changed.",
    410: "The page: the deadline has passed.",
    413: "The form is too large.",
    415: "This is no form.",
}
_SIGNED_IN = _SEEN | {
    200: "The page in another language.",
    400: "The form cannot be read.",
    403: "The link opens nothing, or what was typed lets nobody in.",
    413: "The form is too large.",
    415: "This is no form.",
}

PAGES_DOOR = Door(
    "pages",
    (),
    HITL,
    (),
    about="Pages for people. Who holds the link may look, and answer where policy lets them; who is signed in, as "
    "themselves.",
    pages=(
        Page(
            "GET", _REVIEW, "review", About("The review page", html_answers(_SEEN), query=(_TOKEN,), credentials=_OPEN)
        ),
        Page(
            "POST",
            _REVIEW,
            "answer",
            About(
                "Answer on the review page",
                html_answers(_ANSWERED),
                detail="The page's own form. A post from another web site is refused.",
                takes=PageForm,
                media=_FORM,
                credentials=_OPEN,
            ),
        ),
        Page(
            "POST",
            f"{_REVIEW}/state",
            "state",
            About(
                "Whether the case can still be answered",
                {200: Gives("How it stands.", StateAnswer)},
                detail=_SCRIPT,
                takes=PageToken,
                errors=_LINK,
                credentials=_OPEN,
            ),
        ),
        Page(
            "POST",
            f"{_REVIEW}/save",
            "save",
            About(
                "Keep what is typed",
                {200: Gives("It is kept until the case is answered.", KeptAnswer)},
                detail=_SCRIPT,
                takes=PageForm,
                media=_FORM,
                errors=(*_LINK, AlreadyDecided, CaseCancelled, CaseExpired, NotAReviewer, SelfApproval),
                credentials=_OPEN,
            ),
        ),
        Page(
            "POST",
            f"{_REVIEW}/prefill",
            "prefill",
            About(
                "Fill in what others hold",
                {200: Gives("What the form's `default_ref`s point to.", PrefillAnswer)},
                detail=_SCRIPT,
                takes=PageToken,
                errors=(*_LINK, AlreadyDecided, CaseCancelled, CaseExpired, NotAReviewer, SelfApproval),
                credentials=_OPEN,
            ),
        ),
        Page(
            "GET",
            _TASK,
            "task",
            About(
                "The page behind an approval link",
                html_answers(_SEEN),
                detail="It shows a guarded task, and decides nothing.",
                query=(Param("token", "The approval link's token."),),
                credentials=_OPEN,
            ),
        ),
        Page(
            "POST",
            _TASK,
            "sign_in",
            About(
                "Go on from an approval link to the review page",
                {
                    **html_answers(_SIGNED_IN),
                    303: Gives("The review page.", headers=(Param("Location", "Where it is.", required=True),)),
                },
                detail="The page's own form: `token` is the approval link's, `credential` a reviewer's key or the "
                "task's approval token. A post from another web site is refused.",
                takes=Form,
                media=_FORM,
                credentials=_OPEN,
            ),
        ),
        Page(
            "GET",
            "/static/review/{version}/{name}",
            "asset",
            About(
                "The pages' styles, scripts and icon",
                {
                    200: Gives("The file.", str, media="*/*"),
                    404: Gives("There is no such file."),
                },
            ),
        ),
        Page(
            "GET",
            _OPERATORS,
            "operators",
            About(
                "The operators' page of a source",
                html_answers({200: "The page.", 400: "Not shown.", 403: "The link opens nothing.", 503: "Try again."}),
                detail="`assent sources page` makes its link, which lets in for a quarter of an hour.",
                query=(Param("pass", "As the link has it."),),
                credentials=_OPEN,
            ),
        ),
        Page(
            "POST",
            _OPERATORS,
            "operate",
            About(
                "Pause, resume, or try deliveries again",
                html_answers({400: "Not done.", 403: "The link opens nothing.", 503: "Try again."})
                | {303: Gives("Back to the page.", headers=(Param("Location", "Its address.", required=True),))},
                takes=Form,
                media=_FORM,
                credentials=_OPEN,
            ),
        ),
    ),
)


class Received(TypedDict):
    ok: Literal[True]


class Unreceived(TypedDict):
    ok: Literal[False]
    error: str


def _unreceived(words: Mapping[int, str]) -> dict[int, Gives]:
    return {status: Gives(text, Unreceived) for status, text in words.items()}


_SLACK = About(
    "What Slack tells of taps",
    {
        200: Gives("Received.", str, media=_TEXT),
        400: Gives("This is nothing that Slack sends.", str, media=_TEXT),
        401: Gives("Not signed by Slack.", str, media=_TEXT),
        413: Gives("Too large.", str, media=_TEXT),
    },
    takes=Form,
    media=_FORM,
    credentials=(SLACK,),
)


def _installing(words: Mapping[int, str]) -> dict[int, Gives]:
    return {status: Gives(text, str, media=_TEXT) for status, text in words.items()}


_MESSENGERS = (
    Page("POST", "/slack/interactions", "slack_interactions", _SLACK),
    Page("POST", "/slack/events", "slack_events", _SLACK),
    Page(
        "GET",
        "/slack/install",
        "slack_install",
        About(
            "Connect a Slack workspace",
            {302: Gives("To Slack.", headers=(Param("Location", "Where people agree.", required=True),))}
            | _installing({503: "The database cannot be reached."}),
            query=(Param("team", "The workspace that is offered first."),),
            credentials=_OPEN,
        ),
    ),
    Page(
        "GET",
        "/slack/oauth_redirect",
        "slack_oauth_redirect",
        About(
            "Where Slack sends people back",
            _installing(
                {
                    200: "Connected, in words.",
                    400: "Not connected: declined, too late, another browser, or nonsense; in words.",
                    403: "This workspace may not be connected; in words.",
                    502: "Slack did not answer.",
                    503: "The database cannot be reached.",
                }
            ),
            query=(
                Param("code", "What Slack gives for agreeing."),
                Param("state", "What the installation began with; good once, for ten minutes, in one browser."),
                Param("error", "Why there is no code."),
            ),
            credentials=_OPEN,
        ),
    ),
    Page(
        "POST",
        "/telegram/webhook",
        "telegram_webhook",
        About(
            "What Telegram tells of taps",
            {200: Gives("Stored.", Received)}
            | _unreceived({400: "No update.", 401: "Not from Telegram.", 413: "Too large.", 503: "Send it again."}),
            takes=Update,
            credentials=(TELEGRAM,),
        ),
    ),
)


def messengers_door(paths: Collection[str]) -> Door:
    """What of the messengers' webhooks is mounted at these paths."""
    pages = tuple(page for page in _MESSENGERS if page.path in paths)
    return Door("messengers", (), HITL, (), about="Where messengers send what people tap.", pages=pages)
