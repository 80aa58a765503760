"""Databases for every test: real SQLite files and a real PostgreSQL, both with the migrated schema.

A test takes `database_url` to run on both, `sqlite_url` or `postgres_url` to run on one. PostgreSQL starts
when the first test asks for it. `-k sqlite` and `-k postgresql` choose one database.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx._transports.default as httpx_transports
import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support import gallery, in_memory
from tests.support.postgres import Run, Server, create_database, drop_database
from tests.support.postgres_recycling import Recycler

# Neither the time that one example takes nor that of making one up says anything on a machine that others use. The
# same examples each time: what a change is held against must not depend on luck.
settings.register_profile(
    "suite", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# `--hypothesis-profile long`: the figures of the reliability claims (tests/property), drawn anew each time.
settings.register_profile(
    "long", settings.get_profile("suite"), max_examples=500, stateful_step_count=50, derandomize=False
)
settings.load_profile("suite")

# Plain tracebacks: drawing a pretty one, with its colours and locals, holds a test's event loop up for seconds.
structlog.configure(
    [
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
# httpcore looks for this package, which nothing here needs, at every new connection; to find nothing takes 1 ms.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # what importlib takes for "it is not there"
# A client that is not told whom to trust reads the world's certificate authorities, which takes 16 ms; once will do.
httpx_transports.create_ssl_context = cache(httpx_transports.create_ssl_context)  # type: ignore[attr-defined]

_RUN = pytest.StashKey[Run]()
_STARTED = time.time()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also what scripts/full alone runs (tests marked `full`)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: runs with --full only, because others like it run in the suite")
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if not worker:
        in_memory.use()
    config.stash[_RUN] = Run(Path(worker["assent_run"])) if worker else Run.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["assent_run"] = str(node.config.stash[_RUN].folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if server := config.stash[_RUN].running_server():
        terminalreporter.write_line(f"PostgreSQL: {server.words}")
    if sheet := gallery.contact_sheet(_STARTED):
        terminalreporter.write_line(f"Pictures of the review page: {sheet}")


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(_RUN, None)
    if run and not hasattr(config, "workerinput"):
        run.end()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Server:
    """The server of this test run, for tests that need databases of their own making."""
    return pytestconfig.stash[_RUN].server()


@pytest.fixture(scope="session")
def _recycler(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[Recycler]:
    from core.ledger import migrate

    recycler = Recycler(postgres_server, pytestconfig.stash[_RUN].template(migrate))
    yield recycler
    recycler.drop()


@pytest.fixture
def postgres_url(_recycler: Recycler) -> Iterator[str]:
    """An empty PostgreSQL database with the migrated schema, the test's own."""
    yield _recycler.take()
    _recycler.give_back()


@pytest.fixture
def new_postgres_urls(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[Callable[[], str]]:
    """Makes PostgreSQL databases that nothing has ever been written to: no old rows, no statistics."""
    from core.ledger import migrate

    made: list[str] = []

    def make() -> str:
        made.append(create_database(postgres_server.admin_url, pytestconfig.stash[_RUN].template(migrate)))
        return made[-1]

    yield make
    for url in made:
        drop_database(postgres_server.admin_url, url)


@pytest.fixture
def new_postgres_url(new_postgres_urls: Callable[[], str]) -> str:
    """One such database."""
    return new_postgres_urls()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.ledger import migrate

    folder = tmp_path_factory.mktemp("sqlite-template")
    migrate(f"sqlite:///{folder / 'assent.db'}")
    return folder


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A new SQLite file with the migrated schema."""
    for file in _sqlite_template.glob("assent.db*"):  # with its WAL, should the migration have left one
        shutil.copy(file, tmp_path)
    return f"sqlite:///{tmp_path / 'assent.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice: on SQLite and on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url
