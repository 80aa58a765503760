"""`/assent` and App Home: who somebody is, what waits for them, and who answers for whom. Everything is private.

The acknowledgement goes out first. Whoever is not of this workspace is refused: commands do not say whose workspace a
person is of, so Slack is asked.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.directory import Profile, SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.inbox_view import web_link
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Place, first_action, identity_of, read_place, read_who, text_at
from adapters.slack.render import Drawing, private
from adapters.slack.shapes import actions, context, plain, section
from adapters.slack.telling import tell
from core.chat import ChatServices
from core.chat_answers import ChatAnswers
from core.chat_commands import Away, Link, Misunderstood, Plain, read_command
from core.errors import AssentError, NotAReviewer
from core.model import Identity
from core.ports import SendFailed

log = structlog.get_logger()

COMMAND = "/assent"
LINK_YES, LINK_NO = "assent.link.yes", "assent.link.no"
_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^>]*)?>", re.ASCII)


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
        self._people = services.people
        self._answers = ChatAnswers(services, "slack", _written)
        self._errands = errands
        self._clock = clock

    async def typed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody typed the command."""
        await ack()
        place = Place(text_at(body, "user_id"), text_at(body, "channel_id"), text_at(body, "response_url"))
        delivery = text_at(body, "trigger_id")
        if place.user and (not delivery or self._errands.is_new(delivery)):
            typed = text_at(body, "text")
            self._errands.run(self._answer(place, lambda profile, who: self._done(typed, profile, who)))

    async def confirmed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody has looked whose code it is, and pressed a button below it."""
        await ack()
        who, place, pressed = read_who(body), read_place(body), first_action(body)
        if who is None or place is None or not self._errands.is_new(text_at(body, "trigger_id")):
            return
        code = text_at(pressed, "value") if text_at(pressed, "action_id") == LINK_YES else ""

        async def link(_: Profile, identity: Identity) -> Drawing:
            text = await self._answers.link(identity, code) if code else self._answers.words["left_alone"]
            return private(text)

        self._errands.run(self._answer(place, link, replace=True))

    async def opened_home(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Somebody looks at the home tab."""
        await ack()
        user = text_at(body, "event", "user")
        if user and text_at(body, "event", "tab") == "home" and self._errands.is_new(text_at(body, "event_id")):
            self._errands.run(self._welcome(user))

    async def _welcome(self, user: str) -> None:
        try:
            _, identity = await self._member(user)
        except (AssentError, SendFailed) as error:
            log.info("slack.home_not_shown", user=user, reason=error.message)
            return
        await self._lists.publish(identity)

    async def _answer(
        self, place: Place, work: Callable[[Profile, Identity], Awaitable[Drawing]], *, replace: bool = False
    ) -> None:
        identity = None
        try:
            profile, identity = await self._member(place.user)
            drawing = await work(profile, identity)
        except SendFailed as failed:
            log.warning("slack.command_not_answered", user=place.user, reason=failed.message)
            drawing = private(self._answers.explained(failed) if failed.permanent else self._answers.words["try_again"])
        except AssentError as error:
            drawing = private(self._answers.explained(error))
        except Exception:
            log.exception("slack.command_failed", user=place.user)
            drawing = private(self._answers.words["went_wrong"])
        await tell(self._messenger, place, drawing, replace=replace)
        if identity is not None:
            await self._remember(identity)

    async def _remember(self, identity: Identity) -> None:
        try:
            await self._people.seen(identity)
        except AssentError as error:
            log.info("slack.person_not_remembered", user=identity.user_id, reason=error.message)

    async def _member(self, user: str) -> tuple[Profile, Identity]:
        """Raises NotAReviewer for strangers, bots and those who have left; SendFailed when Slack cannot be asked."""
        profile, home = await self._directory.profile(user), await self._messenger.workspace()
        if profile is None or profile.is_gone or not profile.is_person:
            raise NotAReviewer(self._answers.words["members_only"])
        identity = identity_of(profile.who, home)
        if identity.foreign:
            raise NotAReviewer(self._answers.words["members_only"])
        return profile, identity

    async def _done(self, typed: str, profile: Profile, identity: Identity) -> Drawing:
        try:
            command = read_command(typed, int(self._clock() * 1000), profile.zone)
        except Misunderstood as error:
            raise Misunderstood(error.reason, html.unescape(error.text)) from None
        match command:
            case Link(str(code)):
                return self._to_confirm(*await self._answers.look_at_code(identity, code), code)
            case Link():
                return private(await self._answers.link_code(identity))
            case Away():
                return private(await self._go_away(identity, command))
            case Plain(name):
                return await self._plain(name, identity)

    async def _plain(self, name: str, identity: Identity) -> Drawing:
        match name:
            case "waiting":
                return await self._lists.waiting(identity)
            case "history":
                return await self._lists.past(identity)
            case "inbox":
                words = self._answers.words
                return Drawing(words["open_inbox"], web_link(words, await self._lists.sign_in_url(identity)))
            case "whoami":
                return private(await self._answers.whoami(identity))
            case "back":
                return private(await self._answers.back(identity))
            case _:
                return private(self._answers.help())

    def _to_confirm(self, question: str, warning: str, code: str) -> Drawing:
        words = self._answers.words
        yes = {"type": "button", "action_id": LINK_YES, "text": plain(words["link_yes"]), "value": code}
        no = {"type": "button", "action_id": LINK_NO, "text": plain(words["link_no"]), "value": "no"}
        return Drawing(private(question).text, [section(question), context(warning), actions(yes, no)])

    async def _go_away(self, identity: Identity, away: Away) -> str:
        mention = _MENTION.fullmatch(away.taker.strip())
        if mention is None:
            raise Misunderstood("no_taker")
        taker = await self._directory.profile(mention[1])
        if taker is None:
            raise Misunderstood("unknown_taker", mention[1])
        name = taker.who.name or mention[1]
        home = await self._messenger.workspace()
        if not taker.is_person:
            raise Misunderstood("taker_is_bot", name)
        if taker.is_gone:
            raise Misunderstood("taker_is_gone", name)
        if identity_of(taker.who, home).foreign:
            raise Misunderstood("taker_is_foreign", name)
        text = await self._answers.away(identity, away.until, f"slack:{mention[1]}", name)
        asked = private(self._answers.asked_to_answer(identity, away.until))
        self._errands.run(self._write_to(mention[1], asked))
        return text

    async def _write_to(self, user: str, drawing: Drawing) -> None:
        try:
            await self._messenger.write_to(user, drawing)
        except SendFailed as failed:
            log.info("slack.not_told", user=user, reason=failed.message)


def _written(command: str) -> str:
    """How a command is typed here."""
    return COMMAND if command == "waiting" else f"{COMMAND} {command}"
