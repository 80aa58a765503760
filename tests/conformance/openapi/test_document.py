"""A bounded run against our own server, on each database: what `python -m tests.conformance.openapi` does at length."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from tests.conformance.openapi.run import run
from tests.support.process import make_key, serving

EXAMPLES = 4


@pytest.mark.timeout(300)
async def test_every_answer_is_as_the_document_says(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url) as server:
        admin, operator = await make_key(database_url, "admin"), await make_key(database_url, "operator")
        checked = partial(run, server.url, admin, tmp_path, operator_key=operator, examples=EXAMPLES)
        ended = await asyncio.to_thread(checked)
    assert 0 == ended.returncode, f"{ended.stdout}\n{ended.stderr}"
    assert "request.failed" not in server.log
    assert "Tested: " in ended.stdout
