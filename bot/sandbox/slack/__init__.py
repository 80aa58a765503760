"""A local Slack: Web API, signed interactions, response_url, Socket Mode, OAuth. Start with `desk.SlackSandbox`."""

from bot.sandbox.slack.app import Grant, SlackApp
from bot.sandbox.slack.args import SlackError
from bot.sandbox.slack.cast import PartnerWorld, SlackWorld
from bot.sandbox.slack.delivery import Attempt, Forgery, Tap
from bot.sandbox.slack.desk import SlackDesk, SlackSandbox
from bot.sandbox.slack.inputs import Typed
from bot.sandbox.slack.modals import View
from bot.sandbox.slack.payloads import NoSuchButton
from bot.sandbox.slack.world import Channel, Message, Person, Team, UserGroup, Workspace

__all__ = [
    "Attempt",
    "Channel",
    "Forgery",
    "Grant",
    "Message",
    "NoSuchButton",
    "PartnerWorld",
    "Person",
    "SlackApp",
    "SlackDesk",
    "SlackError",
    "SlackSandbox",
    "SlackWorld",
    "Tap",
    "Team",
    "Typed",
    "UserGroup",
    "View",
    "Workspace",
]
