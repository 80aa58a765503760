"""How updates get in: one intake behind two doors, the webhook and the long poll.

Telegram keeps an update until it is confirmed (200, or a getUpdates with a higher offset), and delivers it again until
then. So nothing is confirmed before it is stored, and nothing waits for what else there is to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from telegram import Bot, Update
from telegram.error import Conflict, RetryAfter, TelegramError
from telegram.ext import Application
from telegram.request import HTTPXRequest

from adapters.telegram.limits import MAX_UPDATES
from adapters.telegram.messenger import REMOVE, connection_words, milliseconds
from adapters.telegram.taps import Taps
from core.errors import InvalidInput, Unavailable
from core.hub import Hub
from core.leases import Lease
from core.strictjson import load_object
from core.tokens import same

log = structlog.get_logger()

ALLOWED_UPDATES = ("callback_query", "message")

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  # the name of the header
MAX_BODY = 1024 * 1024
MAX_CONNECTIONS = 100  # the most that Telegram opens; each tap that waits for the database holds one
HOLD_SECONDS = 8.0  # how long a webhook may wait for its tap to be stored

POLL_SECONDS = 25
LOOK_SECONDS = 0.05  # while a tap waits for the database, new ones are looked for so often
RENEW_SECONDS = 2.0
TRUST_SECONDS = 7.0  # how long a renewal counts; the lease itself must live longer (core.leases: 10 s)
STANDBY_SECONDS = 2.0
MAX_PAUSE_SECONDS = 30.0
KEPT_SECONDS = 86_400  # Telegram keeps updates for a day, and numbers them anew after a quiet week
FREE = "telegram-poller"  # the hub's key: whoever polled has stopped


class Intake:
    """Where both doors hand updates in. An update that is under way is not begun a second time."""

    def __init__(self, application: Application[Any, Any, Any, Any, Any, Any], taps: Taps) -> None:
        self._application = application
        self._taps = taps
        self._under_way: dict[int, asyncio.Task[bool]] = {}
        self.is_open = False

    def read(self, raw: dict[str, Any]) -> Update:
        """The update in a JSON object. Raises InvalidInput."""
        return _read(raw, self._application.bot)

    def take(self, update: Update, since: int) -> asyncio.Task[bool]:
        """Begin to handle an update that was not sent before `since`. The task's result: whether it needs no other
        delivery.
        """
        known = self._under_way.get(update.update_id)
        if known is not None:
            return known
        self._taps.since[update.update_id] = since
        task = self._under_way[update.update_id] = asyncio.create_task(self._handle(update))
        task.add_done_callback(lambda _: self._done(update.update_id))
        return task

    def _done(self, update_id: int) -> None:
        del self._under_way[update_id], self._taps.since[update_id]

    async def drain(self, seconds: float) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds)

    async def _handle(self, update: Update) -> bool:
        try:
            await self._application.process_update(update)
        except Exception:
            # Raised before any handler's turn, by what Telegram never sends: it would be no better the next time.
            log.exception("telegram.update_not_handled", update_id=update.update_id)
        lost = update.update_id in self._taps.lost
        self._taps.lost.discard(update.update_id)
        return not lost


def _read(raw: dict[str, Any], bot: Bot | None = None) -> Update:
    _check(raw)
    try:
        return Update.de_json(raw, bot)
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise InvalidInput("this is no update as Telegram sends it") from error


def _check(raw: Mapping[str, Any]) -> None:
    """The fields that decide who tapped what must be what they seem; the SDK takes them as they come."""
    if not _is_id(raw.get("update_id")):
        raise InvalidInput("update_id must be a number", field="update_id")
    for kind, said in (("callback_query", "data"), ("message", "text")):
        content = raw.get(kind)
        if content is None:
            continue
        if not isinstance(content, dict):
            raise InvalidInput(f"{kind} must be an object", field=kind)
        who = content.get("from")
        is_user = isinstance(who, dict) and _is_id(who.get("id")) and isinstance(who.get("first_name"), str)
        if not is_user and not (kind == "message" and who is None):  # a channel writes as nobody
            raise InvalidInput(f"{kind}.from must be a user", field=kind)
        if not isinstance(content.get(said, ""), str):
            raise InvalidInput(f"{kind}.{said} must be text", field=kind)
        message = content if kind == "message" else content.get("message")
        chat = message.get("chat") if isinstance(message, dict) else None
        if isinstance(message, dict) and not (isinstance(chat, dict) and _is_id(chat.get("id"))):
            raise InvalidInput(f"{kind}: its message must be of a chat", field=kind)


def _now() -> int:
    return int(time.time() * 1000)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class WebhookDoor:
    """POST /telegram/webhook, for Telegram alone."""

    def __init__(self, secret: str, intake: Intake, hold_seconds: float) -> None:
        self._secret = secret
        self._intake = intake
        self._hold_seconds = hold_seconds

    async def endpoint(self, request: Request) -> Response:
        """200 once the update is stored; 503 when that takes too long, so that Telegram delivers it again."""
        if not same(request.headers.get(SECRET_HEADER, ""), self._secret):
            return _refused(401, f"{SECRET_HEADER} is missing or wrong")
        body = await _body(request)
        if body is None:
            return _refused(413, "an update has at most 1 MiB")
        try:
            update = self._intake.read(load_object(body))
        except InvalidInput as error:
            return _refused(400, error.message)
        if not self._intake.is_open:
            return _refused(503, "not connected to Telegram yet")
        # When the button was pressed nobody says; a webhook that works gets it at once.
        task = self._intake.take(update, _now())
        await asyncio.wait({task}, timeout=self._hold_seconds)
        if task.done() and task.result():
            return JSONResponse({"ok": True})
        return _refused(503, "not stored yet; deliver it again")


async def _body(request: Request) -> bytes | None:
    """The body; None when it is longer than any update, of which no more is read then."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"ok": False, "error": reason}, status)


class PollRequest(HTTPXRequest):
    """Fetches updates. One that cannot be read comes as an empty one, so that it does not keep the others away."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        found: dict[str, Any] = HTTPXRequest.parse_json_payload(payload)
        if isinstance(found.get("result"), list):
            found["result"] = [_readable(raw) for raw in found["result"]]
        return found


def _readable(raw: dict[str, Any]) -> dict[str, Any]:
    try:
        _read(raw)
    except InvalidInput as error:
        log.error("telegram.unreadable_update", update_id=raw["update_id"], reason=error.message)
        return {"update_id": raw["update_id"]}
    return raw


class Poller:
    """Fetches updates while this process holds the lease. What is stored is confirmed; the rest comes again."""

    def __init__(self, bot: Bot, intake: Intake, lease: Lease, hub: Hub, base_url: str) -> None:
        self._bot = bot
        self._intake = intake
        self._lease = lease
        self._hub = hub
        self._base_url = base_url
        self._waiting: dict[int, asyncio.Task[bool]] = {}  # fetched, not confirmed
        self._offset: int | None = None  # to be sent with the next getUpdates, which confirms everything below it
        self._note = ""  # for the next holder
        self._emptied_at = 0  # by then Telegram had handed over all that it held, so what comes now is younger

    async def run(self) -> None:
        """Until cancelled: poll, or stand by while somebody else does."""
        with self._hub.subscribe(FREE) as freed:
            while True:
                asked = asyncio.get_running_loop().time()
                try:
                    if await self._lease.take():
                        await self._hold(asked)
                except Unavailable as error:
                    log.warning("telegram.not_polling", reason=error.message)
                await freed.wait(STANDBY_SECONDS)

    async def release(self) -> None:
        """Polling has ended: tell the next holder where to go on, and let it begin at once."""
        self._confirm()
        try:
            await self._lease.save(self._note)
            await self._lease.drop()
        except Unavailable as error:
            log.warning("telegram.lease_not_dropped", reason=error.message)
        self._hub.wake(FREE)

    async def _hold(self, since: float) -> None:
        """Poll as long as the lease can be trusted to be ours."""
        self._waiting.clear()
        self._emptied_at = 0
        self._note = await self._lease.state() or ""
        self._offset = _offset_in(self._note, time.time())
        log.info("telegram.polling")
        try:
            async with asyncio.timeout_at(since + TRUST_SECONDS) as trust, asyncio.TaskGroup() as group:
                group.create_task(self._keep(trust))
                group.create_task(self._poll())
        except TimeoutError:
            log.warning("telegram.not_polling", reason="another process polls now, or the database is away")

    async def _keep(self, trust: asyncio.Timeout) -> None:
        """Renew the lease, and keep the note for the next holder up to date."""
        loop = asyncio.get_running_loop()
        ours, saved = True, self._note
        while ours:
            await asyncio.sleep(RENEW_SECONDS)
            asked = loop.time()
            try:
                ours = await self._lease.take()
                if saved != (note := self._note):
                    await self._lease.save(note)
                    saved = note
            except Unavailable as error:
                log.warning("telegram.lease_not_renewed", reason=error.message)
                continue
            if not trust.expired():
                trust.reschedule(asked + TRUST_SECONDS if ours else loop.time())

    async def _poll(self) -> None:
        failures = 0
        while True:
            asked_at = _now()
            try:
                updates = await self._bot.get_updates(
                    offset=self._offset,
                    limit=MAX_UPDATES,
                    timeout=0 if self._waiting else POLL_SECONDS,
                    allowed_updates=ALLOWED_UPDATES,
                )
            except TelegramError as error:
                failures += 1
                await asyncio.sleep(self._pause_after(error, failures))
                continue
            failures, self._offset = 0, None
            for update in updates:
                if update.update_id not in self._waiting:
                    self._waiting[update.update_id] = self._intake.take(update, self._emptied_at)
            if len(updates) < MAX_UPDATES:
                self._emptied_at = asked_at
            if self._waiting:
                # Not for as long as it takes: while these wait for the database, the next tap wants to be acknowledged.
                await asyncio.wait(self._waiting.values(), timeout=LOOK_SECONDS)
                self._confirm()

    def _confirm(self) -> None:
        """Everything below the first update that is not stored."""
        for update_id in sorted(self._waiting):
            if not self._waiting[update_id].done():
                return
            if not self._waiting.pop(update_id).result():
                self._emptied_at = 0  # this one comes again, and is older
                return
            self._offset = update_id + 1
            self._note = f"{self._offset} {int(time.time())}"

    def _pause_after(self, error: TelegramError, failures: int) -> float:
        """Say what is wrong; how many seconds to wait."""
        pause = min(MAX_PAUSE_SECONDS, 2.0 ** (failures - 1))
        reason = connection_words(error, self._base_url)
        if isinstance(error, Conflict):
            reason = f"another program polls with this bot's token, or a webhook is set for it ({REMOVE})"
        elif isinstance(error, RetryAfter):
            pause = milliseconds(error.retry_after) / 1000
        log.warning("telegram.not_polling", reason=reason, again_in_seconds=pause)
        return pause


def _offset_in(note: str, now: float) -> int | None:
    """Where the last holder stopped; None when that is too long ago to mean anything."""
    offset, _, noted_at = note.partition(" ")
    if not (offset.isdecimal() and noted_at.isdecimal()) or now - int(noted_at) > KEPT_SECONDS:
        return None
    return int(offset)
