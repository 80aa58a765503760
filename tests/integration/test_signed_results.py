"""Signed results on every way that leads out: polls, the event stream, and what the command line says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.signing import check
from tests.support.process import run_assent
from tests.support.server import (  # noqa: F401 (fixtures)
    SECRET,
    Client,
    Server,
    agent_fixture,
    event_stream,
    running,
    server_fixture,
)

SENSITIVE = {"form": {"fields": [{"key": "pin", "label": "PIN", "type": "text", "sensitive": True}]}}


async def signed_source(server: Server, *, signed: bool = True) -> str:
    """A source whose cases ask for signed results."""
    admin = await server.client("admin")
    delivery = {"mode": "PULL_ONLY"}
    body = {"name": "payments", "delivery": delivery, "signed_responses": signed}
    answer = await admin.http.post("/sources", json=body)
    assert 201 == answer.status_code, answer.text
    source_id: str = answer.json()["id"]
    return source_id


async def published(server: Server) -> dict[str, Any]:
    answer = await server.nobody().http.get("/.well-known/jwks.json")
    assert (200, "public, max-age=300") == (answer.status_code, answer.headers["cache-control"])
    found: dict[str, Any] = answer.json()
    return found


async def test_every_way_out_carries_the_same_good_signature(agent: Client, server: Server) -> None:
    hitl = await agent.case(source_id=await signed_source(server))
    async with event_stream(agent, hitl) as live:
        await live.frame()
        await agent.tap(hitl, "confirm")
        (frame,) = await live.rest()
    polls = [(await agent.poll(hitl)).json()["result"] for _ in range(2)]
    async with event_stream(agent, hitl) as late:
        first = await late.frame()
    assert first is not None
    assert polls[0] == polls[1] == frame["data"]["result"] == first["data"]["result"]
    assert f"{server.url}/.well-known/jwks.json" == polls[0]["signature"]["signer"]
    assert check(hitl["case_id"], polls[0], await published(server)).good
    assert not check(hitl["case_id"], polls[0] | {"action": "cancel"}, await published(server)).good


async def test_only_a_source_that_asks_for_it_gets_signatures(agent: Client, server: Server) -> None:
    for fields in ({}, {"source_id": await signed_source(server, signed=False)}):
        hitl = await agent.case(**fields)
        await agent.tap(hitl, "confirm")
        assert "signature" not in (await agent.poll(hitl)).json()["result"]


async def test_an_answer_that_is_revised_is_signed_anew(agent: Client, server: Server) -> None:
    hitl = await agent.case(source_id=await signed_source(server), grace_period="5m")
    found = []
    for action in ("confirm", "cancel"):
        assert 200 == (await agent.submit(hitl, action)).status_code
        found.append((await agent.poll(hitl)).json()["result"])
    assert found[0]["signature"]["value"] != found[1]["signature"]["value"]
    for result in found:
        assert check(hitl["case_id"], result, await published(server)).good


async def test_sensitive_answers_are_signed_in_clear_and_kept_sealed(agent: Client, server: Server) -> None:
    hitl = await agent.case(type="input", context=SENSITIVE, source_id=await signed_source(server))
    assert 200 == (await agent.submit(hitl, "submit", {"pin": "4711"})).status_code
    result = (await agent.poll(hitl)).json()["result"]
    assert {"pin": "4711"} == result["data"]
    assert check(hitl["case_id"], result, await published(server)).good


async def test_the_command_line_tells_good_from_not_good(sqlite_url: str, tmp_path: Path) -> None:
    async with running(sqlite_url) as server:
        agent = await server.client("agent")
        hitl = await agent.case(source_id=await signed_source(server))
        await agent.tap(hitl, "confirm")
        answer = (await agent.poll(hitl)).json()
        good, forged, plain, keys = [tmp_path / name for name in ("good", "forged", "plain", "keys")]
        good.write_text(json.dumps(answer, indent=2))
        forged.write_text(json.dumps(answer | {"result": answer["result"] | {"action": "cancel"}}))
        plain.write_text(json.dumps(answer | {"result": {"action": "confirm", "data": {}}}))
        keys.write_text(json.dumps(await published(server)))
        jwks = f"{server.url}/.well-known/jwks.json"

        async def said(file: Path | str, place: Path | str) -> tuple[int, str]:
            status, out, err = await run_assent("verify-result", str(file), "--jwks", str(place))
            return status, " ".join((out + err).split())

        for place in (jwks, keys):
            status, words = await said(good, place)
            assert (0, True) == (status, words.startswith(f"Good: {hitl['case_id']} was answered 'confirm'")), words
        for file, why in ((forged, "this result is not what was signed"), (plain, "the result is not signed")):
            status, words = await said(file, keys)
            assert (1, True) == (status, words.startswith(f"NOT GOOD: {why}") or why in words), words
        for file, place, why in (
            (tmp_path / "absent", keys, "No such file"),
            (keys, keys, "there is no case_id"),
            (good, f"{server.url}/healthz/none", "answered 404"),
            (good, good, "not among the published ones"),
        ):
            status, words = await said(file, place)
            assert (1, True) == (status, why in words), words
