"""The words of cards: every language says everything, and says it as its people write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import errors
from core.model import Case, Policy
from core.notice_words import reminder
from core.schedule import DAY, HOUR, MINUTE, SECOND
from core.states import Status
from core.wording import already, moment, outcome, refused, span, tally_words
from core.words import EN, LANGUAGES, SPOKEN, said, words_for
from core.words_de import DE
from tests.unit.test_labels import decided
from tests.unit.test_messages import case_with, drawn

ROOT = Path(__file__).parents[2]
CORE = [path.read_text() for path in sorted((ROOT / "core").glob("*.py"))]
NOW = 1_771_668_000_000


def german(**changes: Any) -> Case:
    case = case_with(**changes)
    return replace(case, terms={**case.terms, "language": "de"})


def test_every_language_says_everything_with_the_same_placeholders() -> None:
    assert set(SPOKEN) == set(LANGUAGES)
    for words in LANGUAGES.values():
        assert _shape(EN) == _shape(words)


def _shape(value: Any) -> Any:
    """Keys and placeholders, without the words."""
    if isinstance(value, str):
        return sorted(re.findall(r"\{\w*\}", value))
    return {key: _shape(one) for key, one in value.items()} if hasattr(value, "items") else type(value)


def test_every_word_is_used() -> None:
    code = [path for top in ("core", "adapters", "api") for path in (ROOT / top).rglob("*.py")]
    sources = "".join(path.read_text() for path in code if not path.name.startswith("words"))
    sources += (ROOT / "core" / "words.py").read_text().split("LANGUAGES", 1)[1]
    known = {str(status) for status in Status}  # looked up by the status
    assert [] == [key for key in EN if f'"{key}"' not in sources and f"'{key}'" not in sources and key not in known]


def test_what_nobody_has_written_is_english() -> None:
    assert EN is words_for("fr")


def test_every_translated_phrase_is_one_that_the_core_says() -> None:
    spoken = {literal for text in CORE for literal in _literals(ast.parse(text))} | set(_defaults())
    for english, _ in DE["said"]:
        assert english in spoken, english


def test_every_refusal_that_whoever_taps_may_meet_is_translated() -> None:
    refusals = [
        _text(call.args[0])
        for text in CORE
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "NotAReviewer"
        and call.args
    ]
    assert len(refusals) >= 3
    for english in (*refusals, *_defaults()):
        assert said(english.replace("{}", "x"), DE) is not None, english


def _defaults() -> Iterator[str]:
    for kind in (errors.ActionNotInline, errors.InvalidToken, errors.NotAReviewer, errors.NotShownWhole):
        yield kind.default_message()
    yield errors.SelfApproval.default_message()


def _literals(tree: ast.AST) -> Iterator[str]:
    """Every text in the code, `{}` for what is filled in."""
    return (_text(node) for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr)))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


# --- in German


def test_dates_and_spans_are_written_as_people_write_them() -> None:
    assert "21. Feb. 2026, 10:00 Uhr UTC" == moment(NOW, DE)
    assert "1. März 2026, 00:05 Uhr UTC" == moment(1_772_323_500_000, DE)
    assert ["2 Tagen", "12 Stunden", "30 Minuten", "45 Sekunden", "1 Sekunde"] == [
        span(ms, DE["within"]) for ms in (2 * DAY, 12 * HOUR, 30 * MINUTE, 45 * SECOND, SECOND)
    ]
    assert "2 Tage" == span(2 * DAY, DE["span"])


def test_a_german_card_is_german_but_for_what_its_agent_wrote() -> None:
    found = drawn(
        german(context={"ready": True, "share": 1.5}, requested_by="Deploy agent", status=Status.OPENED, opened_at=NOW)
    )
    assert ("Freigabe erbeten", "21. Feb. 2026, 10:00 Uhr UTC", "de") == (found.title, found.deadline, found.language)
    assert [
        ("Angefragt von", "Deploy agent"),
        ("Ready", "ja"),
        ("Share", "1,5"),
        ("Stand", "jemand sieht es sich gerade an"),
    ] == list(found.facts)
    assert ["Freigeben", "Ablehnen"] == [button.label for button in found.buttons]


def test_how_a_german_case_ended_is_said_in_german() -> None:
    assert "Abgelehnt („Hold back“) von Ada, 21. Feb. 2026, 10:00 Uhr UTC in Slack" == outcome(decided("reject", "de"))
    link = replace(
        decided("approve", "de"), answered={"by": {"platform": "link"}, "via": "review_page", "reason": "Ja."}
    )
    assert outcome(link).startswith("Freigegeben („Ship it“) von jemandem mit dem Prüf-Link, 21. Feb.")
    assert outcome(link).endswith("auf der Prüfseite. Grund: Ja.")
    expired = german(status=Status.EXPIRED, closed_at=NOW)
    ended = (
        "Ohne Antwort abgelaufen, 21. Feb. 2026, 10:00 Uhr UTC; nichts wurde freigegeben (Voreinstellung: überspringen)"
    )
    assert ended == outcome(expired)
    approving = replace(expired, terms={**expired.terms, "default_action": "approve"})
    assert "nach der Voreinstellung gilt es als freigegeben" in outcome(approving)
    withdrawn = german(status=Status.CANCELLED, closed_at=NOW)
    assert "Zurückgezogen, 21. Feb. 2026, 10:00 Uhr UTC" == outcome(withdrawn)
    assert already(expired).text.startswith("Das ist abgelaufen. Ohne Antwort")
    assert already(withdrawn).text.startswith("Das wurde zurückgezogen, niemand wartet")
    assert already(german()).text.startswith("Diese Karte war veraltet")


def test_a_german_reminder_and_tally() -> None:
    case = german(expires_at=NOW + 12 * HOUR)
    found = reminder(case, NOW, platform="slack", review_url=None)
    assert ("Erinnerung: Freigabe erbeten", "21. Feb. 2026, 22:00 Uhr UTC (in 12 Stunden)", "de") == (
        found.title,
        found.deadline,
        found.language,
    )
    votes = ({"action": "approve", "by": {"platform": "link"}, "at": 1},)
    voted = replace(case, votes=votes, policy=Policy(quorum=2))
    assert "Freigeben: 1 von 2 (jemand mit dem Prüf-Link)" == tally_words(voted)
    assert "Freigeben: 0 von 2" == tally_words(replace(voted, votes=()))


@pytest.mark.parametrize(
    ("english", "own"),
    [
        (
            "you are not one of the reviewers of this case; it can be decided by the members of the channel that the "
            "card was posted to or slack:U1 or the group legal",
            "Sie gehören nicht zu den Prüfenden dieses Falls; entscheiden kann: wer im Kanal ist, in dem die Karte "
            "steht oder slack:U1 oder die Gruppe legal.",
        ),
        (
            "Whoever asked for this cannot be the one who agrees to it.",
            "Wer angefragt hat, kann nicht selbst zustimmen.",
        ),
        ("something new", "Das wurde nicht aufgezeichnet: something new."),
    ],
)
def test_a_refusal_is_in_the_language_of_the_case(english: str, own: str) -> None:
    assert own == refused(english, german())
    assert english[:1].upper() + english[1:].removesuffix(".") + "." == refused(english, case_with())
