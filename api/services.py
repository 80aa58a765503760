"""What the doors are given: the core's services and the few settings that show in answers."""

from __future__ import annotations

from dataclasses import dataclass

from core.access import Keys, Sources
from core.events import Events
from core.gate import Gate
from core.hub import Hub
from core.views import Views


@dataclass(frozen=True, slots=True)
class Services:
    """`public_url` has no trailing slash; `development` is True when it is http on localhost or 127.0.0.1."""

    gate: Gate
    views: Views
    keys: Keys
    sources: Sources
    events: Events
    hub: Hub
    public_url: str
    spec_version: str = "0.6"

    @property
    def development(self) -> bool:
        return self.public_url.startswith(("http://localhost", "http://127.0.0.1"))
