"""Whatever waits for somebody: Slack takes the list of it, its links are there, and what is hidden is admitted. And
whatever is offered as a reason: Slack takes the window.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slack import limits
from adapters.slack.inbox_view import past_list, waiting_list
from adapters.slack.modals import entered, reason_form, recall, remember, told
from adapters.slack.payloads import Place, Tapped, Who
from bot.sandbox.slack.blocks import TOTAL_TEXT, UPDATE_TEXT, BlockCheck, text_length
from core.command_words import DE, EN
from core.inbox import PastPage, Waiting, WaitingPage
from core.model import Case, Identity
from tests.property.test_slack_render import contexts, texts
from tests.support.chats import parsed
from tests.unit.test_slack_render import a_case

LINK = "https://assent.example.com/en/hitl/review/review_aaaaaaaaaaaaaaaaaaaaaa?token=" + "t" * 43
words = st.sampled_from([EN, DE])
cases = st.builds(
    lambda kind, prompt, context, asks: a_case(
        kind,
        content={**a_case(kind).content, "prompt": prompt, "context": context},
        terms={**a_case(kind).terms, "metadata": {"risk_level": "high"}, "ask_reason": asks, "language": "en"},
    ),
    st.sampled_from(["approval", "selection", "escalation", "x-triage"]),
    texts,
    contexts,
    st.booleans(),
)
givers = st.one_of(st.none(), st.builds(lambda name: Identity("slack", "U1", name), texts))


@given(
    waiting=st.lists(st.tuples(cases, givers, st.booleans()), max_size=10),
    more=st.sampled_from([0, 3, 500]),
    words=words,
    note=texts,
)
@settings(max_examples=60, deadline=None)
def test_any_list_is_within_all_limits_and_admits_what_it_hides(
    waiting: list[tuple[Case, Identity | None, bool]], more: int, words: Any, note: str
) -> None:
    items = tuple(Waiting(case, LINK, "c" * 22 if on_slack else None, giver, note) for case, giver, on_slack in waiting)
    page = WaitingPage(items, len(items) + (more if items else 0), None)
    drawing = waiting_list(page, words, note=note, sign_in_url=LINK)

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert text_length(drawing.blocks) <= TOTAL_TEXT
    assert len(json.dumps(drawing.blocks, ensure_ascii=False)) <= limits.MESSAGE
    assert 0 < len(drawing.text) <= UPDATE_TEXT
    assert not set("<>") & set(drawing.text)
    assert {"Answer by"} >= set(parsed(drawing.blocks))
    links = json.dumps(drawing.blocks).count('"assent.review"')
    if links < page.total and links:
        assert words["and_more"].format(page.total - links) in json.dumps(drawing.blocks, ensure_ascii=False)


@given(past=st.lists(cases, max_size=15), words=words)
@settings(max_examples=40, deadline=None)
def test_any_past_is_within_all_limits(past: list[Case], words: Any) -> None:
    closed = tuple(a_case("approval", "decided", content={**case.content, "actions": ["approve"]}) for case in past)
    drawing = past_list(PastPage(closed, "1800000000000.review_" + "a" * 64, "1.b"), words)

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert limits.fits(drawing.blocks)


def test_ten_long_prompts_and_reasons_are_within_all_limits_too() -> None:
    by = {"platform": "slack", "display_name": "Ada"}
    case = a_case(
        "approval",
        "decided",
        content={**a_case("approval").content, "prompt": "word " * 300},
        answered={"by": by, "via": "slack_block_action", "reason": "because " * 250},
    )
    drawing = past_list(PastPage((case,) * 10, "1800000000000.review_" + "a" * 64, "1.b"), EN)

    assert limits.fits(drawing.blocks)
    assert 10 == json.dumps(drawing.blocks).count('"date"')
    assert "because because" in json.dumps(drawing.blocks)


@given(offered=st.lists(st.text(min_size=1, max_size=75), max_size=10), why=texts, words=words)
@settings(max_examples=60, deadline=None)
def test_any_window_is_within_all_limits(offered: list[str], why: str, words: Any) -> None:
    remembered = remember(a_tap(), "secret")
    for view in (reason_form(words, remembered, why=why, offered=tuple(offered)), told(words, why)):
        assert [] == BlockCheck("view").check(view["blocks"])
        assert len(view.get("private_metadata", "")) <= 3_000
        assert all(len(view[name]["text"]) <= 24 for name in ("title", "close", "submit") if name in view)


@given(user=st.text(max_size=12), text=st.text(max_size=80))
def test_only_whoever_opened_a_window_has_what_it_remembers(user: str, text: str) -> None:
    tapped = a_tap()
    remembered = remember(tapped, "secret")

    assert recall(remembered, "U1", "secret") is not None
    assert (user == "U1") is (recall(remembered, user, "secret") is not None)
    assert recall(remembered, "U1", "another secret") is None
    assert recall(text, "U1", "secret") is None
    assert recall(remembered + text, "U1", "secret") is None or not text


@given(
    view=st.recursive(
        st.one_of(st.none(), st.integers(), st.text()),
        lambda inner: st.dictionaries(st.sampled_from(["state", "values", "own", "offered", "reason", "value"]), inner),
    )
)
def test_no_submission_raises(view: Any) -> None:
    reason, problem = entered(view, EN)

    assert bool(reason) is (problem is None)


def a_tap() -> Tapped:
    return Tapped(
        card_id="c" * 22,
        action="reject",
        edition=3,
        who=Who("U1", "ada", "T1", ""),
        place=Place("U1", "C1", "https://hooks.slack.com/actions/T1/1/" + "x" * 24),
        message="1795284000.000100",
        delivery_id="1.2.3",
        tapped_at=1_795_284_000_000,
        asks="en",
        trigger="1.2.3",
    )
