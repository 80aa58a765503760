"""The sender against real receivers: slow, broken, hostile ones, and ones that are not where they seem to be."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import pytest

from adapters.webhook import GuardedFetcher, WebhookSender
from adapters.webhook.guarded import GuardedHttp
from adapters.webhook.resolver import SystemResolver, look_up
from adapters.webhook.sender import MAX_RESPONSE, NO_ANSWER, NO_NAME, REFUSED
from core.destinations import Destinations, parse_networks
from core.ports import FetchFailed
from core.sending import Outgoing, Receipt
from tests.support.post import DEVELOPMENT, Names, certificates
from tests.support.receiver import Behaviour, answer, held, raw, receiver

SHORT = 0.5
LOOPBACK_NAMED = Destinations(networks=parse_networks(["127.0.0.1"]))


def sender(seconds: float = 5.0, destinations: Destinations = DEVELOPMENT, **changes: object) -> WebhookSender:
    return WebhookSender(GuardedHttp(destinations, **changes), seconds)  # type: ignore[arg-type]


async def send(url: str, seconds: float = 5.0) -> Receipt:
    return await sender(seconds).send(Outgoing(url, {"content-type": "application/json"}, b'{"a":"\xc3\xa4"}'))


async def test_the_body_arrives_as_it_is_with_its_headers_and_the_answer_comes_back() -> None:
    async with receiver() as there:
        found = await send(there.url("/a/b?c=d%20e"))
        assert (200, "thank you", None) == (found.status, found.response, found.error)
        (request,) = there.received
        assert ("POST", "/a/b?c=d%20e") == (request.method, request.target)
        assert b'{"a":"\xc3\xa4"}' == request.body
        assert "application/json" == request.headers["content-type"]
        assert f"127.0.0.1:{there.port}" == request.headers["host"]
        assert "identity" == request.headers["accept-encoding"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nothing_is_followed(status: int) -> None:
    async with receiver() as here, receiver() as elsewhere:
        here.then = answer(status, location=elsewhere.url())
        assert status == (await send(here.url())).status
        assert 1 == len(here.received)
        assert 0 == elsewhere.connections


async def test_no_cookie_is_kept_and_no_connection_is_used_twice() -> None:
    async with receiver() as there:
        there.then = answer(200, set_cookie="session=1; Path=/")
        for _ in range(3):
            await send(there.url())
        assert 3 == there.connections
        assert [False] * 3 == ["cookie" in request.headers for request in there.received]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as there, receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url("/"))
        assert 200 == (await send(there.url())).status
        assert 0 == proxy.connections


@pytest.mark.parametrize(
    "behaviour",
    [
        raw(b"HTTP/1.1 200 OK\r\n", *[b"x-slow: 1\r\n"] * 100, pause=0.1),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *[b"."] * 100, pause=0.1),
        raw(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 100, pause=0.1),
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *[b"1\r\n.\r\n"] * 100, pause=0.1),
    ],
    ids=["headers", "body", "early hints", "chunks"],
)
async def test_a_receiver_that_drips_is_cut_off_when_the_whole_attempt_has_had_its_time(behaviour: Behaviour) -> None:
    async with receiver() as there:
        there.then = behaviour
        began = time.monotonic()
        found = await send(there.url(), SHORT)
        assert (None, NO_ANSWER) == (found.status, found.error)
        assert SHORT * 0.9 < time.monotonic() - began < SHORT + 5.0  # of the ten for which it drips
        assert found.took_ms >= SHORT * 900


async def test_a_receiver_that_says_nothing_is_cut_off() -> None:
    never = asyncio.Event()
    async with receiver() as there:
        there.then = held(never)
        assert NO_ANSWER == (await send(there.url(), SHORT)).error


async def test_an_own_timeout_may_be_shorter_but_not_longer() -> None:
    never = asyncio.Event()
    async with receiver() as there:
        there.then = held(never)
        for own, configured in ((200, 30.0), (30_000, 0.2)):
            began = time.monotonic()
            await sender(configured).send(Outgoing(there.url(), {}, b"", timeout_ms=own))
            assert time.monotonic() - began < 10


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    async with receiver() as there:
        there.then = answer(200, "x" * (MAX_RESPONSE * 50))
        found = await send(there.url())
        assert (200, MAX_RESPONSE) == (found.status, len(found.response))


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with receiver() as there:
        there.then = raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00")
        assert 200 == (await send(there.url())).status


@pytest.mark.parametrize(
    ("value", "ms"),
    [("120", 120_000), ("0", 0), ("-5", None), ("1_000", None), ("soon", None), ("1.5", None), ("9" * 30, None)],
)
async def test_retry_after_in_seconds(value: str, ms: int | None) -> None:
    async with receiver() as there:
        there.then = answer(503, retry_after=value)
        found = await send(there.url())
        assert (503, ms) == (found.status, found.retry_after_ms)


async def test_retry_after_may_be_a_date() -> None:
    async with receiver() as there:
        there.then = answer(503, retry_after="Wed, 21 Oct 2065 07:28:00 GMT")
        assert ((await send(there.url())).retry_after_ms or 0) > 10**12
        there.then = answer(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")
        assert 0 == (await send(there.url())).retry_after_ms


async def test_nothing_tells_an_open_port_from_a_closed_one() -> None:
    """Refused, reset, no HTTP, TLS that fails, silence: one sentence for all."""
    never = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    async with receiver() as there:
        words = {(await send(f"http://127.0.0.1:{closed}/", SHORT)).error}
        for behaviour in (raw(), raw(b"SSH-2.0-OpenSSH_9.6\r\n"), raw(b"220 mail ready\r\n"), held(never)):
            there.then = behaviour
            words.add((await send(there.url(), SHORT)).error)
        guarded = sender(SHORT, LOOPBACK_NAMED)
        for port in (there.port, closed):  # TLS, to where nobody speaks it, and to where nobody is
            words.add((await guarded.send(Outgoing(f"https://127.0.0.1:{port}/", {}, b""))).error)
        assert {NO_ANSWER} == words


async def test_a_name_that_leads_nowhere_says_so() -> None:
    names = Names({})
    found = await sender(resolver=names).send(Outgoing("https://agent.example.com/", {}, b""))
    assert (None, NO_NAME) == (found.status, found.error)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["0.0.0.1"], ["169.254.169.254"], []],
    ids=str,
)
async def test_a_name_that_leads_inside_is_not_connected_to(addresses: list[str]) -> None:
    async with receiver() as sentinel:
        rules = Destinations(networks=parse_networks(["203.0.113.0/24"]))  # any port, so that only the address decides
        guarded = sender(destinations=rules, resolver=Names({"agent.example.com": [addresses]}))
        found = await guarded.send(Outgoing(f"https://agent.example.com:{sentinel.port}/", {}, b""))
        assert (None, REFUSED) == (found.status, found.error)
        assert 0 == sentinel.connections


async def test_a_name_that_changes_its_address_between_two_looks_never_reaches_the_inside() -> None:
    """Rebinding: whatever the name says next, the address that was judged is the one that is dialled."""
    async with receiver() as sentinel:
        turns = [["203.0.113.7"], ["127.0.0.1"]] * 25
        names = Names({"rebind.example.com": [*turns]})
        rules = Destinations(networks=parse_networks(["203.0.113.0/24"]))
        guarded = sender(0.05, rules, resolver=names)
        outgoing = Outgoing(f"https://rebind.example.com:{sentinel.port}/", {}, b"")
        errors = {(await guarded.send(outgoing)).error for _ in range(50)}
        assert {NO_ANSWER, REFUSED} == errors
        assert 50 == len(names.asked)  # one look per attempt: there is no second one to be lied to
        assert 0 == sentinel.connections


async def test_of_several_addresses_only_the_allowed_ones_are_tried_one_after_the_other() -> None:
    async with receiver(host="127.0.0.3") as there, receiver() as sentinel:
        rules = Destinations(networks=parse_networks(["127.0.0.2", "127.0.0.3"]))
        names = Names({"agent.example.com": [["10.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3"]]})
        guarded = sender(destinations=rules, resolver=names)
        found = await guarded.send(Outgoing(f"https://agent.example.com:{there.port}/", {}, b""))
        assert NO_ANSWER == found.error  # reached 127.0.0.3, which speaks no TLS
        assert (1, 0) == (there.connections, sentinel.connections)


async def test_the_certificate_is_checked_for_the_name_although_an_address_is_dialled(tmp_path: Path) -> None:
    serving, authority = certificates(tmp_path, "agent.example.com")
    async with receiver(serving) as there:
        names = Names({name: [["127.0.0.1"]] for name in ("agent.example.com", "other.example.com")})
        guarded = sender(destinations=LOOPBACK_NAMED, resolver=names, ca_file=authority)
        found = await guarded.send(Outgoing(there.url(host="agent.example.com"), {}, b"{}"))
        assert 200 == found.status
        assert f"agent.example.com:{there.port}" == there.received[0].headers["host"]
        found = await guarded.send(Outgoing(there.url(host="other.example.com"), {}, b"{}"))
        assert NO_ANSWER == found.error
        untrusting = sender(destinations=LOOPBACK_NAMED, resolver=names)
        assert NO_ANSWER == (await untrusting.send(Outgoing(there.url(host="agent.example.com"), {}, b""))).error
        assert 1 == len(there.received)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "ftp://127.0.0.1/", "http://user@127.0.0.1/", "nonsense"])
async def test_a_url_that_could_not_have_been_registered_is_not_sent_to(url: str) -> None:
    assert REFUSED == (await send(url)).error


async def test_a_slow_name_server_holds_up_no_other_name() -> None:
    """The lookups have threads of their own, and an attempt ends without waiting for its own."""

    over = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(60)
        return look_up(host, port)

    guarded = sender(resolver=SystemResolver(slow))

    async def took(url: str, ms: int) -> float:
        began = time.monotonic()
        await guarded.send(Outgoing(url, {}, b"", timeout_ms=ms))
        return time.monotonic() - began

    async with receiver() as there:
        dead = [asyncio.create_task(took(there.url(host="localhost"), 300)) for _ in range(20)]
        try:
            assert await took(there.url(), 20_000) < 10
            assert max(await asyncio.gather(*dead)) < 10
        finally:
            over.set()


async def test_what_agents_point_to_is_fetched_through_the_same_guard() -> None:
    async with receiver() as there, receiver() as elsewhere:
        fetcher = GuardedFetcher(GuardedHttp(DEVELOPMENT))
        there.then = answer(200, '{"name":"Ada"}')
        assert b'{"name":"Ada"}' == await fetcher.fetch(
            there.url(), headers={"accept": "application/json"}, limit_bytes=100, timeout=5
        )
        assert ("GET", "application/json") == (there.received[0].method, there.received[0].headers["accept"])
        for behaviour in (answer(404), answer(302, location=elsewhere.url()), answer(200, "x" * 101)):
            there.then = behaviour
            with pytest.raises(FetchFailed):
                await fetcher.fetch(there.url(), headers={}, limit_bytes=100, timeout=5)
        with pytest.raises(FetchFailed):
            await fetcher.fetch("https://10.0.0.1/", headers={}, limit_bytes=100, timeout=5)
        assert 0 == elsewhere.connections
