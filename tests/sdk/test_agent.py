"""Agents that ask through the SDK, against the real server."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from assent import (
    Agent,
    Answer,
    Approval,
    AssentError,
    AsyncAgent,
    BadSignature,
    Block,
    Case,
    Confirmation,
    Conflict,
    Custom,
    Escalation,
    Forbidden,
    FormField,
    FormStep,
    IdempotencyMismatch,
    Input,
    InvalidRequest,
    NotFound,
    Notice,
    Option,
    Question,
    Reviewers,
    Selection,
    StillWaiting,
    Unauthorized,
)
from assent.watching import Watch
from core.callbacks import signature
from core.housekeeping import Housekeeping
from tests.sdk.support import Clients, FastClock, Relay, hitl_of, program, relay, submit, tap
from tests.support.process import make_key, serving
from tests.support.server import Client, Server, leaf, until

EVERY_TYPE: list[tuple[Question, str, dict[str, Any]]] = [
    (Approval(prompt="Deploy?", blocks=[Block(id="plan", type="markdown", content="# Plan")]), "approve", {}),
    (Selection(prompt="Which?", items=["a", Option(id="b", label="B")], multiple=False), "select", {"selected": ["b"]}),
    (
        Input(
            prompt="Who?", fields=[FormField(key="name", label="Name", required=True), FormField(key="n", label="N")]
        ),
        "submit",
        {"name": "Ada"},
    ),
    (
        Input(prompt="Who?", steps=[FormStep(title="One", fields=[FormField(key="a", label="A")])]),
        "submit",
        {"a": "x"},
    ),
    (Confirmation(prompt="Send it?"), "confirm", {}),
    (Escalation(prompt="It failed."), "retry", {}),
    (Custom(type="x-colour", prompt="Which colour?"), "submit", {}),
]


async def _opened(server: Server, count: int = 1) -> list[str]:
    """Ids of all cases, once there are so many."""
    principal = (await server.client("agent")).principal
    assert principal is not None
    found: list[str] = []

    async def enough() -> bool:
        found[:] = [case.case_id for case in await server.services.views.recent(principal.tenant_id, 100)]
        return len(found) >= count

    await until(enough)
    return found


@pytest.mark.parametrize(("question", "action", "data"), EVERY_TYPE, ids=lambda value: getattr(value, "type", None))
async def test_every_type_can_be_asked_and_its_answer_is_a_typed_object(
    agent: AsyncAgent, people: Client, question: Question, action: str, data: dict[str, Any]
) -> None:
    case = await agent.open(question)
    assert (question.type, question.prompt) == (case.type, case.prompt)
    await submit(people, case, action, data)
    answer = await agent.await_human(case)
    assert ("completed", action, True) == (answer.status, answer.action, answer.approved)
    assert data.items() <= answer.data.items()
    assert data.get("selected", []) == answer.selected
    assert answer == await agent.status(case)


async def test_what_is_asked_arrives_as_it_was_written(agent: AsyncAgent, server: Server) -> None:
    case = await agent.open(
        Approval(
            prompt="Deploy?",
            message="Look at it.",
            timeout="2h",
            default_action="reject",
            reviewers=Reviewers(any_of=["channel", "slack:U0LEAD"], exclude_requester=False),
            requested_by="slack:U0ASKER",
            metadata={"trace_id": "t-1"},
            actions=["approve", "reject"],
            labels={"approve": "Ship it"},
            language="de",
            grace_period="0s",
            callback_url="http://localhost:1/hook",
        )
    )
    found = await server.services.views.case((await server.client("agent")).principal.tenant_id, case.case_id)  # type: ignore[union-attr]
    assert ("Deploy?", ("approve", "reject"), "reject") == (found.prompt, found.actions, found.default_action)
    assert ("slack:U0ASKER", {"trace_id": "t-1"}) == (found.terms["requested_by"], found.terms["metadata"])
    assert ("http://localhost:1/hook", ("channel", "slack:U0LEAD")) == (
        found.terms["callback_url"],
        found.policy.any_of,
    )
    assert 7_200_000 == found.expires_at - found.created_at
    assert ({"approve": "Ship it"}, "de") == (found.content["labels"], found.terms["language"])


def test_a_misspelt_field_is_noticed_before_anything_is_sent() -> None:
    with pytest.raises(ValidationError, match="promt"):
        Approval(prompt="x", promt="y")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Custom(type="colour", prompt="x")


def test_a_question_is_the_same_bytes_in_every_process() -> None:
    first = Approval(prompt="Größe?", metadata={"b": 1, "a": 2}, message="m")
    second = Approval(message="m", metadata={"a": 2, "b": 1}, prompt="Größe?")
    assert first.body() == second.body()
    assert b'"message":"m","metadata":{"a":2,"b":1},"prompt":"Gr\xc3\xb6\xc3\x9fe?","type":"approval"' in first.body()
    with pytest.raises(ValueError):
        Approval(prompt="x", metadata={"n": float("nan")}).body()


# --- waiting


@pytest.mark.parametrize("watch", ["stream", "poll", "callback"])
async def test_an_answer_that_comes_later_ends_the_wait(
    server: Server, people: Client, watch: Watch, clients: Clients
) -> None:
    clock: dict[str, Any] = {"clock": FastClock()} if watch == "poll" else {}
    agent = clients.agent(server.url, people.key, **clock)
    case = await agent.open(Confirmation(prompt="Send it?"))
    waiting = asyncio.create_task(agent.await_human(case, watch=watch))
    if watch == "stream":
        await until(lambda: server.services.hub.watched("case:") != [])
    elif watch == "poll":
        await until(lambda: len(clock["clock"].slept) >= 2)
        assert {30.0} == set(clock["clock"].slept), "the server says when to ask again"
    else:
        await until(lambda: agent._callbacks.awaits(case.case_id))
    await tap(people, case, "cancel")
    if watch == "callback":
        body = json.dumps(
            {"event": "review.completed", "case_id": case.case_id, "status": "completed"}
            | {"timestamp": "2026-01-01T00:00:00Z", "result": {"action": "cancel", "data": {}}}
        ).encode()
        with pytest.raises(BadSignature):
            agent.receive_callback({"X-HITL-Signature": signature("ak_wrong", body)}, body)
        for form in (None, "sha256"):
            agent.receive_callback({"X-HITL-Signature": signature(people.key, body, form)}, body)
    async with asyncio.timeout(10):
        answer = await waiting
    assert ("cancel", False) == (answer.action, answer.approved)


async def test_a_deadline_and_a_withdrawal_end_the_wait_too(agent: AsyncAgent, server: Server) -> None:
    late = await agent.open(Confirmation(prompt="Send it?", timeout="10s", default_action="abort"))
    gone = await agent.open(Confirmation(prompt="Send it?"))
    waits = [asyncio.create_task(agent.await_human(case)) for case in (late, gone)]
    await until(lambda: len(server.services.hub.watched("case:")) == 2)
    await agent.cancel(gone, "not needed any more")
    await agent.cancel(gone, "not needed any more")
    server.clock.forward(seconds=11)
    async with asyncio.timeout(10):
        expired, withdrawn = await asyncio.gather(*waits)
    assert ("expired", "abort", False, None) == (
        expired.status,
        expired.default_action,
        expired.approved,
        expired.action,
    )
    assert ("cancelled", "not needed any more", False) == (withdrawn.status, withdrawn.reason, withdrawn.approved)


@pytest.mark.parametrize(("default", "approved"), [("approve", True), ("skip", False), ("reject", False)])
async def test_a_deadline_is_a_yes_only_where_that_was_agreed(default: Any, approved: bool) -> None:
    about = {"case_id": "c", "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"}
    assert approved == Answer.model_validate(about | {"status": "expired", "default_action": default}).approved
    for action in ("edit", "reject", "cancel", "abort", "x-new"):
        result: dict[str, Any] = {"action": action, "data": {}}
        assert not Answer.model_validate(about | {"status": "completed", "result": result}).approved


async def test_a_wait_that_has_had_its_time_says_so_and_the_same_call_goes_on(
    agent: AsyncAgent, people: Client, server: Server
) -> None:
    question = Confirmation(prompt="Send it?")
    ways: list[Watch] = ["stream", "poll", "callback"]
    for watch in ways:
        with pytest.raises(StillWaiting):
            await agent.await_human(question, key="newsletter-7", watch=watch, timeout=0.05)
    await tap(people, await agent.open(question, key="newsletter-7"), "confirm")
    assert (await agent.await_human(question, key="newsletter-7")).approved
    assert 1 == len(await _opened(server))
    with pytest.raises(IdempotencyMismatch, match="already used"):
        await agent.await_human(Confirmation(prompt="Send another?"), key="newsletter-7")


async def test_without_a_key_every_call_asks_anew(agent: AsyncAgent) -> None:
    first, second = [await agent.open(Confirmation(prompt="Send it?")) for _ in range(2)]
    assert first.case_id != second.case_id


async def test_memory_finds_a_case_that_assent_has_forgotten_the_key_of(
    server: Server, people: Client, tmp_path: Path, clients: Clients
) -> None:
    question, memory = Confirmation(prompt="Send it?", timeout="7d"), tmp_path / "agent.db"
    forgetful = clients.agent(server.url, people.key)
    first = await clients.agent(server.url, people.key, memory=memory).open(question, key="k")
    assert 0o600 == memory.stat().st_mode & 0o777
    server.clock.forward(hours=30)
    await Housekeeping(server.database).forget()
    again = await clients.agent(server.url, people.key, memory=memory).open(question, key="k")
    assert first == again
    with pytest.raises(IdempotencyMismatch):
        await clients.agent(server.url, people.key, memory=memory).open(Confirmation(prompt="x"), key="k")
    assert first.case_id != (await forgetful.open(question, key="k")).case_id, "what the memory is for"


async def test_tokens_do_not_show_in_a_repr(agent: AsyncAgent) -> None:
    case = await agent.open(Confirmation(prompt="Send it?"))
    assert case.submit_token is not None
    assert case.submit_token not in repr(case)
    assert case.review_url not in repr(case)


# --- what breaks


@pytest.mark.parametrize("watch", ["stream", "poll", "callback"])
async def test_a_program_that_was_killed_while_it_waited_finds_its_case_again(
    server: Server, people: Client, watch: str, clients: Clients
) -> None:
    code = """
        import sys
        from assent import Agent, Approval
        agent = Agent(sys.argv[1], sys.argv[2])
        print("asking", flush=True)
        answer = agent.await_human(Approval(prompt="Deploy 2.14.0?"), key="deploy-2.14.0", watch=sys.argv[3])
        print(answer.case_id, answer.action, flush=True)
        agent.close()
        """
    async with program(code, server.url, people.key, watch) as first:
        assert "asking" == await first.line()
        (case_id,) = await _opened(server)
        if watch == "stream":
            await until(lambda: server.services.hub.watched("case:") != [])
        first.kill()
        assert -9 == await first.ended()
    async with program(code, server.url, people.key, watch) as second:
        assert "asking" == await second.line()
        if watch == "stream":
            await until(lambda: server.services.hub.watched("case:") != [])
        # The tokens of the case are the first program's; whoever asks with its key and body is told the same.
        found = await clients.agent(server.url, people.key).open(Approval(prompt="Deploy 2.14.0?"), key="deploy-2.14.0")
        assert case_id == found.case_id
        await tap(people, found, "approve")
        if watch == "stream":  # the other two ask again after half a minute
            assert f"{case_id} approve" == await second.line()
            assert 0 == await second.ended()
    async with program(code, server.url, people.key, watch) as third:
        assert "asking" == await third.line()
        assert f"{case_id} approve" == await third.line()
    assert [case_id] == await _opened(server)


async def test_a_stream_that_breaks_is_taken_up_where_it_was(
    server: Server, people: Client, line: Relay, clients: Clients
) -> None:
    heard: list[Notice] = []
    agent = clients.agent(line.url, people.key)
    case = await agent.open(Approval(prompt="Deploy?"))
    waiting = asyncio.create_task(agent.await_human(case, on_notice=heard.append))
    hitl = hitl_of(case, server.url)
    token = {"token": hitl["review_url"].partition("?token=")[2]}
    await until(lambda: len(heard) == 1)
    assert 200 == (await people.page.post(leaf(hitl, "opened"), json=token)).status_code
    await until(lambda: len(heard) == 2)
    line.down = True
    line.cut()
    assert 200 == (await people.page.post(leaf(hitl, "progress"), json=token)).status_code
    line.down = False
    await until(lambda: "review.in_progress" in [notice.event for notice in heard])
    await tap(people, case, "approve")
    async with asyncio.timeout(10):
        assert (await waiting).approved
    assert [f"last-event-id: {heard[1].id}".lower()] == [
        row for head in line.heads("last-event-id") for row in head.splitlines() if row.startswith("last-event-id")
    ]
    told = [notice.event for notice in heard if notice.event != "review.status"]
    assert ["review.opened", "review.in_progress", "review.completed"] == told, "nothing twice, nothing missed"


@pytest.mark.parametrize("watch", ["stream", "poll"])
async def test_a_server_that_dies_and_comes_back_ends_no_wait(sqlite_url: str, watch: Watch, clients: Clients) -> None:
    key = await make_key(sqlite_url, "agent")
    clock: dict[str, Any] = {"clock": FastClock()} if watch == "poll" else {}
    async with relay("") as line:
        async with serving(sqlite_url) as first:
            line.target = first.url
            agent = clients.agent(line.url, key, **clock)
            case = await agent.open(Confirmation(prompt="Send it?"))
            waiting = asyncio.create_task(agent.await_human(case, watch=watch))
            await until(lambda: line.heads("/events" if watch == "stream" else "/status") != [])
            first.kill()
            await first.ended()
        line.target = "http://127.0.0.1:1"
        line.sent.clear()
        await asyncio.wait({waiting}, timeout=0.3)
        assert not waiting.done()
        async with serving(sqlite_url) as second:
            line.target = second.url
            found = await agent.status(case)
            assert "pending" == found.status
            assert case.submit_token is not None
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.post(
                    f"{second.url}/api/hitl/cases/{case.case_id}/respond",
                    headers={"authorization": f"Bearer {case.submit_token}"},
                    json={
                        "action": "confirm",
                        "submitted_via": "slack_block_action",
                        "submitted_by": {"platform": "slack", "platform_user_id": "U1"},
                    },
                )
                assert 200 == answer.status_code, answer.text
            async with asyncio.timeout(15):
                assert (await waiting).approved


async def test_an_answer_to_opening_that_is_lost_opens_no_second_case(
    server: Server, people: Client, line: Relay, clients: Clients
) -> None:
    lost: list[bytes] = []

    def lose(data: bytes) -> Any:
        if data.startswith(b"POST /api/hitl/cases ") and len(lost) < 2:
            lost.append(data)
            return "after"
        return None

    line.cut_when = lose
    agent = clients.agent(line.url, people.key)
    case = await agent.open(Confirmation(prompt="Send it?"))
    assert 2 == len(lost)
    assert [case.case_id] == await _opened(server)


# --- errors


async def test_what_the_server_refuses_has_a_type_and_the_servers_words(
    server: Server, people: Client, clients: Clients
) -> None:
    executor = await server.client("executor")
    agent = clients.agent(server.url, people.key)
    done = await agent.open(Confirmation(prompt="x"))
    await tap(people, done, "confirm")
    tries: list[tuple[Any, type[AssentError], int, str]] = [
        (
            clients.agent(server.url, "ak_unknown").open(Confirmation(prompt="x")),
            Unauthorized,
            401,
            "unauthorized",
        ),
        (clients.agent(server.url, executor.key).status("review_x"), Forbidden, 403, "forbidden"),
        (agent.status("review_none"), NotFound, 404, "not_found"),
        (agent.open(Confirmation(prompt="x", timeout="soon")), InvalidRequest, 400, "invalid_body"),
        (agent.cancel(done), Conflict, 409, "duplicate_submission"),
        (agent.await_human(Confirmation(prompt="x", previous_case_id="none")), InvalidRequest, 400, "invalid_body"),
    ]
    for work, kind, status, code in tries:
        with pytest.raises(kind) as raised:
            await work
        error: Any = raised.value
        assert (status, code) == (error.status, error.code)
        assert error.message


def test_a_wrong_address_or_no_key_is_refused_at_once() -> None:
    for url in ("", "localhost:8080", "ftp://example.com"):
        with pytest.raises(ValueError, match="url"):
            Agent(url, "ak_x")
    with pytest.raises(ValueError, match="key"):
        Agent("http://localhost", "")


# --- the blocking face


async def test_the_blocking_face_serves_many_threads_and_a_thread_with_a_loop_of_its_own(
    server: Server, people: Client, clients: Clients
) -> None:
    agent = clients.blocking_agent(server.url, people.key)
    cases: list[Case] = []
    lock = threading.Lock()

    def ask(n: int) -> Answer:
        case = agent.open(Confirmation(prompt=f"Number {n}?"))
        with lock:
            cases.append(case)
        return agent.await_human(case)

    waits = [asyncio.create_task(asyncio.to_thread(ask, n)) for n in range(4)]

    async def inside() -> Answer:  # a blocking call within somebody's event loop
        return ask(4)

    waits.append(asyncio.create_task(asyncio.to_thread(asyncio.run, inside())))
    await until(lambda: len(cases) == 5)
    for case in cases:
        await tap(people, case, "confirm")
    assert [True] * 5 == [answer.approved for answer in await asyncio.gather(*waits)]


async def test_what_happens_meanwhile_is_told_in_the_thread_that_waits(
    server: Server, people: Client, clients: Clients
) -> None:
    agent = clients.blocking_agent(server.url, people.key)
    threads: list[int] = []

    def wait() -> tuple[int, Answer]:
        case = agent.open(Confirmation(prompt="x"))
        cases.append(case)
        return threading.get_ident(), agent.await_human(case, on_notice=lambda _: threads.append(threading.get_ident()))

    cases: list[Case] = []
    waiting = asyncio.create_task(asyncio.to_thread(wait))
    await until(lambda: len(threads) == 1)
    await tap(people, cases[0], "confirm")
    thread, answer = await waiting
    assert answer.approved
    assert {thread} == set(threads)


async def test_one_agent_serves_one_event_loop_after_the_other(
    server: Server, people: Client, clients: Clients
) -> None:
    agent = clients.agent(server.url, people.key)

    async def open_and_close() -> str:
        case = await agent.open(Confirmation(prompt="x"))
        await agent.close()
        return case.case_id

    found = {await asyncio.to_thread(asyncio.run, open_and_close()) for _ in range(2)}
    assert 2 == len(found)


async def test_a_forked_process_has_connections_of_its_own(on_sqlite: Server) -> None:
    people = await on_sqlite.client("agent")
    code = """
        import os, sys
        from assent import Agent, Confirmation
        agent = Agent(sys.argv[1], sys.argv[2])
        agent.open(Confirmation(prompt="parent"))
        if os.fork() == 0:
            print("child", agent.open(Confirmation(prompt="child")).prompt, flush=True)
            os._exit(0)
        os.wait()
        print("parent", agent.open(Confirmation(prompt="parent")).prompt, flush=True)
        """
    async with program(code, on_sqlite.url, people.key) as forking:
        assert "child child" == await forking.line()
        assert "parent parent" == await forking.line()
        assert 0 == await forking.ended()


async def test_ctrl_c_ends_a_wait_at_once(on_sqlite: Server) -> None:
    people = await on_sqlite.client("agent")
    code = """
        import signal, sys
        from assent import Agent, Confirmation
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        agent = Agent(sys.argv[1], sys.argv[2])
        case = agent.open(Confirmation(prompt="x"))
        print("waiting", flush=True)
        try:
            agent.await_human(case)
        except KeyboardInterrupt:
            print("interrupted", agent.status(case).status, flush=True)
        """
    async with program(code, on_sqlite.url, people.key) as waiting:
        assert "waiting" == await waiting.line()
        await until(lambda: on_sqlite.services.hub.watched("case:") != [])
        waiting.terminate()
        assert "interrupted pending" == await waiting.line(5)
        assert 0 == await waiting.ended()


class Person(BaseModel):
    name: str
    age: int = 0


async def test_form_values_come_as_a_model_of_the_programs_own(agent: AsyncAgent, people: Client) -> None:
    case = await agent.open(Input(prompt="Who?", fields=[FormField(key="name", label="Name")]))
    await submit(people, case, "submit", {"name": "Ada"})
    assert Person(name="Ada") == (await agent.await_human(case)).data_as(Person)
