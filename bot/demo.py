"""`assent demo`: the whole way of a decision on one machine, without an account or a token.

It starts the sandbox (a web messenger with a Slack pane and a Telegram pane) and Assent on a new SQLite file, posts
three sample cases through the public HTTP API as an agent would, and shows beside the taps what the agent's poll and
the executor's pull see. With `once` a script taps, through the sandbox's own HTTP interface.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.panel import Panel

from bot.roles import ROLES
from bot.sandbox import Sandbox
from bot.serve import Process, running
from bot.settings import Settings
from core.access import Scope
from core.errors import AssentError
from core.ledger import migrate

T = TypeVar("T")

SLACK_CHANNEL = "C0APPROVE"
TELEGRAM_CHAT = "-4001"
NOTIFY = [f"slack:{SLACK_CHANNEL}", f"telegram:{TELEGRAM_CHAT}"]
WITHIN_SECONDS = 30.0

CASES: list[dict[str, Any]] = [
    {
        "type": "approval",
        "prompt": "Deploy checkout 2.14.0 to production?",
        "message": "All 412 tests pass. The migration adds one column and takes no lock.",
        "context": {
            "service": "checkout",
            "risk": "high",
            "change": ["checkout 2.13.4 → 2.14.0", "payments timeout 5 s → 3 s"],
        },
        "requested_by": "Deploy agent",
    },
    {
        "type": "confirmation",
        "prompt": "Send the renewal e-mail to 218 customers?",
        "message": "Subject: Your plan renews on 1 December",
        "context": {"recipients": 218, "sender": "billing@example.com"},
        "requested_by": "Mail agent",
    },
    {
        "type": "escalation",
        "prompt": "The nightly export failed twice. How shall it go on?",
        "message": "Upload refused: 403 from the storage bucket.",
        "context": {"job": "nightly-export", "attempts": 2},
        "requested_by": "Export agent",
    },
]


class DemoFailed(AssentError):
    """The demo did not come to its end."""


@dataclass
class Stage:
    """Everything that the demo plays with."""

    console: Console
    sandbox: Sandbox
    process: Process
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)
    source_id: str = ""
    case_ids: list[str] = field(default_factory=list)

    def headers(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[scope]}"}

    def say(self, who: str, text: str, style: str = "cyan") -> None:
        self.console.print(f"[{style}]{who:>9}[/] {text}", highlight=False, soft_wrap=True)


async def run_demo(*, once: bool, port: int) -> int:
    """Run the demo; the exit status. Without `once` it ends when all is decided and the newcomer presses Ctrl-C."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="assent-demo-") as folder:
        settings = _settings(Path(folder) / "demo.db")
        console.print("Setting up: a SQLite file, Assent, and a web messenger …", style="dim")
        await asyncio.to_thread(migrate, settings.database_url)
        async with Sandbox.running(port) as sandbox:
            settings = _with_messengers(settings, sandbox)
            async with (
                running(settings, ROLES) as (process, _),
                httpx.AsyncClient(base_url=process.url, timeout=40, trust_env=False) as http,
            ):
                sandbox.slack.app.request_url = f"{process.url}/slack/interactions"
                stage = Stage(console, sandbox, process, http)
                await _play(stage, once=once)
    return 0


def _settings(file: Path) -> Settings:
    # Every setting that could reach outside is given here, so that the newcomer's environment changes nothing.
    return Settings(
        _env_file=None,
        database_url=f"sqlite:///{file}",
        public_url="",
        host="127.0.0.1",
        port=0,
        assent_secret_key=(),
        slack_bot_token=None,
        slack_signing_secret=None,
        slack_app_token=None,
        telegram_bot_token=None,
        telegram_webhook_secret=None,
    )


def _with_messengers(settings: Settings, sandbox: Sandbox) -> Settings:
    return Settings(
        _env_file=None,
        **settings.model_dump(exclude={"slack_bot_token", "slack_signing_secret", "telegram_bot_token"})
        | {
            "slack_bot_token": sandbox.slack.app.bot_token,
            "slack_signing_secret": sandbox.slack.app.signing_secret,
            "slack_base_url": sandbox.slack.base_url,
            "telegram_bot_token": sandbox.telegram.token,
            "telegram_base_url": sandbox.telegram.base_url,
        },
    )


async def _play(stage: Stage, *, once: bool) -> None:
    await _make_keys(stage)
    source = {"name": "demo", "notify": NOTIFY}
    stage.source_id = (await _post(stage, "/sources", "admin", source))["id"]
    for case in CASES:
        answer = await _post(stage, "/api/hitl/cases", "agent", case | {"source_id": stage.source_id})
        stage.case_ids.append(answer["hitl"]["case_id"])
        stage.say("agent", f"asked: [bold]{case['prompt']}[/] → {answer['hitl']['case_id']}")
    if not once:
        _invite(stage)
    async with asyncio.TaskGroup() as group:
        executor = group.create_task(_executor(stage))
        agents = [group.create_task(_agent(stage, case_id)) for case_id in stage.case_ids]
        if once:
            await _tap_by_script(stage)
        await asyncio.wait([executor, *agents])
    stage.console.print("\nAll three cases are decided, and the executor has every decision.", style="bold green")
    if not once:
        stage.console.print("Look around as long as you like; Ctrl-C ends the demo.", style="dim")
        await asyncio.Event().wait()


def _invite(stage: Stage) -> None:
    url = f"{stage.sandbox.address.url}/"
    stage.console.print(
        Panel.fit(
            f"Open [bold]{url}[/]\n\nTap a button on a card, in either pane. Then tap it again.",
            title="Your turn",
            border_style="green",
        )
    )
    if sys.stdout.isatty():
        webbrowser.open(url)


async def _make_keys(stage: Stage) -> None:
    scopes: tuple[Scope, ...] = ("agent", "executor", "admin")
    for scope in scopes:
        stage.keys[scope], _ = await stage.process.assembly.services.keys.create(scope, None, name=f"demo {scope}")


async def _post(stage: Stage, path: str, scope: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await stage.http.post(path, json=body, headers=stage.headers(scope))
    if response.is_error:
        raise DemoFailed(f"{path} answered {response.status_code}: {response.text}")
    found: dict[str, Any] = response.json()
    return found


async def _agent(stage: Stage, case_id: str) -> None:
    """Poll one case as an agent would, until it is decided."""
    headers, path = stage.headers("agent"), f"/api/hitl/cases/{case_id}/status"
    etag, status = "", ""
    while status not in ("completed", "expired", "cancelled"):
        response = await stage.http.get(path, headers=headers | {"If-None-Match": etag})
        if response.status_code == httpx.codes.OK:
            etag, found = response.headers["etag"], response.json()
            if found["status"] != status:
                status = found["status"]
                result = found.get("result", {}).get("action", "")
                stage.say("agent", f"{case_id} is [bold]{status}[/] {result}")
        await asyncio.sleep(1.5)


async def _executor(stage: Stage) -> None:
    """Pull decision events, print and ack them, until every sample case had one."""
    path, cursor, seen = f"/sources/{stage.source_id}/decision-events", "", 0
    while seen < len(stage.case_ids):
        response = await stage.http.get(path, params={"after": cursor, "wait": 20}, headers=stage.headers("executor"))
        response.raise_for_status()
        page = response.json()
        cursor = page["next_cursor"]
        for event in page["items"]:
            seen += 1
            decision = event["decision"]
            who = decision["decided_by"].get("display_name", "somebody")
            stage.say("executor", f"[bold]{decision['type']}[/] ({decision['action']} by {who})", "magenta")
            stage.console.print_json(data=event)
            await _post(stage, f"{path}/ack", "executor", {"event_ids": [event["event_id"]]})
            stage.say("executor", f"acked {event['event_id']}", "magenta")


async def _tap_by_script(stage: Stage) -> None:
    """Approve on Slack, confirm on Telegram, retry on Slack; then the second taps, which change nothing."""
    async with httpx.AsyncClient(base_url=stage.sandbox.address.url, timeout=20, trust_env=False) as http:
        await _tap_slack(stage, http, 0, "Approve")
        await _tap_telegram(stage, http, 1, "Confirm")
        await _tap_slack(stage, http, 2, "Retry")
        for chat in ("slack", "telegram"):
            await _until(f"all cards on {chat} show their outcome", lambda c=chat: _all_closed(http, c))  # type: ignore[misc]
        stage.say("cards", "all six cards show who decided, and have no buttons any more", "green")


async def _tap_slack(stage: Stage, http: httpx.AsyncClient, number: int, action: str) -> None:
    card = await _card(http, "slack", CASES[number]["prompt"])
    stage.say("reviewer", f"taps [bold]{action}[/] on Slack", "yellow")
    body = {"channel": SLACK_CHANNEL, "ts": card["ts"], "action": action, "user": "Reviewer One"}
    answer = (await http.post("/control/slack/tap", json=body)).raise_for_status().json()
    if answer.get("status") != httpx.codes.OK:
        raise DemoFailed(f"the tap was answered {answer}")


async def _tap_telegram(stage: Stage, http: httpx.AsyncClient, number: int, action: str) -> None:
    card = await _card(http, "telegram", CASES[number]["prompt"])
    stage.say("reviewer", f"taps [bold]{action}[/] on Telegram, twice", "yellow")
    body = {"chat": TELEGRAM_CHAT, "message": card["message_id"], "action": action, "wait": 10}
    first, second = await asyncio.gather(
        http.post("/control/telegram/tap", json=body | {"user": "Reviewer One"}),
        http.post("/control/telegram/tap", json=body | {"user": "Reviewer Two"}),
    )
    for answer in (first.raise_for_status().json(), second.raise_for_status().json()):
        stage.say("Telegram", f"says privately: {(answer.get('answer') or {}).get('text')}", "yellow")


async def _card(http: httpx.AsyncClient, chat: str, prompt: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        return next((one for one in await _messages(http, chat) if prompt in str(one)), None)

    return await _until(f"the card is on {chat}", look)


async def _messages(http: httpx.AsyncClient, chat: str) -> list[dict[str, Any]]:
    params = {"channel": SLACK_CHANNEL} if chat == "slack" else {"chat": TELEGRAM_CHAT}
    found: list[dict[str, Any]] = (await http.get(f"/control/{chat}/messages", params=params)).raise_for_status().json()
    return found


async def _all_closed(http: httpx.AsyncClient, chat: str) -> bool:
    # An open card has buttons that carry a card id; a closed one has none.
    cards = [str(one) for one in await _messages(http, chat)]
    return all(any(case["prompt"] in card and "'a:" not in card for card in cards) for case in CASES)


async def _until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    deadline = asyncio.get_running_loop().time() + WITHIN_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if found := await look():
            return found
        await asyncio.sleep(0.05)
    raise DemoFailed(f"waited {WITHIN_SECONDS:g} s for: {what}")
