"""Somebody's answer to a case, as the doors hand it to the gate, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.errors import InvalidInput
from core.model import Case, Identity, JsonObject, Origin
from core.verification import Evidence, Presented


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody's answer to a case, as a door understood it.

    `door` says which kind of token `token` must be: `inline` answers with a submit token, `page` with the review token;
    `api` answers with an API key instead, whose tenant is `tenant_id`. `edition` is that of the blocks that the replier
    was shown (None: not said).
    `shown_whole`: whether that was all of it (None: not known, and so as good as not).
    `via` is the contract's submitted_via, or `review_page`. `in_channel` says that the door saw the replier in a
    channel where the card stands. `delivery_id` is the platform's own id of this delivery: the same one twice is a
    redelivery, not a second tap. `revision` is the answer that the page showed when this one was given (None: not
    said), `blocks` the artifacts that the reviewer edited, by id.
    """

    case_id: str
    door: Literal["inline", "page", "api"]
    token: str
    action: str
    data: JsonObject
    identity: Identity
    via: str
    origin: Origin
    in_channel: bool = False
    content_digest: str | None = None
    delivery_id: str | None = None
    revision: int | None = None
    blocks: JsonObject = field(default_factory=dict)
    edition: int | None = None
    shown_whole: bool | None = None
    tenant_id: str | None = None
    dedupe_key: str | None = None  # as the caller derived it; None: from the replier
    problem: InvalidInput | None = None  # what is wrong with it, judged once repetitions are known
    evidence: tuple[Evidence, ...] = ()  # proofs as they came; nothing keeps them
    presented: tuple[Presented, ...] = ()  # what was found in them, before the transaction
    memberships: Mapping[str, frozenset[str]] | None = None  # by address: a messenger's user groups; None: not asked


HOLDER = Identity(platform="link", user_id="holder")  # whoever holds the review link: one person
REVIEW_PAGE = "review_page"


def page_reply(
    case_id: str,
    token: str,
    action: str,
    data: JsonObject,
    content_digest: str | None,
    *,
    identity: Identity = HOLDER,
    revision: int | None = None,
    blocks: JsonObject | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> Reply:
    """An answer given on the review page, whichever way the page sent it. `identity`: of whoever is signed in there."""
    return Reply(
        case_id=case_id,
        door="page",
        token=token,
        action=action,
        data=data,
        identity=identity,
        via=REVIEW_PAGE,
        origin=Origin.MANUAL,
        content_digest=content_digest,
        revision=revision,
        blocks=blocks or {},
        evidence=evidence,
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an accepted reply: the case as it is now.

    `replay`: the same reply had been accepted before, nothing happened now. `redelivered`: the platform delivered the
    same tap again; say nothing a second time.
    """

    case: Case
    interaction_id: str
    replay: bool = False
    redelivered: bool = False
