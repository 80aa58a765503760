"""Who is in which user groups and channels, and who somebody is, by Slack's word at this moment.

Fail closed: what Slack does not let us see holds nobody. What cannot be asked just now raises SendFailed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from adapters.slack import channels
from adapters.slack.calls import SlackCalls
from adapters.slack.payloads import Who, identity_of, text_at
from adapters.slack.refusals import Unknown
from core.introductions import Introduced
from core.moments import zone_called
from core.ports import SendFailed
from core.words import SPOKEN, Language

log = structlog.get_logger()

SCOPES = ("usergroups:read", *channels.SCOPES, "users:read")
KEPT_SECONDS = 5.0  # a group's members: many may tap at once, and Slack answers 20 such questions a minute
FEW, EVERY = 3, "*"  # so many groups are asked for one by one, more of them all at once
PERSON_SECONDS = 300.0
MOST_KEPT = 10_000
_USER = re.compile(r"[UW][A-Z0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Profile:
    """Somebody as Slack knows them. `zone`: whose clocks they go by. `language`: theirs, where it is one of ours."""

    who: Who
    zone: tzinfo
    is_person: bool
    is_gone: bool
    language: Language | None = None

    @property
    def zone_name(self) -> str | None:
        """As it is kept; None where Slack gave no name that this machine knows."""
        return self.zone.key if isinstance(self.zone, ZoneInfo) else None


class Kept:
    """Answers for a while, and the questions under way: asked at once by many, a thing is asked once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: dict[str, tuple[float, Any]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, key: str, ask: Callable[[], Any]) -> Any:
        clock = asyncio.get_running_loop().time
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                until, answer = self._answers.get(key, (0.0, None))
                if until <= clock():
                    answer = await ask()
                    if len(self._answers) > MOST_KEPT:
                        self._answers.clear()
                    self._answers[key] = (clock() + self._seconds, answer)
                return answer
        finally:
            if not lock.locked():
                self._asking.pop(key, None)


class SlackDirectory:
    """`core.directory.Directory` for Slack, and profiles for commands."""

    platform = "slack"

    def __init__(self, calls: SlackCalls) -> None:
        self._calls = calls
        self._groups = Kept(KEPT_SECONDS)
        self._people = Kept(PERSON_SECONDS)
        self._quiet_until: dict[str, float] = {}  # by method: Slack asked for a pause

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        if not _USER.fullmatch(user_id):
            return frozenset()
        if len(among) > FEW:
            members: Mapping[str, frozenset[str]] = await self._groups.get(EVERY, self._listed_all)
            return frozenset(group for group in among if user_id in members.get(group, ()))
        return frozenset([group for group in sorted(among) if user_id in await self._members(group)])

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        """Channels in which the bot is, too; its direct messages are known without asking."""
        if not _USER.fullmatch(user_id):  # of nobody, Slack would list the bot's own
            return frozenset()
        found, cursor = set[str](), ""
        for _ in range(channels.PAGES):
            page = await self._page(user_id, cursor)
            if page is None:
                return frozenset()
            found |= {str(channel["id"]) for channel in page["channels"]} & set(among)
            cursor = text_at(page.data, "response_metadata", "next_cursor")
            if not cursor or len(found) == len(among):
                break
        return frozenset(found)

    async def profile(self, user_id: str) -> Profile | None:
        """None for nobody whom Slack knows. Raises SendFailed."""
        if not _USER.fullmatch(user_id):
            return None
        found: Profile | None = await self._people.get(user_id, lambda: self._profile(user_id))
        return found

    async def language(self, user_id: str, otherwise: str) -> str:
        """In which language somebody is answered; `otherwise` where Slack says none, or none of ours."""
        try:
            profile = await self.profile(user_id)
        except SendFailed:
            return otherwise
        return otherwise if profile is None or profile.language is None else profile.language

    async def zone(self, user_id: str, otherwise: tzinfo) -> tzinfo:
        """By whose clocks somebody is told times; `otherwise` where Slack cannot be asked."""
        try:
            profile = await self.profile(user_id)
        except SendFailed:
            return otherwise
        return otherwise if profile is None else profile.zone

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        """`core.introductions.Introduces`: people of this workspace, wherever they may be met."""
        profile = await self.profile(user_id)
        if profile is None or profile.is_gone or not profile.is_person:
            return None
        identity = identity_of(profile.who, await self._calls.workspace())
        return None if identity.foreign else Introduced(identity, profile.zone_name)

    async def _profile(self, user_id: str) -> Profile | None:
        try:
            answer = await self._paced(
                "users.info", lambda: self._calls.client.users_info(user=user_id, include_locale=True), f"who {user_id}"
            )
        except Unknown:
            return None
        return profile_of(answer["user"])

    async def _members(self, group: str) -> frozenset[str]:
        found: frozenset[str] = await self._groups.get(group, lambda: self._listed(group))
        return found

    async def _listed(self, group: str) -> frozenset[str]:
        try:
            answer = await self._paced(
                "usergroups.users.list",
                lambda: self._calls.client.usergroups_users_list(usergroup=group, include_disabled=False),
                f"who {group}",
            )
        except SendFailed as failed:
            if not failed.permanent:
                raise
            log.warning("slack.user_group_not_read", group=group, reason=failed.message)
            return frozenset()
        return frozenset(str(user) for user in answer["users"])

    async def _listed_all(self) -> Mapping[str, frozenset[str]]:
        try:
            answer = await self._paced(
                "usergroups.list",
                lambda: self._calls.client.usergroups_list(include_users=True, include_disabled=False),
                "Slack",
            )
        except SendFailed as failed:
            if not failed.permanent:
                raise
            log.warning("slack.user_groups_not_read", reason=failed.message)
            return {}
        return {
            str(group["id"]): frozenset(map(str, group.get("users") or ()))
            for group in answer["usergroups"]
            if not group.get("date_delete")
        }

    async def _page(self, user_id: str, cursor: str) -> AsyncSlackResponse | None:
        try:
            return await self._paced(
                "users.conversations",
                lambda: self._calls.client.users_conversations(
                    user=user_id,
                    types="public_channel,private_channel",
                    exclude_archived=True,
                    limit=channels.PAGE,
                    cursor=cursor or None,
                ),
                f"who {user_id}",
            )
        except SendFailed as failed:
            if not failed.permanent:
                raise
            log.warning("slack.channels_not_read", user=user_id, reason=failed.message)
            return None

    async def _paced(self, method: str, question: Callable[[], Any], where: str) -> AsyncSlackResponse:
        """As `SlackCalls.ask`; nothing is asked while Slack wants a pause."""
        clock = asyncio.get_running_loop().time
        left = self._quiet_until.get(method, 0.0) - clock()
        if left > 0:
            raise SendFailed(f"Slack asks for a pause in {method}", retry_after_ms=int(left * 1000) + 1)
        try:
            answer: AsyncSlackResponse = await self._calls.ask(question(), where=where)
        except SendFailed as failed:
            if failed.retry_after_ms is not None:
                self._quiet_until[method] = clock() + failed.retry_after_ms / 1000
            raise
        return answer


def profile_of(user: Mapping[str, Any]) -> Profile:
    """What `users.info` says. The workspace is theirs, wherever they were met."""
    team = text_at(user, "team_id")
    return Profile(
        who=Who(
            user=text_at(user, "id"),
            name=text_at(user, "name") or None,
            team=team,
            enterprise=text_at(user, "enterprise_user", "enterprise_id") or (team if team.startswith("E") else ""),
        ),
        zone=_zone_of(user),
        is_person=user.get("is_bot") is not True and text_at(user, "id") != "USLACKBOT",
        is_gone=user.get("deleted") is True,
        language=next((one for one in SPOKEN if text_at(user, "locale").startswith(one)), None),
    )


def _zone_of(user: Mapping[str, Any]) -> tzinfo:
    """Their zone, which knows when clocks change; else how far their clock is ahead of UTC at this moment."""
    offset = user.get("tz_offset")
    ahead = offset if isinstance(offset, int) and abs(offset) < 86_400 else 0
    return zone_called(text_at(user, "tz")) or timezone(timedelta(seconds=ahead))
