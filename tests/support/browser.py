"""Where the tests' browser comes from: this machine's Chromium, else Debian's package, else Playwright's own.

Never a silent skip: the review page is made for browsers, so their absence is an error.
`python -m tests.support.browser` sees to it before several workers ask at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from playwright.async_api import Browser, Error, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_USUAL_PLACES = ("/usr/bin/chromium", "/usr/lib/chromium/chromium", "/snap/bin/chromium")
# Playwright adds --headless and, as the tests run as root in containers, --no-sandbox. The rest keeps it to our pages.
_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_INSTALL_SECONDS = 600


class NoBrowser(Exception):
    """No Chromium could be found or installed. The message says what to install."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium with a profile of its own, closed at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find(), args=list(_FLAGS), chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()


@cache
def find() -> str | None:
    """The program to start; None for the one that Playwright brings. Raises NoBrowser when every source fails."""
    if found := on_this_machine():
        return found
    with Path(tempfile.gettempdir(), "assent-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker installs, the others find it
        if found := on_this_machine() or from_debian():
            return found
        if from_playwright():
            return None
    raise NoBrowser(
        "The tests need Chromium, and none was found. Install it (Debian and Ubuntu: apt-get install chromium; "
        "elsewhere: .venv/bin/playwright install --with-deps chromium)."
    )


def on_this_machine() -> str | None:
    """A Chromium that runs, in PATH or in one of the usual places; Ubuntu's program of that name may only point to a
    snap.
    """
    in_path = (shutil.which(name) for name in _NAMES)
    return next((place for place in (*in_path, *_USUAL_PLACES) if place and _runs(place)), None)


def from_debian() -> str | None:
    """Debian's package, when we may install it."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Chromium is not installed; installing Debian's package", file=sys.stderr)
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        if not _done("Debian's package", ["apt-get", "-q", *command]):
            return None
    return on_this_machine()


def from_playwright() -> bool:
    """Playwright's own build, downloaded into the user's cache; it brings no system libraries."""
    print("Installing Playwright's own Chromium", file=sys.stderr)
    return _done("Playwright's own Chromium", [sys.executable, "-m", "playwright", "install", "chromium"])


def _runs(place: str) -> bool:
    if not os.access(place, os.X_OK):
        return False
    try:
        return subprocess.run([place, "--version"], capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _done(what: str, command: list[str]) -> bool:
    """Run it; whatever keeps it from succeeding is said."""
    try:
        subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{what} could not be installed: {error}\n{error.output or ''}", file=sys.stderr)
        return False
    return True


async def _main() -> None:
    try:
        async with chromium() as browser:
            print(f"Browser for the tests: Chromium {browser.version} of {find() or 'Playwright'}")
    except NoBrowser as error:
        sys.exit(str(error))
    except Error as error:
        sys.exit(f"Chromium was found ({find() or 'from Playwright'}) but does not start: {error}")


if __name__ == "__main__":
    import asyncio

    asyncio.run(_main())
