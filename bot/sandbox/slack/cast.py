"""The two workspaces of the pretended Slack, and who is in them."""

from __future__ import annotations

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.journal import Journal
from bot.sandbox.slack.world import Channel, Person, Team, UserGroup, Workspace

SANDBOX = Team("T0SANDBOX", "Sandbox", "sandbox")
PARTNER = Team("T0PARTNER", "Partner", "partner")
STRANGER = Person("U0STRANGE", "stranger", "Stranger", PARTNER.id)


class SlackWorld(Workspace):
    """The workspace in which the app is installed from the start."""

    def __init__(self, clock: Clock, changes: Changes, journal: Journal) -> None:
        bot = Person("U0BOT0001", "assent", "Assent", SANDBOX.id, is_bot=True)
        super().__init__(clock, changes, journal, SANDBOX, bot, "B0BOT0001")
        self.partner = PARTNER
        self.requester = Person("U0REQUEST", "requester", "Requester", SANDBOX.id)
        self.reviewer_one = Person("U0REVIEW1", "reviewer.one", "Reviewer One", SANDBOX.id)
        self.reviewer_two = Person("U0REVIEW2", "reviewer.two", "Reviewer Two", SANDBOX.id)
        self.on_call = Person("U0ONCALL1", "on.call", "On Call", SANDBOX.id)
        self.outsider = Person("U0OUTSIDE", "outsider", "Outsider", SANDBOX.id)
        """Of the workspace, but a member of no channel."""
        self.stranger = STRANGER
        """Of another workspace; sits in the shared channel only."""
        team = [self.requester, self.reviewer_one, self.reviewer_two, self.on_call]
        members = [self.bot.id, *(person.id for person in team)]
        self.join(*team, self.outsider, self.stranger)
        self.approvals = Channel("C0APPROVE", "approvals", list(members))
        self.shared = Channel("C0SHARED1", "shared", [*members, self.stranger.id], is_ext_shared=True)
        self.oncall = Channel("C0ONCALL0", "oncall", list(members))
        self.unjoined = Channel("C0UNJOINE", "unjoined", [self.requester.id])
        """A public channel that the bot is not in."""
        self.open(self.approvals, self.shared, self.oncall, self.unjoined)
        self.reviewers = UserGroup("S0REVIEWS", "reviewers", "Reviewers", [self.reviewer_one.id, self.reviewer_two.id])
        self.standby = UserGroup("S0STANDBY", "standby", "Standby", [self.on_call.id])
        self.user_groups = {group.id: group for group in (self.reviewers, self.standby)}


class PartnerWorld(Workspace):
    """Another workspace: the app is not there until somebody installs it by OAuth."""

    def __init__(self, clock: Clock, changes: Changes, journal: Journal) -> None:
        bot = Person("U0BOT0002", "assent", "Assent", PARTNER.id, is_bot=True)
        super().__init__(clock, changes, journal, PARTNER, bot, "B0BOT0002")
        self.stranger = STRANGER
        self.partner_reviewer = Person("U0PARTREV", "partner.reviewer", "Partner Reviewer", PARTNER.id)
        self.join(self.stranger, self.partner_reviewer)
        self.approvals = Channel("C0PARTNER", "approvals", [self.bot.id, self.stranger.id, self.partner_reviewer.id])
        self.open(self.approvals)
        self.reviewers = UserGroup("S0PARTNER", "reviewers", "Reviewers", [self.partner_reviewer.id])
        self.user_groups = {self.reviewers.id: self.reviewers}
