"""Patience with the database: most tests that ask for much at once are about what becomes of it, not about how soon a
busy machine gets round to it.
"""

from __future__ import annotations

import pytest

from core.ledger import postgres

_OF_THE_PRODUCT = postgres.ACQUIRE_SECONDS


@pytest.fixture(autouse=True)
def patient_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is sent away because all connections are taken for a while. Who would be comes again, as others show."""
    monkeypatch.setattr(postgres, "ACQUIRE_SECONDS", 30.0)


@pytest.fixture
def busy_pool(patient_pool: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a connection is sent away as soon as the product does it."""
    monkeypatch.setattr(postgres, "ACQUIRE_SECONDS", _OF_THE_PRODUCT)
