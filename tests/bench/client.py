"""A client that costs little, because it shares the machine's cores with the server that it measures.

Keep-alive HTTP/1.1 over an asyncio protocol and httptools' parser. `drive` is a closed loop: each of N connections
carries one case at a time from opening to the poll that must show its answer, and only then begins the next.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

CASE_SECONDS = 60.0  # a case that takes longer is an error
WAIT_SECONDS = 5.0  # the longest Retry-After that is obeyed to the letter
MAX_WAITS = 20  # how often one request may be told to come again
KINDS = ("open", "respond", "status")

QUESTION = {
    "type": "confirmation",
    "prompt": "Send the newsletter to 4,312 people?",
    "context": {"campaign": "spring", "recipients": 4312, "subject": "What is new in spring", "cost": "12.40 EUR"},
    "requested_by": "newsletter agent",
}
REPLIER = {"platform": "x-bench", "platform_user_id": "R1", "display_name": "Reviewer One"}


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.body))


class ConnectionLost(Exception):
    """The server closed the connection before its answer was whole."""


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self._pieces: asyncio.Queue[bytes | None] | None = None

    async def ask(self, request: bytes) -> Answer:
        """The answer to one request. Raises ConnectionLost."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def stream(self, request: bytes) -> asyncio.Queue[bytes | None]:
        """The pieces of a streamed answer as they come, None at its end."""
        if self._transport is None:
            raise ConnectionLost
        self._pieces = asyncio.Queue()
        self._transport.write(request)
        return self._pieces

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(ConnectionLost(str(exc or "the server closed the connection")))
        if self._pieces is not None:
            self._pieces.put_nowait(None)

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        if self._pieces is not None:
            self._pieces.put_nowait(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._pieces is not None:
            self._pieces.put_nowait(None)
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and the key that its cases are opened and polled with."""

    url: str
    key: str

    async def connect(self) -> Connection:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        _, connection = await asyncio.get_running_loop().create_connection(Connection, parts.hostname, parts.port)
        return connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self.connect()
        try:
            yield connection
        finally:
            connection.close()

    def request(self, method: str, address: str, body: object = None, key: str | None = None) -> bytes:
        """One whole request. `address` may be absolute, as in the answers' links: its host is ours in any case."""
        text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        length = f"content-type: application/json\r\ncontent-length: {len(text)}\r\n" if text else ""
        return (
            f"{method} {_path(address)} HTTP/1.1\r\nhost: {urlsplit(self.url).netloc}\r\n"
            f"authorization: Bearer {key or self.key}\r\n{length}\r\n"
        ).encode() + text


def _path(address: str) -> str:
    if address.startswith("/"):
        return address
    return "/" + address.split("/", 3)[3]


@dataclass(slots=True)
class Tally:
    """What a loop saw. Times are seconds; `waits` are answers 429 and 503 with a Retry-After, which are no errors."""

    cases: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    waits: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


class WrongAnswer(Exception):
    """An answer is not what the contract promises; the message is the kind of error that is counted."""


class _Walker:
    """One connection's cases, one after the other."""

    def __init__(self, target: Target, tally: Tally, opening: bytes) -> None:
        self._target = target
        self._tally = tally
        self._opening = opening
        self._connection: Connection | None = None

    async def connect(self) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = await self._target.connect()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def one_case(self) -> None:
        """Open, answer, and read back that exactly this answer is the case's."""
        hitl = (await self._ask("open", self._opening, 202)).json["hitl"]
        case_id, poll = hitl["case_id"], self._target.request("GET", hitl["poll_url"])
        reply = {
            "action": "confirm",
            "data": {"note": case_id},
            "submitted_via": "x-bench",
            "submitted_by": REPLIER,
        }
        respond = self._target.request("POST", hitl["submit_url"], reply, key=hitl["submit_token"])
        done = (await self._ask("respond", respond, 200)).json
        if done.get("success") is not True or done.get("case_id") != case_id or done.get("status") != "completed":
            raise WrongAnswer("respond: not completed")
        seen = (await self._ask("status", poll, 200)).json
        if seen.get("case_id") != case_id or seen.get("status") != "completed":
            raise WrongAnswer("status: not completed")
        result = seen.get("result") or {}
        if result.get("action") != "confirm" or result.get("data") != {"note": case_id}:
            raise WrongAnswer("status: another result than was answered")

    async def _ask(self, kind: str, request: bytes, expected: int) -> Answer:
        began = time.perf_counter()
        answer = await self._ask_once(kind, request)
        for _ in range(MAX_WAITS):
            if answer.status not in (429, 503) or b"retry-after" not in answer.headers:
                break
            self._tally.waits += 1
            await asyncio.sleep(min(WAIT_SECONDS, float(answer.headers[b"retry-after"])))
            await self.connect()
            answer = await self._ask_once(kind, request)
        if answer.status != expected:
            raise WrongAnswer(f"{kind}: {answer.status} {_said(answer)}".rstrip())
        self._tally.times[kind].append(time.perf_counter() - began)
        return answer

    async def _ask_once(self, kind: str, request: bytes) -> Answer:
        assert self._connection is not None
        try:
            return await self._connection.ask(request)
        except ConnectionLost:
            raise WrongAnswer(f"{kind}: connection lost") from None
        except httptools.HttpParserError:
            raise WrongAnswer(f"{kind}: not HTTP") from None

    async def run(self, numbers: count[int], cases: int) -> None:
        while next(numbers) <= cases:
            try:
                async with asyncio.timeout(CASE_SECONDS):
                    await self.connect()
                    await self.one_case()
                self._tally.cases += 1
            except WrongAnswer as error:
                self._tally.errors[str(error)] += 1
            except TimeoutError:
                self._tally.errors["no answer in time"] += 1
                self.close()  # its late answer must not be taken for the next one's
            except OSError as error:
                self._tally.errors[f"cannot connect: {error.strerror}"] += 1
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._tally.errors[f"not the promised JSON: {error!r}"] += 1


def _said(answer: Answer) -> str:
    """The error's code and the field that it names, if it is one of ours."""
    with suppress(ValueError, AttributeError):
        body = answer.json
        return f"{body.get('error', '')} {body.get('field', '')}".strip()
    return ""


async def drive(target: Target, cases: int, concurrency: int) -> Tally:
    """Carry so many cases through; connections are made before the clock starts."""
    tally = Tally()
    opening = target.request("POST", "/api/hitl/cases", QUESTION)
    walkers = [_Walker(target, tally, opening) for _ in range(min(concurrency, cases))]
    try:
        for walker in walkers:
            await walker.connect()
        numbers = count(1)
        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for walker in walkers:
                group.create_task(walker.run(numbers, cases))
        tally.seconds, tally.client_cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        for walker in walkers:
            walker.close()
    return tally
