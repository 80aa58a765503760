"""The Slack workspaces that are connected, each asked with its own token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from adapters.slack.branches import token_of
from adapters.slack.health import READING, READING_GROUPS, SlackHealth, UserGroup
from adapters.slack.payloads import parted
from bot.doctor import slack
from bot.doctor.findings import refused
from bot.doctor.known import Findings, Known
from bot.messengers import slack_settings
from core.model import Address
from core.ports import ChannelMoved, SendFailed

EXPIRED = "its token has run out, and no server has renewed it"


class Workspaces:
    """`home`: that of SLACK_BOT_TOKEN, if there is one. To be entered, and left."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._others: dict[str, SlackHealth] = {}
        self._looking: list[SlackHealth] = []
        self._settings = slack_settings(known.settings, known.url)
        self.home = SlackHealth(self._settings, known.clock) if self._settings.bot_token else None
        for one in known.workspaces:
            if one.granted:
                own = replace(self._settings, bot_token=token_of(one), removed="the app is gone", expired=EXPIRED)
                self._others[one.team_id] = SlackHealth(own, known.clock)

    async def __aenter__(self) -> Self:
        for health in self._all:
            await health.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for health in self._all:
            await health.close()

    async def findings(self) -> Findings:
        """Where the app is installed, and whether Slack takes each token."""
        if self.home is None and not self._known.workspaces:
            yield slack.NOWHERE
        for one in self._known.workspaces:
            health = self._others.get(one.team_id)
            if one.revoked_at is not None:
                yield slack.removed(one.team_name, one.team_id)
            elif health is None:
                problem = "its token was sealed under a key that ASSENT_SECRET_KEY no longer holds"
                yield slack.workspace(one.team_name, one.team_id, problem)
            else:
                yield slack.workspace(one.team_name, one.team_id, await _problem(health))

    async def user_groups(self, named: Mapping[str, str]) -> Findings:
        """Whether those that reviewers are named by (each with who does) are there, each in its own workspace."""
        found: dict[str, UserGroup] = {}
        looked: dict[str, str] = {}
        for team in sorted({parted(group)[0] for group in named}):
            own = {group: who for group, who in named.items() if parted(group)[0] == team}
            health = self._others.get(team) if team else self.home
            try:
                if health is not None and not (await health.seen()).may(READING_GROUPS):
                    yield slack.groups_unread(own, READING_GROUPS)
                    continue
            except SendFailed:
                continue  # it was said, as a finding of its token
            try:
                there = await health.user_groups() if health is not None else {}
            except SendFailed as failed:
                yield refused("slack.user_groups", failed.message, "Try again in a minute")
                continue
            looked |= own
            found |= {f"{team}/{group}" if team else group: one for group, one in there.items()}
        for one in slack.groups(found, looked):
            yield one

    async def may_look(self) -> bool:
        """Whether Slack tells any of the bots about its channels."""
        for health in self._all:
            try:
                if (await health.seen()).may(*READING):
                    self._looking.append(health)
            except SendFailed:
                continue  # it was said, as a finding of its token
        return bool(self._looking)

    async def reach(self, address: Address) -> None:
        """Whether a card can stand there. Raises SendFailed and ChannelMoved."""
        health, there = await self.at(address)
        if health is self.home and there != address:
            raise ChannelMoved(there.channel)
        if health in self._looking:
            await health.reach(there)

    async def at(self, address: Address) -> tuple[SlackHealth, Address]:
        """Whoever is asked about a chat, and the chat as they know it: without its workspace. Raises SendFailed for a
        workspace that is not connected, and for a chat without one where there are several.
        """
        team, own = parted(address.channel)
        others = list(self._others.values())
        health = self._others.get(team) if team else self.home or (others[0] if len(others) == 1 else None)
        if health is None and team and self.home is not None and (await self.home.workspace()).team == team:
            health = self.home
        if health is None:
            raise SendFailed(self._nobody(team, own), permanent=True)
        return health, Address("slack", own)

    def _nobody(self, team: str, own: str) -> str:
        """Why there is nobody to ask there; behind the semicolon, what helps."""
        if self._known.found is None or self._known.ring is None:
            return "which workspaces are connected is not known without the database and its key; look into these first"
        if not team and self._others:
            return f"several workspaces are connected; write in which it is: slack:T…/{own}"
        if not team:
            return "no workspace is connected; install the app at /slack/install"
        for one in self._known.workspaces:
            if one.team_id == team and one.revoked_at is not None:
                return f"the app was removed from the workspace {one.team_name}; install it again at /slack/install"
            if one.team_id == team:
                return (
                    f"the token of the workspace {one.team_name} cannot be opened; install it again at /slack/install"
                )
        return f"the app is not installed in the workspace {team}; install it there at /slack/install"

    @property
    def _all(self) -> tuple[SlackHealth, ...]:
        return (*((self.home,) if self.home else ()), *self._others.values())


async def _problem(health: SlackHealth) -> str:
    try:
        await health.seen()
    except SendFailed as failed:
        return failed.message
    return ""
