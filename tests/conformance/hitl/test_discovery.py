"""Appendix D: what a service says of itself."""

from __future__ import annotations

from tests.conformance.hitl.target import Target
from tests.support import schemas


def test_the_discovery_document_is_as_the_schema_says(target: Target) -> None:
    target.discovery()
    assert [] == schemas.problems("discovery-response", target.anyone.get("/.well-known/hitl.json").json())


def test_the_discovery_document_names_what_the_cases_have(target: Target) -> None:
    found = target.discovery()["capabilities"]
    case = target.open()
    assert ("sse" in found["transports"]) == ("events_url" in case)
    assert found["supports_inline_submit"] == ("submit_url" in case)
    assert "polling" in found["transports"]
    assert case["type"] in found["review_types"]
