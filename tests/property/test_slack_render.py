"""Whatever an agent writes: Slack takes the card, its buttons are there, and what is hidden is admitted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.slack import limits
from adapters.slack.render import draw
from bot.sandbox.slack.blocks import TOTAL_TEXT, UPDATE_TEXT, BlockCheck, text_length
from core.model import INLINE_ACTIONS, actions_of
from core.states import Verdict, verdict
from core.wording import visible
from tests.support.chats import parsed
from tests.support.chats import texts as read
from tests.unit.test_slack_render import STATES, a_card

NASTY = ("<!channel>", "```", "*_~`", "&amp;", "\u202e\u200b", "🙂" * 5, "\x00", '"\\', "\n\n", " ", "", "ä")
words = st.one_of(st.text(max_size=40), st.sampled_from(NASTY))
long_words = st.builds(lambda word, times: word * times, words, st.one_of(st.integers(1, 20), st.integers(20, 2_000)))
texts = st.one_of(words, long_words)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(texts, inner, max_size=6)),
    max_leaves=12,
)
contexts = st.one_of(
    st.dictionaries(texts, values, max_size=40),
    st.fixed_dictionaries(
        {"items": st.lists(st.one_of(texts, st.dictionaries(words, texts, max_size=2)), max_size=80)}
    ),
)
blocks = st.lists(
    st.builds(
        lambda kind, label, content: {"id": "part", "type": kind, "label": label, "content": content},
        st.sampled_from(["markdown", "text", "json", "code"]),
        texts,
        values,
    ),
    max_size=30,
)
kinds = st.sampled_from(["approval", "confirmation", "escalation", "selection", "x-custom"])


@st.composite
def cards(draw_: st.DrawFn) -> Any:
    kind, state = draw_(kinds), draw_(st.sampled_from(STATES))
    content = {
        "type": kind,
        "actions": list(actions_of(kind)),
        "prompt": draw_(texts),
        "message": draw_(st.one_of(st.none(), texts)),
        "context": draw_(contexts),
        "blocks": draw_(blocks),
    }
    base = a_card("approval", state)
    fields: dict[str, Any] = {"content": content, "type": kind}
    fields["terms"] = {
        "inline_actions": list(INLINE_ACTIONS.get(kind, ())),
        "requested_by": draw_(st.one_of(st.none(), texts)),
        "default_action": "skip",
    }
    if state == "decided":
        fields["answered"] = {"by": {"platform": "slack", "display_name": draw_(texts)}, "reason": draw_(texts)}
    return replace(a_card("approval", state, **fields), review_url=base.review_url)


@given(card=cards())
def test_any_card_is_within_all_limits_and_keeps_its_buttons(card: Any) -> None:
    drawing = draw(card)

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert text_length(drawing.blocks) <= TOTAL_TEXT
    assert len(json.dumps(drawing.blocks, ensure_ascii=False)) <= limits.MESSAGE
    assert {"Answer by", "Deadline was"} >= set(parsed(drawing.blocks))
    assert 0 < len(drawing.text) <= UPDATE_TEXT
    assert not set("<>\n") & set(drawing.text)
    offered = [one for block in drawing.blocks if block["type"] == "actions" for one in block["elements"]]
    assert [f"a:{card.card_id}:{one.action}" for one in card.buttons] == [
        one["value"] for one in offered if "value" in one
    ]
    assert bool(card.review_url) == any("url" in one for one in offered)


@given(card=cards())
def test_any_card_shows_its_content_whole_or_says_that_it_does_not(card: Any) -> None:
    drawing = draw(card)
    seen = _squeezed("".join(read(drawing.blocks)))
    if "does not show everything" in "".join(read(drawing.blocks[-3:])):
        return
    for paragraph in card.body:
        assert _squeezed(paragraph.text) in seen
    for _, value in card.facts:
        assert _squeezed(value) in seen
    assert _squeezed(card.prompt) in seen


@given(card=cards())
def test_nobody_approves_blindly_what_must_be_seen(card: Any) -> None:
    drawing = draw(replace(card, full_review=True))
    seen = _squeezed("".join(read(drawing.blocks)))
    offered = [one for block in drawing.blocks if block["type"] == "actions" for one in block["elements"]]
    actions = {one["value"].split(":")[2] for one in offered if "value" in one}
    if drawing.whole:
        parts = [card.prompt, *(part for fact in card.facts for part in fact)]
        parts += [part for paragraph in card.body for part in (paragraph.label or "", paragraph.text)]
        assert [] == [part for part in parts if _squeezed(part) not in seen]
        assert "does not show everything" not in "".join(read(drawing.blocks[-3:]))
        assert {button.action for button in card.buttons} == actions
    else:
        assert "does not show everything" in "".join(read(drawing.blocks[-3:]))
        assert {one.action for one in card.buttons if verdict(one.action) is Verdict.DENY} == actions


@given(text=texts, limit=st.integers(10, 500))
def test_a_cut_text_is_short_enough_and_never_empty(text: str, limit: int) -> None:
    cut = limits.cut(visible(text), limit)

    assert limits.size(cut) <= limit
    assert cut.strip()


@given(text=texts, limit=st.integers(10, 500))
def test_pieces_lose_nothing_but_white_space(text: str, limit: int) -> None:
    pieces = list(limits.pieces(visible(text), limit))

    assert all(0 < limits.size(piece) <= limit and piece.strip() for piece in pieces)
    assert _squeezed(visible(text)) == _squeezed("".join(pieces))


def _squeezed(text: str) -> str:
    return "".join(text.split())
