"""Who may decide. Pure, and fail closed: what cannot be established does not count."""

from __future__ import annotations

from core.errors import InvalidInput, NotAReviewer, Refused, SelfApproval
from core.model import Case, Identity, Policy
from core.states import Verdict, verdict

ANONYMOUS_ADMIN = "1087968824"  # Telegram's GroupAnonymousBot: many people, no person
EXCLUDES_REQUESTER = frozenset({"approval", "escalation"})


def default_policy(case_type: str) -> Policy:
    """Channel plus link; whoever asked is excluded where agreeing with oneself would be worthless."""
    return Policy(exclude_requester=case_type in EXCLUDES_REQUESTER)


def check_entry(entry: str, *, field: str) -> str:
    """A policy entry as listed in `any_of`, or InvalidInput that says what may stand there."""
    platform, _, name = entry.partition(":")
    if entry in ("channel", "link") or (platform in ("slack", "telegram") and name):
        return entry
    raise InvalidInput(f"{field}: {entry!r} is none of channel, link, slack:U…, telegram:<user id>", field=field)


def refusal(policy: Policy, identity: Identity, *, in_channel: bool, requested_by: str | None) -> Refused | None:
    """Why this identity may not decide under this policy; None when it may."""
    if policy.exclude_requester and requested_by in (identity.address, identity.key):
        return SelfApproval()
    if identity.platform == "telegram" and identity.user_id == ANONYMOUS_ADMIN:
        return NotAReviewer("anonymous admins cannot be reviewers, because nobody would know who agreed")
    if policy.quorum + policy.reject_quorum > 2 and not (identity.verified or identity.platform == "link"):
        return NotAReviewer("several people must agree to this, and only those count whom a messenger vouches for")
    if any(_matches(entry, identity, in_channel) for entry in policy.any_of):
        return None
    return NotAReviewer(f"you are not one of the reviewers of this case; it can be decided by {who_may(policy)}")


def needed(policy: Policy, action: str) -> int:
    """How many people must give this answer before it decides the case. One may ask for changes."""
    match verdict(action):
        case None:
            return 1
        case Verdict.DENY:
            return policy.reject_quorum
        case _:
            return policy.quorum


def tally(case: Case) -> dict[str, object]:
    """How an open quorum stands: votes by action, and how many are needed."""
    votes: dict[str, int] = {}
    for vote in case.votes:
        votes[vote["action"]] = votes.get(vote["action"], 0) + 1
    return {"votes": votes, "quorum": case.policy.quorum, "reject_quorum": case.policy.reject_quorum}


def _matches(entry: str, identity: Identity, in_channel: bool) -> bool:
    if entry == "channel":
        return in_channel and not identity.foreign
    if entry == "link":
        return identity.platform == "link"
    return identity.verified and not identity.foreign and entry == identity.address


def who_may(policy: Policy) -> str:
    """The policy in plain words, for private answers and pages."""
    words = {
        "channel": "the members of the channel that the card was posted to",
        "link": "whoever holds the review link",
    }
    return " or ".join(words.get(entry, entry) for entry in policy.any_of)
