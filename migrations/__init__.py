"""Alembic migrations; the schema that they make equals the declared one, and a test says so."""
