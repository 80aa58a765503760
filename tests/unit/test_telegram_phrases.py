"""The bot's own words on Telegram: the same in every language, within Telegram's limits."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from adapters.telegram.commands import COMMANDS
from adapters.telegram.phrases import LANGUAGES, phrases
from core.words import SPOKEN

ADAPTER = Path(__file__).resolve().parents[2] / "adapters" / "telegram"


def test_every_language_has_the_same_texts_with_the_same_gaps() -> None:
    assert set(SPOKEN) == set(LANGUAGES)
    english = LANGUAGES["en"]
    for words in LANGUAGES.values():
        assert english.keys() == words.keys()
        for name, text in english.items():
            if isinstance(text, str):
                assert gaps(text) == gaps(words[name]), name


def gaps(text: str) -> list[str | None]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


@pytest.mark.parametrize("language", SPOKEN)
def test_the_commands_are_those_that_are_answered_and_fit_into_telegrams_list(language: str) -> None:
    offered = phrases(language)["commands"]
    assert set(COMMANDS) == set(offered)
    for name, what in offered.items():
        assert re.fullmatch(r"[a-z0-9_]{1,32}", name)
        assert 1 <= len(what) <= 256


def test_every_text_is_said_somewhere() -> None:
    code = "".join(path.read_text() for path in ADAPTER.glob("*.py") if path.name != "phrases.py")
    for name in LANGUAGES["en"]:
        assert f'"{name}"' in code or f"'{name}'" in code, name
