"""Review tasks: what a case has in its `content["task"]`, how its options change the blocks, and how executors see
where it stands. Pure.

`task` holds `service`, `action`, `risk_level`, `risk_warning`, `priority`, `source_service`, `preview`,
`interaction_schema` and `deny_reasons`, as they were posted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from core.digest import canonical
from core.errors import InvalidData, InvalidInput
from core.jsonpatch import BadPatch, applied
from core.model import Case, JsonObject
from core.schedule import DAY
from core.states import Verdict

ARCHIVED_AFTER = 7 * DAY  # since the first executor had it
INTENT = "execution_intent"  # the id of the block that says what will be carried out; nothing here carries it out


class TaskStatus(StrEnum):
    """Where a review task stands for executors; derived, never stored."""

    PENDING = "PENDING"  # nothing is decided; an answer that may still be revised decides nothing
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    DISPATCHED = "DISPATCHED"  # an executor has it: delivered, acked or claimed
    ARCHIVED = "ARCHIVED"


def status_of(verdict: str | None, dispatched_at: int | None, now: int) -> TaskStatus:
    """`verdict` is that of the decision, None while there is none; `dispatched_at` when the first executor had it."""
    if verdict is None:
        return TaskStatus.PENDING
    if dispatched_at is None:
        return TaskStatus.APPROVED if verdict == Verdict.APPROVE else TaskStatus.DENIED
    return TaskStatus.DISPATCHED if now < dispatched_at + ARCHIVED_AFTER else TaskStatus.ARCHIVED


def options_of(case: Case) -> Sequence[JsonObject]:
    """What an approval of this task must choose from; () when there is nothing to choose."""
    found: Sequence[JsonObject] = ((case.task or {}).get("interaction_schema") or {}).get("options") or ()
    return found


def deny_reasons_of(case: Case) -> Sequence[JsonObject]:
    """Reasons that the page offers beside its buttons: `id` and `label` of each."""
    found: Sequence[JsonObject] = (case.task or {}).get("deny_reasons") or ()
    return found


def with_option(blocks: Sequence[JsonObject], option: JsonObject) -> dict[str, Any]:
    """What the option makes of the blocks, by id, of those that it changes. Raises BadPatch where it does not fit."""
    kinds = {block["id"]: block["type"] for block in blocks}
    contents = {block["id"]: block["content"] for block in blocks}
    was = dict(contents)
    for patch in option.get("patches") or ():
        block_id = patch["block_id"]
        if block_id not in contents:
            raise BadPatch(f"there is no block {block_id!r}")
        contents[block_id] = applied(contents[block_id], [{"path": "", **patch}])
        if kinds[block_id] != "json" and not isinstance(contents[block_id], str):
            raise BadPatch(f"block {block_id!r} is text, and would be none after that")
    return {name: content for name, content in contents.items() if canonical(content) != canonical(was[name])}


def check_options(blocks: Sequence[JsonObject], options: Sequence[JsonObject], field: str) -> None:
    """Raise InvalidInput unless every option can be applied to these blocks."""
    for n, option in enumerate(options):
        try:
            with_option(blocks, option)
        except BadPatch as error:
            raise InvalidInput(f"{field}[{n}].patches cannot be applied: {error.message}", field=field) from None


def chosen_edits(case: Case, edited: JsonObject, data: Mapping[str, Any]) -> dict[str, Any]:
    """What the option that `data` names makes of the case's blocks. Raises InvalidData."""
    name, options = data.get("option"), {option["id"]: option for option in options_of(case)}
    if edited:
        fields = {f"block.{block_id}": "choose an option or edit the blocks, not both" for block_id in edited}
        raise InvalidData("choose an option or edit the blocks, not both", fields=fields)
    if not name:
        raise InvalidData("choose one option", fields={"selected": "choose one option"})
    if not isinstance(name, str) or name not in options:
        raise InvalidData("choose from the options shown", fields={"selected": "choose from the options shown"})
    return with_option(case.content["blocks"], options[name])
