"""What a digest says, in every language."""

from __future__ import annotations

import pytest

from core.digest_words import Digest, digest
from core.words import LANGUAGES


def said(**changes: object) -> Digest:
    given: dict[str, object] = {
        "waiting": 37,
        "settled": 0,
        "a_minute": 20,
        "language": "en",
        "inbox_url": "https://a.b",
    }
    return digest("digest:1", [], **{**given, **changes})  # type: ignore[arg-type]  # the fields of a digest


def test_a_digest_counts_what_waits() -> None:
    assert "37 more questions wait here" == said().title
    assert "1 more question waits here" == said(waiting=1).title
    assert ("They follow at 20 a minute at the most, the most urgent first.",) == said().notes
    assert "1 of them was settled before it could be shown; such cards come last." == said(settled=1).notes[1]
    assert not said().over


def test_a_digest_ends_with_one_sentence() -> None:
    over = said(waiting=0)
    assert ("All questions that waited here are shown.", (), True) == (over.title, over.notes, over.over)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_fills_its_blanks(language: str) -> None:
    for waiting, settled in ((0, 0), (1, 1), (37, 12)):
        found = said(waiting=waiting, settled=settled, language=language)
        assert "{" not in " ".join([found.title, found.urgent, found.inbox, *found.notes])
    assert "37" in said(language=language).title
