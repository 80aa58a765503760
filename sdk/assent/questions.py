"""What an agent can ask: one class per type of case, with the fields that the HITL Protocol gives it.

A question is a value. `body()` is what is posted: the same question gives the same bytes in every process, because
Assent compares them when a key comes again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Duration = str  # `24h`, `7d`, `PT24H`, `P7D`


class _Model(BaseModel):
    # NaN stays what it is, to be refused; it would be sent as null otherwise
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Block(_Model):
    """One artifact that is shown, and may be edited where it says so. `content`: text, or any JSON for `json`."""

    id: str
    type: Literal["markdown", "plaintext", "json"]
    content: Any
    label: str | None = None
    editable: bool | None = None
    render_hints: dict[str, Any] | None = None


class Reviewers(_Model):
    """Who may decide. `any_of`: `channel`, `link`, `slack:U…`, `telegram:<user id>`."""

    any_of: Sequence[str] | None = None
    quorum: int | None = None
    reject_quorum: int | None = None
    exclude_requester: bool | None = None


class Option(_Model):
    """One choice of a selection; it comes back as its id."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    label: str | None = None
    description: str | None = None


class FormField(_Model):
    """One field of a form. `type`: text, textarea, number, date, email, url, boolean, select, multiselect, range, or
    `x-…`.
    """

    key: str
    label: str
    type: str = "text"
    required: bool | None = None
    placeholder: str | None = None
    hint: str | None = None
    default: Any = None
    default_ref: str | None = None
    sensitive: bool | None = None
    options: Sequence[dict[str, str]] | None = None
    validation: dict[str, Any] | None = None
    conditional: dict[str, Any] | None = None


class FormStep(_Model):
    """One page of a form that has several."""

    title: str
    fields: Sequence[FormField]
    description: str | None = None


class Question(_Model):
    """A case to open, whatever its type. What is left out has the server's default.

    An answer given on the review page may be revised for `grace_period`; `"0s"` makes it final at once. `labels`: what
    buttons say instead of the usual, by action. `language`: of its cards and links.
    """

    type: str
    prompt: Annotated[str, Field(min_length=1, max_length=500)]
    message: str | None = None
    context: dict[str, Any] | None = None
    blocks: Sequence[Block] | None = None
    actions: Sequence[str] | None = None
    labels: dict[str, str] | None = None
    inline: bool | None = None
    inline_actions: Sequence[str] | None = None
    timeout: Duration | None = None
    default_action: Literal["skip", "approve", "reject", "abort"] | None = None
    reminder_at: Sequence[str] | None = None
    callback_url: Annotated[str | None, Field(serialization_alias="hitl_callback_url")] = None
    previous_case_id: str | None = None
    notify: Sequence[str] | None = None
    reviewers: Reviewers | None = None
    requested_by: str | dict[str, str] | None = None
    source_id: str | None = None
    grace_period: Duration | None = None
    metadata: dict[str, Any] | None = None
    verification_policy: dict[str, Any] | None = None
    spec_version: Literal["0.6", "0.7", "0.8"] | None = None
    language: Literal["en", "de"] | None = None

    def body(self) -> bytes:
        """What is posted to open this case. Raises ValueError for what is no JSON (NaN, infinities)."""
        return json.dumps(
            self._wire(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()

    def _wire(self) -> dict[str, Any]:
        found: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return found

    def _with_context(self, taken: Sequence[str], **more: Any) -> dict[str, Any]:
        """The wire form, with fields of this class moved into `context`."""
        found = {name: value for name, value in Question._wire(self).items() if name not in taken}
        more = {name: value for name, value in more.items() if value is not None}
        return found | {"context": {**(self.context or {}), **more}}


class Approval(Question):
    """May this be done? Answers: approve, edit, reject."""

    type: Literal["approval"] = "approval"
    actions: Sequence[Literal["approve", "edit", "reject"]] | None = None


class Selection(Question):
    """Which of these? Answer: select, with `data["selected"]`, a list of ids."""

    type: Literal["selection"] = "selection"
    items: Annotated[Sequence[Option | str], Field(min_length=1)]
    multiple: bool | None = None

    def _wire(self) -> dict[str, Any]:
        items = [
            item if isinstance(item, str) else item.model_dump(mode="json", exclude_none=True) for item in self.items
        ]
        return self._with_context(("items", "multiple"), items=items, multiple=self.multiple)


class Input(Question):
    """Please fill this in. Answer: submit, with the fields' values in `data`. Give either `fields` or `steps`."""

    type: Literal["input"] = "input"
    fields: Sequence[FormField] | None = None
    steps: Sequence[FormStep] | None = None

    def _wire(self) -> dict[str, Any]:
        form = self.model_dump(mode="json", include={"fields", "steps"}, exclude_none=True)
        return self._with_context(("fields", "steps"), form=form or None)


class Confirmation(Question):
    """Shall it go ahead? Answers: confirm, cancel."""

    type: Literal["confirmation"] = "confirmation"
    actions: Sequence[Literal["confirm", "cancel"]] | None = None


class Escalation(Question):
    """Something failed: what now? Answers: retry, skip, abort."""

    type: Literal["escalation"] = "escalation"
    actions: Sequence[Literal["retry", "skip", "abort"]] | None = None


class Custom(Question):
    """A type of your own, answered on the review page. Answer: submit."""

    type: Annotated[str, Field(pattern=r"^x-[a-z0-9-]{1,62}$")]
