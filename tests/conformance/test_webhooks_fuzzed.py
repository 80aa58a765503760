"""Whatever comes to the messengers' webhooks under the right signature or secret is answered soon and never with a
failure of ours; it decides nothing, brings no secret into the log, and keeps nobody's next tap from being recorded.

`pytest tests/conformance --hypothesis-profile long` tries five times as much.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox import Sandbox
from tests.support.databases import rows
from tests.support.process import ServerProcess, make_key, serving

CHANNEL, GROUP = "C0APPROVE", "-4001"
REVIEWER, ELSE = "Reviewer One", "Reviewer Two"  # who may decide, and in whose name all the rest comes
SECRET, HEADER = "the-secret-of-the-webhook", "X-Telegram-Bot-Api-Secret-Token"
ANSWER_SECONDS = 1.0
CONTAINED = {"slack.not_handled", "telegram.update_failed", "telegram.update_not_handled", "telegram.errand_failed"}
"""What the SDKs' types promise and nonsense does not keep: logged, and nobody else hears of it."""
FORM, JSON = "application/x-www-form-urlencoded", "application/json"

Json = dict[str, Any]
Sent = tuple[bytes, str]  # a body, and what it says it is


# --- what is sent ---

words = st.text(max_size=20) | st.sampled_from(
    [
        "",
        "\0",
        "\ud800",
        "<!channel>",
        "a:" + "x" * 22 + ":approve",
        "assent.reason",
        "assent:approve",
        "x" * 20_000,
        "E1",
    ]
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.sampled_from([-1, 2**63, 10**400, 1.5e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and under which name or number."""
    if not isinstance(value, (dict, list)):
        return []
    held = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    return [place for name, one in held for place in ((value, name), *places(one))]


@st.composite
def spoiled(draw: st.DrawFn, whole: Json) -> Json:
    """`whole` with junk in up to four places, or with less than it had."""
    found = copy.deepcopy(whole)
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3, 4]))):
        if not (known := places(found)):
            break
        holder, name = draw(st.sampled_from(known))
        if draw(st.booleans()):
            holder[name] = draw(junk)
        else:
            del holder[name]
    return found


def as_form(payload: Any) -> Sent:
    return urlencode({"payload": json.dumps(payload)}).encode(), FORM


def as_fields(fields: Any) -> Sent:
    pairs = {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in dict(fields).items()}
    return urlencode(pairs, errors="surrogatepass").encode(), FORM


def as_json(payload: Any) -> Sent:
    return json.dumps(payload).encode(), JSON


@st.composite
def as_it_comes(draw: st.DrawFn, bodies: st.SearchStrategy[Sent]) -> Sent:
    """One of ten is cut short, and one of ten is called something else than it is."""
    body, kind = draw(bodies)
    if draw(st.integers(0, 9)) == 9:
        body = body[: draw(st.integers(0, len(body)))]
    if draw(st.integers(0, 9)) == 9:
        kind = draw(st.sampled_from([JSON, FORM, "", "text/plain; charset=utf-16", "multipart/form-data"]))
    return body, kind


def from_slack(interactions: list[Json], commands: list[Json], events: list[Json]) -> st.SearchStrategy[Sent]:
    def new(payload: Json, number: int) -> Json:
        """A delivery of its own: what is known already is not looked at."""
        name = "event_id" if "event_id" in payload else "trigger_id"
        return payload | {name: f"{number}.{payload[name]}"} if name in payload else payload

    def some(wholes: list[Json]) -> st.SearchStrategy[Json]:
        return st.tuples(st.sampled_from(wholes), st.integers(0, 10**9)).flatmap(lambda two: spoiled(new(*two)))

    raw = st.tuples(st.binary(max_size=80), st.sampled_from([FORM, JSON]))
    pressed, typed, heard = some(interactions).map(as_form), some(commands).map(as_fields), some(events).map(as_json)
    nothing = st.one_of(junk.map(as_form), junk.map(as_json), raw)
    return as_it_comes(st.one_of(pressed, pressed, pressed, typed, typed, heard, nothing))


def from_telegram(contents: list[tuple[str, Json]]) -> st.SearchStrategy[Sent]:
    kinds = [
        "edited_message",
        "channel_post",
        "my_chat_member",
        "chat_member",
        "inline_query",
        "poll",
        "business_message",
    ]

    @st.composite
    def update(draw: st.DrawFn) -> Json:
        kind, content = draw(st.sampled_from(contents))
        if draw(st.integers(0, 9)) == 9:
            kind = draw(st.sampled_from(kinds))
        found = {"update_id": draw(st.integers(10**6, 10**9)), kind: draw(spoiled(content))}
        return draw(spoiled(found)) if draw(st.integers(0, 9)) == 9 else found

    return as_it_comes(st.one_of(*[update()] * 8, junk).map(as_json))


# --- where it is sent ---


@dataclass
class Scene:
    """A process with both webhooks, beside the local messengers; a case of which one person may decide."""

    url: str
    server: ServerProcess
    sandbox: Sandbox
    http: httpx.AsyncClient
    database_url: str
    secrets: list[str] = field(default_factory=list)

    async def slack(self, sent: Sent) -> httpx.Response:
        body, kind = sent
        stamp = str(int(time.time()))
        signed = b"v0:%s:%s" % (stamp.encode(), body)
        digest = hmac.new(self.sandbox.slack.app.signing_secret.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}", "Content-Type": kind}
        return await self.http.post(f"{self.url}/slack/interactions", content=body, headers=headers)

    async def telegram(self, sent: Sent) -> httpx.Response:
        headers = {HEADER: SECRET, "Content-Type": sent[1]}
        return await self.http.post(f"{self.url}/telegram/webhook", content=sent[0], headers=headers)

    async def ledger(self) -> list[Json]:
        return await rows(self.database_url, "SELECT via, replier FROM human_interactions")

    async def answered(self, send: Callable[[Sent], Awaitable[httpx.Response]], sent: Sent) -> None:
        """One body: answered, soon (the slowest of a busy machine apart), and nothing came of it."""
        for left in (2, 1, 0):
            began = time.monotonic()
            answer = await send(sent)
            took = time.monotonic() - began
            assert answer.status_code < 500, (sent, answer.text)
            assert "Traceback" not in answer.text
            if took < ANSWER_SECONDS:
                break
            assert left, f"it took {took:.2f} s, three times"
        assert [] == await self.ledger()

    async def every(self, send: Callable[[Sent], Awaitable[httpx.Response]], bodies: st.SearchStrategy[Sent]) -> None:
        """Bodies without end but for the profile's, each while this event loop serves the messengers."""
        loop = asyncio.get_running_loop()

        @given(bodies)
        def one(sent: Sent) -> None:
            asyncio.run_coroutine_threadsafe(self.answered(send, sent), loop).result(60)

        await asyncio.to_thread(one)

    def nothing_leaked(self) -> None:
        log = self.server.log
        assert [] == [one for one in self.secrets if one in log]
        assert max(map(len, log.splitlines())) < 2**16, "nobody fills the log with what they send"
        entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        errors = [one for one in entries if one["level"] in ("error", "critical")]
        assert [] == [one for one in errors if one["event"] not in CONTAINED]


@asynccontextmanager
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with Sandbox.running(rate_limits=False) as sandbox, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        app, key = sandbox.slack.app, await make_key(database_url, "agent")
        settings = {
            "SLACK_BOT_TOKEN": app.bot_token,
            "SLACK_SIGNING_SECRET": app.signing_secret,
            "SLACK_BASE_URL": sandbox.slack.base_url,
            "TELEGRAM_BOT_TOKEN": sandbox.telegram.token,
            "TELEGRAM_BASE_URL": sandbox.telegram.base_url,
            "TELEGRAM_WEBHOOK_SECRET": SECRET,
        }
        async with serving(database_url, environment=settings) as server:
            app.request_url = f"{server.url}/slack/interactions"
            here = Scene(server.url, server, sandbox, http, database_url)
            asked = {
                "type": "approval",
                "prompt": "Deploy checkout 2.14.0?",
                "notify": [f"slack:{CHANNEL}", f"telegram:{GROUP}"],
                "reviewers": {"any_of": ["slack:U0REVIEW1", "telegram:1002"]},
            }
            opened = await http.post(
                f"{server.url}/api/hitl/cases", json=asked, headers={"Authorization": f"Bearer {key}"}
            )
            assert 202 == opened.status_code, opened.text
            hitl = opened.json()["hitl"]
            tokens = [hitl["submit_token"], hitl["review_url"].partition("token=")[2]]
            here.secrets = [key, SECRET, app.bot_token, app.signing_secret, sandbox.telegram.token, *tokens]
            yield here


async def test_nothing_that_slack_signs_fails_or_decides(sqlite_url: str) -> None:
    async with scene(sqlite_url) as here:
        slack = here.sandbox.slack
        card = await here.sandbox.until(lambda: next(iter(slack.messages(CHANNEL)), None), 20)
        tap = slack.prepare(CHANNEL, card.ts, "Approve", ELSE).payload
        view = {
            "id": "V0000001",
            "type": "modal",
            "hash": "1.a",
            "callback_id": "assent.reason",
            "private_metadata": "0" * 64 + '.{"card_id":"x"}',
            "state": {"values": {"own": {"reason": {"type": "plain_text_input", "value": "No."}}}},
        }
        common = {name: tap[name] for name in ("user", "team", "token", "trigger_id", "api_app_id")}
        interactions = [tap, slack.prepare(CHANNEL, card.ts, "Reject", ELSE).payload]
        interactions += [common | {"type": kind, "view": view} for kind in ("view_submission", "view_closed")]
        interactions += [
            common
            | {"type": "block_actions", "container": {"type": "view"}, "view": view | {"type": "home"}, "actions": []},
            common | {"type": "shortcut", "callback_id": "x"},
            common | {"type": "block_suggestion", "action_id": "assent:x", "block_id": "b", "value": "v"},
        ]
        pressed = tap["actions"][0]
        for value in (pressed["value"] + "?en", pressed["value"] + "?de"):  # asks for a reason first
            interactions.append(tap | {"actions": [pressed | {"value": value}]})
        typed = {
            "command": "/assent",
            "user_id": tap["user"]["id"],
            "team_id": tap["team"]["id"],
            "channel_id": CHANNEL,
        }
        typed |= {"trigger_id": "1.2", "response_url": tap["response_url"]}
        commands = [typed | {"text": text} for text in ("", "history", "whoami", "link ABCD-EFGH", "away until friday")]
        event = {
            "type": "event_callback",
            "team_id": tap["team"]["id"],
            "event_id": "Ev1",
            "authorizations": [tap["team"]],
        }
        events = [
            event
            | {"event": {"type": kind, "user": tap["user"]["id"], "channel": "D1", "tab": "home", "event_ts": "1.2"}}
            for kind in ("app_home_opened", "app_uninstalled", "tokens_revoked", "message")
        ]
        events.append({"type": "url_verification", "challenge": "c0ffee"})
        here.secrets.append(tap["response_url"].rpartition("/")[2])

        await here.every(here.slack, from_slack(interactions, [*commands, {"ssl_check": "1"}], events))
        last = await slack.tap(CHANNEL, card.ts, "Approve", REVIEWER)
        assert (200, True) == (last.status, last.seconds < ANSWER_SECONDS)
        (row,) = await here.ledger()
    assert "slack_block_action" == row["via"]
    assert "U0REVIEW1" in row["replier"]
    here.nothing_leaked()


async def test_no_update_with_telegrams_secret_fails_or_decides(sqlite_url: str) -> None:
    async with scene(sqlite_url) as here:
        telegram = here.sandbox.telegram
        card = await here.sandbox.until(lambda: next(iter(telegram.messages(GROUP)), None), 20)
        query = telegram.prepare(GROUP, card.message_id, "Approve", ELSE).content
        code = query["data"].split(":")[1]
        forged = [
            f"a:{code}:reject",
            f"i:{code}:approve:1",
            f"q:{code}:0",
            f"m:{code}",
            "l:yes",
            f"a:{code}:approve:999999999",
        ]
        contents = [("callback_query", query), *(("callback_query", query | {"data": data}) for data in forged)]
        person = query["from"]
        private = {"id": person["id"], "type": "private", "first_name": person["first_name"]}
        said = {"message_id": 900, "date": int(time.time()), "chat": private, "from": person}
        for text in (
            "/start",
            "/inbox",
            "/history",
            "/whoami",
            "/web",
            "/away until friday",
            "/link ABCD-EFGH",
            "hello",
        ):
            entities = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
            contents.append(("message", said | {"text": text, "entities": entities}))
        contents.append(
            ("message", said | {"text": "No.", "reply_to_message": query["message"], "chat": query["message"]["chat"]})
        )
        contents.append(("message", said | {"new_chat_members": [person], "migrate_to_chat_id": -100200}))
        member = {"user": person, "status": "member"}
        gone = {"chat": query["message"]["chat"], "from": person, "date": 1, "old_chat_member": member}
        contents.append(("chat_member", gone | {"new_chat_member": {"user": person, "status": "left"}}))

        await here.every(here.telegram, from_telegram(contents))
        tap = await telegram.tap(GROUP, card.message_id, "Approve", REVIEWER)
        assert 200 == (await tap.delivered()).status
        (row,) = await here.ledger()
    assert "telegram_inline_button" == row["via"]
    assert "1002" in row["replier"]
    here.nothing_leaked()
