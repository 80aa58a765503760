"""What commands do and are answered with, for one person and in their language."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from adapters.slack.directory import Profile, SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.inbox_view import web_link
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import identity_of
from adapters.slack.render import Drawing, private
from adapters.slack.shapes import actions, context, plain, section
from core.chat_answers import ChatAnswers
from core.chat_commands import Away, Link, Misunderstood, Plain, read_command
from core.model import Identity
from core.ports import SendFailed
from core.told import Told

log = structlog.get_logger()

LINK_YES, LINK_NO = "assent.link.yes", "assent.link.no"
_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^>]*)?>", re.ASCII)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody who may ask the bot, and the words that they are answered in."""

    profile: Profile
    identity: Identity
    answers: ChatAnswers


class Answering:
    """Everything raises AssentError or SendFailed. `clock`: seconds since 1970; moments are read by it."""

    def __init__(
        self,
        messenger: SlackMessenger,
        directory: SlackDirectory,
        lists: Lists,
        errands: Errands,
        clock: Callable[[], float],
    ) -> None:
        self._messenger = messenger
        self._directory = directory
        self._lists = lists
        self._errands = errands
        self._clock = clock

    async def answer(self, typed: str, speaker: Speaker) -> Drawing:
        """`typed`: what stands behind the command, as Slack escapes it."""
        answers, identity = speaker.answers, speaker.identity
        try:
            command = read_command(typed, int(self._clock() * 1000), speaker.profile.zone)
        except Misunderstood as error:
            raise Misunderstood(error.reason, html.unescape(error.text)) from None
        match command:
            case Link(str(code)):
                return _to_confirm(answers, *await answers.look_at_code(identity, code), code)
            case Link():
                return private(await answers.link_code(identity))
            case Away():
                return private(await self._go_away(speaker, command))
            case Plain(name):
                return await self._plain(name, speaker)

    async def link(self, code: str, speaker: Speaker) -> Drawing:
        """They have looked whose code it is, and that is them; or, without a code, it is not."""
        if not code:
            return private(speaker.answers.words["left_alone"])
        return private(await speaker.answers.link(speaker.identity, code))

    async def _plain(self, name: str, speaker: Speaker) -> Drawing:
        answers, identity = speaker.answers, speaker.identity
        match name:
            case "waiting":
                return await self._lists.waiting(identity)
            case "history":
                return await self._lists.past(identity)
            case "inbox":
                url = await self._lists.sign_in_url(identity)
                return Drawing(answers.words["open_inbox"], web_link(answers.words, url))
            case "whoami":
                return private(await answers.whoami(identity))
            case "back":
                return private(await answers.back(identity))
            case _:
                return private(answers.help())

    async def _go_away(self, speaker: Speaker, away: Away) -> Told:
        mention = _MENTION.fullmatch(away.taker.strip())
        if mention is None:
            raise Misunderstood("no_taker")
        taker = await self._directory.profile(mention[1])
        if taker is None:
            raise Misunderstood("unknown_taker", mention[1])
        name = taker.who.name or mention[1]
        if not taker.is_person:
            raise Misunderstood("taker_is_bot", name)
        if taker.is_gone:
            raise Misunderstood("taker_is_gone", name)
        taken = identity_of(taker.who, await self._messenger.workspace())
        if taken.foreign:
            raise Misunderstood("taker_is_foreign", name)
        text = await speaker.answers.away(speaker.identity, away.until, taken.address, name)
        self._errands.run(self._tell_taker(taker, speaker, away.until))
        return text

    async def _tell_taker(self, taker: Profile, giver: Speaker, until: int) -> None:
        told = giver.answers.asked_to_answer(giver.identity, until, taker.zone)
        try:
            await self._messenger.write_to(taker.who.user, private(told))
        except SendFailed as failed:
            log.info("slack.not_told", user=taker.who.user, reason=failed.message)


def _to_confirm(answers: ChatAnswers, question: str, warning: str, code: str) -> Drawing:
    words = answers.words
    yes = {"type": "button", "action_id": LINK_YES, "text": plain(words["link_yes"]), "value": code}
    no = {"type": "button", "action_id": LINK_NO, "text": plain(words["link_no"]), "value": "no"}
    return Drawing(private(question).text, [section(question), context(warning), actions(yes, no)])
