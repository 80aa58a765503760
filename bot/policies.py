"""Policies from their files, at the start and again whenever the files change.

A change is taken whole or not at all: files that are wrong leave in force what was, and say so in the log, in
`GET /readyz` and in `GET /policies`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from bot.loops import Loop
from bot.settings import WrongSetting
from bot.yaml_files import read_yaml
from core.guard.holder import Policies
from core.guard.reading import read_policy
from core.guard.rules import PolicySet, Rule
from core.hub import Hub

log = structlog.get_logger()

SHIPPED = Path(__file__).resolve().parents[1] / "manifests" / "policies"
LOOK_SECONDS = 1.0
MAX_FILES = 200

Contents = Mapping[Path, bytes]


def load_policies(folder: str | None) -> Policies:
    """The policies of a folder, the shipped one without one. Raises WrongSetting for a folder without any, and for the
    first file that is not right.
    """
    return Policies(_parse(_contents(_place(folder))), loaded_at=_now())


def _place(folder: str | None) -> Path:
    return Path(folder) if folder else SHIPPED


def _contents(place: Path) -> Contents:
    """What the files hold, as it is now. Raises WrongSetting."""
    try:
        names = sorted(
            one for one in place.iterdir() if one.suffix in (".yaml", ".yml") and not one.name.startswith(".")
        )
        if not names:
            raise WrongSetting(f"POLICIES_DIR: there is no policy (*.yaml) in {place}")
        if len(names) > MAX_FILES:
            raise WrongSetting(f"POLICIES_DIR: there are more than {MAX_FILES} files in {place}")
        return {name: name.read_bytes() for name in names}
    except OSError as error:
        raise WrongSetting(f"POLICIES_DIR: {error.filename or place}: {error.strerror}") from None


def _parse(contents: Contents) -> PolicySet:
    files: dict[str, Path] = {}
    rules: list[Rule] = []
    for file, content in contents.items():
        found = read_yaml(file, read_policy, content)
        name = found[0].policy
        if name in files:
            raise WrongSetting(f"{file}: policy: {files[name].name} is the policy {name} already")
        files[name] = file
        rules += found
    return PolicySet(rules)


def _now() -> int:
    return time.time_ns() // 1_000_000


class Reload:
    """Looks at the files every second and puts what changed in force, once two looks in a row have seen the same: a
    file that is being written may be valid halfway, with fewer rules than it will have.
    """

    def __init__(self, policies: Policies, folder: str | None) -> None:
        self._policies = policies
        self._place = _place(folder)
        self._seen: Contents | str | None = None  # what the last look saw: contents, or why there are none
        self._judged: Contents | str | None = None  # what was last taken, or refused

    def loop(self, hub: Hub) -> Loop:
        return Loop("policies", hub, self.round, every=LOOK_SECONDS)

    async def round(self) -> float:
        # Files may stand on a disk that is slow, and parsing many of them takes a moment.
        await asyncio.to_thread(self.look)
        return LOOK_SECONDS

    def look(self) -> None:
        """One look; takes what has changed."""
        try:
            found: Contents | str = _contents(self._place)
        except WrongSetting as error:
            found = error.message
        settled, self._seen = found == self._seen, found
        if settled and found != self._judged:
            self._judge(found)
            self._judged = found

    def _judge(self, found: Contents | str) -> None:
        try:
            if isinstance(found, str):
                raise WrongSetting(found)
            policies = _parse(found)
        except WrongSetting as error:
            self._policies.problem = error.message
            in_force = self._policies.current.digest
            log.error("policies.wrong", problem=error.message, in_force=in_force)
            return
        was = self._policies.current.digest
        if policies.digest != was:
            self._policies.current = policies
            self._policies.loaded_at = _now()
            log.info(
                "policies.loaded", policies=list(policies.policies), rules=len(policies.rules), digest=policies.digest
            )
        if self._policies.problem is not None:
            log.info("policies.right_again", digest=policies.digest)
        self._policies.problem = None
