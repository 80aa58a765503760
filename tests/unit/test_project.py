"""What must hold for the tree itself: locked, hashed, and tied to no machine and no package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
NOT_OURS = {
    ".git",
    ".venv",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
}
PLACES_OF_A_MACHINE = re.compile(r"/(?:home|root|Users|work)/\w|[A-Z]:\\Users")
PACKAGE_INDEXES = re.compile(r"\b(?:pypi\.|pythonhosted\.|registry\.npmjs\.)(?:org|com)")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    assert [] == re.findall(r".*(?:://|--(?:extra-)?index|--find-links|\bfile:).*", (ROOT / lock).read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_of_a_lock_is_pinned_and_hashed(lock: str) -> None:
    for entry in _entries(lock):
        pin, *hashes = entry.split(" --hash=")
        assert re.fullmatch(r"[\w.-]+==[\w.!+-]+(?: ; .+)?", pin), f"not pinned to one version: {pin}"
        assert hashes, f"without hashes: {pin}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), pin


def test_the_lock_to_run_covers_what_the_project_needs() -> None:
    assert [] == _unmet([*_pyproject()["project"]["dependencies"], *_group("setup")], "requirements.lock")


def test_the_lock_to_test_covers_what_the_project_and_its_tests_need() -> None:
    assert [] == _unmet([*_pyproject()["project"]["dependencies"], *_group("dev")], "requirements-dev.lock")


def test_the_tests_run_with_the_versions_that_the_server_runs_with() -> None:
    tested = _pins("requirements-dev.lock")
    assert {} == {name: pin for name, pin in _pins("requirements.lock").items() if tested.get(name) != pin}


def test_the_tree_names_no_place_of_a_machine_and_no_package_index() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if PLACES_OF_A_MACHINE.search(line) or PACKAGE_INDEXES.search(line)
    ]
    assert [] == found


@cache
def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _group(name: str) -> Iterator[str]:
    for entry in _pyproject()["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _group(entry["include-group"])


def _entries(lock: str) -> list[str]:
    """One line per package: `name==version ; marker --hash=… --hash=…`."""
    joined = re.sub(r" ?\\\n\s+", " ", (ROOT / lock).read_text())
    return [line for line in joined.splitlines() if line]


def _pins(lock: str) -> dict[str, str]:
    pins = (entry.split(" --hash=")[0].split(" ;")[0].strip().split("==") for entry in _entries(lock))
    return {canonicalize_name(name): version for name, version in pins}


def _unmet(needs: list[str], lock: str) -> list[str]:
    pins = _pins(lock)
    requirements = [Requirement(need) for need in needs]
    return [str(r) for r in requirements if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"))]


def _texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree, without what tools made."""
    for path in ROOT.rglob("*"):
        if path.is_file() and not NOT_OURS.intersection(path.relative_to(ROOT).parts):
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue
