"""Whatever is pressed on whichever door, in whatever order: nobody decides who may not, and nobody counts twice.

The rules are written down here once more, for people instead of identities, and each answer of the gate is held against
them. `pytest tests/property --hypothesis-profile long` runs 500 examples on each database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from core.chat_terms import Level
from core.errors import AssentError
from core.model import Identity, Opened, Origin, Policy
from core.replies import HOLDER, Reply, page_reply
from core.schedule import HOUR
from core.states import Verdict, verdict
from core.taps import Tap
from tests.support.gates import MINUTE, World, slack, telegram, world
from tests.support.people import Team

# A step takes three times as long on PostgreSQL.
SHORT = {"sqlite": settings(max_examples=150), "postgresql": settings(max_examples=60)}
RUNS = count(1)
NAMES = ("ada", "ben", "cleo", "asker", "stranger")
IN_CHATS = ("ada", "ben", "asker")  # who is in the channel, on both messengers
IN_GROUP = frozenset({("ada", "telegram"), ("cleo", "slack")})
IN_USER_GROUP = ("ben", "slack")
LINK: tuple[str, str] = ("whoever", "link")
KEY: tuple[str, str] = ("reviewer", "key")
LATER = "slack cleo"  # whom the escalation chain asks as well
Who = tuple[str, str]  # a name, and on which messenger
Door = Literal["card", "list", "page", "link"]

people = st.sampled_from(NAMES)
tappers = st.sampled_from(("ada", "ada", "ada", "ben", "ben", *NAMES))
platforms = st.sampled_from(["slack", "telegram"])
leaving = st.tuples(st.just("away"), people, people, platforms, platforms)
taps = st.tuples(
    st.just("tap"),
    tappers,
    platforms,
    st.sampled_from([*["approve"] * 5, "reject"]),
    st.sampled_from(["card", "card", "list", "page", "link"]),
)
others = st.one_of(
    st.tuples(st.just("link"), people),
    leaving,
    st.tuples(st.just("back"), people),
    st.tuples(st.just("leave"), people),
    st.tuples(st.just("key"), st.sampled_from(["approve", "reject"])),
    st.tuples(st.just("climb")),
)
steps = st.integers(0, 9).flatmap(lambda n: taps if n < 7 else others)  # mostly taps, while the case is open
# Who answered the step before, whose duties are kept apart from this one's; None: they are not.
before_it = st.one_of(st.none(), st.none(), st.tuples(people, platforms), st.just(LINK))
entries = st.sampled_from(
    ["channel", "channel", "link", "slack ada", "telegram ben", "slack cleo", "slack asker", "group", "user group"]
)
policies = st.builds(
    lambda any_of, quorum, reject, exclude: Policy(tuple(dict.fromkeys(any_of)), exclude, quorum, reject),
    st.lists(entries, min_size=2, max_size=5),
    st.sampled_from([1, 2, 3, 3]),
    st.sampled_from([1, 2, 2]),
    st.booleans(),
)


@dataclass
class Voice:
    action: str
    speaker: Who
    giver: Who | None


@dataclass
class Model:
    """What is true of the people, without a look at the database. A person is a set of identities."""

    any_of: tuple[str, ...]
    policy: Policy
    persons: dict[Who, frozenset[Who]] = field(
        default_factory=lambda: {(name, at): frozenset({(name, at)}) for name in NAMES for at in ("slack", "telegram")}
    )
    members: frozenset[Who] = IN_GROUP
    earlier: Who | None = None
    away: dict[Who, Who] = field(default_factory=dict)  # giver → taker, in the order in which they left
    voices: list[Voice] = field(default_factory=list)
    closed: bool = False

    def person(self, who: Who) -> frozenset[Who]:
        return self.persons.get(who, frozenset({who}))

    def named(self, person: frozenset[Who]) -> bool:
        listed = {(name, at) for at, _, name in (entry.partition(" ") for entry in self.any_of)}
        by_group = "group" in self.any_of and not person.isdisjoint(self.members)
        by_user_group = "user group" in self.any_of and IN_USER_GROUP in person
        return not person.isdisjoint(listed) or by_group or by_user_group

    def barred(self, person: frozenset[Who]) -> bool:
        """They asked for it, or have answered the step before; or nobody could tell."""
        if self.policy.exclude_requester and ("asker", "slack") in person:
            return True
        if self.earlier is None:
            return False
        return self.earlier == LINK or self.earlier in person or not person.isdisjoint((LINK, KEY))

    def voice(self, me: Who, action: str, door: Door) -> Voice | None:
        """As whom somebody speaks; None for who may not."""
        person = self.person(me)
        if self.barred(person):
            return None
        if me in (LINK, KEY):
            return Voice(action, me, None) if ("link" if me == LINK else "channel") in self.any_of else None
        in_channel = "channel" in self.any_of and me[0] in IN_CHATS
        if in_channel or self.named(person) or (door == "page" and "link" in self.any_of):
            return Voice(action, me, None)
        heard = self.heard()  # whoever was not yet comes first
        for giver, taker in sorted(self.away.items(), key=lambda one: self.person(one[0]) in heard):
            theirs = self.person(giver)
            if taker in person and theirs != person and not self.barred(theirs) and self.named(theirs):
                return Voice(action, me, giver)
        return None

    def press(self, me: Who, action: str, door: Door) -> bool:
        """Whether the press counts; if so it does from now on."""
        voice = self.voice(me, action, door)
        if self.closed or voice is None:
            return False
        if self.heard() & {self.person(who) for who in (voice.speaker, voice.giver) if who}:
            return False
        self.voices.append(voice)
        needed = self.policy.reject_quorum if verdict(action) is Verdict.DENY else self.policy.quorum
        self.closed = self.agreed(action) >= needed
        return True

    def heard(self) -> set[frozenset[Who]]:
        return {self.person(who) for one in self.voices for who in (one.speaker, one.giver) if who}

    def agreed(self, action: str) -> int:
        """How many people have said so; whoever spoke, and for whom, is one, whatever was linked since."""
        count, heard = 0, set[frozenset[Who]]()
        for one in self.voices:
            who = {self.person(each) for each in (one.speaker, one.giver) if each}
            if one.action == action:
                count += heard.isdisjoint(who)
                heard |= who
        return count

    def link(self, name: str) -> None:
        both = frozenset({(name, "slack"), (name, "telegram")})
        self.persons.update(dict.fromkeys(both, both))

    def leave(self, giver: Who, taker: Who) -> bool:
        if taker in self.person(giver):
            return False
        self.back(giver)
        self.away[giver] = taker
        return True

    def back(self, who: Who) -> None:
        for identity in self.person(who):
            self.away.pop(identity, None)


class Play:
    """The same on the database, with people of its own."""

    def __init__(self, here: World, team: Team, model: Model, opened: Opened, number: int) -> None:
        self.here, self.team, self.model, self.opened, self.number = here, team, model, opened, number
        self.climbed = False

    async def step(self, what: str, *how: Any) -> None:
        self.here.clock.forward(1)
        match what:
            case "tap":
                await self.tap(*how)
            case "link":
                self.model.link(how[0])
                await self.team.link(self.identity(how[0], "slack"), self.identity(how[0], "telegram"))
            case "away":
                giver, taker = (how[0], how[2]), (how[1], how[3])
                until = self.opened.case.expires_at
                errand = self.team.people.away(self.identity(*giver), until, self.identity(*taker).address)
                assert (await error_of(errand) is None) is self.model.leave(giver, taker)
            case "key":
                await self.press(KEY, how[0], "page", self.by_key(how[0]))
            case "climb":
                self.here.clock.forward(0 if self.climbed else 11 * MINUTE)
                self.climbed = True
                while await self.team.escalations.escalate_due():
                    self.model.any_of += (LATER,)
            case "back":
                self.model.back((how[0], "slack"))
                await self.team.people.back(self.identity(how[0], "slack"))
            case "leave":
                self.model.members -= {(how[0], "slack"), (how[0], "telegram")}
                left = [self.identity(*who).address for who in self.model.members]
                await self.team.groups.put(self.here.agent.tenant_id, f"g{self.number}", left)

    async def tap(self, name: str, at: str, action: str, door: Door) -> None:
        me = LINK if door == "link" else (name, at)
        press = self.by_page(me, action) if door in ("page", "link") else self.by_card(me, action, door)
        await self.press(me, action, door, press)

    async def press(self, me: Who, action: str, door: Door, press: Coroutine[Any, Any, Any]) -> None:
        expected = self.model.press(me, action, door)
        before = len(await self.voices())
        await press
        assert (len(await self.voices()) > before) is expected, (me, action, door, self.model)
        status = (await self.here.case_row(self.opened))["status"]
        assert (status == "completed") is self.model.closed

    async def by_page(self, me: Who, action: str) -> None:
        case = self.opened.case
        reply = page_reply(case.case_id, self.opened.review_token, action, {}, case.content_digest)
        identity = HOLDER if me == LINK else self.identity(*me)
        await error_of(self.here.gate.respond(replace(reply, identity=identity)))

    async def by_key(self, action: str) -> None:
        """By a reviewer's key, as gates and tasks are answered."""
        tenant, identity = self.here.agent.tenant_id, Identity("key", "key_reviewer", verified=True)
        more: dict[str, Any] = {"in_channel": True, "tenant_id": tenant}
        reply = Reply(self.opened.case.case_id, "api", "", action, {}, identity, "api", Origin.API_SHIM, **more)
        await error_of(self.here.gate.respond(reply))

    async def by_card(self, me: Who, action: str, door: Door) -> None:
        identity = self.identity(*me)
        card = await self.here.row(
            "cards", "case_id = :case_id AND platform = :at", case_id=self.opened.case.case_id, at=me[1]
        )
        there = card["channel"] if me[0] in IN_CHATS else "elsewhere"
        channel = "my own" if door == "list" else there
        tap = Tap(me[1], card["card_id"], action, identity, channel, f"{me[1]}_tap", listed=door == "list")
        await self.here.taps.tap(tap)

    async def voices(self) -> list[dict[str, Any]]:
        return await self.here.rows("human_interactions", "case_id = :case_id", case_id=self.opened.case.case_id)

    def identity(self, name: str, at: str) -> Identity:
        return identity_of(self.number, name, at)


def identity_of(number: int, name: str, at: str) -> Identity:
    if at == "slack":
        return Identity("slack", f"U{name.upper()}{number}", name, team="T0HOME", verified=True)
    return Identity("telegram", str(1000 * number + NAMES.index(name) + 1), name, verified=True)


def entry_of(number: int, entry: str) -> str:
    at, _, name = entry.partition(" ")
    match entry:
        case "channel" | "link":
            return entry
        case "group":
            return f"group:g{number}"
        case "user group":
            return f"slack:S{number}"
        case _:
            return identity_of(number, name, at).address


async def error_of(errand: Coroutine[Any, Any, Any]) -> AssentError | None:
    try:
        await errand
    except AssentError as error:
        return error
    return None


async def begin(here: World, team: Team, policy: Policy, earlier: Who | None) -> Play:
    number = next(RUNS)
    members = [identity_of(number, *who).address for who in sorted(IN_GROUP)]
    await team.groups.put(here.agent.tenant_id, f"g{number}", members)
    team.slack.groups[f"S{number}"] = {identity_of(number, *IN_USER_GROUP).user_id}
    for register, chat, at in ((team.slack, "C1", "slack"), (team.telegram, "-1001", "telegram")):
        register.chats.setdefault(chat, set()).update(identity_of(number, name, at).user_id for name in IN_CHATS)
    real = replace(policy, any_of=tuple(entry_of(number, entry) for entry in policy.any_of))
    asker = identity_of(number, "asker", "slack").address
    if earlier is not None:
        step = await here.open(workflow_id=f"wf{number}", gate_key="first")
        at_first = {"door": "page"} if earlier == LINK else {"by": identity_of(number, *earlier)}
        await here.answer(step, **at_first)
        real = replace(real, separate_duties=("gate:first",))
    opened = await here.open(
        workflow_id=f"wf{number}",
        gate_key="second",
        policy=real,
        requested_by=asker,
        notify=(slack(), telegram()),
        timeout_ms=HOUR,
        actions=("approve", "reject"),
        escalation_chain=(Level(10 * MINUTE, reviewers=(entry_of(number, LATER),)).as_json(),),
    )
    return Play(here, team, Model(policy.any_of, policy, earlier=earlier), opened, number)


def test_nobody_decides_who_may_not_and_nobody_counts_twice_on_any_door(database_url: str) -> None:
    runner = asyncio.Runner()

    async def opened() -> tuple[World, Team]:
        here = await manager.__aenter__()
        return here, Team(here)

    manager = world(database_url)
    try:
        here, team = runner.run(opened())

        @(settings() if settings.get_current_profile_name() == "long" else SHORT[database_url.partition(":")[0]])
        @given(
            policies,
            before_it,
            st.sets(people),
            st.lists(leaving, max_size=3),
            st.lists(steps, min_size=8, max_size=25),
        )
        def play(
            policy: Policy,
            earlier: Who | None,
            linked: set[str],
            away: list[tuple[Any, ...]],
            plan: list[tuple[Any, ...]],
        ) -> None:
            async def run() -> None:
                stage = await begin(here, team, policy, earlier)
                for what, *how in (*(("link", name) for name in sorted(linked)), *away, *plan):
                    await stage.step(what, *how)

            runner.run(run())

        play()
        assert runner.run(here.findings()) == []
    finally:
        runner.run(manager.__aexit__(None, None, None))
        runner.close()
