"""Bodies that no honest client sends: refused at once, in words, with nothing written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.support.dump import row_counts
from tests.support.server import (  # noqa: F401 (fixtures)
    TAPPED,
    Client,
    Server,
    agent_fixture,
    leaf,
    review_token,
    server_fixture,
)

AT_ONCE = 0.1  # seconds, the test's own client included
MIB = 1024 * 1024


def _hostile(good: dict[str, Any]) -> dict[str, bytes]:
    """Hostile variants of a body that would be accepted."""
    text = json.dumps(good)
    name = next(iter(good))
    return {
        "escaped NUL": _with(good, name, r'"a\u0000b"'),
        "raw NUL": _with(good, name, '"a\x00b"'),
        "raw control character": _with(good, name, '"a\x1fb"'),
        "lone high surrogate": _with(good, name, r'"\ud800"'),
        "lone low surrogate": _with(good, name, r'"\udc00 and more"'),
        "surrogate as key": b'{"\\ud800": 1, ' + text[1:].encode(),
        "the same odd key twice": b'{"\\ud800": 1, "\\ud800": 2, ' + text[1:].encode(),
        "NUL as key": b'{"\\u0000": 1, ' + text[1:].encode(),
        "NaN": _with(good, "context", "NaN"),
        "Infinity": _with(good, "context", '{"x": -Infinity}'),
        "infinite float": _with(good, "context", '{"x": 1e999}'),
        "key twice": f'{{"{name}": "other", {text[1:]}'.encode(),
        "key twice, deeper": _with(good, "context", '{"a": {"b": 1, "b": 2}}'),
        "deep lists": _with(good, "context", "[" * 100_000 + "]" * 100_000),
        "deep objects": _with(good, "context", '{"a":' * 100_000 + "1" + "}" * 100_000),
        "deep and broken off": b'{"context": ' + b"[" * 100_000,
        "5,000 digits": _with(good, "context", f'{{"x": {"9" * 5000}}}'),
        "5,000 digits below zero": _with(good, "context", f'{{"x": -{"9" * 5000}}}'),
        "an integer that a double cannot hold": _with(good, "context", '{"x": 9007199254740993}'),
        "not UTF-8": _with(good, name, '"a@b"').replace(b"@", b"\xff\xfe"),
        "UTF-16": text.encode("utf-16"),
        "overlong UTF-8": _with(good, name, '"a@b"').replace(b"@", b"\xc0\x80"),
        "two values": text.encode() + text.encode(),
        "a comment": text.encode() + b"// done",
        "nothing": b"",
        "spaces": b"   ",
        "a list": b"[" + text.encode() + b"]",
        "very many wrong entries": _with(good, "actions", json.dumps([1] * 300_000)),
        "very many unknown keys": json.dumps(good | {f"k{n}": n for n in range(50_000)}).encode(),
    }


def _with(good: dict[str, Any], name: str, value: str) -> bytes:
    """The body with one more or other field, whose JSON text is `value`."""
    rest = {key: item for key, item in good.items() if key != name}
    return f'{{"{name}": {value}, {json.dumps(rest)[1:]}'.encode()


async def _routes(agent: Client, server: Server) -> list[tuple[httpx.AsyncClient, str, dict[str, str], dict[str, Any]]]:
    """Every route that reads a body: whose client, the address, more headers, and a body that it accepts."""
    admin = await server.client("admin")
    hitl = await agent.case()
    source = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    tap = {"action": "confirm", **TAPPED}
    token = {"token": review_token(hitl)}
    return [
        (agent.http, "/api/hitl/cases", {}, {"prompt": "Send?", "type": "confirmation"}),
        (agent.http, "/api/hitl/cases", {"Idempotency-Key": "k-1"}, {"prompt": "Send?", "type": "confirmation"}),
        (agent.page, hitl["submit_url"], {"Authorization": f"Bearer {hitl['submit_token']}"}, tap),
        (agent.page, hitl["submit_url"], {}, token | {"result": {"action": "confirm"}}),
        (agent.page, leaf(hitl, "opened"), {}, token),
        (agent.page, leaf(hitl, "progress"), {}, token),
        (agent.http, leaf(hitl, "cancel"), {}, {"reason": "No."}),
        (admin.http, "/sources", {}, {"name": "Deploys"}),
        (admin.http, f"/sources/{source}/decision-events/ack", {}, {"event_ids": ["evt_x"]}),
    ]


async def test_a_hostile_body_is_refused_at_once_and_nothing_is_written(
    agent: Client, server: Server, database_url: str
) -> None:
    routes = await _routes(agent, server)
    before = await row_counts(database_url)
    for http, address, headers, good in routes:
        for what, body in _hostile(good).items():
            if address.endswith("/cancel") and not body.strip():
                continue  # a withdrawal may go without a body
            answer, seconds = await _fastest(http, address, body, headers)
            assert 400 <= answer.status_code < 500, (what, address, answer.text)
            error = answer.json()["error"]
            assert answer.status_code == 401 or "invalid_body" == error or "VALIDATION_ERROR" == error["code"], what
            assert len(answer.content) < 2_000, (what, answer.text)
            assert seconds < AT_ONCE, (what, address, seconds)
    assert before == await row_counts(database_url)


async def _fastest(
    http: httpx.AsyncClient, address: str, body: bytes, headers: dict[str, str]
) -> tuple[httpx.Response, float]:
    """The answer, and the least CPU time of a few tries; other work on the machine is not ours to judge."""
    tries = []
    for _ in range(3):
        started = time.process_time()
        answer = await http.post(address, content=body, headers=headers)
        tries.append((time.process_time() - started, answer))
        if tries[-1][0] < AT_ONCE:
            break
    seconds, answer = min(tries, key=lambda one: one[0])
    return answer, seconds


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    agent: Client, server: Server, database_url: str
) -> None:
    routes = await _routes(agent, server)
    before = await row_counts(database_url)
    for http, address, headers, _ in routes:
        answer, seconds = await _fastest(http, address, b'{"context": "' + b"x" * 10 * MIB, headers)
        assert 413 == answer.status_code, (address, answer.text)
        assert seconds < AT_ONCE, (address, seconds)
    assert before == await row_counts(database_url)


async def test_the_announced_length_alone_is_enough_to_refuse(agent: Client, server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    started = time.perf_counter()
    writer.write(
        b"POST /api/hitl/cases HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n"
        b"Authorization: Bearer " + agent.key.encode() + b"\r\n\r\n{"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    assert time.perf_counter() - started < 1
    writer.close()
    await writer.wait_closed()


async def test_a_body_of_unknown_length_is_refused_once_it_has_grown_too_long(agent: Client) -> None:
    async def three_mib() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield b"x" * 64 * 1024

    answer = await agent.http.post("/api/hitl/cases", content=three_mib())
    assert (413, "body_too_large") == (answer.status_code, answer.json()["error"])


async def test_whoever_never_stops_sending_is_answered_and_then_cut_off(agent: Client, server: Server) -> None:
    reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
    writer.write(
        b"POST /api/hitl/cases HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer " + agent.key.encode() + b"\r\n\r\n"
    )
    answered = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    before_the_answer = after_it = 0
    try:
        while after_it < 256 * MIB:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            if answered.done():
                after_it += 0x10000
            else:
                before_the_answer += 0x10000
    except ConnectionError:
        pass
    assert (await answered).startswith(b"HTTP/1.1 413 ")
    assert before_the_answer < 8 * MIB  # the limit, and what sockets buffer
    assert after_it < 64 * MIB
    writer.close()


async def test_a_body_just_within_the_limit_is_read(agent: Client) -> None:
    body = json.dumps({"type": "confirmation", "prompt": "?", "message": ""}).encode()
    filled = body.replace(b'"message": ""', b'"message": "' + b"m" * (MIB - len(body)) + b'"')
    assert MIB == len(filled)
    assert 202 == (await agent.http.post("/api/hitl/cases", content=filled)).status_code
    assert 413 == (await agent.http.post("/api/hitl/cases", content=filled + b" ")).status_code


async def test_an_address_that_cannot_be_one_is_not_found(server: Server) -> None:
    admin = await server.client("admin")
    odd = ("%00", "a%00b", "%ff", "x" * 5_000, "%F0%9F%92%A9", "'--", "%0d%0aX:1", "%20")
    for name in odd:
        for method, leaf_name in (("GET", "status"), ("GET", "events"), ("POST", "cancel")):
            answer = await admin.http.request(method, f"/api/hitl/cases/{name}/{leaf_name}")
            assert (404, "not_found") == (answer.status_code, answer.json()["error"]), name
        report = await admin.page.post(f"/api/hitl/cases/{name}/opened", json={"token": "x"})
        assert (404, "not_found") == (report.status_code, report.json()["error"]), name
        source = await admin.http.get(f"/sources/{name}/decision-events")
        assert (404, "NOT_FOUND") == (source.status_code, source.json()["error"]["code"]), name


async def test_text_of_every_script_comes_back_as_it_went_in(agent: Client) -> None:
    context = {"text": "Привет, 世界 👩‍👩‍👧 \u202e\u200b\u2028 é", "ключ": ["\t", "\\u0000", 1e-7, -0.5, 2**53 - 1]}
    hitl = await agent.case(prompt="Отправить? 👍", context=context)
    assert ("Отправить? 👍", context) == (hitl["prompt"], hitl["context"])
    answer = await agent.tap(hitl, "confirm", data={"note": context["text"]})
    assert 200 == answer.status_code
    assert {"note": context["text"]} == (await agent.poll(hitl)).json()["result"]["data"]
