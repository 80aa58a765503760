"""Starts `assent`, and modules of the tests, as processes of their own, without loading all their code anew each time.

A launcher, one for each worker of the tests, has everything loaded and forks itself for each start. The new process has
the arguments, environment and outputs that it was given; it differs from one that a shell started in being ready half a
second of CPU sooner. So what a start takes, and how much memory, is measured with `start` instead.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ASSENT = str(Path(sys.executable).with_name("assent"))
# What `assent serve` comes to load, with messengers and without.
PRELOADED = (
    "bot.cli", "bot.serve", "bot.messengers", "adapters.slack", "adapters.telegram", "adapters.webhook",
    "alembic.command", "uvloop", "httptools", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on",
)  # fmt: skip
_MESSAGE = 1 << 18  # bytes: a command with its environment
_NUMBER = struct.Struct("i")


class Launched:
    """A process, with what `asyncio.subprocess.Process` offers of it."""

    def __init__(
        self, pid: int, report: socket.socket, stdout: asyncio.StreamReader | None, stderr: asyncio.StreamReader | None
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = stdout
        self.stderr = stderr
        self._ending = asyncio.create_task(self._end(report))

    async def wait(self) -> int:
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    async def communicate(self) -> tuple[bytes, bytes]:
        out, err = await asyncio.gather(_rest(self.stdout), _rest(self.stderr))
        await self.wait()
        return out, err

    async def _end(self, report: socket.socket) -> int:
        with report:
            (number,) = _NUMBER.unpack(await asyncio.get_running_loop().sock_recv(report, _NUMBER.size))
        self.returncode = int(number)
        return self.returncode


async def launch(*command: str, environment: Mapping[str, str], stdout: bool = False, stderr: bool = True) -> Launched:
    """Start `command` in the project's folder: `assent …` or `python -m module …`. What it prints can be read where
    asked for, and is dropped elsewhere; its standard input is empty.
    """
    (out, out_end), (err, err_end) = await _pipe(stdout), await _pipe(stderr)
    report, report_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    report.setblocking(False)
    message = json.dumps({"command": command, "environment": dict(environment)}).encode()
    try:
        socket.send_fds(_launcher(), [message], [out_end, err_end, report_end.fileno()])
    finally:
        os.close(out_end)
        os.close(err_end)
        report_end.close()
    (pid,) = _NUMBER.unpack(await asyncio.get_running_loop().sock_recv(report, _NUMBER.size))
    return Launched(pid, report, out, err)


async def start(*command: str, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """The same without a launcher."""
    return await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )


async def _pipe(wanted: bool) -> tuple[asyncio.StreamReader | None, int]:
    """A stream of what comes in at the other end; or none, and nowhere."""
    if not wanted:
        return None, os.open(os.devnull, os.O_WRONLY)
    end, other = os.pipe()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end))
    return reader, other


async def _rest(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream else b""


@cache
def _launcher() -> socket.socket:
    """The connection to this process' launcher, which ends when it is closed."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.launcher", str(its.fileno())],
            cwd=ROOT,
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each command that comes, and tell how each ends. Returns in the new processes, with what each is to do;
    and in the launcher when nobody is there any more to ask.
    """
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}  # by the file descriptor that is readable at a process' end
    while True:
        for key, _ in selector.select():
            if key.fd in running:
                selector.unregister(key.fd)
                pid, report = running.pop(key.fd)
                os.close(key.fd)
                with report, suppress(BrokenPipeError):
                    report.send(_NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                continue
            message, files, _, _ = socket.recv_fds(control, _MESSAGE, 3)
            if not message:
                for pid, _ in running.values():
                    os.kill(pid, signal.SIGKILL)
                return None
            pid = os.fork()
            if not pid:
                selector.close()
                control.close()
                for ending, (_, report) in running.items():
                    os.close(ending)
                    report.close()
                for file, number in zip(files, (1, 2), strict=False):
                    os.dup2(file, number)
                for file in files:
                    os.close(file)
                found: dict[str, Any] = json.loads(message)
                return found
            report = socket.socket(fileno=files.pop())
            for file in files:
                os.close(file)
            report.send(_NUMBER.pack(pid))
            ending = os.pidfd_open(pid)
            running[ending] = pid, report
            selector.register(ending, selectors.EVENT_READ)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if command[0] == ASSENT:
        from bot.cli import main

        sys.argv = command
        main()
    else:
        assert command[:2] == [sys.executable, "-m"], command
        sys.argv = command[2:]
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    if (wanted := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _run(**wanted)
