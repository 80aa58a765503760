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


def find() -> str | None:
    """The program to start; None for the one that Playwright brings. Raises NoBrowser when every source fails."""
    if found := _on_this_machine():
        return found
    with Path(tempfile.gettempdir(), "assent-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker installs, the others find it
        if found := _on_this_machine() or _from_debian():
            return found
        if _from_playwright():
            return None
    raise NoBrowser(
        "The tests need Chromium, and none was found. Install it (Debian and Ubuntu: apt-get install chromium; "
        "elsewhere: playwright install chromium)."
    )


def _on_this_machine() -> str | None:
    in_path = (shutil.which(name) for name in _NAMES)
    return next((place for place in (*in_path, *_USUAL_PLACES) if place and os.access(place, os.X_OK)), None)


def _from_debian() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=quiet, capture_output=True, check=False, timeout=_INSTALL_SECONDS)
        if done.returncode != 0:
            return None
    return _on_this_machine()


def _from_playwright() -> bool:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return subprocess.run(command, capture_output=True, check=False, timeout=_INSTALL_SECONDS).returncode == 0


async def _main() -> None:
    try:
        async with chromium() as browser:
            print(f"Chromium {browser.version}")
    except (Error, NoBrowser) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    import asyncio

    asyncio.run(_main())
