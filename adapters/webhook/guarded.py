"""HTTP to an address that somebody else chose.

The name is resolved here, its addresses are judged, and a judged address is the one that is dialled; TLS still checks
the certificate for the name. Nothing is taken from the environment, nothing is followed, no cookie is kept, and no
connection is used twice: one that the receiver has closed meanwhile would cost a delivery half a minute.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from functools import cache

import httpx

from adapters.webhook.exchange import Exchanged, NoAnswer, NotSentTo
from adapters.webhook.resolver import Resolver, SystemResolver
from core.destinations import Address, Destination, Destinations
from core.errors import InvalidInput

USER_AGENT = "Assent"
# Of what is left of the time, for the connection and again for TLS: so that both end by themselves, and close what they
# opened. A handshake that is cancelled from outside would leave its socket behind.
CONNECT_SHARE = 0.45


class GuardedHttp:
    """`ca_file`: certificate authorities (PEM) that are trusted beside the public ones."""

    def __init__(
        self, destinations: Destinations, *, resolver: Resolver | None = None, ca_file: str | None = None
    ) -> None:
        self._destinations = destinations
        self._resolver = resolver if resolver is not None else SystemResolver()
        self._transport = httpx.AsyncHTTPTransport(
            verify=_trust(ca_file),
            trust_env=False,
            # No keeping: a connection to an address was made for one name, and another may lead there too.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, limit: int
    ) -> Exchanged:
        """One request and its answer, over after `seconds` whatever the other side does; up to `limit` bytes of the
        answer are read. Raises NotSentTo, Unresolved, NoAnswer and nothing else.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, url, headers, body, seconds, limit)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NoAnswer(repr(error)) from error
        except InvalidInput as error:
            raise NotSentTo(error.message) from error

    async def close(self) -> None:
        await self._transport.aclose()

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, seconds: float, limit: int
    ) -> Exchanged:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        found = self._destinations.check_url(url, "url")
        addresses = self._judged(await self._resolver.resolve(found.host, found.port), found)
        for n, address in enumerate(addresses, 1):
            left = (deadline - loop.time()) * CONNECT_SHARE / (len(addresses) - n + 1)
            request = _request(method, url, headers, body, address, found, left)
            try:
                response = await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent yet. Where a name has several addresses, one of them may not be reachable from here.
                if n == len(addresses):
                    raise
                continue
            try:
                return await _read(response, limit)
            finally:
                await response.aclose()
        raise AssertionError("there is at least one address")

    def _judged(self, addresses: Iterable[Address], found: Destination) -> list[Address]:
        why = "the name has no address"
        allowed = []
        for address in addresses:
            refusal = self._destinations.refusal(address, found.port, found.scheme)
            if refusal is None:
                allowed.append(address)
            else:
                why = f"{address}: {refusal}"
        if not allowed:
            raise NotSentTo(why)
        return allowed


@cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Read once for all clients of the process: the public authorities alone take 15 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    address: Address,
    found: Destination,
    connect_seconds: float,
) -> httpx.Request:
    """The request to the judged address, under the name's own `Host`, with its certificate checked for the name."""
    named = httpx.URL(url)
    own = {"host": named.netloc.decode(), "user-agent": USER_AGENT, "accept-encoding": "identity"}
    return httpx.Request(
        method,
        named.copy_with(host=str(address)),
        headers=own | dict(headers),
        content=body,
        extensions={
            "sni_hostname": found.host.rstrip("."),
            # The whole exchange has its own end; a dead address leaves time for the next one.
            "timeout": {"connect": connect_seconds, "read": None, "write": None, "pool": None},
        },
    )


async def _read(response: httpx.Response, limit: int) -> Exchanged:
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) > limit:
            break
    return Exchanged(response.status_code, response.headers, bytes(found[:limit]), cut=len(found) > limit)
