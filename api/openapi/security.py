"""How whoever calls shows who they are: OpenAPI's security schemes, and which of them a route knows."""

from __future__ import annotations

from typing import Any

from api.doors.entry import Door, Entry, Page

KEY, KEY_HEADER, SUBMIT_TOKEN = "key", "keyHeader", "submitToken"
SLACK, TELEGRAM, METRICS, SESSION = "slackSignature", "telegramSecret", "metricsToken", "session"

SCHEMES: dict[str, dict[str, Any]] = {
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `ak_…`. What it may do follows from its scope and the sources it is bound to.",
    },
    KEY_HEADER: {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same API key in a header of its own; it wins over `Authorization`.",
    },
    SUBMIT_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "The `submit_token` of one case, for answers that its agent's messenger brings.",
    },
    SLACK: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Slack-Signature",
        "description": "Slack's signature over body and `X-Slack-Request-Timestamp`.",
    },
    TELEGRAM: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Telegram-Bot-Api-Secret-Token",
        "description": "The secret that Telegram was told with the webhook's address.",
    },
    METRICS: {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of the setting METRICS_TOKEN.",
    },
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-assent",
        "description": "The cookie of whoever is signed in on the web; `assent` where the address is no https.",
    },
}


def security_of(door: Door, entry: Entry | Page) -> list[dict[str, list[str]]]:
    """OpenAPI's `security`: any one of the listed will do, and an empty one says that none is needed."""
    if entry.scopes:
        return [{KEY: []}, {KEY_HEADER: []}] if door.api_key_header else [{KEY: []}]
    return [{name: []} if name else {} for name in entry.about.credentials]
