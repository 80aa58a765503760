"""The addresses that Assent gives out. `public_url` has no trailing slash."""

from __future__ import annotations

from core.model import Case


def review_url(public_url: str, case: Case, review_token: str) -> str:
    return f"{public_url}/{case.terms['language']}/hitl/review/{case.case_id}?token={review_token}"


def inbox_url(public_url: str, language: str) -> str:
    """The page that shows a person everything that waits for them."""
    return f"{public_url}/{language}/inbox"


def sign_in_url(public_url: str, language: str, code: str) -> str:
    """Signs whoever opens it in, once: see `core.sessions`."""
    return f"{inbox_url(public_url, language)}/enter?code={code}"


def task_url(public_url: str, language: str, task_id: str, link_token: str) -> str:
    """The page that shows a guarded task, and decides nothing."""
    return f"{public_url}/{language}/tasks/{task_id}?token={link_token}"


def case_url(public_url: str, case_id: str, leaf: str) -> str:
    """`leaf`: status, events, respond, cancel."""
    return f"{public_url}/api/hitl/cases/{case_id}/{leaf}"


def jwks_url(public_url: str) -> str:
    """Where the keys are published that results are signed with."""
    return f"{public_url}/.well-known/jwks.json"
