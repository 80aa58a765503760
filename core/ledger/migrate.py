"""Bringing a database to the current schema, and asking which one the code wants."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


def migrate(url: str) -> None:
    """Run every migration that is missing. Replicas that start together take turns. Not from within an event loop."""
    command.upgrade(_config(url), "head")


@cache
def current_revision() -> str:
    """The revision that this code was written for."""
    return str(ScriptDirectory.from_config(_config("sqlite://")).get_current_head())
