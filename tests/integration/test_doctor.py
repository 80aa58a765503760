"""`assent doctor` names each seeded misconfiguration in plain words, with its fix, and nothing where all is well."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from bot import logs
from bot.cli import app
from bot.doctor.card import posted
from bot.doctor.findings import Finding, Level
from bot.doctor.known import Known
from bot.doctor.manifest import bot_scopes
from bot.roles import ROLES
from bot.sandbox.slack.app import Grant
from bot.sandbox.telegram import Webhook
from bot.secret_key import key_file
from bot.serve import running
from bot.settings import Settings, secrets_of
from core.installations import Installation as Installed
from core.installations import Installations
from core.model import Address, Policy
from core.schedule import DAY, MINUTE
from core.sources import WantedWebhook
from tests.integration import slack_support, telegram_support
from tests.integration.slack_installing import PARTNER
from tests.support.cores import a_core
from tests.support.gates import SECRET, as_superuser, slack
from tests.support.installations import HERE, Installation, installation

ELSEWHERE = "https://other.example.com/hooks/somebody-elses-secret"
WEBHOOK = {"telegram_webhook_secret": "a-webhook-secret", "public_url": "https://assent.example.com"}
OURS = "https://assent.example.com/telegram/webhook"


@dataclass(frozen=True)
class Seed:
    """Something that is wrong, and what the doctor has to say of it: its name, how bad it is, words of the sentence
    and of the fix.
    """

    name: str
    level: Level
    sentence: str
    fix: str
    sow: Callable[[Installation], Awaitable[None]]


SEEDS: dict[str, Seed] = {}


def seed(
    name: str, level: Level, sentence: str, fix: str
) -> Callable[[Callable[[Installation], Awaitable[None]]], Callable[[Installation], Awaitable[None]]]:
    def kept(sow: Callable[[Installation], Awaitable[None]]) -> Callable[[Installation], Awaitable[None]]:
        SEEDS[sow.__name__.replace("_", " ")] = Seed(name, level, sentence, fix, sow)
        return sow

    return kept


BROKEN, WARNING = Level.BROKEN, Level.WARNING


# Slack


@seed("slack.token", BROKEN, "Slack does not accept SLACK_BOT_TOKEN", "Copy it anew")
async def the_bot_token_was_revoked(here: Installation) -> None:
    here.sandbox.slack.app.revoked.add(here.sandbox.slack.app.bot_token)


@seed("slack.token", BROKEN, "SLACK_BOT_TOKEN holds an app-level token (xapp-…)", "Bot User OAuth Token (xoxb-…)")
async def the_app_token_stands_where_the_bot_token_belongs(here: Installation) -> None:
    here.chosen["slack_bot_token"] = here.sandbox.slack.app.app_token


@seed("slack.token", BROKEN, "SLACK_BOT_TOKEN holds a person's token (xoxp-…)", "Bot User OAuth Token (xoxb-…)")
async def a_persons_token_stands_where_the_bot_token_belongs(here: Installation) -> None:
    here.chosen["slack_bot_token"] = "xoxp-somebody-in-person"


@seed("slack.signing_secret", BROKEN, "SLACK_SIGNING_SECRET holds a bot token", "Basic Information → Signing Secret")
async def the_bot_token_stands_where_the_signing_secret_belongs(here: Installation) -> None:
    here.chosen["slack_signing_secret"] = here.sandbox.slack.app.bot_token


@seed("slack.app_token", BROKEN, "Slack does not accept SLACK_APP_TOKEN", "Copy it anew")
async def the_app_token_is_wrong(here: Installation) -> None:
    here.chosen |= {"slack_app_token": "xapp-of-another-app", "slack_signing_secret": None}


@seed("slack.token", BROKEN, "Slack cannot be reached at http://127.0.0.1:", "Look whether this machine reaches http")
async def slack_cannot_be_reached(here: Installation) -> None:
    here.chosen["slack_base_url"] = f"http://127.0.0.1:{_a_closed_port()}/api/"


@seed("slack.way_in", WARNING, "are both set; Socket Mode is used", "Keep SLACK_APP_TOKEN for Socket Mode")
async def slacks_both_ways_in_are_set(here: Installation) -> None:
    here.chosen["slack_app_token"] = here.sandbox.slack.app.app_token


@seed("slack.permissions", BROKEN, "lacks the permission chat:write (posting and redrawing cards)", "Add chat:write")
async def the_app_may_not_write(here: Installation) -> None:
    _take_away(here, "chat:write")


@seed(
    "slack.permissions",
    WARNING,
    "lacks the permission groups:read (private channels by their names)",
    "install the app",
)
async def the_app_may_not_read_private_channels(here: Installation) -> None:
    _take_away(here, "groups:read")


@seed("slack.chats", BROKEN, "“deploys” sends cards to slack:C0APPROVE: the bot is not in", "/invite @assent")
async def the_bot_is_not_in_the_sources_channel(here: Installation) -> None:
    here.sandbox.slack.world.approvals.members.remove(here.sandbox.slack.world.bot.id)


@seed("slack.chats", BROKEN, "slack:C0APPROVE is archived", "Unarchive it")
async def the_sources_channel_is_archived(here: Installation) -> None:
    here.sandbox.slack.world.approvals.is_archived = True


@seed("slack.chats", BROKEN, "the bot is in no channel named slack:#nowhere", "Check the name")
async def a_source_names_a_channel_that_is_not_there(here: Installation) -> None:
    await here.source("exports", notify=(slack("#nowhere"),))


@seed("slack.user_groups", BROKEN, "names the user group slack:S0NOBODY, which is not", "Copy group ID")
async def a_policy_names_a_user_group_that_is_not_there(here: Installation) -> None:
    await here.source("exports", policy=Policy(("slack:S0NOBODY",)))


@seed("slack.user_groups", WARNING, "names the user group @reviewers, and nobody is in it", "Add people")
async def a_policy_names_a_user_group_that_is_empty(here: Installation) -> None:
    here.sandbox.slack.world.reviewers.users.clear()
    await here.source("exports", policy=Policy(("slack:S0REVIEWS",)))


@seed("slack.user_groups", BROKEN, "without the permission usergroups:read", "Add usergroups:read")
async def user_groups_are_named_and_may_not_be_read(here: Installation) -> None:
    _take_away(here, "usergroups:read")
    await here.source("exports", policy=Policy(("slack:S0REVIEWS",)))


@seed("clocks.slack", BROKEN, "clock is 10 minutes behind Slack's: taps are refused", "Set this machine's clock")
async def this_machines_clock_is_slow(here: Installation) -> None:
    here.clock.ahead = 605


# Telegram


@seed("telegram.token", BROKEN, "Telegram does not accept the bot token", "Check TELEGRAM_BOT_TOKEN")
async def the_telegram_token_was_revoked(here: Installation) -> None:
    here.sandbox.telegram.token = "100000001:another-token-since"


@seed("telegram.token", BROKEN, "Telegram cannot be reached at http://127.0.0.1:", "Look whether this machine reaches")
async def telegram_cannot_be_reached(here: Installation) -> None:
    here.chosen["telegram_base_url"] = f"http://127.0.0.1:{_a_closed_port()}"


@seed("telegram.token", BROKEN, "TELEGRAM_BOT_TOKEN is not written like a bot's token", "as @BotFather gave it")
async def the_telegram_token_was_copied_with_words_around_it(here: Installation) -> None:
    here.chosen["telegram_bot_token"] = "Use this token: 1:AA"


@seed("telegram.webhook", BROKEN, "A webhook is set for the bot (to other.example.com)", "TELEGRAM_WEBHOOK_SECRET")
async def a_webhook_is_set_while_we_poll(here: Installation) -> None:
    await here.sandbox.telegram.updates.set_webhook(Webhook(ELSEWHERE, "", 40, None))


@seed(
    "telegram.webhook", BROKEN, "to other.example.com instead of https://assent.example.com/", "Restart `assent serve`"
)
async def the_webhook_leads_elsewhere(here: Installation) -> None:
    here.chosen |= WEBHOOK
    await here.sandbox.telegram.updates.set_webhook(Webhook(ELSEWHERE, "", 40, None))


@seed("telegram.webhook", BROKEN, "No webhook is set for the bot, so that taps do not arrive", "Restart `assent serve`")
async def no_webhook_is_set(here: Installation) -> None:
    here.chosen |= WEBHOOK


@seed("telegram.updates", BROKEN, "does not send callback_query: taps do not arrive", "Restart `assent serve`")
async def the_webhook_does_not_ask_for_taps(here: Installation) -> None:
    here.chosen |= WEBHOOK
    await here.sandbox.telegram.updates.set_webhook(Webhook(OURS, "a-webhook-secret", 40, ["message"]))


@seed("telegram.webhook", BROKEN, "Telegram cannot deliver to", "Look whether `assent serve` runs")
async def the_webhook_does_not_answer(here: Installation) -> None:
    url = f"http://127.0.0.1:{_a_closed_port()}"
    here.chosen |= WEBHOOK | {"public_url": url}
    webhook = Webhook(f"{url}/telegram/webhook", "a-webhook-secret", 40, None)
    await here.sandbox.telegram.updates.set_webhook(webhook)
    here.sandbox.telegram.say(-4001, "/start")
    await here.sandbox.until(lambda: webhook.last_error_message)


@seed("telegram.privacy", WARNING, "Privacy mode is off", "/setprivacy")
async def the_bot_reads_everything(here: Installation) -> None:
    here.sandbox.telegram.world.privacy_mode = False


@seed("telegram.groups", BROKEN, "may not be added to groups, and cards go to groups", "/setjoingroups")
async def the_bot_may_not_join_groups(here: Installation) -> None:
    here.sandbox.telegram.world.can_join_groups = False


@seed("telegram.chats", BROKEN, "sends cards to telegram:-4001: the bot is not in this group any more", "Add it again")
async def the_bot_was_taken_out_of_the_group(here: Installation) -> None:
    here.sandbox.telegram.world.group.members[here.sandbox.telegram.world.bot.id] = "left"


@seed("telegram.chats", BROKEN, "the bot may not write in this chat", "Allow it to send messages")
async def the_bot_may_not_write_in_the_group(here: Installation) -> None:
    here.sandbox.telegram.world.supergroup.members[here.sandbox.telegram.world.bot.id] = "restricted"
    await here.source("exports", notify=(Address("telegram", "-1001000000001"),))


@seed("telegram.chats", BROKEN, "the bot may not write to this person", "press Start")
async def a_person_has_blocked_the_bot(here: Installation) -> None:
    here.sandbox.telegram.block("Reviewer One")
    await here.source("exports", notify=(Address("telegram", "1002"),))


@seed("clocks.telegram", WARNING, "clock is 2 minutes ahead of Telegram's", "Set this machine's clock")
async def this_machines_clock_is_fast(here: Installation) -> None:
    here.clock.ahead = -122


# Sources, their people and their webhooks


@seed(
    "sources.reviewers", BROKEN, "lets only telegram:1002 answer, and nobody can be reached", "Set TELEGRAM_BOT_TOKEN"
)
async def reviewers_are_on_a_messenger_that_is_not_connected(here: Installation) -> None:
    here.chosen["telegram_bot_token"] = None
    await here.source("exports", notify=HERE[:1], policy=Policy(("telegram:1002",)))


@seed("sources.reviewers", BROKEN, "asks 3 people to agree, and 2 can", "lower the quorum")
async def the_quorum_is_higher_than_there_are_reviewers(here: Installation) -> None:
    await here.source("exports", policy=Policy(("slack:U0REVIEW1", "telegram:1002"), quorum=3))


@seed("sources.chats", BROKEN, "sends cards to telegram:-4001, and Telegram is not connected", "Set TELEGRAM_BOT_TOKEN")
async def cards_go_to_a_messenger_that_is_not_connected(here: Installation) -> None:
    here.chosen["telegram_bot_token"] = None


@seed(
    "sources.no_chat", WARNING, "names no channel: unless a case names one, nobody sees a card", "PATCH /sources/src_"
)
async def a_source_names_no_chat(here: Installation) -> None:
    await here.source("exports", notify=())


@seed("webhooks.reachable", BROKEN, "“exports” does not answer at 127.0.0.1:", "Start the receiver")
async def a_webhook_of_a_source_is_not_there(here: Installation) -> None:
    webhook = WantedWebhook(url=f"http://127.0.0.1:{_a_closed_port()}/hooks/secret-path", secret="whsec_" + "A" * 32)
    await here.source("exports", webhook=webhook)


@seed("webhooks.circuit", BROKEN, "“exports” is switched off: the receiver answered 410", "/webhook/resume")
async def a_webhook_was_switched_off(here: Installation) -> None:
    await here.source("exports", webhook=WantedWebhook(url="http://127.0.0.1:9/", secret="whsec_" + "A" * 32))
    await here.world.execute("UPDATE endpoints SET state = 'disabled', reason = 'the receiver answered 410'")


@seed("webhooks.circuit", WARNING, "“exports” has failed 7 times in a row", "assent deliveries list")
async def a_webhook_keeps_failing(here: Installation) -> None:
    await here.source("exports", webhook=WantedWebhook(url="http://127.0.0.1:9/", secret="whsec_" + "A" * 32))
    await here.world.execute("UPDATE endpoints SET failures = 7")


@seed("cards.given_up", WARNING, "A card of an open case is not shown in slack:C9: the channel is gone", "Name another")
async def a_card_was_given_up(here: Installation) -> None:
    await here.world.open(sourced=False, notify=(slack("C9"),))
    dead = "UPDATE cards SET state = 'dead', last_error = :error"
    await here.world.execute(dead, error="the channel is gone; name another")


# What is to be erased


@seed(
    "retention.overdue",
    WARNING,
    "A case of the source “deploys” still shows its content (it was closed on ",
    "Let an executor acknowledge the decision events of src_",
)
async def nobody_acknowledges_what_is_to_be_erased(here: Installation) -> None:
    await _decided_long_ago(here, (await here.world.row("sources"))["source_id"])


@seed("retention.overdue", WARNING, "to be erased after a day), and nothing is waited for.", "with the clock role")
async def nothing_is_erased(here: Installation) -> None:
    await _decided_long_ago(here, None)


async def _decided_long_ago(here: Installation, source_id: str | None) -> None:
    here.chosen["retention_days"] = 1
    await here.world.answer(await here.world.open(source_id=source_id))
    await here.world.execute("UPDATE cases SET closed_at = closed_at - :ago", ago=3 * DAY + MINUTE)


# The database, the key and the settings


@seed(
    "secret_key.opens", BROKEN, "cannot be opened with the current secret key: 1 API key", "ASSENT_SECRET_KEY=new,old"
)
async def the_secret_key_is_another_one(here: Installation) -> None:
    here.chosen["assent_secret_key"] = "another secret than that of then"


@seed("secret_key.kept", BROKEN, "assent.db.key, which held the key, is gone", "Put the file back")
async def the_key_file_is_gone(here: Installation) -> None:
    here.chosen["assent_secret_key"] = ()


@seed("secret_key.permissions", BROKEN, "Others on this machine can read", "`chmod 600 ")
async def others_can_read_the_key_file(here: Installation) -> None:
    _key_file(here).chmod(0o644)


@seed("secret_key.kept", BROKEN, "does not hold a secret key", "Put the right one back")
async def the_key_file_holds_something_else(here: Installation) -> None:
    _key_file(here).write_text("nothing\n")


@seed("database.permissions", WARNING, "Others on this machine can read", "`chmod 600 ")
async def others_can_read_the_database(here: Installation) -> None:
    here.file.chmod(0o644)


@seed("database.schema", BROKEN, "The database has no tables yet", "without --no-migrate")
async def the_database_was_never_migrated(here: Installation) -> None:
    _other_file(here, b"")


@seed("database.schema", BROKEN, "The database is at revision 9999", "Run the newer version")
async def the_database_is_of_a_newer_version(here: Installation) -> None:
    await here.world.execute("UPDATE alembic_version SET version_num = '9999'")


@seed("database.reachable", BROKEN, "The database does not answer", "A file that is no database")
async def the_database_is_none(here: Installation) -> None:
    _other_file(here, b"a letter to somebody, and certainly no database" * 100)


@seed("database.file", WARNING, "There is no database", "DATABASE_URL")
async def the_database_is_not_there(here: Installation) -> None:
    here.chosen["database_url"] += ".elsewhere"


@seed("settings.policies", BROKEN, "money.yaml, line 3: rules[0].verdict: is missing", "assent policy check")
async def a_policy_is_wrong(here: Installation) -> None:
    folder = here.file.parent / "policies"
    folder.mkdir()
    (folder / "money.yaml").write_text("policy: money\nrules:\n  - name: large\n")
    here.chosen["policies_dir"] = str(folder)


@seed(
    "address.reachable", BROKEN, "does not answer from here: nobody listens there", "Look whether `assent serve` runs"
)
async def nobody_listens_at_the_public_address(here: Installation) -> None:
    here.chosen["public_url"] = f"http://127.0.0.1:{_a_closed_port()}"


@seed("address.reachable", BROKEN, "Something else than Assent answers at", "your proxy")
async def something_else_answers_at_the_public_address(here: Installation) -> None:
    here.chosen["public_url"] = here.sandbox.address.url


def _take_away(here: Installation, scope: str) -> None:
    slack_app = here.sandbox.slack.app
    slack_app.scopes = ",".join(one for one in slack_app.scopes.split(",") if one != scope)


def _key_file(here: Installation) -> Path:
    """The installation's key, in the file beside its database."""
    file = Path(f"{here.file}.key")
    file.write_text(here.chosen["assent_secret_key"] + "\n")
    file.chmod(0o600)
    here.chosen["assent_secret_key"] = ()
    return file


def _other_file(here: Installation, content: bytes) -> None:
    file = here.file.with_name("other.db")
    file.write_bytes(content)
    file.chmod(0o600)
    here.chosen["database_url"] = f"sqlite:///{file}"


def _a_closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("what", SEEDS)
async def test_the_doctor_names_what_is_wrong_and_the_fix(sqlite_url: str, what: str) -> None:
    seeded = SEEDS[what]
    async with installation(sqlite_url) as here:
        await seeded.sow(here)
        settings, found = here.settings, await here.findings()
    named = [one for one in found if one.name == seeded.name and one.level is seeded.level]
    assert named, [one for one in found if one.level is not Level.OK]
    (one,) = named
    assert seeded.sentence in one.sentence
    assert seeded.fix in one.fix
    assert [] == [other for other in found if other.level is Level.BROKEN and not _follows(seeded, other)]
    _shows_no_secret(settings, found)


def _follows(seeded: Seed, other: Finding) -> bool:
    """What else is broken because of the seed: a door that Slack and Telegram cannot reach is broken for both."""
    area = seeded.name.partition(".")[0]
    return other.area == area or (area, other.area) in {
        ("address", "slack"),
        ("clocks", "slack"),
        ("telegram", "address"),
        ("telegram", "slack"),
        ("secret_key", "address"),
    }


def _shows_no_secret(settings: Settings, found: list[Finding]) -> None:
    shown = json.dumps([one.as_json() for one in found])
    hidden = [*secrets_of(settings), "somebody-elses-secret", "secret-path", "whsec_"]
    assert [] == [secret for secret in hidden if secret in shown]


async def test_nothing_is_found_where_all_is_well(database_url: str) -> None:
    port = _a_closed_port()
    url = f"http://localhost:{port}"
    async with installation(database_url, port=port, public_url=url) as here:
        await here.source("reviews", policy=Policy(("slack:S0REVIEWS", "telegram:1002"), quorum=2))
        async with running(here.settings, ROLES) as (process, _):
            here.sandbox.slack.app.request_url = f"{process.url}/slack/interactions"
            found = await here.findings()
    assert [] == [one for one in found if one.level is not Level.OK]
    areas = {"settings", "database", "secret_key", "address", "slack", "telegram", "sources", "clocks"}
    assert areas == {one.area for one in found}
    _shows_no_secret(here.settings, found)


async def test_a_server_with_other_settings_is_told_from_ours(sqlite_url: str) -> None:
    port = _a_closed_port()
    async with installation(sqlite_url, port=port, public_url=f"http://localhost:{port}") as here:
        here.chosen |= {"telegram_webhook_secret": "a-webhook-secret"}
        async with running(here.settings, ROLES):
            here.chosen |= {"slack_signing_secret": "another", "telegram_webhook_secret": "another"}
            here.chosen["assent_secret_key"] = "another secret than that of then"
            found = {one.name: one for one in await here.findings() if one.level is Level.BROKEN}
    assert "its secret key is not the one that is set here" in found["address.ours"].sentence
    assert "refuses requests that are signed with this SLACK_SIGNING_SECRET" in found["slack.door"].sentence
    assert "does not know this TELEGRAM_WEBHOOK_SECRET" in found["telegram.door"].sentence


async def test_a_server_without_a_messengers_door_is_found(sqlite_url: str) -> None:
    port = _a_closed_port()
    tokens = {"slack_bot_token": None, "slack_signing_secret": None}
    async with installation(sqlite_url, port=port, public_url=f"http://localhost:{port}") as here:
        whole = dict(here.chosen)
        here.chosen |= tokens
        async with running(here.settings, ROLES):
            here.chosen |= whole
            found = {one.name: one for one in await here.findings()}
    assert "Taps in Slack cannot arrive" in found["slack.door"].sentence
    assert "Restart `assent serve`" in found["slack.door"].fix


# PostgreSQL


async def test_commits_that_may_be_lost_are_found(postgres_url: str) -> None:
    async with installation(postgres_url) as here:
        name = urlsplit(postgres_url).path.strip("/")
        await as_superuser(postgres_url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        try:
            found = {one.name: one for one in await here.findings()}
        finally:
            await as_superuser(postgres_url, f'ALTER DATABASE "{name}" RESET synchronous_commit')
    assert "synchronous_commit = off" in found["database.durable"].sentence
    assert "ALTER SYSTEM SET synchronous_commit = on" in found["database.durable"].fix


async def test_a_key_that_only_this_machine_has_is_found(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with installation(postgres_url, assent_secret_key=()) as here:
        gone = {one.name: one for one in await here.findings()}["secret_key.kept"]
        assert (Level.BROKEN, True) == (gone.level, "is gone" in gone.sentence)
        assert [] == list(tmp_path.rglob("*.key")), "looking makes no key"
        file = key_file(here.settings)
        file.parent.mkdir(exist_ok=True)
        file.write_text(SECRET)
        file.chmod(0o600)
        kept = {one.name: one for one in await here.findings()}["secret_key.kept"]
    assert "any other machine makes a key of its own" in kept.sentence
    assert "Set ASSENT_SECRET_KEY on every machine" in kept.fix


async def test_a_database_that_is_not_there_is_found(sqlite_url: str) -> None:
    async with installation(sqlite_url) as here:
        here.chosen["database_url"] = f"postgresql://assent:a-password@127.0.0.1:{_a_closed_port()}/assent"
        found = await here.findings()
    (one,) = [one for one in found if one.name == "database.reachable"]
    assert "The database does not answer" in one.sentence
    assert "host, port, name, user and password" in one.fix
    _shows_no_secret(here.settings, found)


# The command


@pytest.fixture
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests is read, and their logs stay as they are."""
    monkeypatch.setattr(logs, "configure", lambda *_given, **_named: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def _set(monkeypatch: pytest.MonkeyPatch, here: Installation) -> None:
    for name, value in here.chosen.items():
        monkeypatch.setenv(name.upper(), "" if value is None else str(value))


async def _run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["doctor", *words])


@pytest.mark.usefixtures("_apart")
async def test_the_command_says_it_for_people_and_ends_with_1_when_something_is_broken(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _a_closed_port()
    async with installation(sqlite_url, port=port, public_url=f"http://localhost:{port}") as here:
        _set(monkeypatch, here)
        async with running(here.settings, ROLES):
            well = await _run()
            here.sandbox.slack.world.approvals.members.clear()
            ill = await _run()
    assert (0, True) == (well.exit_code, "Everything is well" in well.stdout), well.output
    assert 1 == ill.exit_code
    words = " ".join(ill.stdout.split())
    assert "broken chats The source “deploys” sends cards to slack:C0APPROVE:" in words
    assert "→ Write there: /invite @assent." in words
    assert words.endswith("1 broken.")
    assert max(map(len, ill.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("_apart")
async def test_the_command_says_it_for_machines(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with installation(sqlite_url) as here:
        _set(monkeypatch, here)
        here.sandbox.telegram.world.privacy_mode = False
        result = await _run("--json")
    assert 0 == result.exit_code, "a warning breaks nothing"
    found = {one["name"]: one for one in map(json.loads, result.stdout.splitlines())}
    assert {"name", "level", "sentence", "fix"} == set(found["telegram.privacy"])
    assert ("warning", "ok") == (found["telegram.privacy"]["level"], found["slack.token"]["level"])


@pytest.mark.usefixtures("_apart")
@pytest.mark.parametrize(
    ("setting", "value", "sentence", "fix"),
    [
        ("ASSENT_SECRET_KEY", "too-short", "ASSENT_SECRET_KEY: each secret needs at least 16", "Set ASSENT_SECRET_KEY"),
        ("SLACK_SIGNING_SECRET", "", "SLACK_BOT_TOKEN needs SLACK_SIGNING_SECRET", "Set what is missing"),
        ("PORT", "eighty", "PORT: Input should be a valid integer", "Set PORT right. The port to listen on"),
        (
            "TELEGRAM_BOT_TOKE",
            "1:AA",
            "TELEGRAM_BOT_TOKE is set, but there is no such",
            "Rename it to TELEGRAM_BOT_TOKEN",
        ),
    ],
)
async def test_the_command_names_wrong_settings(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, sentence: str, fix: str
) -> None:
    async with installation(sqlite_url) as here:
        _set(monkeypatch, here)
        monkeypatch.setenv(setting, value)
        result = await _run("--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    (one,) = [one for one in found if one["level"] != "ok" and one["name"].startswith("settings.")]
    assert sentence in one["sentence"]
    assert fix in one["fix"]
    assert "too-short" not in result.output


@pytest.mark.usefixtures("_apart")
async def test_a_misspelt_setting_is_named_beside_what_it_leaves_wrong(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with installation(sqlite_url, slack_signing_secret=None) as here:
        _set(monkeypatch, here)
        (tmp_path / ".env").write_text("# of Slack\nexport SLACK_SIGNIN_SECRET=a-signing-secret\n")
        result = await _run()
    words = " ".join(result.stdout.split())
    assert 1 == result.exit_code
    assert "SLACK_BOT_TOKEN needs SLACK_SIGNING_SECRET" in words
    assert "→ Rename it to SLACK_SIGNING_SECRET." in words
    assert "a-signing-secret" not in result.output


# The test card


def _known(here: Installation) -> Known:
    return Known(here.settings, lambda _: None, time.time)


@pytest.mark.usefixtures("_apart")
async def test_a_test_card_is_posted_in_both_messengers_and_redrawn_as_finished(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation(sqlite_url) as here:
        _set(monkeypatch, here)
        result = await _run("--json", "--post", "slack:#approvals", "--post", "telegram:-4001")
        (on_slack,) = here.sandbox.slack.messages("C0APPROVE")
        (on_telegram,) = here.sandbox.telegram.messages(-4001)
        first = [call.params for call in here.sandbox.calls("chat.postMessage") + here.sandbox.calls("sendMessage")]
    assert 0 == result.exit_code, result.output
    names = [json.loads(line)["name"] for line in result.stdout.splitlines()]
    assert ["test_card.slack", "test_card.telegram"] == names[-2:]
    assert all("Test card" in str(params) and "Taps come back" in str(params) for params in first)
    assert "Test finished" in slack_support.shown(on_slack)
    assert "Test finished" in on_telegram.text
    assert ([], None) == (on_slack.buttons(), on_telegram.markup)


@pytest.mark.usefixtures("_apart")
async def test_a_test_card_that_cannot_be_posted_is_broken(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with installation(sqlite_url, telegram_bot_token=None) as here:
        await here.world.execute("DELETE FROM sources")
        _set(monkeypatch, here)
        result = await _run("--json", "--post", "slack:C0UNJOINE", "--post", "telegram:-4001")
    assert 1 == result.exit_code
    nowhere, unset = [json.loads(line) for line in result.stdout.splitlines()][-2:]
    assert "No card can be posted in slack:C0UNJOINE: the bot cannot see" in nowhere["sentence"]
    assert "/invite @" in nowhere["fix"]
    assert "Set TELEGRAM_BOT_TOKEN." == unset["fix"]
    assert 2 == (await _run("--post", "mail:somebody")).exit_code


async def _partners(here: Installation) -> Installations:
    """The app is installed in a second workspace, with a token of its own."""
    app = here.sandbox.slack.app
    here.chosen |= {"slack_client_id": "1.2", "slack_client_secret": "s"}
    app.client_id, app.client_secret = "1.2", "s"
    app.grants["xoxb-partner"] = Grant(PARTNER, ",".join(bot_scopes()))
    installs = Installations(here.world.database, here.world.ring)
    granted = json.dumps({"bot_token": "xoxb-partner"})
    await installs.keep(Installed(PARTNER, "Partner", "U0BOT0002", "chat:write", granted=granted))
    return installs


@pytest.mark.usefixtures("_apart")
async def test_each_workspace_gets_its_test_card_by_its_own_token(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation(sqlite_url) as here:
        installs = await _partners(here)
        _set(monkeypatch, here)
        chats = ["slack:C0APPROVE", f"slack:{PARTNER}/C0PARTNER", "slack:T0SANDBOX/C0APPROVE", "slack:T0NOWHERE/C1"]
        ours, theirs, whole, nowhere = await _post(*chats)
        shown = [slack_support.shown(one) for one in here.sandbox.slack.messages("C0APPROVE")]
        shown += [slack_support.shown(one) for one in here.sandbox.slack.partner.messages("C0PARTNER")]
        assert 3 == len([text for text in shown if "Test finished" in text]) == len(shown)

        here.sandbox.slack.app.revoked.add("xoxb-partner")
        again, refused = await _post(*chats[:2])
        await installs.revoke(PARTNER)
        (removed,) = await _post(chats[1])
        monkeypatch.delenv("ASSENT_SECRET_KEY")
        (unknown,) = await _post(chats[1])
    for chat, found in zip(chats, (ours, theirs, whole), strict=False):
        assert ("ok", f"The card “Test card” was posted in {chat}, and redrawn as finished.") == (
            found["level"], found["sentence"],
        )  # fmt: skip
    assert (
        f"No card can be posted in {chats[3]}: the app is not installed in the workspace T0NOWHERE."
        == (nowhere["sentence"])
    )
    assert "ok" == again["level"]
    assert f"No card can be posted in {chats[1]}: the app is gone" in refused["sentence"]
    assert "Install the app in that workspace again, at /slack/install." == refused["fix"]
    assert "the app was removed from the workspace Partner." in removed["sentence"]
    assert "is not known without the database and its key." in unknown["sentence"]


@pytest.mark.usefixtures("_apart")
async def test_of_several_workspaces_the_one_for_a_test_card_must_be_named(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with installation(sqlite_url, slack_bot_token=None) as here:
        installs = await _partners(here)
        _set(monkeypatch, here)
        (only,) = await _post("slack:C0PARTNER")
        granted = json.dumps({"bot_token": "xoxb-other"})
        await installs.keep(Installed("T0OTHER", "Other", "U0BOT0003", "chat:write", granted=granted))
        (of_two,) = await _post("slack:C0PARTNER")
    assert "ok" == only["level"], only
    assert "No card can be posted in slack:C0PARTNER: several workspaces are connected." == of_two["sentence"]
    assert "Write in which it is: slack:T…/C0PARTNER." == of_two["fix"]


async def _post(*chats: str) -> list[dict[str, str]]:
    """What the command says of the test cards there."""
    result = await _run("--json", *(word for chat in chats for word in ("--post", chat)))
    return [json.loads(line) for line in result.stdout.splitlines() if '"test_card.' in line]


async def test_whoever_taps_the_test_card_in_slack_is_told_that_taps_arrive(sqlite_url: str) -> None:
    async with installation(sqlite_url) as here, a_core(sqlite_url) as core:
        async with slack_support.connected(core, here.sandbox):

            async def tap(_chat: Address) -> None:
                card = await slack_support.card_in(here.sandbox)
                await here.sandbox.slack.tap("C0APPROVE", card.ts, "Taps come back", "Reviewer One")
                (said,) = await slack_support.told(here.sandbox, slack_support.REVIEWER)
                assert "Your tap has arrived" in said

            found = [one async for one in posted(_known(here), slack("C0APPROVE"), tap)]
        assert [Level.OK] == [one.level for one in found]
        assert [] == await core.ledger()


async def test_whoever_taps_the_test_card_in_telegram_is_told_that_taps_arrive(sqlite_url: str) -> None:
    async with installation(sqlite_url) as here, a_core(sqlite_url) as core:
        async with telegram_support.connected(core, here.sandbox):

            async def tap(_chat: Address) -> None:
                card = await telegram_support.card_in(here.sandbox, -4001)
                tapped = await here.sandbox.telegram.tap(-4001, card.message_id, "Taps come back", "Reviewer One")
                assert "Your tap has arrived" in (await tapped.answer()).text

            found = [one async for one in posted(_known(here), HERE[1], tap)]
        assert [Level.OK] == [one.level for one in found]
