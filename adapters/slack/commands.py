"""`/assent` and App Home: who somebody is, what waits for them, and who answers for whom. Everything is private.

The acknowledgement goes out first. Whoever is not of this workspace is refused: commands do not say whose workspace a
person is of, so Slack is asked.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.answering import LINK_YES, Answering, Speaker
from adapters.slack.directory import SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.inbox_view import NEWER
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Place, first_action, identity_of, read_place, read_who, text_at
from adapters.slack.render import Drawing, private
from adapters.slack.telling import tell
from core.chat import ChatServices
from core.chat_answers import ChatAnswers
from core.errors import AssentError, NotAReviewer
from core.model import Identity
from core.ports import SendFailed

log = structlog.get_logger()

COMMAND = "/assent"


class Commands:
    """`clock`: seconds since 1970; what people write as moments is read by it."""

    def __init__(
        self,
        messenger: SlackMessenger,
        directory: SlackDirectory,
        lists: Lists,
        services: ChatServices,
        errands: Errands,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._messenger = messenger
        self._directory = directory
        self._lists = lists
        self._services = services
        self._errands = errands
        self._answering = Answering(messenger, directory, lists, errands, clock)

    async def typed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody typed the command."""
        await ack()
        place = Place(text_at(body, "user_id"), text_at(body, "channel_id"), text_at(body, "response_url"))
        delivery, text = text_at(body, "trigger_id"), text_at(body, "text")
        if place.user and (not delivery or self._errands.is_new(delivery)):
            self._errands.run(self._answer(place, lambda speaker: self._answering.answer(text, speaker)))

    async def confirmed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody has looked whose code it is, and pressed a button below it."""
        await ack()
        who, place, pressed = read_who(body), read_place(body), first_action(body)
        if who is None or place is None or not self._errands.is_new(text_at(body, "trigger_id")):
            return
        code = text_at(pressed, "value") if text_at(pressed, "action_id") == LINK_YES else ""
        self._errands.run(self._answer(place, lambda speaker: self._answering.link(code, speaker), replaces=True))

    async def turned(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody wants another page of their history: in the place of the one that only they see."""
        await ack()
        who, place, pressed = read_who(body), read_place(body), first_action(body)
        if who is None or place is None or not self._errands.is_new(text_at(body, "trigger_id")):
            return
        cursor, newer = text_at(pressed, "value"), text_at(pressed, "action_id") == NEWER
        page = partial(self._lists.turned, cursor=cursor, newer=newer)
        self._errands.run(self._answer(place, lambda speaker: page(speaker.identity), replaces=True))

    async def opened_home(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody looks at the home tab."""
        await ack()
        user = text_at(body, "event", "user")
        if user and text_at(body, "event", "tab") == "home" and self._errands.is_new(text_at(body, "event_id")):
            self._errands.run(self._welcome(user))

    async def _welcome(self, user: str) -> None:
        try:
            speaker = await self._speaker(user)
        except AssentError as error:
            log.info("slack.home_not_shown", user=user, reason=error.message)
        else:
            await self._lists.publish(speaker.identity)

    async def _answer(
        self, place: Place, work: Callable[[Speaker], Awaitable[Drawing]], *, replaces: bool = False
    ) -> None:
        answers, speaker = self._answers(self._services.language, self._services.zone), None
        try:
            speaker = await self._speaker(place.user)
            answers = speaker.answers
            drawing = await work(speaker)
        except SendFailed as failed:
            log.warning("slack.command_not_answered", user=place.user, reason=failed.message)
            drawing = private(answers.explained(failed) if failed.permanent else answers.words["try_again"])
        except AssentError as error:
            drawing = private(answers.explained(error))
        except Exception:
            log.exception("slack.command_failed", user=place.user)
            drawing = private(answers.words["went_wrong"])
        await tell(self._messenger, place, drawing, replace=replaces)
        if speaker is not None:
            await self._remember(speaker.identity, speaker.profile.zone_name)

    async def _remember(self, identity: Identity, zone: str | None) -> None:
        try:
            await self._services.people.seen(identity, zone=zone)
        except AssentError as error:
            log.info("slack.person_not_remembered", user=identity.user_id, reason=error.message)

    async def _speaker(self, user: str) -> Speaker:
        """Raises NotAReviewer for strangers, bots and those who have left; SendFailed when Slack cannot be asked."""
        profile, home = await self._directory.profile(user), await self._messenger.workspace()
        known = None if profile is None or profile.is_gone or not profile.is_person else profile
        if known is None or identity_of(known.who, home).foreign:
            raise NotAReviewer("this is for members of this workspace")
        answers = self._answers(known.language or self._services.language, known.zone)
        return Speaker(known, identity_of(known.who, home), answers)

    def _answers(self, language: str, zone: tzinfo) -> ChatAnswers:
        return ChatAnswers(replace(self._services, language=language, zone=zone), "slack", _written)


def _written(command: str) -> str:
    """How a command is typed here."""
    return COMMAND if command == "waiting" else f"{COMMAND} {command}"
