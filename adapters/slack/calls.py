"""Calls to Slack's Web API: one client, one pool of connections, and refusals in words.

Nothing is sent twice here: the SDK's retry handlers are off, and whether a message may have arrived is told to the
caller, who decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from adapters.slack.refusals import SOCKET_MODE, refusal
from adapters.slack.settings import SlackSettings
from core.ports import SendFailed

T = TypeVar("T")

CALL_SECONDS = 10
CONNECT_SECONDS = 5
_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def quiet(name: str, level: int = logging.WARNING) -> logging.Logger:
    """A logger for the SDK: at DEBUG it would write whole messages, review links included."""
    logger = logging.getLogger(f"adapters.slack.{name}")
    logger.setLevel(level)
    return logger


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the bot lives, and who it is there. `enterprise` is empty outside Enterprise organisations. `prefix`: what
    ids of here are written with outside the adapter, `T…/`; empty in the default workspace. `prefixes`: those of all
    connected workspaces.
    """

    team: str
    team_name: str
    enterprise: str
    bot_user: str
    bot_name: str
    prefix: str = ""
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def prefix_of(self, team: str) -> str:
        """What people of that workspace are written with: one person has one name, wherever they are met."""
        return self.prefixes.get(team, self.prefix)


class SlackCalls:
    """What everything that asks Slack something stands on. `settings`: whose app it is."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._client = AsyncWebClient(
            token=settings.bot_token,
            base_url=settings.base_url,
            timeout=CALL_SECONDS,
            logger=quiet("sdk"),
            retry_handlers=[],
        )
        self._client.proxy = None  # the SDK took one from the environment, which only the settings read
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Future[Any]] = set()
        self.known: Workspace | None = None
        self.renews = False  # whether another token takes the place of this one when it runs out

    @property
    def client(self) -> AsyncWebClient:
        return self._client

    async def start(self) -> None:
        """One connection pool for all calls. Without it every call opens a connection of its own."""
        await self.close()
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        self._session = self._client.session = aiohttp.ClientSession(timeout=timeout, trust_env=False)

    async def close(self, seconds: float = CALL_SECONDS) -> None:
        """Let what is being sent be answered: cut off in the middle, nobody knows whether it arrived."""
        session, self._session, self._client.session = self._session, None, None
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        if session is not None:
            await session.close()

    async def workspace(self) -> Workspace:
        """Asked once, where it is not known. Raises SendFailed."""
        if self.known is None:
            answer = await self.ask(self._client.auth_test(), where="Slack")
            self.known = self._placed(workspace_of(answer))
        return self.known

    def _placed(self, workspace: Workspace) -> Workspace:
        return replace(workspace, prefix=self._settings.prefix, prefixes=self._settings.prefixes)

    async def try_socket_mode(self) -> None:
        """Whether Slack takes the app token, when there is one. Raises SendFailed."""
        if token := self._settings.app_token:
            await self.ask(self._client.apps_connections_open(app_token=token), where=SOCKET_MODE)

    async def ask(self, question: Awaitable[T], *, where: str) -> T:
        """Slack's answer, or SendFailed. `where`: what the question is about, for the words of a refusal."""
        asked = asyncio.ensure_future(question)
        self._under_way.add(asked)
        asked.add_done_callback(self._under_way.discard)
        try:
            return await asked
        except SlackApiError as error:
            expired = "" if self.renews else self._settings.expired
            raise refusal(error, where, self._bot_name, self._settings.removed, expired) from None
        except _NEVER_LEFT as error:
            raise SendFailed(f"Slack cannot be reached at {self._settings.base_url} ({type(error).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendFailed(f"Slack's answer got lost ({type(error).__name__})", uncertain=True) from None
        except (AttributeError, ValueError) as error:  # the SDK stumbles over what is no JSON object
            raise SendFailed(f"Slack's answer made no sense ({type(error).__name__})", uncertain=True) from None

    @property
    def _bot_name(self) -> str:
        return self.known.bot_name if self.known else "assent"


def workspace_of(answer: AsyncSlackResponse) -> Workspace:
    return Workspace(
        team=str(answer["team_id"]),
        team_name=str(answer.get("team") or answer["team_id"]),
        enterprise=str(answer.get("enterprise_id") or ""),
        bot_user=str(answer["user_id"]),
        bot_name=str(answer.get("user") or "assent"),
    )
