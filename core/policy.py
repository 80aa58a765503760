"""Who may decide. Pure, and fail closed: what cannot be established does not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.errors import InvalidInput, NotAReviewer, Refused, SelfApproval
from core.model import Case, Identity, Policy
from core.persons import Earlier, Person, bare, is_user_group
from core.states import Verdict, verdict

ANONYMOUS_ADMIN = "1087968824"  # Telegram's GroupAnonymousBot: many people, no person
PERSONAL = frozenset({"slack", "telegram"})  # whose identities are people
NOBODY_EARLIER = Earlier()
NO_NAMES: Mapping[str, str] = {}
EXCLUDES_REQUESTER = frozenset({"approval", "escalation"})


def default_policy(case_type: str) -> Policy:
    """Channel plus link; whoever asked is excluded where agreeing with oneself would be worthless."""
    return Policy(exclude_requester=case_type in EXCLUDES_REQUESTER)


def check_entry(entry: str, *, field: str) -> str:
    """A policy entry as listed in `any_of`, or InvalidInput that says what may stand there."""
    platform, _, name = entry.partition(":")
    if entry in ("channel", "link") or (platform in ("slack", "telegram", "group") and name):
        return entry
    known = "channel, link, slack:U…, slack:S… (a user group), telegram:<user id>, group:<name>"
    raise InvalidInput(f"{field}: {entry!r} is none of {known}", field=field)


def admitted(
    policy: Policy,
    person: Person,
    *,
    in_channel: bool,
    by_link: bool = False,
    requested_by: str | None,
    earlier: Earlier = NOBODY_EARLIER,
) -> Identity | Refused:
    """As whom this person may decide under this policy, with whom they stand in for; or why they may not.

    `in_channel`: they were seen in a chat where the card stands. `by_link`: they hold the review link.
    """
    identity = person.identity
    if asked_for_it(policy, person, requested_by):
        return SelfApproval()
    if identity.platform == "telegram" and identity.user_id == ANONYMOUS_ADMIN:
        return NotAReviewer("anonymous admins cannot be reviewers, because nobody would know who agreed")
    if policy.counts and not (identity.verified or identity.platform == "link"):
        return NotAReviewer("several people must agree to this, and only those count whom a messenger vouches for")
    if refused := _separated(policy, person, earlier):
        return refused
    by_link = by_link or identity.platform == "link"
    if any(_matches(entry, policy, person, in_channel=in_channel, by_link=by_link) for entry in policy.any_of):
        return identity
    for giver in person.stands_in_for:
        alone = asked_for_it(policy, giver, requested_by)
        if not alone and _separated(policy, giver, earlier) is None and names(policy, giver):
            return replace(identity, on_behalf_of=giver.identity)
    return no_reviewer(policy)


def asked_for_it(policy: Policy, person: Person, requested_by: str | None) -> bool:
    """Whether this person is whoever asked, and the policy excludes them."""
    if not policy.exclude_requester or requested_by is None:
        return False
    return requested_by in person.names or bare(requested_by) in person.names


def refusal(
    policy: Policy,
    identity: Identity,
    *,
    in_channel: bool,
    requested_by: str | None,
    earlier: Earlier = NOBODY_EARLIER,
) -> Refused | None:
    """Why this identity, of whom nothing else is known, may not decide under this policy; None when it may."""
    found = admitted(policy, Person(identity), in_channel=in_channel, requested_by=requested_by, earlier=earlier)
    return found if isinstance(found, Refused) else None


def names(policy: Policy, person: Person) -> bool:
    """Whether the policy names this person, or a group that they are in."""
    return any(_named(entry, policy, person) for entry in policy.any_of)


def _separated(policy: Policy, person: Person, earlier: Earlier) -> Refused | None:
    if not policy.separate_duties:
        return None
    if not person.identity.verified or person.identity.platform not in PERSONAL:
        return NotAReviewer(
            "whoever answered an earlier step of this may not decide here, so only people count whom a messenger "
            "vouches for; answer in Slack or Telegram, or sign in"
        )
    if earlier.names & person.names:
        return NotAReviewer("you have answered an earlier step of this, so somebody else must decide here")
    if earlier.nameless:
        return NotAReviewer(
            "an earlier step of this was answered by somebody without a name, so nobody can be told from them"
        )
    return None


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


def _matches(entry: str, policy: Policy, person: Person, *, in_channel: bool, by_link: bool) -> bool:
    if entry == "channel":
        return in_channel and not person.identity.foreign
    if entry == "link":
        return by_link
    return _named(entry, policy, person)


def _named(entry: str, policy: Policy, person: Person) -> bool:
    """By name, or by a group: of a group of ours whoever was in it when the case opened and still is."""
    if entry.startswith("group:"):
        return entry in person.groups and not person.addresses.isdisjoint(policy.groups.get(entry, ()))
    if is_user_group(entry):
        return entry in person.groups
    return entry in person.addresses


def no_reviewer(policy: Policy, names: Mapping[str, str] = NO_NAMES) -> NotAReviewer:
    """What somebody is told who is none of the reviewers. `names`: of people, by the entries that list them."""
    return NotAReviewer(f"you are not one of the reviewers of this case; it can be decided by {who_may(policy, names)}")


def who_may(policy: Policy, names: Mapping[str, str] = NO_NAMES) -> str:
    """The policy in plain words, for private answers and pages."""
    words = {
        "channel": "the members of the channel that the card was posted to",
        "link": "whoever holds the review link",
        **names,
    }
    return " or ".join(words.get(entry) or _group_words(entry) or entry for entry in policy.any_of)


def _group_words(entry: str) -> str | None:
    if entry.startswith("group:"):
        return f"the group {entry.removeprefix('group:')}"
    return f"the Slack user group {entry.removeprefix('slack:')}" if is_user_group(entry) else None
