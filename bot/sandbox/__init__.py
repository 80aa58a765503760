"""Local stand-ins for Slack and Telegram: the outside world, for the demo and for tests.

They are real HTTP servers which the real SDKs talk to. They enforce the platforms' limits, refuse in the
platforms' words, and deliver taps as the platforms do. `GET /` is a web page with both messengers, on which
people tap for real.

    async with Sandbox.running() as sandbox:  # any free port; Sandbox().serve(8090) runs it until cancelled
        client = AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)
        bot = telegram.Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot")

Slack. Taps go to `app.request_url`, signed with `app.signing_secret`; while it is empty they go through
Socket Mode.

        sandbox.slack.app.request_url = "http://127.0.0.1:8080/slack/events"
        channel = sandbox.slack.world.approvals
        card = await sandbox.until(lambda: next(iter(sandbox.slack.messages(channel)), None))
        tap = await sandbox.slack.tap(channel, card.ts, "Approve", user="Reviewer One")
        assert tap.status == 200 and tap.seconds < 1 and not tap.failed

    `tap` waits for the acknowledgement (3 s at most, then `failed`; `tap.body`, `tap.attempts`,
    `tap.payload`). `prepare` builds a tap now and `deliver` sends it later (a stale one), again (a
    redelivery), `copies=2` at once, or `forgery=Forgery.STALE`.

        await sandbox.slack.command(channel, "/assent", "away until monday to @Reviewer Two", user="On Call")
        await sandbox.slack.submit("Reviewer One", {"reason": "Too risky"})  # the open modal: `modal(user)`
        await sandbox.slack.open_home("Reviewer One"); await sandbox.slack.tap_view("Approve", "Reviewer One")

    Also: `close_modal`, `write`, `home`, `direct_message`, `messages(channel, user)`; `consent(url, user)`
    answers the pages of OAuth and Sign in with Slack; `verify_events_url`, `uninstall`; `app.scopes`,
    `app.commands`, `app.command_url`; `sockets.drop()`, `sockets.ask_to_reconnect()`, `sockets.to_all`.
    `sandbox.slack.partner` is a second workspace with the same verbs, for apps that were installed there.

Telegram. Updates wait for getUpdates, or are pushed once the bot has called setWebhook.

        tap = await sandbox.telegram.tap(-4001, message_id, "Approve", user="Reviewer Two")
        answer = await tap.answer()  # the bot's answerCallbackQuery: .text, .show_alert
        delivery = await tap.delivered()  # webhook only: .status, .seconds; tap.deliveries has every try
        sandbox.telegram.say(-4001, "/inbox@assent_sandbox_bot", "Reviewer One")
        sandbox.telegram.reply(question, "Too risky", "Reviewer One")
        url = sandbox.telegram.mini_app("Reviewer One", start_param="review_1", url="https://…")  # #tgWebAppData=…

    Also: `prepare`/`deliver` (stale, redelivered), `send_twice`, `forge(tap, secret_token)`, `tap(…,
    data="forged")`, `start`, `follow` (t.me links), `open_menu`, `init_data`, `block`, `kick`, `join`, `leave`,
    `migrate`, `close_topic`, `reopen_topic`, `delete_topic`, `updates.retry_delays`, `sending.knows_times` (False: a
    server from before Bot API 9.5).

A button is named by its action_id, value or callback_data, or visible text (`NoSuchButton` lists what there
is); a person by id or name. Slack: Requester, Reviewer One, Reviewer Two, On Call, Outsider (in no channel),
Stranger (of another workspace, in `world.shared`); channels `world.approvals`, `world.shared`, `world.oncall`,
`world.unjoined`; user groups `world.reviewers` (S0REVIEWS, @reviewers), `world.standby`. Telegram: the same
people without Stranger, Newcomer (never pressed Start), Nameless (no username, in the supergroup),
`world.anonymous` (GroupAnonymousBot); chats `world.group`, `world.supergroup`, `world.forum` (topics 7 and 8),
`world.private`.

Both. `sandbox.until(look, within)` waits for a condition without sleeping. `sandbox.calls("chat.update")`
lists the API calls received, with parameters and outcome; `sandbox.notices(user)` what somebody was shown in
private (ephemerals, toasts, alerts, failed taps). `sandbox.reset()` forgets what was said.

Faults strike the next calls of a method (`"*"`: of any; `"response_url"` for Slack's answers to
interactions):

        sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=7))
        sandbox.faults.next("sendMessage", Fault.lost_answer())  # carried out, then the connection closes
        held = sandbox.faults.next("chat.update", Fault.held()); …; held.release()

    Fault.rate_limited, server_error, platform_error, dropped (nothing done), lost_answer, slow, held. `next` also takes
    `times` and `chat` (strike only calls for this channel or chat).

Time. `Sandbox.running(clock=ManualClock())` makes limits and lifetimes move with `clock.advance(seconds)`:
rate limits, trigger ids (3 s), response URLs (30 min), callback queries (150 s), message and signature
timestamps. Network waits are real time. `rate_limits=False` lets everything through, `rate_scale=10` allows
ten times as much.

Another process does the same over HTTP; see `control.py`: `GET /control/slack/messages?channel=`, `GET
/control/telegram/messages?chat=`, `POST /control/slack/tap {"channel", "ts", "action", "user"}`, `POST
/control/telegram/tap {"chat", "message", "action", "user", "wait"}`, `POST /control/faults {"method", "kind",
…}`, `GET /control/log`, `GET /control/notices`, `POST /control/reset`.
"""

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock, ManualClock, SystemClock
from bot.sandbox.faults import Fault, FaultKind
from bot.sandbox.journal import Call, Notice
from bot.sandbox.platforms import TELEGRAM_TOKEN
from bot.sandbox.rates import Rates
from bot.sandbox.server import Sandbox
from bot.sandbox.slack import Forgery, SlackApp

__all__ = [
    "TELEGRAM_TOKEN",
    "Call",
    "Changes",
    "Clock",
    "Fault",
    "FaultKind",
    "Forgery",
    "ManualClock",
    "Notice",
    "Rates",
    "Sandbox",
    "SlackApp",
    "SystemClock",
]
