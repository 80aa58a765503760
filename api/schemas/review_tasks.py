"""Review tasks of the executors' door: the bodies that come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from api.schemas.base import Wire, parse
from api.schemas.cases import MAX_BLOCKS, Block, Id, OpenCase
from api.schemas.shared import Addresses, DefaultAction, GracePeriod, Reminders, RequestedBy, Reviewers, Timeout
from core.destinations import Destinations
from core.errors import InvalidInput
from core.model import Draft
from core.review_tasks import Task
from core.tasks import INTENT, check_options

MAX_OPTIONS = 20
MAX_PATCHES = 200
MAX_REASON = 2_000
ACTIONS = ["approve", "reject"]
KINDS = ("command_template", "mcp_tool_call", "http_request", "custom")
_OF_THE_CASE = (
    "metadata", "timeout", "default_action", "reminder_at", "hitl_callback_url", "notify", "reviewers", "requested_by",
    "grace_period",
)  # fmt: skip

Text = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
RiskLevel = Literal["low", "medium", "high", "critical"]


class Service(Wire):
    id: Name
    name: Text
    icon: Annotated[str, Field(max_length=200)] | None = None


class Action(Wire):
    type: Name
    verb: Text
    icon: Annotated[str, Field(max_length=200)] | None = None


class Reason(Wire):
    id: Name
    label: Text


class Patch(Wire):
    """An operation of RFC 6902 on the content of one block; without a `path` on all of it."""

    block_id: Annotated[str, Field(min_length=1, max_length=100)]
    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Annotated[str, Field(max_length=1000)] | None = None
    from_: str | None = Field(None, alias="from")
    value: Any = None

    def as_json(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"block_id": self.block_id, "op": self.op, "path": self.path or ""}
        if self.op in ("move", "copy"):
            if self.from_ is None:
                raise InvalidInput(f"op {self.op} needs a from")
            found["from"] = self.from_
        elif self.op != "remove":
            if "value" not in given:
                raise InvalidInput(f"op {self.op} needs a value")
            found["value"] = self.value
        return found


class Option(Wire):
    id: Name
    label: Text
    description: Annotated[str, Field(max_length=2000)] | None = None
    patches: Annotated[list[dict[str, Any]], Field(max_length=MAX_PATCHES)] | None = None

    def as_json(self, field: str) -> dict[str, Any]:
        patches = []
        for n, given in enumerate(self.patches or ()):
            place = f"{field}.patches[{n}]"
            try:
                patches.append(parse(Patch, given, within=place).as_json(given))
            except InvalidInput as error:
                message = error.message if "field" in error.details else f"{place}: {error.message}"
                raise InvalidInput(message, field=place) from None
        return {"id": self.id, "label": self.label, "description": self.description, "patches": patches}


class Interaction(Wire):
    type: Literal["edit", "confirm", "choice", "external"]
    guidance: dict[str, Any] | None = None
    options: Annotated[list[Option], Field(min_length=1, max_length=MAX_OPTIONS)] | None = None
    deny_reasons: Annotated[list[Any], Field(max_length=MAX_OPTIONS)] | None = None
    external_url: Annotated[str, Field(max_length=2000)] | None = None
    require_confirmation: bool | None = None

    def as_json(self, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Raises InvalidInput for what does not belong together, and for options that do not fit the blocks."""
        field = "interaction_schema"
        if (self.type == "choice") != (self.options is not None):
            raise InvalidInput(f"{field}.options belong to type choice, and it needs them", field=f"{field}.options")
        if (self.type == "external") != (self.external_url is not None):
            raise InvalidInput(
                f"{field}.external_url belongs to type external, and it needs it", field=f"{field}.external_url"
            )
        if self.external_url is not None:
            _check_link(self.external_url, f"{field}.external_url")
        options = [one.as_json(f"{field}.options[{n}]") for n, one in enumerate(self.options or ())]
        if len({one["id"] for one in options}) != len(options):
            raise InvalidInput(f"{field}.options has two of the same id", field=f"{field}.options")
        check_options(blocks, options, f"{field}.options")
        found: dict[str, Any] = {"type": self.type}
        optional = {
            "guidance": self.guidance,
            "options": options or None,
            "external_url": self.external_url,
            "require_confirmation": self.require_confirmation,
        }
        return found | {name: value for name, value in optional.items() if value is not None}


class NewReviewTask(Wire):
    """`POST /review-tasks`. From `timeout` on: what a task may say because it is a case."""

    source_id: Id
    title: Annotated[str, Field(min_length=1, max_length=200)]
    preview: Annotated[str, Field(max_length=2000)] | None = None
    service: Service
    source_service: Service | None = None
    action: Action
    risk_level: RiskLevel
    risk_warning: Annotated[str, Field(max_length=500)] | None = None
    priority: Literal["LOW", "NORMAL", "HIGH"] | None = None
    interaction_schema: Interaction | None = None
    deny_reasons: Annotated[list[Any], Field(max_length=MAX_OPTIONS)] | None = None
    blocks: Annotated[list[Block], Field(min_length=1, max_length=MAX_BLOCKS)]
    metadata: dict[str, Any] | None = None
    timeout: Timeout | None = None
    default_action: DefaultAction | None = None
    reminder_at: Reminders = None
    hitl_callback_url: str | None = None
    notify: Addresses | None = None
    reviewers: Reviewers | None = None
    requested_by: RequestedBy = None
    grace_period: GracePeriod = None

    def as_draft(self, spec_version: str, destinations: Destinations) -> Draft:
        """The case to open. Raises InvalidInput that names the field."""
        case = {name: value for name in _OF_THE_CASE if (value := getattr(self, name)) is not None}
        choice = self.interaction_schema is not None and self.interaction_schema.type == "choice"
        body = case | {
            "type": "approval",
            "prompt": self.title,
            "actions": ACTIONS,
            # Nobody can choose an option with one button.
            "inline_actions": ["reject"] if choice else ACTIONS,
            "source_id": self.source_id,
            "blocks": [block.model_dump() for block in self.blocks],
        }
        if self.preview:
            body["message"] = self.preview
        draft = parse(OpenCase, body).as_draft(spec_version, destinations)
        for n, block in enumerate(draft.blocks):
            if block["id"] == INTENT:
                _check_intent(block, f"blocks[{n}]")
        return replace(draft, task=self._task(draft.blocks))

    def _task(self, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        schema = self.interaction_schema
        if schema is not None and schema.deny_reasons is not None and self.deny_reasons is not None:
            raise InvalidInput("deny_reasons stands twice; leave out one of them", field="deny_reasons")
        reasons = self.deny_reasons or (schema.deny_reasons if schema else None) or ()
        return {
            "preview": self.preview or None,
            "service": _named(self.service),
            "source_service": None if self.source_service is None else _named(self.source_service),
            "action": self.action.model_dump(exclude_none=True),
            "risk_level": self.risk_level,
            "risk_warning": self.risk_warning or None,
            "priority": self.priority or "NORMAL",
            "interaction_schema": None if schema is None else schema.as_json(blocks),
            "deny_reasons": _reasons(reasons),
        }


class Edited(Wire):
    """One block as the reviewer wants it. What may not be changed may stand there as it is."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    content: Any
    label: str | None = None
    type: str | None = None
    editable: bool | None = None
    render_hints: dict[str, Any] | None = None


class BlockEdits(Wire):
    """`PATCH …/blocks`: all blocks, or those that change."""

    blocks_working: Annotated[list[Edited], Field(min_length=1, max_length=MAX_BLOCKS)] | None = None
    blocks: Annotated[list[Edited], Field(min_length=1, max_length=MAX_BLOCKS)] | None = None

    def contents(self, task: Task) -> dict[str, Any]:
        """What to set, by block id. Raises InvalidInput."""
        if (self.blocks_working is None) == (self.blocks is None):
            raise InvalidInput("blocks_working must list the blocks to change", field="blocks_working")
        name = "blocks" if self.blocks_working is None else "blocks_working"
        known = {block["id"]: block for block in task.case.original}
        found: dict[str, Any] = {}
        for n, edited in enumerate(self.blocks_working or self.blocks or ()):
            field, block = f"{name}[{n}]", known.get(edited.id)
            if block is None or edited.id in found:
                problem = "there is no such block" if block is None else "this block stands twice"
                raise InvalidInput(f"{field}.id: {problem}", field=f"{field}.id")
            for part in ("label", "type", "editable", "render_hints"):
                if getattr(edited, part) not in (None, block[part]):
                    raise InvalidInput(f"{field}.{part} cannot be changed, only content can", field=f"{field}.{part}")
            if block["editable"] or edited.content != block["content"]:
                found[edited.id] = edited.content
        return found


class ReviewDecision(Wire):
    """`POST …/decision`. `option`: what is chosen, where the task has options. `content_digest`: of what was read."""

    decision: Literal["APPROVE", "DENY"]
    reason: Annotated[str, Field(max_length=MAX_REASON)] | None = None
    option: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    content_digest: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    def answer(self, task: Task) -> tuple[str, dict[str, Any]]:
        """The action and the data of the reply. Raises InvalidInput."""
        reason = (self.reason or "").strip()
        schema = (task.case.task or {}).get("interaction_schema") or {}
        if self.decision == "DENY":
            if not reason:
                raise InvalidInput("reason is missing: say why this is denied", field="reason")
            return "reject", {"reason": reason}
        if "options" in schema and self.option is None:
            names = ", ".join(option["id"] for option in schema["options"])
            raise InvalidInput(f"option must be one of {names}", field="option")
        if self.option is not None and self.option not in [one["id"] for one in schema.get("options") or ()]:
            raise InvalidInput("option: this task has no such option", field="option")
        data = {"reason": reason} if reason else {}
        return "approve", data | ({"option": self.option} if self.option else {})


def _named(service: Service) -> dict[str, Any]:
    return service.model_dump(exclude_none=True)


def _reasons(given: Sequence[Any]) -> list[dict[str, Any]]:
    """Reasons with ids; a plain text is its own."""
    found = []
    for n, one in enumerate(given):
        field = f"deny_reasons[{n}]"
        if isinstance(one, dict):
            found.append(parse(Reason, one, within=field).model_dump())
        elif isinstance(one, str) and 1 <= len(one) <= 200:
            found.append({"id": one, "label": one})
        else:
            words = "must be text (up to 200 characters) or an object with id and label"
            raise InvalidInput(f"{field} {words}", field=field)
    if len({one["id"] for one in found}) != len(found):
        raise InvalidInput("deny_reasons has two of the same id", field="deny_reasons")
    return found


def _check_intent(block: Mapping[str, Any], field: str) -> None:
    content = block["content"]
    if block["type"] != "json" or not isinstance(content, dict) or content.get("kind") not in KINDS:
        words = f"{INTENT} is a json block, and its content an object with a kind that is one of {', '.join(KINDS)}"
        raise InvalidInput(f"{field}: {words}", field=f"{field}.content")


def _check_link(url: str, field: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(f"{field} must be a web address", field=field)
