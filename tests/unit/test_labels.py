"""Words of a case's own on its buttons: shown everywhere, part of what is agreed, and never a lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.digest import digest
from core.errors import InvalidInput
from core.labels import MAX_LABEL, checked_labels
from core.model import ACTIONS, Case, Draft, Policy
from core.opening import content_of
from core.states import Status
from core.wording import already, outcome, tally_words
from core.words import LANGUAGES
from tests.unit.test_messages import case_with, drawn, hides

APPROVAL = ("approve", "edit", "reject")
SHIP_IT = {"approve": "Ship it", "reject": "Hold back"}


def with_labels(labels: dict[str, str], language: str = "en", **changes: object) -> Case:
    case = case_with()
    content = {**case.content, "labels": labels}
    return replace(case, content=content, terms={**case.terms, "language": language}, **changes)  # type: ignore[arg-type]


def decided(action: str, language: str = "en") -> Case:
    by = {"platform": "slack", "platform_user_id": "U1", "display_name": "Ada"}
    return with_labels(
        SHIP_IT,
        language,
        status=Status.COMPLETED,
        result={"action": action, "data": {}},
        answered={"by": by, "via": "slack_block_action"},
        closed_at=1_771_668_000_000,
    )


def test_a_label_is_what_the_button_says_and_the_others_keep_their_words() -> None:
    found = drawn(with_labels({"approve": "Ship it"}))
    assert [("approve", "Ship it", "primary"), ("reject", "Reject", "danger")] == [
        (button.action, button.label, button.style) for button in found.buttons
    ]


def test_the_outcome_says_what_was_decided_and_what_the_button_said() -> None:
    assert "Approved (“Ship it”) by Ada, 21 Feb 2026, 10:00 UTC on Slack" == outcome(decided("approve"))
    assert "Rejected (“Hold back”) by Ada, 21 Feb 2026, 10:00 UTC on Slack" == outcome(decided("reject"))
    assert "Freigegeben („Ship it“) von Ada, 21. Feb. 2026, 10:00 Uhr UTC in Slack" == outcome(decided("approve", "de"))


def test_a_late_tap_is_told_what_was_decided_and_what_the_button_said() -> None:
    assert already(decided("reject")).text.startswith("This was already decided. Rejected (“Hold back”) by Ada")


def test_an_open_quorum_is_told_in_the_words_of_its_buttons() -> None:
    votes = ({"action": "approve", "by": {"display_name": "Ada"}, "at": 1},)
    assert "Approve (“Ship it”) 1 of 2 (Ada)" == tally_words(with_labels(SHIP_IT, votes=votes, policy=Policy(quorum=2)))


def test_labels_are_agreed_to_like_all_that_is_shown_and_cases_without_any_keep_their_digest() -> None:
    plain = Draft("approval", "May this go out?", actions=APPROVAL)
    assert "sha256:a5f0f43b43fddb67edc0bc3e56e5fec425d55704c14e381bb135dd682c56f7d4" == digest(content_of(plain))
    assert SHIP_IT == content_of(replace(plain, labels=SHIP_IT))["labels"]


def test_labels_are_kept_trimmed_and_in_the_order_of_the_actions() -> None:
    found = checked_labels({"reject": "  Hold back ", "approve": "Ship it"}, APPROVAL)
    assert [("approve", "Ship it"), ("reject", "Hold back")] == list(found.items())


@pytest.mark.parametrize("label", ["Los geht’s", "x" * MAX_LABEL, "出荷する", "✅ Go", "1", "Approve", "Freigeben"])
def test_honest_words_of_any_language_are_taken(label: str) -> None:
    assert {"approve": label} == checked_labels({"approve": label}, APPROVAL)


def test_a_denial_may_be_called_by_another_denials_name() -> None:
    assert {"reject": "Cancel"} == checked_labels({"reject": "Cancel"}, APPROVAL)


@pytest.mark.parametrize(
    "label",
    [
        "",
        " ",
        "x" * (MAX_LABEL + 1),
        "a\nb",
        "a\tb",
        "a\x00b",
        "a\u202eb",
        "a\u200bb",
        "ok\u2028now",
        "…",
        "✅",
        "\ud800",
    ],
    ids=ascii,
)
def test_a_label_is_one_short_visible_line(label: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_labels({"approve": label}, APPROVAL)
    assert "labels.approve" == raised.value.details["field"]


@pytest.mark.parametrize(
    ("action", "label"),
    [
        ("approve", "Reject"), ("approve", "reject"), ("approve", "  REJECT! "), ("approve", "Rejected"),
        ("approve", "Ｒｅｊｅｃｔ"), ("approve", "Ablehnen"), ("approve", "abgelehnt"), ("approve", "Abort"),
        ("approve", "Nicht bestätigen"), ("approve", "Ask for changes"), ("approve", "Review"), ("approve", "Prüfen"),
        ("reject", "Approve"), ("reject", "Freigeben"), ("reject", "Confirm"), ("reject", "Skip"), ("reject", "Retry"),
        ("edit", "Approve"), ("edit", "Ablehnen"),
    ],
)  # fmt: skip
def test_no_button_says_what_another_one_does(action: str, label: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_labels({action: label}, APPROVAL)
    assert f"labels.{action}" == raised.value.details["field"]


def test_two_ways_to_go_on_cannot_change_names() -> None:
    with pytest.raises(InvalidInput):
        checked_labels({"retry": "Skip", "skip": "Retry"}, ACTIONS["escalation"])


def test_two_buttons_cannot_say_the_same() -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_labels({"approve": "Go", "reject": "GO!"}, APPROVAL)
    assert "labels" == raised.value.details["field"]


def test_a_label_belongs_to_an_action_of_the_case() -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_labels({"confirm": "Ship it"}, APPROVAL)
    assert "labels may name approve, edit, reject" == raised.value.message


@given(st.dictionaries(st.sampled_from(APPROVAL), st.text(max_size=MAX_LABEL + 2)))
def test_whatever_is_taken_can_be_seen_and_is_no_other_buttons_word(labels: dict[str, str]) -> None:
    try:
        found = checked_labels(labels, APPROVAL)
    except InvalidInput:
        return
    for action, label in found.items():
        assert 1 <= len(label) <= MAX_LABEL
        assert not any(map(hides, label))
        for words in LANGUAGES.values():
            assert label not in [words["actions"][other] for other in APPROVAL if other != action]
