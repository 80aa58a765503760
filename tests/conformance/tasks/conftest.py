"""Which server the suite talks to: the one that the options or the environment name, else our own on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conformance.tasks.target import Target
from tests.support.postgres import Server, create_database, drop_database

OWN = ("sqlite", "postgresql")
OPTIONS = {
    "url": "the server under test (TASKS_URL); default: our own, on both databases",
    "tenant": "the tenant of the keys there (TASKS_TENANT)",
    "agent-key": "an agent's key there (TASKS_AGENT_KEY)",
    "reviewer-key": "a reviewer's or admin's key there (TASKS_REVIEWER_KEY)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tasks", "conformance of the tasks' door")
    for name, words in OPTIONS.items():
        group.addoption(f"--tasks-{name}", help=words)


def _given(config: pytest.Config, name: str) -> str | None:
    # Options of a folder are only known when that folder is what pytest was started for.
    variable = f"TASKS_{name.upper().replace('-', '_')}"
    found: str | None = config.getoption(f"--tasks-{name}", None) or os.environ.get(variable)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        servers = ("given",) if _given(metafunc.config, "url") else OWN
        metafunc.parametrize("target", servers, indirect=True, scope="session")


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server under test."""
    if request.param == "given":
        given = [found for name in OPTIONS if (found := _given(request.config, name))]
        if len(given) < len(OPTIONS):
            raise pytest.UsageError(f"--tasks-url needs {', '.join(f'--tasks-{name}' for name in OPTIONS)}")
        yield from _talking(*given)
    elif request.param == "sqlite":
        yield from _own(f"sqlite:///{tmp_path_factory.mktemp('tasks') / 'assent.db'}")
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
        admin = {"Authorization": f"Bearer {own.admin_key}"}
        tenant = own.anyone.get("/admin/tenant", headers=admin).raise_for_status().json()["tenant_id"]
        agent_key = own.agent.headers["Authorization"].removeprefix("Bearer ")
        yield from _talking(own.url, tenant, agent_key, own.admin_key)


def _talking(url: str, tenant: str, agent_key: str, reviewer_key: str) -> Iterator[Target]:
    found = Target(url, tenant, agent_key, reviewer_key)
    yield found
    found.close()
