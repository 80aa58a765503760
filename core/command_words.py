"""Every text of the bot's commands and inboxes in chats, one table per language; braces are filled with `str.format`.

As `core.words`, with which they share their languages (a test compares the keys).
"""

from __future__ import annotations

from collections.abc import Mapping

from core.words import Words

EN: Words = {
    "lang": "en",
    # help: what follows the messenger's own way of writing a command
    "help": "What you can ask me:",
    "helps": (
        ("waiting", "", "what waits for you, with buttons"),
        ("inbox", "", "a link to your inbox on the web"),
        ("history", "", "what was decided lately"),
        ("whoami", "", "who you are to me, and who answers for whom"),
        ("link", "", "a code that makes you one person on Slack and Telegram"),
        ("link", "CODE", "enter the code of your other messenger"),
        ("away", "until friday to @someone", "somebody else answers where you are named"),
        ("back", "", "you answer for yourself again"),
        ("help", "", "this list"),
    ),
    "unknown_command": "I do not know the command “{}”.",
    "see_help": "{} shows what you can ask me.",
    "away_how": "Write it like this: {}",
    "away_example": "away until friday 17:00 to @someone",
    "no_moment": "I do not understand when “{}” is. Write a day (monday, 2026-12-01), a time (17:00), both, or a "
    "span (3d, 12h).",
    "moment_past": "“{}” is in the past.",
    "moment_far": "“{}” is too far away; nobody can be away for more than 90 days.",
    "no_code": "That is no code. Codes have 8 letters and digits, and are made on your other messenger with the "
    "command link.",
    "no_taker": "Name the person who shall answer for you: {}",
    "unknown_taker": "I know nobody called {}. They have to write to me once before you can name them.",
    "taker_is_bot": "{} is no person, and cannot answer for you.",
    "taker_is_foreign": "{} is not of this workspace, and cannot answer for you.",
    "taker_is_gone": "{} is not in this workspace any more.",
    # what waits
    "waiting": "Waiting for you: {}",
    "waiting_at_least": "Waiting for you: more than {}",
    "nothing_waits": "Nothing waits for you.",
    "and_more": "And {} more: they are in your inbox on the web.",
    "more_in_review": "There is more to see: open Review.",
    "no_longer": "Nothing waits here any more.",
    "stands_for": "You answer for {}, who is away.",
    "risk": {"low": "Low risk", "medium": "Medium risk", "high": "⚠️ High risk", "critical": "🛑 Critical risk"},
    "source": "From {}",
    "history": "Decided lately",
    "no_history": "There is nothing to look back on yet.",
    "older": "Older",
    "newer": "Newer",
    # the web
    "open_inbox": "Open the inbox",
    "sign_in": "This link signs you in, once, within ten minutes. Give it to nobody: whoever opens it first answers "
    "as you.",
    # who somebody is
    "you_are": "You are {} ({}).",
    "also": "Also you: {}",
    "not_linked": "Nobody else is linked to you.",
    "groups": "Your groups: {}",
    "away_until": "Until {until} {taker} answers where you are named.",
    "answers_for": "Until {until} you answer where {giver} is named.",
    "not_away": "You are not away.",
    "back": "Welcome back. You answer for yourself again.",
    "is_away": "You are away until {until}. Where you are named, {taker} answers, and the ledger keeps both names. "
    "To end this: {back}",
    "asked_to_answer": "{giver} is away until {until} and has asked you to answer where {giver} is named.",
    # linking
    "code": "Your code is {code}. Enter it on {other} within ten minutes: {how}",
    "code_warning": "Whoever enters it becomes one person with you, and may decide whatever you may. Give it to "
    "nobody.",
    "asks_link": "This code was made by {who} on {platform}. Is that you?",
    "link_warning": "If it is, you are one person from now on: you may decide under both names, and have one voice. "
    "If it is somebody else, they could decide in your name; then press No. Only an operator can undo this.",
    "link_to": "Link to {who} on {platform}?",
    "link_yes": "Yes, that is me",
    "link_no": "No",
    "linked": "Done: you are one person now. {}",
    "left_alone": "Nothing was linked.",
    # a reason
    "reason_title": "Why?",
    "reason_offered": "Reason",
    "reason_own": "In your own words",
    "reason_why": "Why do you choose “{}”?",
    "reason_hint": "It is kept in the ledger and shown on the card.",
    "reason_either": "Choose a reason above, or write one: one of the two is needed.",
    "reason_missing": "Choose a reason, or write one.",
    "reason_too_long": "This is too long; {} characters are allowed.",
    "reason_send": "Send",
    "close": "Close",
    "press_again": "If no window asks for your reason now, it came too late, and nothing was recorded. Please press "
    "the button again.",
    "window_failed": "The window for your reason could not be opened, and nothing was recorded. Please press the "
    "button again in a moment.",
    "form_out_of_date": "This window is out of date, and nothing was recorded. Please press the button on the card "
    "again.",
    "form_late": "Your answer arrived and is not recorded yet; you will be told as soon as it is.",
    # what goes wrong
    "try_again": "This did not work, because something that it needs cannot be reached. Please try again in a moment.",
    "went_wrong": "Something went wrong here. Please try again in a moment.",
}

DE: Words = {
    "lang": "de",
    "help": "Das können Sie mich fragen:",
    "helps": (
        ("waiting", "", "was auf Sie wartet, mit Schaltflächen"),
        ("inbox", "", "ein Link zu Ihrem Posteingang im Web"),
        ("history", "", "was zuletzt entschieden wurde"),
        ("whoami", "", "wer Sie für mich sind, und wer wen vertritt"),
        ("link", "", "ein Code, der Sie auf Slack und Telegram zu einer Person macht"),
        ("link", "CODE", "den Code Ihres anderen Messengers eingeben"),
        ("away", "until freitag to @jemand", "jemand anderes antwortet, wo Sie genannt sind"),
        ("back", "", "Sie antworten wieder selbst"),
        ("help", "", "diese Liste"),
    ),
    "unknown_command": "Den Befehl „{}“ kenne ich nicht.",
    "see_help": "{} zeigt, was Sie mich fragen können.",
    "away_how": "Schreiben Sie es so: {}",
    "away_example": "away until freitag 17:00 to @jemand",
    "no_moment": "Ich verstehe nicht, wann „{}“ ist. Schreiben Sie einen Tag (montag, 2026-12-01), eine Uhrzeit "
    "(17:00), beides, oder eine Dauer (3d, 12h).",
    "moment_past": "„{}“ ist schon vorbei.",
    "moment_far": "„{}“ ist zu weit weg; niemand kann länger als 90 Tage abwesend sein.",
    "no_code": "Das ist kein Code. Codes haben 8 Buchstaben und Ziffern; Sie bekommen einen auf Ihrem anderen "
    "Messenger mit dem Befehl link.",
    "no_taker": "Nennen Sie, wer für Sie antworten soll: {}",
    "unknown_taker": "Ich kenne niemanden namens {}. Wer genannt werden soll, muss mir erst einmal geschrieben haben.",
    "taker_is_bot": "{} ist kein Mensch und kann nicht für Sie antworten.",
    "taker_is_foreign": "{} gehört nicht zu diesem Workspace und kann nicht für Sie antworten.",
    "taker_is_gone": "{} ist nicht mehr in diesem Workspace.",
    "waiting": "Auf Sie warten: {}",
    "waiting_at_least": "Auf Sie warten: mehr als {}",
    "nothing_waits": "Nichts wartet auf Sie.",
    "and_more": "Und {} weitere: sie sind in Ihrem Posteingang im Web.",
    "more_in_review": "Es gibt noch mehr zu sehen: öffnen Sie die Prüfseite.",
    "no_longer": "Hier wartet nichts mehr.",
    "stands_for": "Sie antworten für {}, wegen Abwesenheit.",
    "risk": {
        "low": "Geringes Risiko", "medium": "Mittleres Risiko", "high": "⚠️ Hohes Risiko",
        "critical": "🛑 Kritisches Risiko",
    },
    "source": "Von {}",
    "history": "Zuletzt entschieden",
    "no_history": "Es gibt noch nichts, worauf Sie zurückblicken könnten.",
    "older": "Ältere",
    "newer": "Neuere",
    "open_inbox": "Posteingang öffnen",
    "sign_in": "Dieser Link meldet Sie an, einmal, innerhalb von zehn Minuten. Geben Sie ihn niemandem: wer ihn "
    "zuerst öffnet, antwortet in Ihrem Namen.",
    "you_are": "Sie sind {} ({}).",
    "also": "Auch Sie: {}",
    "not_linked": "Niemand sonst ist mit Ihnen verknüpft.",
    "groups": "Ihre Gruppen: {}",
    "away_until": "Bis {until} antwortet {taker}, wo Sie genannt sind.",
    "answers_for": "Bis {until} antworten Sie, wo {giver} genannt ist.",
    "not_away": "Sie sind nicht abwesend.",
    "back": "Willkommen zurück. Sie antworten wieder selbst.",
    "is_away": "Sie sind abwesend bis {until}. Wo Sie genannt sind, antwortet {taker}, und das Ledger hält beide "
    "Namen fest. So beenden Sie das: {back}",
    "asked_to_answer": "{giver} ist abwesend bis {until} und hat Sie gebeten zu antworten, wo {giver} genannt ist.",
    "code": "Ihr Code ist {code}. Geben Sie ihn innerhalb von zehn Minuten auf {other} ein: {how}",
    "code_warning": "Wer ihn eingibt, wird eine Person mit Ihnen und darf entscheiden, was Sie dürfen. Geben Sie ihn "
    "niemandem.",
    "asks_link": "Dieser Code ist von {who} auf {platform}. Sind Sie das?",
    "link_warning": "Wenn ja, sind Sie von nun an eine Person: Sie dürfen unter beiden Namen entscheiden und haben "
    "eine Stimme. Wenn es jemand anderes ist, könnte er in Ihrem Namen entscheiden; drücken Sie dann Nein. Nur der "
    "Betreiber kann das rückgängig machen.",
    "link_to": "Mit {who} auf {platform} verknüpfen?",
    "link_yes": "Ja, das bin ich",
    "link_no": "Nein",
    "linked": "Fertig: Sie sind jetzt eine Person. {}",
    "left_alone": "Nichts wurde verknüpft.",
    "reason_title": "Warum?",
    "reason_offered": "Grund",
    "reason_own": "In eigenen Worten",
    "reason_why": "Warum wählen Sie „{}“?",
    "reason_hint": "Der Grund steht im Ledger und auf der Karte.",
    "reason_either": "Wählen Sie oben einen Grund, oder schreiben Sie einen: eines von beiden braucht es.",
    "reason_missing": "Wählen Sie einen Grund, oder schreiben Sie einen.",
    "reason_too_long": "Das ist zu lang; erlaubt sind {} Zeichen.",
    "reason_send": "Senden",
    "close": "Schließen",
    "press_again": "Wenn jetzt kein Fenster nach Ihrem Grund fragt, kam es zu spät, und nichts wurde aufgezeichnet. "
    "Bitte drücken Sie die Schaltfläche noch einmal.",
    "window_failed": "Das Fenster für Ihren Grund ließ sich nicht öffnen, und nichts wurde aufgezeichnet. Bitte "
    "drücken Sie die Schaltfläche gleich noch einmal.",
    "form_out_of_date": "Dieses Fenster ist veraltet, und nichts wurde aufgezeichnet. Bitte drücken Sie die "
    "Schaltfläche auf der Karte noch einmal.",
    "form_late": "Ihre Antwort ist angekommen und noch nicht aufgezeichnet; Sie erfahren, sobald sie es ist.",
    "try_again": "Das hat nicht geklappt, weil etwas, das dafür nötig ist, nicht erreichbar ist. Bitte versuchen Sie "
    "es gleich noch einmal.",
    "went_wrong": "Hier ist etwas schiefgegangen. Bitte versuchen Sie es gleich noch einmal.",
}  # fmt: skip

_LANGUAGES: Mapping[str, Words] = {"en": EN, "de": DE}


def command_words(language: str) -> Words:
    """The words of a language; English for one that nobody has written yet."""
    return _LANGUAGES.get(language, EN)
