"""Which server the suite talks to: the one that the options or the environment name, else our own on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conformance.executors.target import Target
from tests.support.postgres import Server, create_database, drop_database

OWN = ("sqlite", "postgresql")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("executors", "conformance of the executors' door")
    group.addoption(
        "--executors-url", help="the server under test (EXECUTORS_URL); default: our own, on both databases"
    )
    group.addoption("--executors-key", help="an admin's key there (EXECUTORS_KEY)")


def _given(config: pytest.Config, name: str) -> str | None:
    # Options of a folder are only known when that folder is what pytest was started for.
    found: str | None = config.getoption(f"--executors-{name}", None) or os.environ.get(f"EXECUTORS_{name.upper()}")
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        servers = ("given",) if _given(metafunc.config, "url") else OWN
        metafunc.parametrize("target", servers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server under test."""
    if request.param == "given":
        url, key = _given(request.config, "url"), _given(request.config, "key")
        if url is None or key is None:
            raise pytest.UsageError("--executors-url needs --executors-key: an admin's key of that server")
        yield from _talking(url, key)
    elif request.param == "sqlite":
        yield from _own(f"sqlite:///{tmp_path_factory.mktemp('executors') / 'assent.db'}")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        database = create_database(server.admin_url)
        try:
            yield from _own(database)
        finally:
            drop_database(server.admin_url, database)


def _own(database_url: str) -> Iterator[Target]:
    from tests.conformance.hitl.own import own_server

    with own_server(database_url) as own:
        yield from _talking(own.url, own.admin_key)


def _talking(url: str, key: str) -> Iterator[Target]:
    found = Target(url, key)
    yield found
    found.close()


@pytest.fixture
def source(target: Target) -> str:
    """A source whose events are pulled, of this test alone."""
    return target.source()
