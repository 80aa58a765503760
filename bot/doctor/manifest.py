"""The Slack app as its manifest wants it."""

from __future__ import annotations

from pathlib import Path

import yaml

MANIFEST = Path(__file__).resolve().parents[2] / "manifests" / "slack-app.yaml"


def bot_scopes() -> tuple[str, ...]:
    """The permissions that the bot token needs."""
    found = yaml.safe_load(MANIFEST.read_text())
    return tuple(map(str, found["oauth_config"]["scopes"]["bot"]))
