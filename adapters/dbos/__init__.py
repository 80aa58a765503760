"""DBOS as the engine of the shipped workflow. Imported by whoever chose it, and by nobody else: it takes a second."""

from adapters.dbos.engine import DbosEngine
from adapters.dbos.settings import DbosSettings

__all__ = ["DbosEngine", "DbosSettings"]
