"""`/.well-known/…`: what this server offers to agents (discovery-response schema), and the keys of signed results."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from api.call import Call
from api.http import Answers, Header, json_answer
from core.model import ACTIONS
from core.schedule import DEFAULT_TIMEOUT

SPEC_VERSION = "0.8"  # of the document itself; which version a case speaks, its request or the server's setting says
POLLS_A_MINUTE = 60
_KEPT: Header = (b"cache-control", b"public, max-age=3600")
_KEPT_SHORTLY: Header = (b"cache-control", b"public, max-age=300")  # a new key is in force at once


class Offer(TypedDict):
    """See the HITL Protocol's discovery-response schema."""

    spec_version: str
    service: dict[str, str]
    capabilities: dict[str, Any]
    endpoints: dict[str, str]
    authentication: dict[str, str]
    rate_limits: dict[str, int]


class Discovery(TypedDict):
    hitl_protocol: Offer


class PublicKey(TypedDict):
    """An Ed25519 key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class KeySet(TypedDict):
    keys: list[PublicKey]


async def discovery(call: Call) -> Answers:
    """`GET /.well-known/hitl.json`"""
    url = call.services.public_url
    found: Offer = {
        "spec_version": SPEC_VERSION,
        "service": {
            "name": "Assent",
            "description": "A gate between autonomous agents and the systems that carry out what they propose.",
            "url": url,
        },
        "capabilities": {
            "review_types": list(ACTIONS),
            "transports": ["polling", "sse", "callback"],
            "max_timeout": "30d",
            "default_timeout": DEFAULT_TIMEOUT,
            "supports_reminders": True,
            "supports_multi_round": True,
            "supports_signatures": True,
            "supports_inline_submit": True,
            "supports_agent_binding": False,
            "supports_surface": False,
        },
        "endpoints": {
            "reviews_base": f"{url}/api/hitl/cases",
            "review_page_base": f"{url}/en/hitl/review",
            "events_base": f"{url}/api/hitl/cases",
            "well_known": f"{url}/.well-known/hitl.json",
        },
        "authentication": {"type": "bearer"},
        "rate_limits": {
            "poll_min_interval_seconds": 1,
            "poll_recommended_interval_seconds": 30,
            "max_requests_per_minute": POLLS_A_MINUTE,  # polls, for each case
        },
    }
    return json_answer(200, Discovery(hitl_protocol=found), cache=_KEPT)


async def jwks(call: Call) -> Answers:
    """`GET /.well-known/jwks.json`"""
    return json_answer(200, call.services.jwks, cache=_KEPT_SHORTLY)
