"""What the bot says on Telegram alone, one table per language with the same keys; the rest is in core.command_words."""

from __future__ import annotations

from collections.abc import Mapping

from core.command_words import command_words
from core.words import Words

EN: Words = {
    "commands": {
        "inbox": "what waits for you, with buttons",
        "history": "what was decided lately",
        "whoami": "who you are to me, and who answers for whom",
        "link": "become one person on Slack and Telegram",
        "away": "until friday to @someone: they answer for you",
        "back": "you answer for yourself again",
        "web": "a link to your inbox on the web",
        "help": "what you can ask me",
        "start": "who I am, and the address of this chat",
    },
    "start": "This is Assent. Agents ask questions here, and people answer them by tapping a button.\n\nTo have them "
    "asked in this chat, send them to this address:\n{}",
    "start_private": "Your name in a list of reviewers is the same.",
    "help_away": "Or reply to somebody's message: /away until friday",
    "help_link": "/link CODE enters the code of your other messenger.",
    "only_people": "I can answer people only: you write as an anonymous admin or as a channel, so nobody knows who you "
    "are.",
    "in_private": "I answer this in our private chat, where only you can see it.",
    "open_private": "Open the private chat",
    "code_in_group": "Do not write codes where others read them. This one does not count any more: have a new one "
    "made, and write it to me in our private chat.",
    "more": "More",
    "shortened": "Not everything fits in a message; all of it is in your inbox on the web: /web",
    "asked_by": "Asked by {}",
    "asked_below": "Please say why: I have asked you in a message.",
    "asked_nowhere": "This needs a reason, and I cannot ask you for it here. Please use the review link.",
    "for_somebody_else": "This question is for somebody else.",
    "never_mind": "Never mind",
    "nothing_recorded": "Nothing was recorded.",
    "own_words": "{}: write why you choose “{}”, as a reply to this message.",
    "choose": "{}: why do you choose “{}”?",
    "as_text": "Please write the reason as text, as a reply to this message.",
    "press_card_again": "This question does not count any more. Please press the button on the card again.",
    "question_over": "This question needs no answer any more.",
    "reply_to_me": "I understand commands only; /help lists them. To give a reason, reply to my question.",
    "link_again": "Please send /link with the code once more.",
}

DE: Words = {
    "commands": {
        "inbox": "was auf Sie wartet, mit Schaltflächen",
        "history": "was zuletzt entschieden wurde",
        "whoami": "wer Sie für mich sind, und wer wen vertritt",
        "link": "auf Slack und Telegram eine Person werden",
        "away": "until freitag to @jemand: vertritt Sie",
        "back": "Sie antworten wieder selbst",
        "web": "ein Link zu Ihrem Posteingang im Web",
        "help": "was Sie mich fragen können",
        "start": "wer ich bin, und die Adresse dieses Chats",
    },
    "start": "Das ist Assent. Agenten stellen hier Fragen, und Menschen antworten mit einem Tipp auf eine "
    "Schaltfläche.\n\nDamit sie in diesem Chat gestellt werden, schicken Sie sie an diese Adresse:\n{}",
    "start_private": "In einer Liste von Prüfern heißen Sie genauso.",
    "help_away": "Oder als Antwort auf die Nachricht von jemandem: /away until freitag",
    "help_link": "/link CODE gibt den Code Ihres anderen Messengers ein.",
    "only_people": "Ich kann nur Menschen antworten: Sie schreiben als anonymer Admin oder als Kanal, also weiß "
    "niemand, wer Sie sind.",
    "in_private": "Darauf antworte ich in unserem privaten Chat, wo nur Sie es sehen.",
    "open_private": "Privaten Chat öffnen",
    "code_in_group": "Schreiben Sie Codes nicht dorthin, wo andere sie lesen. Dieser gilt nicht mehr: lassen Sie einen "
    "neuen machen, und schreiben Sie ihn mir im privaten Chat.",
    "more": "Mehr",
    "shortened": "Nicht alles passt in eine Nachricht; das Ganze steht in Ihrem Posteingang im Web: /web",
    "asked_by": "Gefragt von {}",
    "asked_below": "Bitte sagen Sie, warum: ich habe Sie in einer Nachricht gefragt.",
    "asked_nowhere": "Dafür braucht es einen Grund, und hier kann ich Sie nicht danach fragen. Bitte nehmen Sie den "
    "Link zur Prüfseite.",
    "for_somebody_else": "Diese Frage gilt jemand anderem.",
    "never_mind": "Doch nicht",
    "nothing_recorded": "Nichts wurde aufgezeichnet.",
    "own_words": "{}: schreiben Sie, warum Sie „{}“ wählen, als Antwort auf diese Nachricht.",
    "choose": "{}: warum wählen Sie „{}“?",
    "as_text": "Bitte schreiben Sie den Grund als Text, als Antwort auf diese Nachricht.",
    "press_card_again": "Diese Frage gilt nicht mehr. Bitte drücken Sie die Schaltfläche auf der Karte noch einmal.",
    "question_over": "Diese Frage braucht keine Antwort mehr.",
    "reply_to_me": "Ich verstehe nur Befehle; /help zählt sie auf. Um einen Grund anzugeben, antworten Sie auf meine "
    "Frage.",
    "link_again": "Bitte schicken Sie /link mit dem Code noch einmal.",
}

LANGUAGES: Mapping[str, Words] = {"en": EN, "de": DE}


def phrases(language: str) -> Words:
    """The words of commands, and what Telegram needs beside them."""
    return {**command_words(language), **LANGUAGES.get(language, EN)}
