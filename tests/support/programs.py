"""Programs that tests run: this machine's, else out of Debian's packages, which are unpacked beside the other tools of
the checkout. Nothing is installed and no service is started; with the lists of packages there, one need not be root.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

KEPT = Path(sys.prefix) / "debian"  # in .venv, and made anew with it
_FETCH_SECONDS = 300
_START_SECONDS = 20.0
_TRIES = 3
_missing = set[str]()  # packages that could not be fetched; to ask again takes long where there is no network


class NoProgram(Exception):
    """A program is not on this machine and could not be fetched, or does not start. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """`libraries`: folders that it needs beside the system's."""

    path: Path
    libraries: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})}


def find(name: str, package: str, *, libraries: bool = False) -> Program:
    """The program `name` of this machine, else out of Debian's `package`; `libraries`: with those packages, too, that
    it depends on and this machine has not. Raises NoProgram.
    """
    if found := on_this_machine(name) or _kept(name, package):
        return found
    if package not in _missing and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        KEPT.mkdir(exist_ok=True)
        with (KEPT / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one worker fetches, the others find it
            if found := _kept(name, package) or _fetched(name, package, libraries=libraries):
                return found
    _missing.add(package)
    raise NoProgram(f"{name} is not on this machine and could not be fetched (Debian: apt-get install {package})")


def on_this_machine(name: str) -> Program | None:
    path = shutil.which(name)
    return _if_it_runs(Program(Path(path))) if path else None


@contextmanager
def running(
    program: Program, arguments: Callable[[int], Sequence[str]], answers: Callable[[int], bool]
) -> Iterator[int]:
    """A private server on a free port, which is given; killed at the end, for it keeps nothing. `answers`: whether what
    listens at a port is this server, and ready. Raises NoProgram with what it said.
    """
    words = ""
    for _ in range(_TRIES):  # somebody may take the port between our look and the server's
        port = _free_port()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [program.path, *arguments(port)],
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            try:
                if _is_ready(process, port, answers):
                    yield port
                    return
            finally:
                process.kill()
                process.wait(10)
            said.seek(0)
            words = said.read().decode(errors="replace")
    raise NoProgram(f"{program.path} does not start:\n{words}")


def _is_ready(process: subprocess.Popen[bytes], port: int, answers: Callable[[int], bool]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            if answers(port):
                return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kept(name: str, package: str) -> Program | None:
    folder = KEPT / package / "usr"
    return _if_it_runs(Program(folder / "bin" / name, ":".join(map(str, folder.glob("lib/*-linux-gnu")))))


def _if_it_runs(program: Program) -> Program | None:
    try:
        done = subprocess.run(
            [program.path, "--version"], env=program.environment, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return program if done.returncode == 0 else None


def _fetched(name: str, package: str, *, libraries: bool) -> Program | None:
    print(f"{name} is not on this machine; fetching Debian's package {package}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=KEPT) as place:
        try:
            _download(package, Path(place), libraries=libraries)
            for archive in Path(place).glob("*.deb"):
                _run(["dpkg-deb", "--extract", str(archive), f"{place}/tree"])
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"Debian's package could not be fetched: {error}\n{error.output or ''}", file=sys.stderr)
            return None
        shutil.rmtree(KEPT / package, ignore_errors=True)
        Path(place, "tree").rename(KEPT / package)
    return _kept(name, package)


def _download(package: str, place: Path, *, libraries: bool) -> None:
    command = ["apt-get", "-q", "download", package]
    if libraries:
        options = (
            "--yes",
            "--no-install-recommends",
            "-o",
            f"Dir::Cache::archives={place}",
            "-o",
            "Debug::NoLocking=1",
        )
        command = ["apt-get", "-q", "install", "--download-only", *options, package]
        (place / "partial").mkdir()
    try:
        _run(command, place)
    except subprocess.CalledProcessError:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "-q", "update"])  # a new machine has no lists, an old one has outdated ones
        _run(command, place)


def _run(command: list[str], folder: Path | None = None) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_FETCH_SECONDS,
        check=True,
    )
