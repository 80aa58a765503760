"""Windows and App Home: what Slack calls views, opened, redrawn and published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.slack.calls import SlackCalls
from adapters.slack.limits import Block

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """An open window. `mark`: of what it shows; who redraws it says which of its states they have seen."""

    view_id: str
    mark: str


class Windows:
    """Everything raises SendFailed."""

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls

    async def open(self, trigger: str, view: View) -> Window:
        """Within three seconds of the press that `trigger` came with, and once. Raises TooLate after that."""
        answer = await self._calls.ask(self._calls.client.views_open(trigger_id=trigger, view=view), where="a window")
        return Window(str(answer["view"]["id"]), str(answer["view"]["hash"]))

    async def update(self, window: Window, view: View) -> None:
        """Redraw it, unless it shows something else by now."""
        await self._calls.ask(
            self._calls.client.views_update(view_id=window.view_id, hash=window.mark, view=view), where="a window"
        )

    async def publish(self, user: str, blocks: list[Block]) -> None:
        """What somebody's home tab shows."""
        home: View = {"type": "home", "blocks": blocks}
        await self._calls.ask(self._calls.client.views_publish(user_id=user, view=home), where="the home tab")
