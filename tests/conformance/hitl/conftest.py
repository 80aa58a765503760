"""Which server the suite talks to: the one that the options or the environment name, else our own on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.hitl.target import Target
from tests.support.postgres import Server, create_database, drop_database

OWN = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hitl", "conformance to the HITL Protocol")
    group.addoption("--hitl-url", help="the server under test (HITL_URL); default: our own, on both databases")
    group.addoption("--hitl-key", help="an agent's key there (HITL_KEY)")
    group.addoption("--hitl-target", help="package.module:Class that knows the server's ways (HITL_TARGET)")
    group.addoption("--hitl-patience", help="the longest that a test may wait for time to pass, in seconds (20)")


def _given(config: pytest.Config, name: str) -> str | None:
    # Options of a folder are only known when that folder is what pytest was started for.
    found: str | None = config.getoption(f"--hitl-{name}", None) or os.environ.get(f"HITL_{name.upper()}")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        servers = ("given",) if _given(metafunc.config, "url") else OWN
        metafunc.parametrize("target", servers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server under test."""
    with _target(request, tmp_path_factory.mktemp("hitl")) as found:
        yield found


@contextmanager
def _target(request: pytest.FixtureRequest, folder: Path) -> Iterator[Target]:
    if request.param == "given":
        found = _named(request.config)
        yield found
        found.close()
        return
    from tests.conformance.hitl.own import own_server

    if request.param == "sqlite":
        with own_server(f"sqlite:///{folder / 'assent.db'}") as own:
            yield own
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = create_database(server.admin_url)
    try:
        with own_server(url) as own:
            yield own
    finally:
        drop_database(server.admin_url, url)


def _named(config: pytest.Config) -> Target:
    url, key = _given(config, "url"), _given(config, "key")
    assert url is not None
    if key is None:
        raise pytest.UsageError("--hitl-url needs --hitl-key: an agent's key of that server")
    kind: Any = Target
    if name := _given(config, "target"):
        module, _, attribute = name.partition(":")
        kind = getattr(import_module(module), attribute)
    found: Target = kind(url, key, float(_given(config, "patience") or 20))
    return found


@pytest.fixture(autouse=True)
def _different_on_purpose(request: pytest.FixtureRequest) -> None:
    """Where our own server's contract differs from what is recommended, the test must fail, and says why."""
    if "target" not in request.fixturenames or request.node.callspec.params["target"] == "given":
        return
    from tests.conformance.hitl.own import DIFFERENT

    name = request.node.originalname
    if name in DIFFERENT:
        request.applymarker(pytest.mark.xfail(reason=DIFFERENT[name], strict=True))
