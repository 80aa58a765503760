"""The ceiling: the three routes without a gate behind them. Starlette under uvicorn, nothing checked, nothing stored.

It takes the arguments of `assent serve` and says where it listens in the same way: the harness starts both alike. With
`--wrong` every poll tells the result of another case: a test sees by it that the harness notices.
"""

from __future__ import annotations

import argparse
import json
import secrets
import socket
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


def build_app(*, wrong: bool = False) -> Starlette:
    async def open_case(request: Request) -> Response:
        asked = await request.json()
        case_id = f"review_{secrets.token_urlsafe(16)}"
        base = f"{request.url.scheme}://{request.url.netloc}"
        hitl = {
            "spec_version": "0.6",
            "case_id": case_id,
            "review_url": f"{base}/en/hitl/review/{case_id}?token={secrets.token_urlsafe(32)}",
            "poll_url": f"{base}/api/hitl/cases/{case_id}/status",
            "events_url": f"{base}/api/hitl/cases/{case_id}/events",
            "submit_url": f"{base}/api/hitl/cases/{case_id}/respond",
            "submit_token": secrets.token_urlsafe(32),
            "inline_actions": ["confirm", "cancel"],
            "type": asked["type"],
            "prompt": asked["prompt"],
            "context": asked["context"],
            "timeout": "24h",
            "default_action": "skip",
        }
        answer = {"status": "human_input_required", "message": asked["prompt"], "hitl": hitl}
        return JSONResponse(answer, 202, {"retry-after": "30"})

    async def respond(request: Request) -> Response:
        await request.json()
        case_id = request.path_params["case_id"]
        return JSONResponse({"success": True, "case_id": case_id, "status": "completed"})

    async def status(request: Request) -> Response:
        case_id = request.path_params["case_id"]
        result = {"action": "confirm", "data": {"note": "review_of_another" if wrong else case_id}}
        return JSONResponse({"status": "completed", "case_id": case_id, "result": result})

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ready")

    return Starlette(
        routes=[
            Route("/api/hitl/cases", open_case, methods=["POST"]),
            Route("/api/hitl/cases/{case_id}/respond", respond, methods=["POST"]),
            Route("/api/hitl/cases/{case_id}/status", status),
            Route("/readyz", ready),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True, help="not used: nothing is stored")
    parser.add_argument("--wrong", action="store_true")
    given = parser.parse_args()
    listener = socket.create_server((given.host, given.port), backlog=2048)
    print(json.dumps({"event": "serving", "url": f"http://{given.host}:{listener.getsockname()[1]}"}), file=sys.stderr)
    config = uvicorn.Config(build_app(wrong=given.wrong), http="httptools", log_config=None, access_log=False)
    uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
