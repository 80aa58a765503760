"""All SQL of Assent: tables, named statements, and the two engines that run a transaction. Nothing else imports
sqlalchemy.
"""

from core.ledger.engine import Database, Row, Tx, open_database
from core.ledger.migrate import REVISION, migrate
from core.ledger.statements import Statement, Write

__all__ = ["REVISION", "Database", "Row", "Statement", "Tx", "Write", "migrate", "open_database"]
