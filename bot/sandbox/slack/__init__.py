"""A local Slack: Web API, signed interactions, response_url, Socket Mode. Start with `desk.SlackSandbox`."""

from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.delivery import Attempt, Forgery, Tap
from bot.sandbox.slack.desk import SlackSandbox
from bot.sandbox.slack.payloads import NoSuchButton
from bot.sandbox.slack.world import Channel, Message, Person, SlackWorld

__all__ = [
    "Attempt",
    "Channel",
    "Forgery",
    "Message",
    "NoSuchButton",
    "Person",
    "SlackApp",
    "SlackSandbox",
    "SlackWorld",
    "Tap",
]
