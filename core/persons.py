"""People: whoever replies, under all the identities that are known to be theirs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.model import Identity, JsonObject


def bare(address: str) -> str:
    """An address without its workspace, `slack:T…/U…`: two workspaces of one organisation may write one person so."""
    platform, _, user_id = address.partition(":")
    return f"{platform}:{user_id.rpartition('/')[2]}" if platform == "slack" else address


def workspace_of(identity: Identity) -> str:
    """The Slack workspace that somebody is written with, `T…`; empty for the default one's people and all others."""
    return identity.user_id.rpartition("/")[0] if identity.platform == "slack" else ""


def is_user_group(entry: str) -> bool:
    """Whether an entry of a policy is a user group of Slack: `slack:S…`, of another workspace `slack:T…/S…`."""
    return bare(entry).startswith("slack:S")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the moment of a reply.

    `identity`: as whom they reply. `linked`: the others that are known to be theirs. `groups`: of those that a policy
    asks for, the ones that they are in now (`group:…`, `slack:S…`, `slack:T…/S…`). `stands_in_for`: who is away and has
    asked them to answer.
    """

    identity: Identity
    linked: tuple[Identity, ...] = ()
    groups: frozenset[str] = frozenset()
    stands_in_for: tuple[Person, ...] = ()

    @property
    def identities(self) -> tuple[Identity, ...]:
        return (self.identity, *self.linked)

    @property
    def names(self) -> frozenset[str]:
        """Everything that they may be called in a list or in the ledger."""
        return frozenset(name for one in self.identities for name in (one.key, one.address, bare(one.address)))

    @property
    def addresses(self) -> frozenset[str]:
        """What policies may name them by: only what a messenger vouches for, and none of another workspace."""
        if not self.identity.verified:
            return frozenset()
        return frozenset(one.address for one in self.identities if not one.foreign)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Who answered the cases whose duties are kept apart from this one's. `nameless`: somebody whom nobody can tell
    from others (a review link, an API key).
    """

    names: frozenset[str] = frozenset()
    nameless: bool = False


def voters(votes: Sequence[JsonObject]) -> list[str]:
    """Under which keys people have voted, those whom they stood in for included."""
    return [key for vote in votes for key in (voter(vote), vote.get("for")) if key]


def voices(votes: Sequence[JsonObject], action: str, people: Mapping[str, str]) -> int:
    """How many people have said so: whoever answered, and for whom, is one, whatever was linked since."""
    found, heard = 0, set[str]()
    for vote in votes:
        if vote["action"] == action:
            who = {people[key] for key in voters([vote])}
            found += heard.isdisjoint(who)
            heard |= who
    return found


def voter(vote: JsonObject) -> str:
    """Under which key somebody has voted."""
    return str(vote.get("key") or f"{vote['by'].get('platform')}:{vote['by'].get('platform_user_id')}")
