"""What only the review page does: close a case without an answer, and approve artifacts that the reviewer edited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import AlreadyDecided, CaseCancelled, ContentChanged, InvalidData, InvalidToken, NotAReviewer
from core.model import Opened, Policy
from core.states import Status
from core.wording import outcome
from tests.support.gates import World

BLOCKS = (
    {"id": "mail", "label": "Mail", "type": "markdown", "content": "Dear all\n", "editable": True, "render_hints": {}},
    {"id": "plan", "label": "Plan", "type": "json", "content": {"n": 1}, "editable": True, "render_hints": {}},
    {"id": "law", "label": "Law", "type": "plaintext", "content": "fixed", "editable": False, "render_hints": {}},
)


async def close(here: World, opened: Opened, reason: str | None = "Not mine.", **changes: Any) -> Status:
    token = changes.pop("token", opened.review_token)
    return (await here.gate.close_unanswered(opened.case.case_id, token, reason, **changes)).status


async def test_a_case_can_be_closed_without_an_answer(here: World) -> None:
    opened = await here.open()
    assert Status.CANCELLED is await close(here, opened)
    decision = await here.row("decisions")
    assert ("DENY", "cancelled") == (decision["verdict"], decision["action"])
    row = await here.row("human_interactions")
    assert ("sys:close", "review_page") == (row["topic"], row["via"])
    case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    assert outcome(case).startswith("Closed without an answer by a holder of the review link")
    assert outcome(case).endswith("Reason: Not mine.")
    assert [] == await here.findings()


async def test_closing_it_again_answers_the_same_and_answering_it_is_too_late(here: World) -> None:
    opened = await here.open()
    await close(here, opened)
    assert Status.CANCELLED is await close(here, opened, "Another reason.")
    assert 1 == len(await here.rows("human_interactions"))
    with pytest.raises(CaseCancelled):
        await here.answer(opened, "approve", door="page")


async def test_what_cannot_be_answered_cannot_be_closed(here: World) -> None:
    opened = await here.open()
    with pytest.raises(InvalidToken):
        await close(here, opened, token="not the token")
    with pytest.raises(ContentChanged):
        await close(here, opened, content_digest="sha256:other")
    await here.answer(opened, "approve")
    with pytest.raises(AlreadyDecided):
        await close(here, opened)
    closed = await here.open(policy=Policy(any_of=("slack:U1",)))
    with pytest.raises(NotAReviewer):
        await close(here, closed)


async def test_edited_artifacts_are_what_is_approved(here: World) -> None:
    opened = await here.open(blocks=BLOCKS)
    edits = {"mail": "Dear friends\n", "plan": {"n": 2}}
    await here.answer(opened, "approve", door="page", blocks=edits)
    event = json.loads((await here.row("decision_events"))["body"])
    assert list(BLOCKS) == event["original"]
    assert ["Dear friends\n", {"n": 2}, "fixed"] == [block["content"] for block in event["final"]]
    (text,), (patch,) = event["diff"]["text_diffs"], event["diff"]["json_patches"]
    assert "mail" == text["block_id"]
    assert {"-Dear all", "+Dear friends"} <= set(text["unified_diff"].splitlines())
    assert {"block_id": "plan", "patch": [{"op": "replace", "path": "/n", "value": 2}]} == patch
    assert edits == event["result"]["data"]["edits"]
    assert [] == await here.findings()


async def test_an_edit_that_changes_nothing_is_none(here: World) -> None:
    opened = await here.open(blocks=BLOCKS)
    answered = await here.answer(opened, "approve", door="page", blocks={"mail": "Dear all\n"})
    assert {"action": "approve", "data": {}} == answered.case.result


async def test_what_is_denied_is_not_edited(here: World) -> None:
    opened = await here.open(blocks=BLOCKS)
    await here.answer(opened, "reject", door="page", blocks={"mail": "Dear friends\n"})
    event = json.loads((await here.row("decision_events"))["body"])
    assert event["original"] == event["final"]


@pytest.mark.parametrize(
    ("blocks", "field"), [({"law": "new"}, "block.law"), ({"none": "new"}, "block.none"), ({"mail": 7}, "block.mail")]
)
async def test_only_editable_artifacts_are_edited_and_text_stays_text(
    here: World, blocks: dict[str, object], field: str
) -> None:
    opened = await here.open(blocks=BLOCKS)
    before = await here.truth()
    with pytest.raises(InvalidData) as refused:
        await here.answer(opened, "approve", door="page", blocks=blocks)
    assert [field] == list(refused.value.details["fields"])
    assert before == await here.truth()
