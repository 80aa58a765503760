"""What the bot answers to commands, on every messenger: plain text, in the services' language and time zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from core.chat import ChatServices
from core.chat_commands import Misunderstood
from core.command_words import command_words
from core.errors import AssentError, Unavailable
from core.model import Identity
from core.people import Delegations
from core.told import Told
from core.wording import timed, visible
from core.words import Words, said, words_for

NAMES = {"slack": "Slack", "telegram": "Telegram"}


class ChatAnswers:
    """`platform`: the messenger that people are on. `written`: how a command is written there, without its slash:
    `link CODE` is `/assent link CODE` on Slack. Whatever a method raises, `explained` has words for.
    """

    def __init__(self, services: ChatServices, platform: str, written: Callable[[str], str]) -> None:
        self._people = services.people
        self._platform = platform
        self._written = written
        self._language = services.language
        self._zone = services.zone

    @property
    def words(self) -> Words:
        return command_words(self._language)

    def explained(self, error: AssentError) -> str:
        """Why a command did nothing."""
        if isinstance(error, Misunderstood):
            return self._misunderstood(error)
        if isinstance(error, Unavailable):
            return self._say("try_again")
        text = said(error.message, words_for(self._language)) or error.message
        text = text[:1].upper() + text[1:]
        return text if text.endswith((".", "!", "?")) else text + "."

    def _misunderstood(self, error: Misunderstood) -> str:
        if error.reason in ("away_how", "no_taker"):
            return self._say(error.reason, self._written(self.words["away_example"]))
        told = error.in_words(self.words)
        return f"{told} {self._say('see_help', self._written('help'))}" if error.reason == "unknown_command" else told

    def help(self) -> str:
        lines = [f"{self._written(f'{name} {rest}'.strip())}: {what}" for name, rest, what in self.words["helps"]]
        return "\n".join([self._say("help"), *lines])

    async def whoami(self, identity: Identity) -> Told:
        """Who they are here, with what is linked, their groups, and who answers for whom."""
        linked = (await self._people.linked(identity))[1:]
        groups = await self._people.groups(identity)
        delegations = await self._people.delegations(identity)
        lines = [self._say("you_are", name_of(identity), identity.address)]
        lines += [self._say("also", described(one)) for one in linked] or [self._say("not_linked")]
        if groups:
            lines.append(self._say("groups", ", ".join(groups)))
        stand = standing_in(delegations, self._language, self._zone)
        moments = tuple(when for line in stand for when in line.moments)
        return Told("\n".join([*lines, *(line.text for line in stand)]), moments)

    async def link_code(self, identity: Identity) -> str:
        """A new code, where to enter it, and a warning."""
        code = await self._people.link_code(identity)
        other = next(name for platform, name in NAMES.items() if platform != self._platform)
        how = f"/link {code}" if other == "Telegram" else f"/assent link {code}"
        return "\n".join([self._say("code", code=code, other=other, how=how), self._say("code_warning")])

    async def look_at_code(self, identity: Identity, code: str) -> tuple[str, str]:
        """Whose code it is, to be confirmed; and what that would mean."""
        maker = await self._people.look_at_code(identity, code)
        asks = self._say("asks_link", who=described(maker), platform=NAMES.get(maker.platform, maker.platform))
        return asks, self._say("link_warning")

    async def link(self, identity: Identity, code: str) -> str:
        """They have confirmed it."""
        linked = await self._people.link(identity, code)
        return self._say("linked", ", ".join(map(described, linked)))

    async def away(self, identity: Identity, until: int, taker: str, taker_name: str) -> Told:
        found = await self._people.away(identity, until, taker, taker_name)
        when = timed(found.until, words_for(self._language), self._zone)
        return Told(self._say("is_away", until=when.text, taker=taker_name, back=self._written("back")), (when,))

    def asked_to_answer(self, giver: Identity, until: int, zone: tzinfo) -> Told:
        """What whoever stands in for somebody is told; `zone` is theirs."""
        when = timed(until, words_for(self._language), zone)
        return Told(self._say("asked_to_answer", giver=name_of(giver), until=when.text), (when,))

    async def back(self, identity: Identity) -> str:
        return self._say("back" if await self._people.back(identity) else "not_away")

    def _say(self, text: str, *values: Any, **named: Any) -> str:
        return str(self.words[text]).format(*values, **named)


def standing_in(found: Delegations, language: str, zone: tzinfo = UTC) -> Sequence[Told]:
    """Who answers for whom, in a line each."""
    words, times = command_words(language), words_for(language)

    def line(text: str, until: int, **names: str) -> Told:
        when = timed(until, times, zone)
        return Told(words[text].format(until=when.text, **names), (when,))

    given = [line("away_until", one.until, taker=visible(one.taker_name or one.taker)) for one in found.given]
    taken = [line("answers_for", one.until, giver=name_of(one.giver)) for one in found.taken]
    return [*given, *taken]


def name_of(identity: Identity) -> str:
    return visible(identity.display_name or identity.user_id)


def described(identity: Identity) -> str:
    return f"{name_of(identity)} ({identity.address})"
