"""Settings and the secret key: what can be told without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bot.doctor.findings import Finding, broken, ok, warning
from bot.settings import Settings, Wrong

SLACK_ITSELF = "https://slack.com/api/"
_SIGNING = re.compile(r"[0-9a-f]{32}")
NO_BOT_TOKEN = broken(
    "telegram.token",
    "TELEGRAM_BOT_TOKEN is not written like a bot's token.",
    "Copy it as @BotFather gave it: digits, a colon, letters (`/token` at @BotFather shows it).",
)
_KINDS = {
    "xoxb-": "a bot token (xoxb-…)",
    "xapp-": "an app-level token (xapp-…)",
    "xoxp-": "a person's token (xoxp-…)",
    "xoxe": "a configuration token (xoxe…)",
    "xoxs-": "a session of a browser (xoxs-…)",
    "xoxc-": "a session of a browser (xoxc-…)",
}
_BOT = "Copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions of your Slack app"
_APP = "Generate one (xapp-…) under Basic Information → App-Level Tokens, with the scope connections:write"


def wrong_settings(problems: Sequence[Wrong]) -> list[Finding]:
    """What the settings' own checks refuse."""
    return [broken("settings.values", *_worded(problem)) for problem in problems]


def _worded(problem: Wrong) -> tuple[str, str]:
    if not problem.setting:
        return f"{problem.words}.", "Set what is missing, or take away what is not needed, in the environment or .env."
    field = Settings.model_fields[problem.setting.lower()]
    about = str(field.description).partition(". ")[0].removesuffix(".")
    return f"{problem.setting}: {problem.words}.", f"Set {problem.setting} right. {about}."


def misspelt(strangers: Sequence[str]) -> list[Finding]:
    """Names that are set and mean nothing. Those that resemble no setting are somebody else's."""
    found = []
    for name in strangers:
        if meant := get_close_matches(name.lower(), Settings.model_fields, n=1, cutoff=0.8):
            right = meant[0].upper()
            found.append(
                warning("settings.names", f"{name} is set, but there is no such setting.", f"Rename it to {right}.")
            )
    return found


def tokens(settings: Settings) -> Iterator[Finding]:
    """Whether each secret of Slack is of the kind that belongs there; its beginning tells."""
    bot, app, signing = (
        "" if one is None else one.get_secret_value()
        for one in (settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret)
    )
    genuine = settings.slack_base_url == SLACK_ITSELF
    if bot and (kind := _kind(bot)) != "xoxb-" and (kind or genuine):
        yield broken("slack.token", f"SLACK_BOT_TOKEN holds {_words(kind)}, and no bot token.", f"{_BOT}.")
    if app and (kind := _kind(app)) != "xapp-" and (kind or genuine):
        yield broken("slack.app_token", f"SLACK_APP_TOKEN holds {_words(kind)}, and no app-level token.", f"{_APP}.")
    if signing and ((kind := _kind(signing)) or (genuine and not _SIGNING.fullmatch(signing))):
        yield broken(
            "slack.signing_secret",
            f"SLACK_SIGNING_SECRET holds {_words(kind)}, and no signing secret.",
            "Copy it from Basic Information → Signing Secret: 32 digits and letters from a to f.",
        )
    if app and signing:
        yield warning(
            "slack.way_in",
            "SLACK_APP_TOKEN and SLACK_SIGNING_SECRET are both set; Socket Mode is used, and nothing comes over HTTP.",
            "Keep SLACK_APP_TOKEN for Socket Mode (one process), or SLACK_SIGNING_SECRET for HTTP (any number).",
        )


def _kind(secret: str) -> str:
    return next((prefix for prefix in _KINDS if secret.startswith(prefix)), "")


def _words(kind: str) -> str:
    return _KINDS.get(kind, "something else")


@dataclass(frozen=True, slots=True)
class KeySeen:
    """The secret key as it is kept. `given`: how many the setting holds. `file`: where it is kept otherwise; `modes`:
    the permission bits of that file, None when it is not there. `machines`: how many are at the database, `used`:
    whether anything in it was sealed.
    """

    given: int
    file: Path
    mode: int | None
    on_sqlite: bool
    machines: int = 1
    used: bool = False


def secret_key(seen: KeySeen) -> list[Finding]:
    """Whether the secret key is there, stays, and is nobody else's."""
    if seen.given:
        more = "" if seen.given == 1 else f" {seen.given} secrets; the first is in force"
        return [ok("secret_key.kept", f"From ASSENT_SECRET_KEY.{more}".rstrip())]
    if seen.mode is None:
        if seen.used:
            return [
                broken(
                    "secret_key.kept",
                    f"ASSENT_SECRET_KEY is not set, and {seen.file}, which held the key, is gone: nothing that was "
                    "sealed can be opened.",
                    "Put the file back from your backup, or set ASSENT_SECRET_KEY to the old key. A new one opens "
                    "nothing.",
                )
            ]
        return [ok("secret_key.kept", f"Made at the first start, in {seen.file}.")]
    found = []
    if not seen.on_sqlite:
        say = broken if seen.machines > 1 else warning
        what = (
            f"{seen.machines} machines share this database, and the secret key is in a file on this one"
            if seen.machines > 1
            else "The secret key is in a file on this machine only"
        )
        found.append(
            say(
                "secret_key.kept",
                f"{what} ({seen.file}): any other machine makes a key of its own, and cannot open what this one seals.",
                "Set ASSENT_SECRET_KEY on every machine to what that file holds.",
            )
        )
    if seen.mode & 0o077:
        found.append(
            broken(
                "secret_key.permissions",
                f"Others on this machine can read {seen.file}, and with it whatever is sealed.",
                f"`chmod 600 {seen.file}`",
            )
        )
    return found or [ok("secret_key.kept", f"Kept in {seen.file}, which only its owner can read.")]


def unopened(counts: Mapping[str, int]) -> list[Finding]:
    """Rows that no given key opens, by what they are."""
    if not counts:
        return []
    rows = ", ".join(f"{count} {what}" for what, count in counts.items())
    return [
        broken(
            "secret_key.opens",
            f"What is sealed in the database cannot be opened with the current secret key: {rows}.",
            "Add the old secret behind the new one, separated by a comma: ASSENT_SECRET_KEY=new,old.",
        )
    ]
