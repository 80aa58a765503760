"""Socket Mode: the app calls `apps.connections.open`, connects the websocket and acknowledges envelopes.

Source: https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.sandbox.around import Address
from bot.sandbox.changes import Changes
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.wire import Json


class SocketLost(Exception):
    """The websocket closed before the envelope was acknowledged."""


class Socket:
    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.waiting: dict[str, asyncio.Future[Json]] = {}

    async def send(self, envelope: Json) -> Json:
        """Send an envelope and wait for its acknowledgement; the app's payload, empty when it sent none."""
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.waiting[envelope["envelope_id"]] = answer
        try:
            await self.websocket.send_json(envelope)
            return await answer
        except (WebSocketDisconnect, RuntimeError) as error:
            raise SocketLost from error
        finally:
            self.waiting.pop(envelope["envelope_id"], None)

    def received(self, text: str) -> None:
        message: Any = json.loads(text)
        answer = self.waiting.get(message.get("envelope_id", "")) if isinstance(message, dict) else None
        if answer is not None and not answer.done():
            answer.set_result(message.get("payload") or {})

    def lost(self) -> None:
        for answer in self.waiting.values():
            if not answer.done():
                answer.set_exception(SocketLost())


class SocketMode:
    """All sockets of the app. Slack gives each payload to one of them; with `to_all` every one gets it."""

    def __init__(self, app: SlackApp, changes: Changes, address: Address) -> None:
        self.sockets: list[Socket] = []
        self.to_all = False
        self._app = app
        self._changes = changes
        self._address = address
        self._tickets: set[str] = set()
        self._turn = 0

    def open(self) -> str:
        """A websocket URL that can be connected once."""
        ticket = secrets.token_urlsafe(18)
        self._tickets.add(ticket)
        return f"ws://{self._address.host}/slack/socket?ticket={ticket}&app_id={self._app.app_id}"

    async def endpoint(self, websocket: WebSocket) -> None:
        ticket = websocket.query_params.get("ticket", "")
        if ticket not in self._tickets:
            await websocket.close(4000)
            return
        self._tickets.discard(ticket)
        await websocket.accept()
        socket = Socket(websocket)
        await websocket.send_json(self._hello())
        self.sockets.append(socket)
        self._changes.touch()
        try:
            while True:
                socket.received(await websocket.receive_text())
        except (WebSocketDisconnect, ValueError, KeyError):
            pass  # the app went away, or sent what is no text: either way the socket is finished
        finally:
            self.sockets.remove(socket)
            socket.lost()
            self._changes.touch()

    async def deliver(self, kind: str, payload: Json, accepts_answer: bool, within: float, retries: int = 0) -> Json:
        """The acknowledgement's payload; another socket stands in for a lost one. TimeoutError after `within` s."""
        envelope: Json = {
            "envelope_id": str(uuid4()),
            "type": kind,
            "accepts_response_payload": accepts_answer,
            "payload": payload,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retries, "retry_reason": "timeout" if retries else ""}
        async with asyncio.timeout(within):
            while True:
                await self._connected()
                try:
                    return await self._send(envelope)
                except SocketLost:
                    continue

    async def _send(self, envelope: Json) -> Json:
        if not self.to_all:
            self._turn += 1
            return await self.sockets[self._turn % len(self.sockets)].send(envelope)
        answers = await asyncio.gather(*(socket.send(envelope) for socket in self.sockets))
        return next((answer for answer in answers if answer), {})

    async def _connected(self) -> None:
        while not self.sockets:
            await self._changes.after(self._changes.version, 60.0)

    async def ask_to_reconnect(self) -> None:
        """Tell every socket that it will be closed soon, as Slack does now and then."""
        for socket in list(self.sockets):
            await socket.websocket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    async def drop(self) -> None:
        """Close every socket without a word; what was not acknowledged is delivered again."""
        for socket in list(self.sockets):
            await socket.websocket.close(1011)
            socket.lost()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.sockets) + 1,
            "connection_info": {"app_id": self._app.app_id},
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 3600},
        }
