"""How cards look on Slack: each type in each state, compared with a drawing that somebody has looked at.

A drawing that is missing in `golden/slack` is written, and the test fails once, so that somebody looks at it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.slack import directory, limits
from adapters.slack.commands import COMMAND
from adapters.slack.digests import draw_digest
from adapters.slack.messenger import SCOPES
from adapters.slack.render import draw, metadata, private, refusal
from bot.sandbox.slack.blocks import BlockCheck
from core.digest_words import digest
from core.messages import Button, Card, Paragraph, card
from core.model import INLINE_ACTIONS, Case, JsonObject, Policy, actions_of
from core.states import Status
from core.wording import already
from tests.support.chats import moments, parsed, texts

MANIFEST = yaml.safe_load((Path(__file__).parents[2] / "manifests" / "slack-app.yaml").read_text())
GOLDEN = Path(__file__).parent / "golden" / "slack"
OPENED, CLOSED, DEADLINE = 1_795_240_800_000, 1_795_244_400_000, 1_795_327_200_000

CONTENTS: dict[str, dict[str, Any]] = {
    "approval": {
        "prompt": "Deploy checkout 2.14.0 to production?",
        "message": "All 412 tests pass. The migration adds one column and takes no lock.",
        "context": {
            "service": "checkout",
            "risk": "high",
            "rehearsed": True,
            "change": ["2.13.4 → 2.14.0", "5 s → 3 s"],
        },
        "blocks": [
            {"id": "plan", "type": "markdown", "label": "Plan", "content": "1. *Drain* one node\n2. Deploy <b>it</b>"}
        ],
    },
    "selection": {
        "prompt": "Which supplier gets the order?",
        "message": None,
        "context": {"items": [{"id": "a", "label": "Supplier A, 14 days"}, {"id": "b", "label": "Supplier B, 9 days"}]},
        "blocks": [],
    },
    "input": {
        "prompt": "What is the cost centre of this trip?",
        "message": "Two are possible.",
        "context": {"form": {"fields": [{"key": "cost_centre", "label": "Cost centre", "type": "text"}]}},
        "blocks": [],
    },
    "confirmation": {
        "prompt": "Send the renewal e-mail to 218 customers?",
        "message": "Subject: Your plan renews on 1 December",
        "context": {"recipients": 218, "sender": "billing@example.com"},
        "blocks": [],
    },
    "escalation": {
        "prompt": "The nightly export failed twice. How shall it go on?",
        "message": "Upload refused: 403 from the storage bucket.",
        "context": {"job": "nightly-export", "attempts": 2},
        "blocks": [],
    },
    "x-triage": {"prompt": "How urgent is this ticket?", "message": None, "context": {"ticket": 4711}, "blocks": []},
}
WAITING: dict[str, Any] = {"waiting": 2, "settled": 0, "a_minute": 20, "language": "en", "inbox_url": "https://a.b"}
LAST = {
    "approval": "approve", "selection": "select", "input": "submit", "confirmation": "cancel", "escalation": "skip",
    "x-triage": "submit",
}  # fmt: skip
STATES = ("waiting", "looked-at", "decided", "expired", "withdrawn")


def a_case(kind: str, state: str = "waiting", **fields: Any) -> Case:
    content: JsonObject = {"type": kind, "actions": list(actions_of(kind)), **CONTENTS[kind]}
    case = Case(
        case_id="review_aaaaaaaaaaaaaaaaaaaaaa",
        tenant_id="tenant",
        workflow_id="review_aaaaaaaaaaaaaaaaaaaaaa",
        gate_key="review",
        source_id=None,
        type=kind,
        status=Status.PENDING,
        content=content,
        content_digest="sha256:0123456789abcdef",
        terms={
            "inline_actions": list(INLINE_ACTIONS.get(kind, ())),
            "requested_by": "Deploy agent",
            "default_action": "skip",
        },
        policy=Policy(),
        created_at=OPENED,
        opened_at=None,
        expires_at=DEADLINE,
        closed_at=None,
        result=None,
        answered=None,
        previous_case_id=None,
        next_case_id=None,
        progress=None,
        version=1,
        last_event=0,
    )
    reviewer = {"platform": "slack", "platform_user_id": "U0REVIEW1", "display_name": "Reviewer One"}
    by = {"by": reviewer, "via": "slack_block_action", "mode": "inline_submit", "reason": "it can wait"}
    changes: dict[str, dict[str, Any]] = {
        "waiting": {},
        "looked-at": {"status": Status.OPENED, "opened_at": CLOSED},
        "decided": {"status": Status.COMPLETED, "closed_at": CLOSED, "result": _result(kind), "answered": by},
        "expired": {"status": Status.EXPIRED, "closed_at": DEADLINE},
        "withdrawn": {"status": Status.CANCELLED, "closed_at": CLOSED, "answered": {"via": "api"}},
    }
    return replace(case, **(changes[state] | fields))


def _result(kind: str) -> JsonObject:
    return {"action": LAST[kind], "data": {}}


def a_card(kind: str, state: str = "waiting", **fields: Any) -> Card:
    url = "http://localhost:8080/en/hitl/review/review_aaaaaaaaaaaaaaaaaaaaaa?token=t"
    link = url if state in ("waiting", "looked-at") else None
    return card(a_case(kind, state, **fields), card_id="cardcardcardcardcard_1", version=1, review_url=link)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_card_looks_as_it_was_approved(kind: str, state: str) -> None:
    drawing = draw(a_card(kind, state))
    drawn = json.dumps({"text": drawing.text, "blocks": drawing.blocks}, ensure_ascii=False, indent=1) + "\n"
    file = GOLDEN / f"{kind}-{state}.json"
    if not file.exists():
        file.write_text(drawn)
        pytest.fail(f"{file.name} is new; look at it, then run again")

    assert file.read_text() == drawn
    assert [] == BlockCheck("message").check(drawing.blocks)


def test_buttons_carry_the_card_and_the_action() -> None:
    actions = draw(a_card("approval")).blocks[-1]

    assert "actions" == actions["type"]
    assert [
        ("assent:approve", "a:cardcardcardcardcard_1:approve", "primary"),
        ("assent:reject", "a:cardcardcardcardcard_1:reject", "danger"),
        ("assent.review", None, None),
    ] == [(one["action_id"], one.get("value"), one.get("style")) for one in actions["elements"]]
    assert actions["elements"][-1]["url"].startswith("http://localhost:8080/")


@pytest.mark.parametrize("kind", ["selection", "input", "x-triage"])
def test_what_needs_a_form_offers_the_link_alone(kind: str) -> None:
    actions = draw(a_card(kind)).blocks[-1]

    assert ["assent.review"] == [one["action_id"] for one in actions["elements"]]


@pytest.mark.parametrize("state", ["decided", "expired", "withdrawn"])
def test_a_closed_card_offers_nothing(state: str) -> None:
    assert "actions" not in {block["type"] for block in draw(a_card("approval", state)).blocks}


def test_a_cut_card_points_to_review_and_a_closed_one_does_not() -> None:
    long = Paragraph("word " * 10_000)
    waiting = draw(replace(a_card("approval"), body=(long,)))
    decided = draw(replace(a_card("approval", "decided"), body=(long,)))

    assert "Open Review to see it all before you answer." in str(waiting.blocks)
    assert "This card does not show everything." in str(decided.blocks)
    assert "Open Review" not in str(decided.blocks)


def test_a_cut_is_admitted_wherever_it_falls() -> None:
    small = a_card("approval")
    for cut in (
        replace(small, prompt="word " * 1_000),
        replace(small, facts=(("Name", "value " * 100),)),
        replace(small, facts=(("Name " * 30, "value"),)),
        replace(small, facts=tuple((f"Fact {number}", "value") for number in range(21))),
        replace(small, body=(Paragraph("word " * 5_000),)),
        replace(small, body=(Paragraph("word", "label " * 30),)),
    ):
        assert "does not show everything" in str(draw(cut).blocks)
    assert "does not show everything" not in str(draw(small).blocks)


def test_a_long_list_of_choices_is_not_a_long_list_of_blocks() -> None:
    choices = tuple(Paragraph(f"• Choice {number}") for number in range(200))
    drawing = draw(replace(a_card("selection"), body=choices))

    assert len(drawing.blocks) < 10
    assert "• Choice 199" in str(drawing.blocks)
    assert "does not show everything" not in str(drawing.blocks)


def test_code_cannot_be_broken_out_of() -> None:
    code = "```\n*bold* <!channel>\n```"
    block = draw(replace(a_card("approval"), body=(Paragraph(code, code=True),))).blocks[-3]

    assert "rich_text_preformatted" == block["elements"][0]["type"]
    assert [{"type": "text", "text": code}] == block["elements"][0]["elements"]


def test_the_summary_is_one_short_line_without_markup() -> None:
    text = draw(replace(a_card("approval"), prompt="Line one\n<!channel> " + "&" * 1_000)).text

    assert "\n" not in text
    assert "<" not in text
    assert text.startswith("Approval needed: Line one &lt;!channel&gt; &amp;")
    assert len(text) <= 2 * limits.SUMMARY


def test_times_on_a_card_are_shown_by_the_clocks_of_whoever_reads() -> None:
    waiting, decided = draw(a_card("approval")), draw(a_card("approval", "decided"))
    (by,) = (one for one in decided.blocks[2]["elements"][0]["elements"] if one["type"] == "date")

    assert [DEADLINE // 1000] == moments(waiting.blocks)
    assert [CLOSED // 1000, DEADLINE // 1000] == moments(decided.blocks)
    assert ("21 Nov 2026, 07:00 UTC", {"bold": True}) == (by["fallback"], by["style"])
    assert "Approved by Reviewer One, 21 Nov 2026, 07:00 UTC on Slack. Reason: it can wait" in texts(decided.blocks)
    assert "Answer by 22 Nov 2026, 06:00 UTC" in texts(waiting.blocks)


def test_what_an_agent_writes_is_no_time() -> None:
    quoted = "Until 22 Nov 2026, 06:00 UTC, or <!date^1^{time}|now>"
    fact, paragraph = (("Until", quoted),), (Paragraph(quoted, quoted),)
    drawing = draw(replace(a_card("approval"), prompt=quoted, facts=fact, body=paragraph))

    assert [DEADLINE // 1000] == moments(drawing.blocks)
    assert ["Answer by"] == parsed(drawing.blocks)
    assert 4 == sum(quoted in text for text in texts(drawing.blocks))


def test_a_reason_that_names_the_same_time_changes_nothing_that_is_told() -> None:
    by = {"platform": "slack", "display_name": "Ada, 21 Nov 2026, 07:00 UTC"}
    answered = {"by": by, "via": "slack_block_action", "reason": "22 Nov 2026, 06:00 UTC " * 80}
    card = a_card("approval", "decided", answered=answered)
    drawing = draw(card)

    assert {CLOSED // 1000, DEADLINE // 1000} == set(moments(drawing.blocks))
    assert 3 == len(moments(drawing.blocks))
    assert limits.fits(drawing.blocks)
    assert limits.cut(card.outcome or "", limits.LINE) in texts(drawing.blocks)


def test_a_late_tap_is_told_when_it_was_decided() -> None:
    drawing = refusal(already(a_case("approval", "decided")))

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert [CLOSED // 1000] == moments(drawing.blocks)
    assert "Approved by Reviewer One, 21 Nov 2026, 07:00 UTC on Slack" in drawing.text
    assert [drawing.text] == texts(drawing.blocks)


def test_a_digest_tells_the_time_behind_each_line() -> None:
    quoted = a_case("approval")
    quoted = replace(quoted, content={**quoted.content, "prompt": "Before 22 Nov 2026, 06:00 UTC?"})
    shown = digest("digest:1", [(quoted, "https://a.b/c"), (a_case("input"), None)], **WAITING)
    drawing = draw_digest(shown)
    first, second = drawing.blocks[0]["elements"][1]["elements"]

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert ["link", "text", "date", "text"] == [one["type"] for one in first["elements"]]
    assert "Approval needed: Before 22 Nov 2026, 06:00 UTC?" == first["elements"][0]["text"]
    assert ["text", "text", "date", "text"] == [one["type"] for one in second["elements"]]


def test_metadata_names_the_card() -> None:
    found = metadata(a_card("approval"))

    assert "assent_card" == found["event_type"]
    assert "cardcardcardcardcard_1" == found["event_payload"]["card_id"]


def test_a_private_answer_is_plain_text() -> None:
    drawing = private("Already decided by <!channel> & others.")

    assert "Already decided by &lt;!channel&gt; &amp; others." == drawing.text
    assert [{"type": "plain_text", "text": "Already decided by <!channel> & others.", "emoji": False}] == [
        block["text"] for block in drawing.blocks
    ]


def test_an_empty_text_is_shown_as_such() -> None:
    drawing = draw(replace(a_card("approval"), prompt=" ", facts=(("", ""),), buttons=(Button("x", ""),)))

    assert [] == BlockCheck("message").check(drawing.blocks)
    assert "(empty)" in str(drawing.blocks)


def test_the_manifest_asks_for_every_permission_that_the_adapter_needs() -> None:
    granted = MANIFEST["oauth_config"]["scopes"]["bot"]

    assert {*SCOPES, *directory.SCOPES, "commands"} <= set(granted)


def test_the_manifest_has_the_command_the_home_tab_and_their_addresses() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]
    settings = MANIFEST["settings"]

    assert (COMMAND, True) == (command["command"], command["should_escape"])
    assert MANIFEST["features"]["app_home"]["home_tab_enabled"]
    heard = ["app_home_opened", "app_uninstalled", "tokens_revoked"]
    assert heard == settings["event_subscriptions"]["bot_events"]
    addresses = [command, settings["event_subscriptions"] | {"url": settings["event_subscriptions"]["request_url"]}]
    assert all(one["url"].endswith("/slack/events") for one in addresses)
    assert settings["interactivity"]["request_url"].endswith("/slack/interactions")
