"""What is to be said of Slack. Pure: `adapters.slack.health` asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bot.doctor.findings import Finding, broken, ok, warning

if TYPE_CHECKING:
    from adapters.slack.health import SlackSeen, UserGroup

_ADD = "Add {} under OAuth & Permissions → Bot Token Scopes, and install the app to the workspace again."


def token(seen: SlackSeen, *, socket_mode: bool) -> Iterator[Finding]:
    if not seen.is_bot:
        yield broken(
            "slack.token",
            f"SLACK_BOT_TOKEN speaks for a person, {seen.bot}, and not for the app's bot.",
            "Copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions of your Slack app.",
        )
        return
    way = "through Socket Mode" if socket_mode else "over HTTP"
    yield ok("slack.token", f"The bot is @{seen.bot} in {seen.team}; taps come {way}.")


def workspace(name: str, team: str, problem: str) -> Finding:
    """A workspace where the app was installed. `problem`: why nothing can be sent there; empty when all is well."""
    if problem:
        fix = "Install it there again at /slack/install, or take its channels away from your sources."
        return broken("slack.workspaces", f"The workspace {name} ({team}) is not connected: {problem}.", fix)
    return ok("slack.workspaces", f"The app is installed in {name}; its channels are written slack:{team}/C….")


def removed(name: str, team: str) -> Finding:
    return warning(
        "slack.workspaces",
        f"The app was removed from the workspace {name} ({team}); cards that go there are given up.",
        "Install it there again at /slack/install, or take its channels away from your sources.",
    )


NOWHERE = warning(
    "slack.workspaces",
    "The app is installed in no workspace yet.",
    "Open /slack/install at the address of this server, while SLACK_INSTALL allows the workspace.",
)


def permissions(
    granted: frozenset[str] | None, wanted: Iterable[str], needed: frozenset[str], features: Mapping[str, str]
) -> Iterator[Finding]:
    """`granted` held against those of the manifest (`wanted`). Without one of `needed` Assent does not work at all;
    `features` says what each is for.
    """
    if granted is None:
        return
    missing = [scope for scope in wanted if scope not in granted]
    for say, scopes in (
        (broken, [scope for scope in missing if scope in needed]),
        (warning, [scope for scope in missing if scope not in needed]),
    ):
        if scopes:
            lost = "; ".join(f"{scope} ({features.get(scope, 'what the manifest asks for')})" for scope in scopes)
            what = "the permission" if len(scopes) == 1 else "the permissions"
            yield say("slack.permissions", f"The app lacks {what} {lost}.", _ADD.format(", ".join(scopes)))
    if not missing:
        yield ok("slack.permissions", "The app has every permission of manifests/slack-app.yaml.")


def groups(known: Mapping[str, UserGroup], named: Mapping[str, str]) -> Iterator[Finding]:
    """`named`: the user groups that reviewers are named by (`S…`, `T…/S…`), each with who names it."""
    for group, who in named.items():
        if group not in known:
            yield broken(
                "slack.user_groups",
                f"{who} names the user group slack:{group}, which is not in its workspace, is switched off, or "
                "whose workspace is not connected.",
                "Look its id up in Slack: People → User groups → … → Copy group ID, and write that.",
            )
        elif known[group].members == 0:
            yield warning(
                "slack.user_groups",
                f"{who} names the user group @{known[group].handle}, and nobody is in it.",
                "Add people to it in Slack, or name others as reviewers.",
            )
    if named and all(group in known and known[group].members != 0 for group in named):
        yield ok("slack.user_groups", f"All {len(named)} that reviewers are named by are there.")


def groups_unread(named: Mapping[str, str], scope: str) -> Finding:
    who = next(iter(named.values()))
    return broken(
        "slack.user_groups",
        f"{who} names a user group, and without the permission {scope} nobody's membership can be told: none of its "
        "people can answer.",
        _ADD.format(scope),
    )
