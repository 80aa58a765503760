"""Who somebody is to a case, read inside the transaction that judges their reply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.errors import NotAReviewer, Refused
from core.ledger import Row, Tx, slack_queries
from core.ledger import people_queries as q
from core.model import Case, Identity
from core.names import described
from core.persons import Earlier, Person, bare, voters, workspace_of
from core.policy import NOBODY_EARLIER, PERSONAL, admitted, no_reviewer
from core.rows import to_json

Memberships = Mapping[str, frozenset[str]]
NO_MEMBERSHIPS: Memberships = {}


async def admitted_in(
    tx: Tx,
    case: Case,
    identity: Identity,
    *,
    now: int,
    in_channel: bool,
    by_link: bool = False,
    requested_by: str | None,
    memberships: Memberships = NO_MEMBERSHIPS,
    reviewer_id: str | None = None,
    departed: bool | None = None,
) -> Identity | Refused:
    """As whom they may decide the case, or why not. `reviewer_id`: what is known of this identity; None for nobody.
    `departed`: whether they have left; None where that was not looked up.
    """
    if departed is None:
        departed = await has_departed(tx, identity)
    if departed:
        return departure()
    person = await person_in(tx, case, await as_connected(tx, identity), reviewer_id, memberships)
    earlier = await _earlier(tx, case)

    def ruling() -> Identity | Refused:
        return admitted(
            case.policy,
            person,
            in_channel=in_channel,
            by_link=by_link,
            requested_by=requested_by,
            earlier=earlier,
        )

    found = ruling()
    if isinstance(found, NotAReviewer) and person.addresses:
        person = await _with_givers(tx, case, person, now, memberships)
        found = ruling()
    if isinstance(found, NotAReviewer) and found.message == no_reviewer(case.policy).message:
        return no_reviewer(case.policy, await described(tx, case.policy.any_of))
    return found


def departure() -> NotAReviewer:
    return NotAReviewer("an operator has said that you are no reviewer here any more")


async def has_departed(tx: Tx, identity: Identity) -> bool:
    """Whether an operator has said that they left, in whichever workspace of an organisation they were named."""
    address = identity.address
    return identity.platform in PERSONAL and await tx.one(q.DEPARTED, address=address, bare=bare(address)) is not None


async def as_connected(tx: Tx, identity: Identity) -> Identity:
    """The same, and a stranger where the app was removed from their Slack workspace: nobody vouches for them there."""
    team = workspace_of(identity)
    row = await tx.one(slack_queries.INSTALLATION, team_id=team) if team and not identity.foreign else None
    return identity if row is None or row["revoked_at"] is None else replace(identity, foreign=True)


async def person_in(
    tx: Tx, case: Case, identity: Identity, reviewer_id: str | None, memberships: Memberships = NO_MEMBERSHIPS
) -> Person:
    """The person behind an identity, in those of the policy's groups that they are in."""
    person = Person(identity)
    if reviewer_id is not None:
        linked = await linked_to(tx, reviewer_id)
        person = Person(identity, tuple(one for one in linked if one.key != identity.key))
    return await _with_groups(tx, case, person, memberships)


async def linked_to(tx: Tx, reviewer_id: str) -> list[Identity]:
    """All identities of one reviewer."""
    return [await as_connected(tx, identity_of(row)) for row in await tx.all(q.LINKED, reviewer_id=reviewer_id)]


async def same_person(tx: Tx, keys: Sequence[str]) -> Mapping[str, str]:
    """For each of these identities a name of the person behind it: the same for all that are linked, and for somebody
    on Slack whose organisation one door knew and another did not.
    """
    if not any(key.partition(":")[0] in PERSONAL for key in keys):
        return {key: key for key in keys}
    rows = await tx.all(q.SAME_PEOPLE, identities=to_json(sorted(set(keys))))
    people = {key: key for key in keys} | {row["identity"]: str(row["reviewer_id"]) for row in rows}
    first: dict[str, str] = {}
    same: dict[str, str] = {name: name for name in people.values()}
    for key in keys:
        if key.startswith("slack:"):
            user = bare(f"slack:{key.rpartition(':')[2]}")
            same[people[key]] = first.setdefault(user, same[people[key]])
    return {key: same[name] for key, name in people.items()}


def identity_of(row: Row) -> Identity:
    """A remembered identity: a messenger vouched for it when it was remembered."""
    return Identity(row["platform"], row["user_id"], row["display_name"], team=row["team"], verified=True)


async def _with_groups(tx: Tx, case: Case, person: Person, memberships: Memberships) -> Person:
    asked = [entry for entry in case.policy.any_of if entry.startswith("group:")]
    groups = frozenset[str]().union(*(memberships.get(address, frozenset()) for address in person.addresses))
    if asked and person.addresses:
        rows = await tx.all(q.GROUPS_OF, addresses=to_json(sorted(person.addresses)))
        groups |= {f"group:{row['name']}" for row in rows if row["tenant_id"] == case.tenant_id}
    return Person(person.identity, person.linked, groups, person.stands_in_for)


async def _with_givers(tx: Tx, case: Case, person: Person, now: int, memberships: Memberships) -> Person:
    rows = await tx.all(q.GIVERS, addresses=to_json(sorted(person.addresses)), now=now)
    givers = [
        await person_in(tx, case, await as_connected(tx, identity_of(row)), row["reviewer_id"], memberships)
        for row in rows
    ]
    others = [giver for giver in givers if giver.names.isdisjoint(person.names)]
    heard = frozenset(voters(case.votes))
    others.sort(key=lambda giver: not giver.names.isdisjoint(heard))  # first who has not been heard yet
    return Person(person.identity, person.linked, person.groups, tuple(others))


async def _earlier(tx: Tx, case: Case) -> Earlier:
    if not case.policy.separate_duties:
        return NOBODY_EARLIER
    names, nameless = set[str](), False
    for row in await _earlier_answers(tx, case):
        replier = json.loads(row["replier"])
        if row["topic"].startswith("sys:") or replier["platform"] == "policy":
            continue  # a deadline, a withdrawal, a rule: nobody's answer
        for one in (replier, replier.get("on_behalf_of")):
            if one is not None:
                person = Identity(one["platform"], one["platform_user_id"], team=one.get("team"))
                names |= {person.key, person.address}
        nameless = nameless or replier["platform"] not in PERSONAL or not replier.get("verified")
    return Earlier(frozenset(names), nameless)


async def _earlier_answers(tx: Tx, case: Case) -> list[Row]:
    rows: list[Row] = []
    for duty in case.policy.separate_duties:
        kind, _, name = duty.partition(":")
        if kind == "previous" and case.previous_case_id is not None:
            rows += await tx.all(q.ANSWERED_CASE, case_id=case.previous_case_id, tenant_id=case.tenant_id)
        elif kind == "case":
            rows += await tx.all(q.ANSWERED_CASE, case_id=name, tenant_id=case.tenant_id)
        elif kind == "gate":
            rows += await tx.all(q.ANSWERED_GATE, workflow_id=case.workflow_id, gate_key=name, tenant_id=case.tenant_id)
        elif kind == "workflow":
            rows += await tx.all(
                q.ANSWERED_WORKFLOW, workflow_id=case.workflow_id, gate_key=case.gate_key, tenant_id=case.tenant_id
            )
    return rows
