"""Logs: where they go."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)
    root.handlers, root.level = handlers, level


def test_logs_go_to_what_standard_error_is_when_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    monkeypatch.setattr("sys.stderr", gone)
    logs.configure("json")
    log = structlog.get_logger()
    log.info("first")
    gone.close()
    there = io.StringIO()
    monkeypatch.setattr("sys.stderr", there)
    log.info("second", case_id="review_1")
    logging.getLogger("elsewhere").warning("third")
    assert '"case_id": "review_1"' in there.getvalue()
    assert "third" in there.getvalue()


def test_what_is_long_is_cut_after_its_secrets_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    there = io.StringIO()
    monkeypatch.setattr("sys.stderr", there)
    logs.configure("json")
    secret = "xoxb-1-" + "s" * 40
    half = "x" * (logs.LONGEST // 2 - 20)
    structlog.get_logger().info("long", chat=f"{half}{secret} {'y' * 1_000_000}end")
    chat = json.loads(there.getvalue())["chat"]
    assert chat.startswith(f"{half}… yyy")
    assert chat.endswith("yyyend")
    assert len(chat) == logs.LONGEST + len(" … ")
