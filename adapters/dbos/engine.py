"""The engine: DBOS in this process, with its tables in a schema of their own beside ours.

What could leave the machine stays off: no OpenTelemetry export, no DBOS Conductor. Where something outside (the
environment of DBOS Cloud) would override the version and executor that are set here, the start is refused.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from adapters.dbos.settings import DbosSettings
from adapters.dbos.workflow import VERSION, plan_approval
from core.errors import Unavailable
from core.run_engine import RunSteps
from core.run_moves import Run
from core.run_signals import Message

log = structlog.get_logger()

SCHEMA = "assent_dbos"
THREADS = 16  # for its statements; a workflow that waits holds none
POOL = 5
STOP_SECONDS = 5.0


def config_of(settings: DbosSettings) -> DBOSConfig:
    return {
        "name": "assent",
        "system_database_url": settings.database_url,
        "dbos_system_schema": SCHEMA,
        "sys_db_pool_size": POOL,
        "max_executor_threads": THREADS,
        "application_version": VERSION,
        "executor_id": settings.executor_id,
        "serializer": DBOSPortableJSONSerializer(),
        "enable_otlp": False,
        "log_level": "WARNING",
    }


class DbosEngine:
    """One per process: DBOS is a singleton."""

    name = "dbos"

    def __init__(self, settings: DbosSettings, steps: RunSteps) -> None:
        self._settings = settings
        self._running: set[asyncio.Task[Any]] = set()
        self._workflow = plan_approval(steps, self._running)
        self._starting = 0
        self._client: DBOSClient | None = None

    async def launch(self) -> None:
        """Create or migrate its tables, and take up what waited. Raises Unavailable."""
        _log_as_we_do()
        try:
            DBOS(config=config_of(self._settings))
            if (pins := (DBOS.application_version, DBOS.executor_id)) != (VERSION, self._settings.executor_id):
                raise RuntimeError(f"the environment of DBOS overrides version and executor: {pins}")
            # Here and not in a thread: DBOS runs its workflows on the loop that it is launched from, as they need.
            DBOS.launch()
            self._client = DBOSClient(
                system_database_url=self._settings.database_url,
                dbos_system_schema=SCHEMA,
                system_database_pool_size=2,
                serializer=DBOSPortableJSONSerializer(),
                application_name="assent",
                retry_connection_errors=False,
                lazy=True,
            )
        except Exception as error:
            raise Unavailable(f"RUN_ENGINE: DBOS could not be started: {type(error).__name__}") from error

    async def stop(self) -> None:
        """Let go of what waits here: it is taken up by the next process of this executor id."""
        logging.getLogger("dbos").setLevel(logging.ERROR)  # it warns of every workflow that is let go of
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        # It has made its own threads the loop's; they end with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        if self._client is not None:
            await asyncio.to_thread(self._client.destroy)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.to_thread(DBOS.destroy)
        except TimeoutError:
            log.warning("engine.cut_off", engine=self.name)

    # --- core.run_worker.Engine

    def has_room(self) -> bool:
        return len(self._running) + self._starting < self._settings.waiters

    async def start(self, run: Run) -> None:
        self._starting += 1
        try:
            with SetWorkflowID(run.workflow_id):
                await DBOS.start_workflow_async(self._workflow, run.workflow_id, str(run.step))
            await asyncio.sleep(0)  # it is among those that run now
        except Exception as error:
            raise Unavailable(f"DBOS did not take the run: {type(error).__name__}") from error
        finally:
            self._starting -= 1

    async def send(self, message: Message) -> None:
        if self._client is None:
            raise Unavailable("DBOS is not started")
        try:
            await self._client.send_async(message.workflow_id, message.body, message.topic, idempotency_key=message.key)
        except Exception as error:
            raise Unavailable(f"DBOS did not take the signal: {type(error).__name__}") from error

    async def forget(self, workflow_id: str) -> None:
        if self._client is None:
            raise Unavailable("DBOS is not started")
        try:
            await self._client.delete_workflows_async([workflow_id])
        except Exception as error:
            raise Unavailable(f"DBOS did not delete the workflow: {type(error).__name__}") from error


def _log_as_we_do() -> None:
    """Its log goes where ours goes, and not to a handler of its own."""
    logger = logging.getLogger("dbos")
    logger.propagate = True
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
