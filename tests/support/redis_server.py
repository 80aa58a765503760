"""A Redis for tests: the one that TEST_REDIS_URL names, else a private server without files, ended with its block."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.programs import find, on_this_machine, running


@contextmanager
def a_redis() -> Iterator[str]:
    """Its URL. Raises NoProgram where there is neither Redis nor Valkey."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    password = secrets.token_hex(16)
    program = on_this_machine("valkey-server") or find("redis-server", "redis-server", libraries=True)

    def arguments(port: int) -> list[str]:
        where = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", password]
        return [*where, "--save", "", "--appendonly", "no"]

    def answers(port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\n".encode())
            return connection.recv(16).startswith(b"+OK")

    with running(program, arguments, answers) as port:
        yield f"redis://:{password}@127.0.0.1:{port}/0"
