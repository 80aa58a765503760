"""Door 1: the HITL Protocol."""

from __future__ import annotations

from api import flows, hitl
from api.discovery import discovery, jwks
from api.doors.entry import AGENT, NO_KEY, Door, Entry
from api.errors import HITL

_CASES = "/api/hitl/cases"
_CASE = _CASES + "/{case_id}"

HITL_DOOR = Door(
    "hitl",
    ("/api/hitl", "/api/agent", "/.well-known"),
    HITL,
    (
        Entry("POST", _CASES, AGENT, hitl.open_case),
        Entry("GET", f"{_CASE}/status", AGENT, hitl.status),
        Entry("POST", f"{_CASE}/respond", NO_KEY, hitl.respond),
        Entry("GET", f"{_CASE}/events", AGENT, hitl.events),
        Entry("POST", f"{_CASE}/cancel", AGENT, hitl.cancel),
        Entry("POST", "/api/agent/{flow}", NO_KEY, flows.run_flow),  # its key may stand in the body
        Entry("POST", f"{_CASE}/opened", NO_KEY, hitl.opened),
        Entry("POST", f"{_CASE}/progress", NO_KEY, hitl.progress),
        Entry("POST", f"{_CASE}/close", NO_KEY, hitl.close),
        Entry("GET", "/.well-known/hitl.json", NO_KEY, discovery),
        Entry("GET", "/.well-known/jwks.json", NO_KEY, jwks),
    ),
)
