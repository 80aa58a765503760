"""What answers a case, and what the review page reports of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import Exact, Wire, is_custom, parse
from api.schemas.verification import EvidenceList
from core.errors import InvalidInput, MissingAction
from core.model import Identity

VIAS = (
    "telegram_inline_button",
    "slack_block_action",
    "discord_component",
    "whatsapp_reply_button",
    "teams_adaptive_card",
)
PLATFORMS = ("telegram", "slack", "discord", "whatsapp", "teams")
MAX_STEPS = 1_000

Action = Annotated[str, Field(min_length=1, max_length=100)]
Digest = Annotated[str, Field(min_length=1, max_length=100)]
Token = Annotated[str, Field(min_length=1, max_length=200)]


class SubmittedBy(Exact):
    platform: str
    platform_user_id: Annotated[str, Field(min_length=1, max_length=200)]
    display_name: Annotated[str, Field(max_length=200)] | None = None

    def as_identity(self) -> Identity:
        """The person whom the agent's messenger names; nothing here has vouched for it."""
        _known(self.platform, PLATFORMS, "submitted_by.platform")
        if ":" in self.platform:  # it stands between platform and id in the name that a person replies under
            raise InvalidInput("submitted_by.platform must not contain a colon", field="submitted_by.platform")
        return Identity(self.platform, self.platform_user_id, self.display_name or None)


class InlineReply(Exact):
    """The flat form: an agent passes on what somebody tapped."""

    action: Action
    data: dict[str, Any] | None = None
    submitted_via: str
    submitted_by: SubmittedBy
    content_digest: Digest | None = None
    verification_evidence: EvidenceList | None = None


class Result(Wire):
    action: Action
    data: dict[str, Any] | None = None


class PageReply(Wire):
    """What the review page sends. `revision` is the answer that it showed, `blocks` the artifacts that were edited."""

    token: Token
    result: Result
    content_digest: Digest | None = None
    revision: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    blocks: Annotated[dict[str, Any], Field(max_length=100)] | None = None
    verification_evidence: EvidenceList | None = None


class Progress(Wire):
    """How far the form is filled."""

    current_step: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    total_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] | None = None
    completed_fields: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = None
    total_fields: Annotated[int, Field(ge=0, le=MAX_STEPS)] | None = None


class PageReport(Wire):
    token: Token
    progress: Progress | None = None


class Closing(Wire):
    """The review page closes the case without an answer."""

    token: Token
    reason: Annotated[str, Field(max_length=1000)] | None = None
    content_digest: Digest | None = None


class Withdrawal(Wire):
    reason: Annotated[str, Field(max_length=1000)] | None = None


def inline_reply(body: dict[str, Any]) -> InlineReply:
    """Raises MissingAction, InvalidInput."""
    _need_action(body)
    reply = parse(InlineReply, body)
    _known(reply.submitted_via, VIAS, "submitted_via")
    return reply


def posted_reply(body: dict[str, Any]) -> PageReply:
    """Raises MissingAction, InvalidInput."""
    if isinstance(result := body.get("result"), dict):
        _need_action(result)
    return parse(PageReply, body)


def _need_action(value: dict[str, Any]) -> None:
    if value.get("action") in (None, ""):
        raise MissingAction(field="action")


def _known(value: str, known: tuple[str, ...], field: str) -> None:
    if value not in known and not is_custom(value):
        raise InvalidInput(f"{field} must be one of {', '.join(known)} or begin with x-", field=field)
