"""Names to addresses, in threads of its own: a name server that does not answer holds up nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from core.destinations import Address

# A lookup cannot be called off: it goes on when its attempt has ended. So there are more threads than one tenant can
# keep waiting with names whose servers do not answer; a thread is made when it is first needed.
THREADS = 256


class Unresolved(Exception):
    """The name leads nowhere."""


class Resolver(Protocol):
    async def resolve(self, host: str, port: int) -> list[Address]:
        """All addresses of a name, in the order in which to try them. Raises Unresolved."""
        ...


def look_up(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class SystemResolver:
    """`look_up` asks the operating system, and may take its time."""

    def __init__(self, look_up: Callable[[str, int], list[str]] = look_up) -> None:
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(THREADS, "resolver")

    async def resolve(self, host: str, port: int) -> list[Address]:
        if (literal := _literal(host)) is not None:
            return [literal]
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, host, port)
        except (OSError, UnicodeError) as error:
            raise Unresolved(str(error)) from error
        return list(dict.fromkeys(ip_address(address) for address in found))


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
