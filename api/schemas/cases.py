"""`POST /api/hitl/cases`: the body, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Wire, parse
from api.schemas.shared import (
    Addresses,
    CardLanguage,
    DefaultAction,
    EscalationChain,
    GracePeriod,
    Reminders,
    RequestedBy,
    Reviewers,
    Timeout,
    addresses,
    chain_json,
    grace_ms,
)
from api.schemas.verification import VerificationPolicy
from core.destinations import Destinations
from core.errors import InvalidInput
from core.labels import checked_labels
from core.model import ACTIONS, INLINE_ACTIONS, Draft, Policy, actions_of
from core.policy import default_policy
from core.schedule import DEFAULT_TIMEOUT, iso, parse_instant, parse_timeout
from core.verification import allows_inline

MAX_ACTIONS = 20
MAX_BLOCKS = 100
MAX_REMINDERS = 20
_CUSTOM_TYPE = re.compile(r"x-[a-z0-9-]{1,62}", re.ASCII)
_CASE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_LAST_INSTANT = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write

Id = Annotated[str, Field(min_length=1, max_length=200)]


class Requester(Wire):
    """Who asked, when the agent knows the person by a messenger's id."""

    platform: Annotated[str, Field(min_length=1, max_length=50)]
    platform_user_id: Annotated[str, Field(min_length=1, max_length=150)]
    display_name: Annotated[str, Field(max_length=200)] | None = None


class Block(Wire):
    """One artifact of the content."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    type: Literal["markdown", "plaintext", "json"]
    content: Any
    editable: bool | None = None
    render_hints: dict[str, Any] | None = None


class OpenCase(Wire):
    type: Annotated[
        str, Field(description="`approval`, `selection`, `input`, `confirmation`, `escalation`, or one's own: `x-…`.")
    ]
    prompt: Annotated[str, Field(min_length=1, max_length=500)]
    message: str | None = None
    context: (
        Annotated[
            dict[str, Any],
            Field(description="What is shown: `items` to select from, `form` to fill in, and one's own."),
        ]
        | None
    ) = None
    actions: Annotated[list[str], Field(min_length=1, max_length=MAX_ACTIONS)] | None = None
    labels: (
        Annotated[
            dict[str, str],
            Field(
                max_length=MAX_ACTIONS,
                description="What buttons say instead of the usual, by action: 1 to 30 characters.",
            ),
        ]
        | None
    ) = None
    inline: bool | None = None
    inline_actions: Annotated[list[str], Field(max_length=MAX_ACTIONS)] | None = None
    timeout: Timeout | None = None
    default_action: DefaultAction | None = None
    reminder_at: Reminders = None
    hitl_callback_url: str | None = None
    previous_case_id: str | None = None
    notify: Addresses | None = None
    reviewers: Reviewers | None = None
    requested_by: RequestedBy = None
    source_id: Id | None = None
    blocks: Annotated[list[Block], Field(max_length=MAX_BLOCKS)] | None = None
    grace_period: GracePeriod = None
    metadata: dict[str, Any] | None = None
    spec_version: Literal["0.6", "0.7", "0.8"] | None = None
    language: CardLanguage = None
    verification_policy: VerificationPolicy | None = None
    escalation_chain: EscalationChain | None = None

    def as_draft(self, spec_version: str, destinations: Destinations) -> Draft:
        """The case to open; `spec_version` is the server's own. Raises InvalidInput that names the field."""
        case_type = self.type
        if case_type not in ACTIONS and not _CUSTOM_TYPE.fullmatch(case_type):
            raise InvalidInput(f"type must be one of {', '.join(ACTIONS)} or begin with x-", field="type")
        if self.previous_case_id is not None and not _CASE_ID.fullmatch(self.previous_case_id):
            raise InvalidInput("previous_case_id: there is no such case", field="previous_case_id")
        if self.hitl_callback_url is not None:
            destinations.check_url(self.hitl_callback_url, "hitl_callback_url")
        context = self.context or {}
        if context.get("form", context) is None:
            context = {name: value for name, value in context.items() if name != "form"}
        if case_type == "selection":
            _check_items(context.get("items"))
        actions = _in_order(self.actions, actions_of(case_type), "actions")
        timeout = self.timeout or DEFAULT_TIMEOUT
        verification = self.verification_policy.as_json() if self.verification_policy else None
        return Draft(
            type=case_type,
            prompt=self.prompt,
            message=self.message,
            context=context,
            blocks=blocks_of(self.blocks or ()),
            actions=actions,
            labels=checked_labels(self.labels or {}, actions),
            inline_actions=self._inline_actions(actions) if allows_inline(verification) else (),
            timeout=timeout,
            timeout_ms=parse_timeout(timeout),
            default_action=self.default_action or "skip",
            reminder_at=reminders_of(self.reminder_at, "reminder_at"),
            notify=None if self.notify is None else addresses(self.notify, "notify"),
            policy=self._policy(),
            requested_by=_requester(self.requested_by),
            source_id=self.source_id,
            previous_case_id=self.previous_case_id,
            callback_url=self.hitl_callback_url,
            metadata=self.metadata or {},
            spec_version=self.spec_version or spec_version,
            language=self.language,
            grace_ms=grace_ms(self.grace_period),
            verification_policy=verification,
            escalation_chain=chain_json(self.escalation_chain),
        )

    def _inline_actions(self, actions: tuple[str, ...]) -> tuple[str, ...]:
        allowed = tuple(action for action in INLINE_ACTIONS.get(self.type, ()) if action in actions)
        chosen = allowed
        if self.inline_actions is not None:
            chosen = _in_order(self.inline_actions, allowed, "inline_actions")
        return () if self.inline is False else chosen

    def _policy(self) -> Policy | None:
        return None if self.reviewers is None else self.reviewers.as_policy(default_policy(self.type))


def _in_order(named: Sequence[str] | None, allowed: tuple[str, ...], field: str) -> tuple[str, ...]:
    """What is named, in the type's own order; all of `allowed` when nothing is."""
    if named is None:
        return allowed
    for action in named:
        if action not in allowed:
            choice = ", ".join(allowed) or "nothing, because this case has no action that can be answered inline"
            raise InvalidInput(f"{field} may list {choice}", field=field)
    if len(set(named)) != len(named):
        raise InvalidInput(f"{field} lists an action twice", field=field)
    return tuple(action for action in allowed if action in named)


def _check_items(items: Any) -> None:
    field = "context.items"
    if not isinstance(items, list) or not items:
        raise InvalidInput(f"{field} must list the options of a selection, at least one", field=field)
    seen: set[str] = set()
    for n, item in enumerate(items):
        name = item.get("id") if isinstance(item, dict) else item
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"{field}[{n}] must be text, or an object with an id", field=f"{field}[{n}]")
        if name in seen:
            raise InvalidInput(f"{field}[{n}] has the id of an earlier option", field=f"{field}[{n}]")
        seen.add(name)


def blocks_of(blocks: Sequence[Block]) -> tuple[dict[str, Any], ...]:
    """The artifacts as a case keeps them. Raises InvalidInput."""
    seen: set[str] = set()
    for n, block in enumerate(blocks):
        if block.id in seen:
            raise InvalidInput(f"blocks[{n}].id is the id of an earlier block", field=f"blocks[{n}].id")
        seen.add(block.id)
        if block.type != "json" and not isinstance(block.content, str):
            raise InvalidInput(f"blocks[{n}].content must be text", field=f"blocks[{n}].content")
    return tuple(
        {
            "id": block.id,
            "label": block.label or block.id,
            "type": block.type,
            "content": block.content,
            "editable": bool(block.editable),
            "render_hints": block.render_hints or {},
        }
        for block in blocks
    )


def _requester(value: Any) -> str | None:
    """`slack:U123` or a name; the object form becomes the former."""
    if value is None:
        return None
    if isinstance(value, dict):
        person = parse(Requester, value, within="requested_by")
        return f"{person.platform}:{person.platform_user_id}"
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise InvalidInput(
            "requested_by must be text (up to 200 characters) or an object with platform and platform_user_id",
            field="requested_by",
        )
    return value


def reminders_of(value: Any, field: str) -> tuple[int, ...] | None:
    """The moments of a reminder, in their order; None for the usual ones. Raises InvalidInput."""
    if value is None:
        return None
    texts = value if isinstance(value, list) else [value]
    if len(texts) > MAX_REMINDERS:
        raise InvalidInput(f"{field} may list {MAX_REMINDERS} moments", field=field)
    return tuple(sorted({_instant(text, field) for text in texts}))


def _instant(text: Any, field: str) -> int:
    if not isinstance(text, str):
        raise InvalidInput(f"{field} must list timestamps like 2026-02-21T10:00:00Z", field=field)
    moment = parse_instant(text, field=field)
    if not 0 <= moment <= _LAST_INSTANT:
        raise InvalidInput(f"{field} must lie between {iso(0)} and {iso(_LAST_INSTANT)}", field=field)
    return moment
