"""The documentation says what the code says."""

from __future__ import annotations

import pytest

from bot.reference import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_made_from_code_is_up_to_date(name: str) -> None:
    assert PAGES[name]() == (DOCS / name).read_text(), "run: python -m bot.reference"
