"""The server under test, as an agent and as a person with a review link meet it.

`Target` speaks as our own server wants to be spoken to. For another implementation, write a subclass with its way of
opening cases and its page's requests, and name it: `--hitl-target package.module:Class`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import urljoin

import httpx
import pytest

T = TypeVar("T")
Case = dict[str, Any]
"""The `hitl` object of a case."""

POLL_SECONDS = 0.05  # the first pause between two looks
CONTEXT: dict[str, dict[str, Any]] = {
    "selection": {"items": [{"id": "job_001", "title": "Baker"}, {"id": "job_002", "title": "Miller"}]},
    "input": {"form": {"fields": [{"key": "city", "label": "City", "type": "text", "required": True}]}},
}
ANSWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "approval": ("approve", {}),
    "selection": ("select", {"selected": ["job_001"]}),
    "input": ("submit", {"city": "Lyon"}),
    "confirmation": ("confirm", {}),
    "escalation": ("skip", {}),
}
"""For each type an answer that a person may give."""
TAP: dict[str, Any] = {
    "submitted_via": "telegram_inline_button",
    "submitted_by": {"platform": "telegram", "platform_user_id": "123456789", "display_name": "Reviewer One"},
}


class Target:
    """A server by its address and an agent's key. `patience`: the longest that a test may wait for time to pass, in
    seconds; what takes longer is skipped.
    """

    name = "the server"
    spec_version = "0.8"
    shortest_timeout = 10  # seconds: cases that are to expire are opened with it

    def __init__(self, url: str, key: str, patience: float = 20.0) -> None:
        self.url = url
        self.patience = patience
        self.agent = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)
        self.anyone = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def close(self) -> None:
        self.agent.close()
        self.anyone.close()

    def lacks(self, what: str) -> NoReturn:
        """Something that the specification leaves to the service is not there, or cannot be tried: `what`, in words."""
        pytest.skip(what)

    # --- opening a case: each implementation has its own requests that need a human

    def ask(self, kind: str = "confirmation", **wishes: Any) -> httpx.Response:
        """The request that needs a human. Wishes: prompt, message, context, inline, inline_actions, timeout,
        default_action, reminder_at, hitl_callback_url, previous_case_id, verification_policy.
        """
        body = {
            "type": kind,
            "prompt": f"Is this {kind} in order?",
            "message": "Somebody should look at this.",
            "context": CONTEXT.get(kind, {}),
            "spec_version": self.spec_version,
        }
        return self.agent.post("/api/hitl/cases", json=body | wishes)

    def ask_badly(self) -> httpx.Response:
        """A request that would need a human, were it not malformed."""
        return self.agent.post("/api/hitl/cases", json={"type": "confirmation", "prompt": 7})

    def ask_for_nothing(self) -> httpx.Response:
        """A request that needs no human."""
        return self.agent.get("/.well-known/hitl.json")

    def signed(self) -> dict[str, Any]:
        """The wishes that make a case's result signed."""
        self.lacks("how a signed result is asked for is the service's own affair, and this target does not know it")

    def evidence(self, case: Case, action: str) -> dict[str, Any]:
        """A proof of a human that the service accepts for this case and action."""
        self.lacks("no proof can be made that this service accepts")

    def provider(self) -> str:
        """The provider whose evidence `evidence` makes."""
        return "telegram"

    # --- the human with the review link: what the page sends is the service's own affair

    def visit(self, case: Case) -> httpx.Response:
        return self.anyone.get(case["review_url"], follow_redirects=True)

    def asks(self, page: httpx.Response) -> bool:
        """Whether the page lets its reader answer."""
        return re.search(r"<(button|input|select)\b[^>]*\bname=.?action\b", page.text) is not None

    def opens(self, case: Case) -> None:
        """The human has opened the page: its script reports that."""
        self._report(case, "opened")

    def fills(self, case: Case, step: int = 1) -> None:
        """The human has begun with the answer."""
        self._report(case, "progress", progress={"current_step": step, "total_steps": 2})

    def _report(self, case: Case, name: str, **fields: Any) -> None:
        answer = self.anyone.post(self._beside(case, name), json={"token": review_token(case), **fields})
        assert 200 == answer.status_code, answer.text

    def submit(
        self, case: Case, action: str, data: dict[str, Any] | None = None, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """The human answers on the page. `token`: sent in the place of the review link's own."""
        body = {"token": token or review_token(case), "result": {"action": action, "data": data or {}}, **more}
        return self.anyone.post(self._beside(case, "respond"), json=body)

    def saves(self, case: Case, values: dict[str, str]) -> None:
        """The human has filled in so much, and stops: the page keeps it."""
        page = case["review_url"].partition("?")[0]
        form = {"token": review_token(case)} | {f"f.{key}": value for key, value in values.items()}
        answer = self.anyone.post(f"{page}/save", data=form)
        assert answer.is_success, answer.text

    def gives_up(self, case: Case) -> httpx.Response:
        """The human closes the page's case without an answer."""
        return self.anyone.post(self._beside(case, "close"), json={"token": review_token(case), "reason": "Not mine."})

    def withdraw(self, case: Case, reason: str | None = None) -> httpx.Response:
        """The agent needs no answer any more."""
        return self.agent.post(self._beside(case, "cancel"), json={"reason": reason} if reason else {})

    def _beside(self, case: Case, name: str) -> str:
        return str(urljoin(case["poll_url"], name))

    # --- the protocol itself: the same for every implementation

    def open(self, kind: str = "confirmation", **wishes: Any) -> Case:
        answer = self.ask(kind, **wishes)
        assert 202 == answer.status_code, answer.text
        return cast(Case, answer.json()["hitl"])

    def open_inline(self, kind: str = "confirmation", **wishes: Any) -> Case:
        """A case that can be answered inline; skips where the service does not offer that."""
        case = self.open(kind, **wishes)
        if "submit_url" not in case:
            self.lacks("inline submit is not offered")
        return case

    def tap(self, case: Case, action: str, *, token: str | None = None, **fields: Any) -> httpx.Response:
        """Submit inline. Fields that are None are left out."""
        body = {"action": action, "data": {}, **TAP} | fields
        return self.anyone.post(
            case["submit_url"],
            json={name: value for name, value in body.items() if value is not None},
            headers={"Authorization": f"Bearer {token or case['submit_token']}"},
        )

    def poll(self, case: Case, **headers: str) -> httpx.Response:
        return self.agent.get(case["poll_url"], headers={k.replace("_", "-"): v for k, v in headers.items()})

    def state(self, case: Case) -> dict[str, Any]:
        answer = self.poll(case)
        assert 200 == answer.status_code, answer.text
        return cast(dict[str, Any], answer.json())

    def ended(self, case: Case, status: str) -> dict[str, Any]:
        """What the poll says once the case has come to this end."""
        return self.until(lambda: state if (state := self.state(case))["status"] == status else None)

    def expired(self, **wishes: Any) -> Case:
        """A case whose time is over."""
        case = self.open(timeout=f"{self.shortest_timeout}s", **wishes)
        self.later(self.shortest_timeout + 0.1)
        self.ended(case, "expired")
        return case

    def discovery(self) -> dict[str, Any]:
        """The discovery document; skips where there is none."""
        answer = self.anyone.get("/.well-known/hitl.json")
        if answer.status_code == 404:
            self.lacks("there is no discovery document")
        return cast(dict[str, Any], answer.json()["hitl_protocol"])

    def need(self, capability: str) -> None:
        """Skip unless the discovery document names this capability, or transport, as offered."""
        offered = self.discovery().get("capabilities", {})
        if not offered.get(capability) and capability not in offered.get("transports", []):
            self.lacks(f"{capability} is not offered")

    @contextmanager
    def stream(self, case: Case, last_event_id: str | None = None) -> Iterator[Frames]:
        """The case's event stream; skips where there is none."""
        if "events_url" not in case:
            self.lacks("event streams are not offered")
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        with self.agent.stream("GET", case["events_url"], headers=headers) as response:
            assert 200 == response.status_code
            yield Frames(response)

    # --- time

    def later(self, seconds: float) -> None:
        """Returns when so much time has passed for the server."""
        if seconds > self.patience:
            self.lacks(f"takes {seconds:.0f} s of waiting (--hitl-patience)")
        time.sleep(seconds)

    def until(self, look: Callable[[], T | None], seconds: float = 15.0) -> T:
        """What `look` gives as soon as it gives something."""
        end, pause = time.monotonic() + seconds, POLL_SECONDS
        while (found := look()) is None:
            assert time.monotonic() < end, f"it did not happen within {seconds} s"
            time.sleep(pause)
            pause = min(2 * pause, 1.0)  # a case may be polled sixty times a minute
        return found


class Frames:
    """An event stream, frame by frame: its `event`, `id` and `data`. Comments are left out."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> dict[str, Any] | None:
        """None at the end of the stream."""
        found: dict[str, Any] = {}
        for line in self._lines:
            if not line and found:
                return found
            name, _, value = line.partition(":")
            if name:
                found[name] = json.loads(value) if name == "data" else value.removeprefix(" ")
        return None

    def until(self, event: str) -> dict[str, Any]:
        """The next frame of this event."""
        while (frame := self.next()) is not None:
            if frame.get("event") == event:
                return frame
        raise AssertionError(f"the stream ended without {event}")

    def rest(self) -> list[dict[str, Any]]:
        found = []
        while (frame := self.next()) is not None:
            found.append(frame)
        return found


def review_token(case: Case) -> str:
    """The token of the review link."""
    return str(httpx.URL(case["review_url"]).params["token"])
