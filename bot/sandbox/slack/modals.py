"""Modals and App Home: what `views.*` keeps, and the rules of trigger ids."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.sandbox.wire import Json


@dataclass
class Trigger:
    user: str
    expires_at: float
    """On the monotonic clock: 3 seconds after the tap."""
    used: bool = False


@dataclass
class View:
    id: str
    user: str
    content: Json
    """The view as the app sent it, with block ids filled in."""
    hash: str
    root_id: str
    previous_id: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """What the app said is wrong with the last submission, by block id."""
    typed: dict[str, str | list[str]] = field(default_factory=dict)
    """What stands in the inputs so far, by block id."""

    def wire(self, team_id: str, app_id: str, bot_id: str, values: Json | None = None) -> Json:
        return self.content | {
            "id": self.id,
            "team_id": team_id,
            "app_id": app_id,
            "app_installed_team_id": team_id,
            "bot_id": bot_id,
            "hash": self.hash,
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
            "private_metadata": self.content.get("private_metadata", ""),
            "callback_id": self.content.get("callback_id", ""),
            "external_id": self.content.get("external_id", ""),
            "state": {"values": values or {}},
        }

    def inputs(self) -> list[tuple[str, Json, bool]]:
        """(block_id, element, optional) of every input block."""
        blocks = self.content.get("blocks", [])
        return [
            (block["block_id"], block["element"], bool(block.get("optional")))
            for block in blocks
            if block.get("type") == "input"
        ]
