"""Telling one person something: as the answer to what they did, else where they did it, else in a direct message."""

from __future__ import annotations

import structlog

from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import Place
from adapters.slack.render import Drawing, private
from core.model import Address
from core.ports import SendFailed
from core.told import Told

log = structlog.get_logger()


async def tell(messenger: SlackMessenger, place: Place, what: Drawing | Told | str, *, replace: bool = False) -> None:
    """`replace`: in the place of the message that only they see and have just used."""
    drawing = what if isinstance(what, Drawing) else private(what)
    try:
        if place.response_url:
            await messenger.reply(place.response_url, drawing, replace=replace)
            return
    except SendFailed as failed:
        log.info("slack.response_url_failed", user=place.user, reason=failed.message)
    try:
        if place.channel:
            await messenger.whisper(Address("slack", place.channel), place.user, drawing)
            return
    except SendFailed as failed:  # the bot need not be where somebody types a command
        log.info("slack.not_told_there", user=place.user, chat=place.channel, reason=failed.message)
    try:
        await messenger.write_to(place.user, drawing)
    except SendFailed as failed:
        log.warning("slack.not_told", user=place.user, reason=failed.message)
