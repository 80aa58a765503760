"""Commands as people type them, and the words that they are answered with."""

from __future__ import annotations

import re
from contextlib import suppress
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.chat_commands import Away, Command, Link, Misunderstood, Plain, read_command
from core.command_words import DE, EN, command_words
from core.people import LONGEST_AWAY
from core.words import LANGUAGES, Words

NOW = 1_795_284_000_000  # Saturday, 21 Nov 2026, 18:00 UTC
DAY = 86_400_000


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", Plain("waiting")),
        ("  HISTORY ", Plain("history")),
        ("verlauf", Plain("history")),
        ("/whoami", Plain("whoami")),
        ("inbox", Plain("inbox")),
        ("zurück", Plain("back")),
        ("help me", Plain("help")),
        ("link", Link(None)),
        ("link abcd-efgh", Link("ABCDEFGH")),
        ("away until 3d to <@U1|ada>", Away(NOW + 3 * DAY, "<@U1|ada>")),
        ("away until 3d to @Ada Lovelace", Away(NOW + 3 * DAY, "@Ada Lovelace")),
        ("abwesend bis 3d an @ada", Away(NOW + 3 * DAY, "@ada")),
        ("Away  Till 3 days TO @ada", Away(NOW + 3 * DAY, "@ada")),
    ],
)
def test_a_command_is_what_was_meant(typed: str, meant: Command) -> None:
    assert meant == read_command(typed, NOW)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("frobnicate", "unknown_command"),
        ("away", "away_how"),
        ("away friday to @ada", "away_how"),
        ("away until friday", "away_how"),
        ("away until whenever to @ada", "no_moment"),
        ("away until 2020-01-01 to @ada", "moment_past"),
        ("away until 91d to @ada", "moment_far"),
        ("link hunter2", "no_code"),
        ("link ABCDEFG0", "no_code"),
    ],
)
def test_a_command_that_is_none_is_explained_in_every_language(typed: str, reason: str) -> None:
    with pytest.raises(Misunderstood) as raised:
        read_command(typed, NOW)

    assert reason == raised.value.reason
    told = {raised.value.in_words(words) for words in (EN, DE)}
    assert 2 == len(told)
    assert not any("{" in words for words in told)


def test_what_might_be_a_secret_is_not_repeated() -> None:
    with pytest.raises(Misunderstood) as raised:
        read_command("link my-password-1", NOW)

    assert "password" not in raised.value.in_words(EN)


@given(st.text())
def test_whatever_is_typed_is_a_command_or_misunderstood(typed: str) -> None:
    with suppress(Misunderstood):
        read_command(typed, NOW)


@given(st.integers(1, 90))
def test_nobody_is_away_for_longer_than_agreed(days: int) -> None:
    found = read_command(f"away until {days}d to @ada", NOW)

    assert isinstance(found, Away)
    assert found.until <= NOW + LONGEST_AWAY


def test_every_language_of_the_cards_has_the_same_words_with_the_same_gaps() -> None:
    for language in LANGUAGES:
        words = command_words(language)
        assert language == words["lang"]
        assert _gaps(EN) == _gaps(words)


def test_an_unknown_language_is_answered_in_english() -> None:
    assert EN is command_words("tlh")


def _gaps(words: Words, at: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in words.items():
        if isinstance(value, dict):
            found |= _gaps(value, f"{at}{key}.")
        elif isinstance(value, str):
            found[at + key] = sorted(
                set(re.findall(r"\w*", " ".join(name or "" for _, name, _, _ in Formatter().parse(value))))
            )
        else:
            found[at + key] = [line[0] for line in value]
    return found
