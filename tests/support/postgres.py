"""A real PostgreSQL for the tests: started once per run, shared by its processes, thrown away at the end.

The server is the one that TEST_DATABASE_URL names, or a private one with programs from `postgres_programs`. A
run that is killed leaves its server behind; the next run on the machine finds and removes it. On a server of
somebody else's, the databases of a killed run remain (their names begin with `assent_test_`).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypedDict
from urllib.parse import urlsplit

import asyncpg
import psutil

from tests.support import postgres_programs
from tests.support.postgres_programs import NoPostgres, Programs

_PREFIX = "assent-tests-"
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 32MB
max_wal_size = 256MB
fsync = on
jit = off
timezone = 'UTC'
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server where tests may create databases. `words` tell people which it is, without the password."""

    admin_url: str
    words: str


class Run:
    """One test run: a folder in which its processes (xdist's controller and workers) find the same server."""

    def __init__(self, folder: Path, alive: IO[str] | None = None) -> None:
        self.folder = folder
        self._alive = alive

    @classmethod
    def begin(cls) -> Run:
        """Called once per run, by the process that outlives the others and calls `end`."""
        place = _place()
        _remove_dead_runs(place)
        making = Path(tempfile.mkdtemp(prefix="assent-making-", dir=place))
        making.chmod(0o711)  # the server's account passes through
        alive = _lock(making / "alive")
        folder = making.rename(making.with_name(making.name.replace("assent-making-", _PREFIX)))
        return cls(folder, alive)

    def end(self) -> None:
        """Stops the server, or on somebody else's removes what the run shared there."""
        with self._alone():
            server, template = self.running_server(), self._template()
            private = any(self.folder.glob("cluster-*"))
            if server and not private and template.exists():
                drop_database(server.admin_url, template.read_text())
            _remove(self.folder)
        if self._alive:
            self._alive.close()

    def server(self) -> Server:
        """The run's server; the first process that asks starts it. Raises NoPostgres."""
        with self._alone():
            if server := self.running_server():
                return server
            server = _named_by_environment() or start(postgres_programs.find(), self.folder)
            _write(self.folder / "server", json.dumps(asdict(server)))
            return server

    def running_server(self) -> Server | None:
        """The server, if a process of this run has asked for it."""
        with suppress(FileNotFoundError):
            return Server(**json.loads((self.folder / "server").read_text()))
        return None

    def template(self, migrate: Callable[[str], None]) -> str:
        """A database (its name) with the schema that `migrate(url)` makes, made once per run and cloned."""
        admin_url = self.server().admin_url
        with self._alone():
            template = self._template()
            if not template.exists():
                url = create_database(admin_url)
                migrate(url)
                # Nobody may connect to it: PostgreSQL refuses to clone a database that somebody uses.
                _execute(admin_url, f'ALTER DATABASE "{_name(url)}" ALLOW_CONNECTIONS false')
                _write(template, _name(url))
            return template.read_text()

    def _template(self) -> Path:
        return self.folder / "template"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process of the run at a time. The lock of a process that dies is released by the kernel."""
        with _lock(self.folder / "mutex"):
            yield


def create_database(admin_url: str, template: str | None = None) -> str:
    """The URL of a new database on the server of `admin_url`: a clone of `template`, or an empty one."""
    name = f"assent_test_{secrets.token_hex(8)}"
    _execute(admin_url, f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    return urlsplit(admin_url)._replace(path=f"/{name}").geturl()


def drop_database(admin_url: str, url_or_name: str) -> None:
    """Drops the database and the connections that a test may have left open."""
    _execute(admin_url, f'DROP DATABASE IF EXISTS "{_name(url_or_name)}" WITH (FORCE)')


def start(programs: Programs, within: Path) -> Server:
    """Starts a private server with its data in a new folder in `within`. Raises NoPostgres with its log."""
    account = _account()
    if account and not _open_to_all(programs.folder):
        programs = postgres_programs.copied(programs, within / "programs")
    cluster = Path(tempfile.mkdtemp(prefix="cluster-", dir=within))
    password = secrets.token_hex(16)
    _write(cluster / "password", password)
    if account:
        for path in (cluster, cluster / "password"):
            os.chown(path, account["user"], account["group"])
    _initialise(programs, cluster, account)
    port = _start_on_a_free_port(programs, cluster, account)
    return Server(f"postgresql://assent:{password}@127.0.0.1:{port}/postgres", f"{programs}, a private server")


def _initialise(programs: Programs, cluster: Path, account: _Account) -> None:
    initdb = [str(programs.folder / "initdb"), f"--pgdata={cluster / 'data'}", "--username=assent"]
    access = ["--auth=scram-sha-256", f"--pwfile={cluster / 'password'}"]
    _run([*initdb, *access, "--encoding=UTF8", "--locale=C", "--no-sync"], account)
    with (cluster / "data" / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)


def _start_on_a_free_port(programs: Programs, cluster: Path, account: _Account) -> int:
    """Tries again when it fails, because somebody may take the port between our look and the server's."""
    pg_ctl = [str(programs.folder / "pg_ctl"), "start", "--wait", "--timeout=30", "--silent"]
    tries = 3
    while True:
        port, tries = _free_port(), tries - 1
        try:
            _run(
                [*pg_ctl, f"--pgdata={cluster / 'data'}", f"--log={cluster / 'log'}", f"--options=-p {port}"],
                account,
            )
            return port
        except NoPostgres as error:
            _stop(cluster)
            if not tries:
                log = cluster / "log"
                raise NoPostgres(f"{error}\n{log.read_text() if log.exists() else ''}") from None


class _Account(TypedDict, total=False):
    """Arguments that make subprocess.run change the user."""

    user: int
    group: int
    extra_groups: list[int]


def _account() -> _Account:
    """Whom the server runs as: PostgreSQL refuses to be root. Empty when we aren't."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL does not run as root, and this machine has neither the user postgres nor nobody.")


def _run(command: list[str], account: _Account) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    # The server inherits what pg_ctl has open, so output goes to a file: the end of a pipe would never come.
    with tempfile.TemporaryFile() as output:
        try:
            subprocess.run(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=True,
                **account,
            )
        except (subprocess.SubprocessError, OSError) as error:
            output.seek(0)
            raise NoPostgres(f"{error}\n{output.read().decode(errors='replace')}") from None


def _stop(cluster: Path) -> None:
    """Ends the server whose data is in `cluster`, at once: the data is thrown away."""
    try:
        pid = int((cluster / "data" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        if not any(str(cluster) in argument for argument in server.cmdline()):
            return  # the pid now belongs to another program
        family = [server, *server.children(recursive=True)]
        server.send_signal(signal.SIGQUIT)
    except (FileNotFoundError, IndexError, psutil.Error):
        return  # it has ended, or was never started
    for process in psutil.wait_procs(family, timeout=10)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)


def _remove(folder: Path) -> None:
    for cluster in folder.glob("cluster-*"):
        _stop(cluster)
    shutil.rmtree(folder)


def _remove_dead_runs(place: Path) -> None:
    """A living run holds the lock on its file `alive`; what nobody holds was left by a killed run."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError, BlockingIOError):  # ended meanwhile, or is alive
            if folder.is_dir() and folder.stat().st_uid == os.geteuid():
                with _lock(folder / "alive", wait=False):
                    _remove(folder)


def _named_by_environment() -> Server | None:
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        return None
    parts = urlsplit(url)
    plain = parts._replace(scheme=parts.scheme.partition("+")[0])
    return Server(plain.geturl(), f"{parts.hostname or 'a server'} as TEST_DATABASE_URL says")


def _place() -> Path:
    """A folder for temporary files that the server's account can reach, too."""
    for path in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp makes what we use
        if os.geteuid() != 0 or _open_to_all(path):
            return path
    raise NoPostgres("Neither TMPDIR, /tmp nor /var/tmp can be entered by other users, which the server needs.")


def _open_to_all(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lock(path: Path, *, wait: bool = True) -> IO[str]:
    """The file, open and locked until it's closed. Without `wait` raises BlockingIOError if it is taken."""
    file = path.open("r+" if not wait else "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        file.close()
        raise
    return file


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all, for our eyes only."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)


def _name(url_or_name: str) -> str:
    return urlsplit(url_or_name).path.lstrip("/")


def _execute(admin_url: str, statement: str) -> None:
    """In a thread of its own, because a test that calls this may be running an event loop."""

    async def run() -> None:
        connection = await asyncpg.connect(admin_url, timeout=30, command_timeout=60)
        try:
            await connection.execute(statement)
        finally:
            await connection.close(timeout=10)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result()
