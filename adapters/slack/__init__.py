"""Slack: cards out through the Web API, taps in over HTTP or through Socket Mode."""

from adapters.slack.adapter import SlackAdapter
from adapters.slack.settings import InstallSettings, SlackSettings

__all__ = ["InstallSettings", "SlackAdapter", "SlackSettings"]
