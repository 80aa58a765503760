"""Where the tests write: in memory where there is plenty, because every commit waits for the disk otherwise.

Nothing is promised any less: fsync is on, and asked for as often. No test takes the machine's power away.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

PLACE = Path("/dev/shm")  # noqa: S108 - mkdtemp makes what we use
ROOM = 4 << 30  # bytes; the whole suite takes a quarter of it
LEFT = 2 << 30  # of the machine's memory, for everything else


def use() -> None:
    """Put temporary files there, those of processes that this one starts, too. `TMPDIR` names another place."""
    if "TMPDIR" not in os.environ and _is_fit(PLACE):
        os.environ["TMPDIR"] = tempfile.tempdir = str(PLACE)


def _is_fit(place: Path) -> bool:
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return False
    if os.statvfs(place).f_flag & os.ST_NOEXEC:  # PostgreSQL's programs may have to be copied to where its data are
        return False
    return min(shutil.disk_usage(place).free, psutil.virtual_memory().available - LEFT) >= ROOM
