"""What cases and sources have in common: where cards go, and who may decide."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from api.schemas.base import Wire
from core.chat_terms import MAX_LEVELS, Level, check_chain
from core.errors import InvalidInput
from core.model import Address, Policy
from core.recipients import address, duty, people, reviewer
from core.schedule import DAY, parse_duration
from core.words import Language

MAX_ADDRESSES = 20
MAX_REVIEWERS = 50
MAX_GRACE = DAY

# What is read by hand, in the words of a JSON Schema: null means the same as nothing.
_NULL = {"type": "null"}
_MOMENT = {"type": "string", "format": "date-time"}
GracePeriod = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "integer", "enum": [0]}, _NULL],
            "description": "How long an answer given on the page may be revised: `5m`, at most `24h`.",
        }
    ),
]
RequestedBy = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 200},
                {
                    "type": "object",
                    "properties": {
                        "platform": {"type": "string", "minLength": 1, "maxLength": 50},
                        "platform_user_id": {"type": "string", "minLength": 1, "maxLength": 150},
                        "display_name": {"anyOf": [{"type": "string", "maxLength": 200}, _NULL]},
                    },
                    "required": ["platform", "platform_user_id"],
                    "additionalProperties": False,
                },
                _NULL,
            ],
            "description": "Who asked: a name, `slack:U…`, or who it is on a messenger.",
        }
    ),
]
Reminders = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [_MOMENT, {"type": "array", "items": _MOMENT, "maxItems": 20}, _NULL],
            "description": "When to remind; unless said, 12 hours before the deadline.",
        }
    ),
]
Timeout = Annotated[str, Field(description="A duration such as `24h` or `P7D`, 10 seconds to 30 days; else `24h`.")]
CardLanguage = Annotated[
    Language | None, Field(description="Of cards and of the links to the page; else the source's, else the server's.")
]
DefaultAction = Literal["skip", "approve", "reject", "abort"]
Addresses = Annotated[
    list[str],
    Field(
        max_length=MAX_ADDRESSES,
        description="`slack:C…`, `slack:#<channel name>`, `slack:U…` or `telegram:<chat id>[/<topic id>]`.",
    ),
]


class Reviewers(Wire):
    any_of: Annotated[list[str], Field(min_length=1, max_length=MAX_REVIEWERS)] | None = None
    quorum: Annotated[int, Field(ge=1, le=MAX_REVIEWERS)] | None = None
    reject_quorum: Annotated[int, Field(ge=1, le=MAX_REVIEWERS)] | None = None
    exclude_requester: bool | None = None
    separate_duties: (
        Annotated[
            list[str],
            Field(
                max_length=20,
                description="Whoever answered there may not decide here: `previous` (the case before), `workflow` "
                "(its other gates), `gate:<gate key>` or `case:<case id>`.",
            ),
        ]
        | None
    ) = None

    def as_policy(self, default: Policy) -> Policy:
        """The policy, with `default`'s values for what is left out. Raises InvalidInput."""
        any_of, duties = default.any_of, default.separate_duties
        if self.separate_duties is not None:
            listed = enumerate(self.separate_duties)
            duties = tuple(dict.fromkeys(duty(one, field=f"reviewers.separate_duties[{n}]") for n, one in listed))
        if self.any_of is not None:
            any_of = tuple(
                dict.fromkeys(reviewer(entry, field=f"reviewers.any_of[{n}]") for n, entry in enumerate(self.any_of))
            )
        exclude = default.exclude_requester if self.exclude_requester is None else self.exclude_requester
        return Policy(
            any_of, exclude, self.quorum or default.quorum, self.reject_quorum or default.reject_quorum, duties
        )


class MoreReviewers(Wire):
    any_of: Annotated[list[str], Field(min_length=1, max_length=MAX_REVIEWERS)]


class EscalationLevel(Wire):
    """After so long without an answer: cards in more chats, more people who may decide, and who is called."""

    after: Annotated[str, Field(description="Since the case opened: `30m`, `2h`.")]
    notify: Addresses | None = None
    reviewers: MoreReviewers | None = None
    mention: (
        Annotated[
            list[str],
            Field(max_length=MAX_REVIEWERS, description="`slack:U…`, `slack:S…`, `telegram:…`, `group:<name>`."),
        ]
        | None
    ) = None

    def level(self, field: str) -> Level:
        """Raises InvalidInput."""
        asked = self.reviewers.any_of if self.reviewers else ()
        return Level(
            after_ms=parse_duration(self.after, field=f"{field}.after"),
            notify=addresses(self.notify or [], f"{field}.notify"),
            reviewers=tuple(people(one, field=f"{field}.reviewers.any_of[{n}]") for n, one in enumerate(asked)),
            mention=tuple(people(one, field=f"{field}.mention[{n}]") for n, one in enumerate(self.mention or ())),
        )


EscalationChain = Annotated[
    list[EscalationLevel], Field(max_length=MAX_LEVELS, description="In order, each later than the one before.")
]


def chain_json(levels: list[EscalationLevel] | None) -> tuple[dict[str, Any], ...] | None:
    """An escalation chain as cases and sources keep it. Raises InvalidInput."""
    if levels is None:
        return None
    chain = tuple(level.level(f"escalation_chain[{n}]") for n, level in enumerate(levels))
    check_chain(chain)
    return tuple(level.as_json() for level in chain)


def addresses(texts: list[str], field: str) -> tuple[Address, ...]:
    """The chats that a card shall go to. Raises InvalidInput that names the wrong one."""
    return tuple(address(text, field=f"{field}[{n}]") for n, text in enumerate(texts))


def grace_ms(value: Any) -> int | None:
    """How long an answer given on the page may be revised, in milliseconds. Raises InvalidInput."""
    if value is None:
        return None
    if value == 0 and not isinstance(value, bool):
        return 0
    if not isinstance(value, str):
        raise InvalidInput("grace_period must be a duration like 5m or 0s", field="grace_period")
    duration = parse_duration(value, field="grace_period")
    if duration > MAX_GRACE:
        raise InvalidInput("grace_period may have 24h", field="grace_period")
    return duration
