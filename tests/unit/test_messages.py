"""What a card says: visible, complete or saying that it is not, and never without its buttons."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.digest import canonical, digest
from core.messages import Card, Paragraph, card, fit
from core.model import INLINE_ACTIONS, Case, Policy, actions_of
from core.states import Status
from core.wording import already, moment, outcome, visible
from tests.unit.test_digest import VALUES

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties): what a font shows as nothing at all. The two
# presentation selectors are left out: they choose between a picture and a text form of the character before them.
SHOWN_AS_NOTHING = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)


def ranges(text: str) -> list[int]:
    found: list[int] = []
    for char in text:
        if char == "-":
            found.append(-1)
        elif found and found[-1] == -1:
            found.pop()
            found += range(found[-1] + 1, ord(char) + 1)
        else:
            found.append(ord(char))
    return found


INVISIBLE = frozenset(ranges(SHOWN_AS_NOTHING))
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def hides(char: str) -> bool:
    """Whether a character steers, hides or reorders others instead of being seen."""
    if char in "\n\t":
        return False
    control = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return control or ord(char) in INVISIBLE or unicodedata.bidirectional(char) in BIDI


def case_with(
    context: dict[str, Any] | None = None, *, case_type: str = "approval", status: Status = Status.PENDING, **more: Any
) -> Case:
    content = {
        "type": case_type,
        "prompt": more.pop("prompt", "May this go out?"),
        "message": more.pop("message", None),
        "context": context or {},
        "blocks": more.pop("blocks", []),
        "actions": list(actions_of(case_type)),
    }
    terms = {
        "inline_actions": list(INLINE_ACTIONS.get(case_type, ())),
        "default_action": "skip",
        "requested_by": more.pop("requested_by", None),
    }
    defaults: dict[str, Any] = {
        "case_id": "review_1", "tenant_id": "t", "workflow_id": "review_1", "gate_key": "review", "source_id": None,
        "type": case_type, "status": status, "content": content, "content_digest": digest({}), "terms": terms,
        "policy": Policy(), "created_at": 0, "opened_at": None, "expires_at": 1_771_668_000_000, "closed_at": None,
        "result": None, "answered": None, "previous_case_id": None, "next_case_id": None, "progress": None,
        "version": 1, "last_event": 0,
    }  # fmt: skip
    return Case(**defaults | more)


def drawn(case: Case) -> Card:
    return card(case, card_id="card", version=1, review_url="https://assent.test/review")


def texts(found: Card) -> list[str]:
    lines = [found.title, found.prompt, found.deadline, found.outcome or "", *(b.label for b in found.buttons)]
    lines += [part for fact in found.facts for part in fact]
    return lines + [part for paragraph in found.body for part in (paragraph.text, paragraph.label or "")]


# --- what is invisible ---


def test_a_character_that_hides_is_shown_by_its_number() -> None:
    assert "pay[U+202E]001[U+202C]" == visible("pay\u202e001\u202c")
    for code in {*range(0x20), 0x7F, 0x85, 0x2028, 0x2029, *INVISIBLE} - {0x09, 0x0A}:
        assert f"a[U+{code:04X}]b" == visible(f"a{chr(code)}b")


def test_no_character_of_unicode_hides() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert [] == [f"U+{ord(char):04X}" for char in set(visible(every)) if hides(char)]


@given(ANY_TEXT)
def test_what_is_visible_stays_so(text: str) -> None:
    shown = visible(text)
    assert not any(map(hides, shown))
    assert shown == visible(shown)
    if not any(map(hides, text)):
        assert text == shown


@pytest.mark.parametrize("text", ["Grüße, 世界", "ok\n\tindented", "❤️ 👍🏽", "עברית العربية", "e\u0301"])
def test_honest_text_of_any_language_stays_as_it_is(text: str) -> None:
    assert text == visible(text)


@given(
    st.dictionaries(ANY_TEXT, ANY_TEXT | st.lists(ANY_TEXT) | st.integers(), max_size=5),
    ANY_TEXT,
    ANY_TEXT,
    ANY_TEXT,
    st.sampled_from([Status.PENDING, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED]),
)
def test_nothing_on_a_card_hides(context: dict[str, Any], prompt: str, message: str, name: str, status: Status) -> None:
    case = case_with(
        context,
        prompt=prompt,
        message=message,
        requested_by=name,
        status=status,
        blocks=[{"id": name, "type": "text", "label": name, "content": message}],
        result={"action": "approve", "data": {}} if status is Status.COMPLETED else None,
        answered={"by": {"display_name": name}, "via": "api", "reason": message},
    )
    assert [] == [text for text in texts(drawn(case)) if any(map(hides, text))]


# --- buttons ---


@pytest.mark.parametrize("case_type", [*INLINE_ACTIONS, "selection", "input", "x-custom"])
def test_a_waiting_card_has_exactly_the_buttons_of_its_inline_actions(case_type: str) -> None:
    found = drawn(case_with(case_type=case_type))
    assert INLINE_ACTIONS.get(case_type, ()) == tuple(button.action for button in found.buttons)
    assert found.review_url is not None


@given(
    st.dictionaries(st.text(max_size=20), VALUES | ANY_TEXT, max_size=8), st.text(max_size=500), st.integers(0, 5_000)
)
def test_whatever_the_content_the_card_can_be_drawn_and_keeps_its_buttons(
    context: dict[str, Any], prompt: str, limit: int
) -> None:
    context.pop("form", None)  # checked when the case opens
    found = fit(drawn(case_with(context, prompt=prompt)), limit)
    assert ["approve", "reject"] == [button.action for button in found.buttons]
    assert "https://assent.test/review" == found.review_url


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.EXPIRED, Status.CANCELLED])
def test_a_closed_card_has_no_buttons_and_says_how_it_ended(status: Status) -> None:
    found = drawn(case_with(status=status, result={"action": "approve", "data": {}}, closed_at=1_771_668_000_000))
    assert () == found.buttons
    assert found.outcome


# --- completeness ---


PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)


def shown_whole(value: Any, text: str) -> bool:
    """Whether every word of a JSON value stands somewhere in a card's text."""
    if isinstance(value, dict):
        return all(shown_whole(item, text) for item in value.values())
    if isinstance(value, list):
        return all(shown_whole(item, text) for item in value)
    if isinstance(value, str):
        return visible(value) in text or visible(json.dumps(value, ensure_ascii=False))[1:-1] in text
    return True


WORDS = st.text(st.characters(categories=("Lu", "Ll", "Nd")), max_size=12)
CONTEXTS = st.dictionaries(
    st.sampled_from(["artifact", "items", "total", "note", "_hidden", "Form"]),
    st.recursive(
        WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
    ),
)


@given(CONTEXTS, st.none() | WORDS, WORDS, st.integers(0, 2_000))
def test_a_card_shows_all_of_the_content_or_says_that_it_does_not(
    context: dict[str, Any], message: str | None, content: str, limit: int
) -> None:
    blocks = [{"id": "b1", "type": "text", "content": content}]
    found = fit(drawn(case_with(context, message=message, blocks=blocks)), limit)
    everything = "\n".join(texts(found))
    if found.complete:
        assert shown_whole([context, message, content], everything)


@given(
    st.lists(st.text(PRINTABLE, max_size=300), max_size=10),
    st.integers(0, 1_500),
)
def test_a_body_that_is_cut_is_within_the_limit_and_says_so(paragraphs: list[str], limit: int) -> None:
    whole = replace(drawn(case_with()), body=tuple(Paragraph(text, "label") for text in paragraphs))
    found = fit(whole, limit)
    assert sum(len(part.text) + len(part.label or "") + 2 for part in found.body) <= limit
    assert found.complete is (found.body == whole.body)


def test_options_of_a_list_are_named_by_their_labels() -> None:
    items = [{"id": "a", "label": "First"}, {"id": "b", "title": "Second"}, "third", {"id": "d"}]
    found = drawn(case_with({"items": items}, case_type="selection"))
    assert ["• First", "• Second", "• third", "• d"] == [paragraph.text for paragraph in found.body]


def test_a_list_of_lines_is_a_list_and_any_other_is_shown_as_it_is() -> None:
    case = case_with(context={"change": ["2.13 → 2.14", "5 s → 3 s"], "steps": ["one", "two\n• three"]})
    change, steps = drawn(case).body
    assert ("• 2.13 → 2.14\n• 5 s → 3 s", False) == (change.text, change.code)
    assert steps.code


def test_an_item_that_says_more_than_its_label_makes_the_card_incomplete() -> None:
    assert drawn(case_with({"items": [{"id": "a", "label": "A"}]})).complete
    assert not drawn(case_with({"items": [{"id": "a", "label": "A", "amount": 1_000_000}]})).complete


def test_a_form_makes_the_card_incomplete_because_its_choices_stand_on_the_page() -> None:
    fields = [{"key": "a", "label": "Which account?", "type": "select", "options": [{"value": "1", "label": "Mine"}]}]
    found = drawn(case_with({"form": {"fields": fields}}, case_type="input"))
    assert ["• Which account?"] == [paragraph.text for paragraph in found.body]
    assert not found.complete


@pytest.mark.parametrize("items", [5, "words", None, True, {"a": 1}, 4.5])
def test_items_that_are_no_list_are_shown_like_any_other_value(items: Any) -> None:
    found = drawn(case_with({"items": items}))
    assert any("Items" in text for text in texts(found))


# --- outcomes ---


def closed(action: str, via: str = "slack_block_action", **by: Any) -> Case:
    answered: dict[str, Any] = {"by": {"platform": "slack", "platform_user_id": "U1"} | by, "via": via}
    return case_with(
        status=Status.COMPLETED,
        result={"action": action, "data": {}},
        answered=answered,
        closed_at=1_771_668_000_000,
    )


def test_a_decided_card_names_who_when_and_from_where() -> None:
    assert "Approved by Reviewer One, 21 Feb 2026, 10:00 UTC on Slack" == outcome(
        closed("approve", display_name="Reviewer One")
    )
    assert "Rejected by U1, 21 Feb 2026, 10:00 UTC on the review page" == outcome(closed("reject", "review_page"))
    assert "Confirmed by a holder of the review link, 21 Feb 2026, 10:00 UTC through the API" == outcome(
        closed("confirm", "x-else", platform="link")
    )


def test_an_expired_card_says_that_nothing_was_approved_unless_the_default_approves() -> None:
    expired = case_with(status=Status.EXPIRED, closed_at=1_771_668_000_000)
    assert "nothing was approved" in outcome(expired)
    approving = replace(expired, terms=dict(expired.terms) | {"default_action": "approve"})
    assert "the default applied: approved" in outcome(approving)


def test_a_late_tap_is_told_the_truth() -> None:
    decided = already(closed("approve", display_name="Reviewer One")).text
    assert decided.startswith("This was already decided. Approved by")
    assert already(case_with(status=Status.EXPIRED)).text.startswith("This has expired.")
    assert already(case_with(status=Status.CANCELLED)).text.startswith("This was withdrawn")
    assert "Please look at it again" in already(case_with()).text


def test_the_card_of_a_guarded_operation_leaves_out_what_machines_compare() -> None:
    context = {"operation": "repo.commit", "requested_by": None, "task_digest": "sha256:0", "approval_valid_ms": 1}
    found = case_with(context)
    guarded = drawn(replace(found, terms={**found.terms, "guarded": {"valid_ms": 1, "grant_ms": 0}}))
    assert (("Operation", "repo.commit"),) == guarded.facts
    assert () == guarded.body
    assert len(drawn(found).facts) > 1  # in any other case it is content like all else


def test_times_are_written_for_people() -> None:
    assert "21 Feb 2026, 10:00 UTC" == moment(1_771_668_000_000)


def test_the_digest_on_a_card_is_the_beginning_of_the_cases() -> None:
    found = drawn(case_with(content_digest=digest({"a": 1})))
    assert digest({"a": 1}).removeprefix("sha256:").startswith(found.digest)
    assert 12 == len(found.digest)
    assert canonical({"a": 1})
