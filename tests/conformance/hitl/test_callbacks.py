"""Sections 9 and 13.4: callbacks and signed results."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.conformance.hitl.target import Target

MINUTES = 60.0


class Receiver:
    """An agent's endpoint: what came, as (headers, body), and the statuses that it answers first; then 200."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.came.append((headers, json.loads(body)))

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hitl"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver(target: Target) -> Iterator[Receiver]:
    target.need("callback")
    found = Receiver()
    yield found
    found.close()


def _callback(target: Target, receiver: Receiver, count: int = 1) -> tuple[dict[str, str], dict[str, Any]]:
    return target.until(lambda: receiver.came[count - 1] if len(receiver.came) >= count else None)


def test_a_callback_tells_of_the_answer(target: Target, receiver: Receiver) -> None:
    case = target.open(hitl_callback_url=receiver.url)
    target.submit(case, "confirm")
    headers, body = _callback(target, receiver)
    state = target.state(case)
    assert "application/json" == headers["content-type"].partition(";")[0]
    assert ("review.completed", case["case_id"]) == (body["event"], body["case_id"])
    assert (state["completed_at"], state["result"]) == (body["completed_at"], body["result"])


def test_a_callback_tells_of_the_expiry(target: Target, receiver: Receiver) -> None:
    case = target.expired(hitl_callback_url=receiver.url)
    _, body = _callback(target, receiver)
    assert ("review.expired", case["case_id"]) == (body["event"], body["case_id"])


def test_a_callback_tells_of_the_withdrawal(target: Target, receiver: Receiver) -> None:
    case = target.open(hitl_callback_url=receiver.url)
    target.withdraw(case, "Not needed.")
    _, body = _callback(target, receiver)
    assert ("review.cancelled", case["case_id"]) == (body["event"], body["case_id"])


def test_a_callback_is_signed(target: Target, receiver: Receiver) -> None:
    target.submit(target.open(hitl_callback_url=receiver.url), "confirm")
    headers, _ = _callback(target, receiver)
    assert re.search(r"(sha256=[0-9a-f]{64}|value=\"?[A-Za-z0-9_-]{43})", headers["x-hitl-signature"])


def test_a_callback_that_failed_is_sent_again(target: Target, receiver: Receiver) -> None:
    receiver.statuses = [503]
    case = target.open(hitl_callback_url=receiver.url)
    target.submit(case, "confirm")
    _, first = _callback(target, receiver)
    target.later(MINUTES)
    _, second = _callback(target, receiver, 2)
    assert first["case_id"] == second["case_id"] == case["case_id"]
    assert first["result"] == second["result"]


def test_a_case_whose_callback_fails_can_be_polled(target: Target, receiver: Receiver) -> None:
    receiver.statuses = [503] * 100
    case = target.open(hitl_callback_url=receiver.url)
    target.submit(case, "confirm")
    _callback(target, receiver)
    assert "confirm" == target.ended(case, "completed")["result"]["action"]


def test_a_result_can_be_signed_and_names_where_the_keys_are(target: Target) -> None:
    target.need("supports_signatures")
    case = target.open(**target.signed())
    target.submit(case, "confirm")
    signature = target.ended(case, "completed")["result"]["signature"]
    assert {"algorithm", "value", "signed_at", "signer"} <= set(signature)
    published = httpx.get(signature["signer"], trust_env=False).json()
    assert published["keys"]
    assert not {name for key in published["keys"] for name in key} & {"d", "p", "q"}, "nothing of a private key"
