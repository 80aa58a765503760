"""Every messenger's directory keeps the promises of the port: what is not so, or cannot be seen, is nobody's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from adapters.slack.directory import SlackDirectory
from adapters.slack.messenger import SlackMessenger
from adapters.telegram.directory import TelegramDirectory
from bot.sandbox import Fault, Sandbox
from core.ports import SendFailed
from tests.integration.slack_support import settings_for


@dataclass
class Book:
    """A directory, and whom it knows: `person` is in `chat`, `outsider` is not. `method`: what it asks the platform."""

    sandbox: Sandbox
    directory: SlackDirectory | TelegramDirectory
    person: str
    outsider: str
    chat: str
    method: str


@asynccontextmanager
async def _slack(sandbox: Sandbox) -> AsyncIterator[Book]:
    messenger = SlackMessenger(settings_for(sandbox))
    await messenger.start()
    yield Book(sandbox, SlackDirectory(messenger), "U0REVIEW1", "U0OUTSIDE", "C0APPROVE", "users.conversations")
    await messenger.close()


@asynccontextmanager
async def _telegram(sandbox: Sandbox) -> AsyncIterator[Book]:
    request = HTTPXRequest(httpx_kwargs={"trust_env": False})
    bot = Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot", request=request)
    await request.initialize()
    directory = TelegramDirectory(bot, sandbox.telegram.base_url)
    yield Book(sandbox, directory, "1002", "1005", "-4001", "getChatMember")
    await request.shutdown()


@pytest.fixture(params=[_slack, _telegram], ids=["slack", "telegram"])
async def book(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Book]:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    async with Sandbox.running() as sandbox, request.param(sandbox) as found:
        yield found


async def test_whoever_is_in_a_chat_is_found_there_and_nobody_else(book: Book) -> None:
    assert {book.chat} == await book.directory.chats_of(book.person, [book.chat])
    assert frozenset() == await book.directory.chats_of(book.outsider, [book.chat])


async def test_nobody_is_in_what_there_is_not(book: Book) -> None:
    nonsense = ["", "C0NOWHERE", "-99", "S0NOWHERE", "💥", "../.."]

    assert frozenset() == await book.directory.chats_of(book.person, nonsense)
    assert frozenset() == await book.directory.groups_of(book.person, nonsense)


async def test_whom_the_platform_does_not_know_is_nowhere(book: Book) -> None:
    for stranger in ("", "nobody", "U0NOBODY1", "424242"):
        assert frozenset() == await book.directory.chats_of(stranger, [book.chat])


async def test_only_what_was_asked_for_is_answered(book: Book) -> None:
    assert frozenset() == await book.directory.chats_of(book.person, ["C0NOWHERE", "-99"])


async def test_somebody_who_never_wrote_to_the_bot_is_introduced_by_name(book: Book) -> None:
    found = await book.directory.introduced(book.person, [book.chat])
    assert found is not None
    assert (book.directory.platform, book.person, True) == (
        found.identity.platform, found.identity.user_id, found.identity.verified,
    )  # fmt: skip
    assert (found.identity.display_name or "").casefold().replace(".", " ") == "reviewer one"


async def test_nobody_is_introduced_whom_the_platform_does_not_know(book: Book) -> None:
    for stranger in ("", "nobody", "U0NOBODY1", "424242", "U0STRANGE", "USLACKBOT", "1087968824", "../.."):
        assert await book.directory.introduced(stranger, [book.chat, "-99", "C0NOWHERE", "💥"]) is None


@pytest.mark.parametrize("fault", [Fault.rate_limited(7), Fault.server_error(503)])
async def test_who_cannot_be_asked_for_now_is_not_said_to_be_nobody(book: Book, fault: Fault) -> None:
    book.sandbox.faults.next("users.info" if book.directory.platform == "slack" else book.method, fault, times=3)
    with pytest.raises(SendFailed) as raised:
        await book.directory.introduced(book.person, [book.chat])

    assert not raised.value.permanent


@pytest.mark.parametrize(
    "fault", [Fault.rate_limited(7), Fault.server_error(503), Fault.dropped(), Fault.lost_answer()]
)
async def test_what_cannot_be_asked_now_is_said_to_be_so(book: Book, fault: Fault) -> None:
    book.sandbox.faults.next(book.method, fault, times=3)  # reading may be tried again by itself
    with pytest.raises(SendFailed) as raised:
        await book.directory.chats_of(book.person, [book.chat])

    assert not raised.value.permanent
