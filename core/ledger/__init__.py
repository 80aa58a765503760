"""All SQL of Assent: tables, named statements, and the two engines that run a transaction. Nothing else imports
sqlalchemy.
"""

from core.ledger.databases import open_database
from core.ledger.engine import Body, Database, DuplicateKey, Row, Tx
from core.ledger.migrate import REVISION, migrate
from core.ledger.statements import Statement, Write

__all__ = [
    "REVISION",
    "Body",
    "Database",
    "DuplicateKey",
    "Row",
    "Statement",
    "Tx",
    "Write",
    "migrate",
    "open_database",
]
