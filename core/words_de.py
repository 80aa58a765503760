"""The texts of cards in German; the keys are those of `words.EN`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DE: Mapping[str, Any] = {
    "lang": "de",
    "months": (
        "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
    ),
    "moment": "{day}. {month} {year}, {time} Uhr {zone}",
    "decimal": ",",
    "erased": "Der Inhalt dieses Falls wurde am {} gelöscht.",
    "span": {
        "days": "{} Tage", "hours": "{} Stunden", "hour": "{} Stunde", "minutes": "{} Minuten",
        "seconds": "{} Sekunden", "second": "{} Sekunde",
    },
    "within": {
        "days": "{} Tagen", "hours": "{} Stunden", "hour": "{} Stunde", "minutes": "{} Minuten",
        "seconds": "{} Sekunden", "second": "{} Sekunde",
    },
    # the card
    "titles": {
        "approval": "Freigabe erbeten",
        "selection": "Auswahl erbeten",
        "input": "Angaben erbeten",
        "confirmation": "Bitte bestätigen",
        "escalation": "Etwas ist schiefgegangen",
    },
    "other_title": "Prüfung erbeten",
    "closed_title": "{} (beendet)",
    "actions": {
        "approve": "Freigeben", "reject": "Ablehnen", "edit": "Änderungen erbitten", "confirm": "Bestätigen",
        "cancel": "Nicht bestätigen", "retry": "Noch einmal versuchen", "skip": "Überspringen", "abort": "Abbrechen",
        "select": "Auswählen", "submit": "Absenden",
    },
    "labelled": "{} („{}“)",
    "review": "Prüfen",
    "asked_by": "Angefragt von",
    "votes": "Stimmen",
    "tally": "{action}: {done} von {needed}",
    "status": "Stand",
    "opened": "jemand sieht es sich gerade an",
    "in_progress": "jemand beantwortet es gerade",
    "yes": "ja",
    "no": "nein",
    "task": {
        "Risk": "Risiko", "Low": "Niedrig", "Medium": "Mittel", "⚠️ High": "⚠️ Hoch", "🛑 Critical": "🛑 Kritisch",
        "Warning": "Warnung", "Priority": "Dringlichkeit", "High": "Hoch", "Action": "Vorhaben", "Service": "Dienst",
        "From": "Von", "Do this first": "Zuerst zu tun", "Edited": "Bearbeitet",
        "a reviewer has changed the content since it was sent": "der Inhalt wurde seit dem Eingang bearbeitet",
    },
    "answer_by": "Antwort bis {}",
    "deadline_was": "Frist: {}",
    "content": "Fingerabdruck {}",
    "cut": "Diese Karte zeigt nicht alles. Unter „Prüfen“ steht alles; sehen Sie dort nach, bevor Sie antworten.",
    "cut_closed": "Diese Karte zeigt nicht alles.",
    "cut_must_review": "Diese Karte zeigt nicht alles. Zustimmen können Sie deshalb nur unter „Prüfen“.",
    "cut_message": "Das ist nicht der ganze Inhalt. Unter „Prüfen“ steht alles.",
    "cut_message_closed": "Das ist nicht der ganze Inhalt. Der Rest passt nicht in eine Nachricht.",
    "cut_message_must_review": "Das ist nicht der ganze Inhalt. Zustimmen können Sie deshalb nur unter „Prüfen“.",
    # how it ended
    "done": {
        "approve": "Freigegeben", "reject": "Abgelehnt", "edit": "Änderungen erbeten", "confirm": "Bestätigt",
        "cancel": "Nicht bestätigt", "retry": "Neuer Versuch gewählt", "skip": "Übersprungen", "abort": "Abgebrochen",
        "select": "Ausgewählt", "submit": "Abgesendet",
    },
    "done_other": "Beantwortet: {}",
    "decided": "{done} von {who}, {when} {place}",
    "expired": "Ohne Antwort abgelaufen, {when}; {ended}",
    "expired_approved": "nach der Voreinstellung gilt es als freigegeben",
    "expired_otherwise": "nichts wurde freigegeben (Voreinstellung: {})",
    "defaults": {"skip": "überspringen", "reject": "ablehnen", "abort": "abbrechen"},
    "closed": "Ohne Antwort geschlossen von {who}, {when} {place}",
    "withdrawn": "Zurückgezogen, {when}",
    "because": "{outcome}. Grund: {reason}",
    "places": {
        "slack_block_action": "in Slack",
        "telegram_inline_button": "in Telegram",
        "review_page": "auf der Prüfseite",
    },
    "other_place": "über die Schnittstelle",
    "nameless": {"link": "jemand mit dem Prüf-Link", "key": "ein Schlüssel für Prüfende", "": "jemand"},
    "nameless_by": {"link": "jemandem mit dem Prüf-Link", "key": "einem Schlüssel für Prüfende", "": "jemandem"},
    # reminders
    "reminder": {
        "approval": "Erinnerung: Freigabe erbeten",
        "selection": "Erinnerung: Auswahl erbeten",
        "input": "Erinnerung: Angaben erbeten",
        "confirmation": "Erinnerung: Bitte bestätigen",
        "escalation": "Erinnerung: Etwas ist schiefgegangen",
    },
    "other_reminder": "Erinnerung: Prüfung erbeten",
    "escalated": "Das wartet noch immer; jetzt werden auch Sie gefragt",
    "escalated_elsewhere": "Das wartet noch immer; jetzt werden weitere Personen gefragt",
    "extend": "Noch {} Zeit geben",
    "snooze": "In {} erneut erinnern",
    "extended": "Die Frist endet jetzt am {}.",
    "snoozed": "Die nächste Erinnerung kommt am {}.",
    "behalf": "{} für {}",
    "deadline_in": "{when} (in {span})",
    "for": "Für {}",
    "reviewer": "Person {}",
    # the digest of a flood
    "digest_one": "Hier wartet noch 1 Frage",
    "digest_many": "Hier warten noch {} Fragen",
    "digest_over": "Alle Fragen, die hier gewartet haben, sind gezeigt.",
    "digest_urgent": "Die dringendsten:",
    "digest_line": "{title}: {prompt}",
    "digest_pace": "Sie folgen, höchstens {} in der Minute, die dringendsten zuerst.",
    "digest_settled_one": "1 davon hat sich erledigt, bevor sie gezeigt werden konnte; solche Karten kommen zuletzt.",
    "digest_settled_many": "{} davon haben sich erledigt, bevor sie gezeigt werden konnten; solche Karten kommen "
    "zuletzt.",
    "digest_inbox": "Alles ansehen, was auf Sie wartet",
    # what whoever tapped is told
    "unknown_card": "Diese Karte ist hier nicht mehr bekannt.",
    "unknown_button": "Diese Schaltfläche ist hier nicht mehr bekannt.",
    "no_button": "Das lässt sich nicht mit einer Schaltfläche beantworten; bitte nutzen Sie den Prüf-Link auf der "
    "Karte.",
    "recorded": "Aufgezeichnet: {}.",
    "voted": "Ihre Stimme ist aufgezeichnet: {}.",
    "late": "Ihre Antwort ist angekommen und noch nicht aufgezeichnet; Sie erfahren es, sobald sie es ist.",
    "lost": "Ihre Antwort konnte nicht aufgezeichnet werden, denn die Datenbank ist nicht erreichbar. Bitte drücken "
    "Sie gleich noch einmal.",
    "unchecked": "Ihre Antwort wurde nicht aufgezeichnet, denn Slack war nicht zu fragen, wer Sie sind. Bitte drücken "
    "Sie gleich noch einmal.",
    "failed": "Vielleicht ist Ihre Antwort nicht aufgezeichnet, denn hier ging etwas schief. Bitte sehen Sie sich die "
    "Karte gleich noch einmal an.",
    "not_recorded": "Ihre Antwort konnte nicht aufgezeichnet werden, denn hier ging etwas schief. Bitte nutzen Sie den "
    "Prüf-Link auf der Karte.",
    "deadline_passed": "Die Frist dafür ist vorbei; nichts wurde aufgezeichnet.",
    "already": {
        "completed": "Das ist schon entschieden. {}.",
        "expired": "Das ist abgelaufen. {}.",
        "cancelled": "Das wurde zurückgezogen, niemand wartet auf eine Antwort. {}.",
    },
    "out_of_date": "Diese Karte war veraltet; sie wird gerade neu gezeichnet. Bitte sehen Sie sie noch einmal an.",
    # what the core says without a code
    "said": (
        (
            "an operator has said that you are no reviewer here any more",
            "Sie gehören hier nicht mehr zu den Prüfenden; so hat es die Verwaltung festgelegt",
        ),
        ("You are not one of the reviewers of this case.", "Sie gehören nicht zu den Prüfenden dieses Falls."),
        (
            "you are not one of the reviewers of this case; it can be decided by {}",
            "Sie gehören nicht zu den Prüfenden dieses Falls; entscheiden kann: {}",
        ),
        (
            "You have already answered this, and everybody has one voice.",
            "Sie haben hier schon geantwortet, und jede Person hat eine Stimme.",
        ),
        (
            "whom you stand in for has already been heard, and everybody has one voice",
            "Für die Person, die Sie vertreten, wurde schon geantwortet, und jede Person hat eine Stimme",
        ),
        ("Say why you reject this: this needs a reason", "Bitte nennen Sie einen Grund für die Ablehnung"),
        ("the deadline of this cannot be moved any more", "Die Frist lässt sich nicht mehr verlängern"),
        ("reminders of this cannot be put off", "Erinnerungen lassen sich hier nicht verschieben"),
        (
            "the deadline comes before that, so there is nothing to put off",
            "Die Frist endet vorher; es gibt nichts zu verschieben",
        ),
        ("the members of the channel that the card was posted to", "wer im Kanal ist, in dem die Karte steht"),
        ("whoever holds the review link", "wer den Prüf-Link hat"),
        ("the group {}", "die Gruppe {}"),
        ("the Slack user group {}", "die Slack-Nutzergruppe {}"),
        (
            "anonymous admins cannot be reviewers, because nobody would know who agreed",
            "Wer als Gruppe schreibt, kann nicht prüfen, denn niemand wüsste, wer zugestimmt hat",
        ),
        (
            "several people must agree to this, and only those count whom a messenger vouches for",
            "Hier müssen mehrere zustimmen, und es zählt nur, für wen ein Messenger einsteht",
        ),
        (
            "whoever answered an earlier step of this may not decide here, so only people count whom a messenger "
            "vouches for; answer in Slack or Telegram, or sign in",
            "Wer einen früheren Schritt beantwortet hat, darf hier nicht entscheiden; deshalb zählt nur, für wen ein "
            "Messenger einsteht. Bitte antworten Sie in Slack oder Telegram, oder melden Sie sich an",
        ),
        (
            "you have answered an earlier step of this, so somebody else must decide here",
            "Sie haben einen früheren Schritt beantwortet; hier muss jemand anders entscheiden",
        ),
        (
            "an earlier step of this was answered by somebody without a name, so nobody can be told from them",
            "Ein früherer Schritt wurde ohne Namen beantwortet; so lässt sich niemand davon unterscheiden",
        ),
        (
            "Whoever asked for this cannot be the one who agrees to it.",
            "Wer angefragt hat, kann nicht selbst zustimmen.",
        ),
        (
            "This card does not show everything, so it can only be approved on the review page; open the review link.",
            "Diese Karte zeigt nicht alles, deshalb geht die Freigabe nur auf der Prüfseite; öffnen Sie den Prüf-Link.",
        ),
        (
            "nobody knows whether all of this was shown, so approve it on the review page; open the review link",
            "Niemand weiß, ob alles gezeigt wurde, deshalb geht die Freigabe nur auf der Prüfseite; öffnen Sie den "
            "Prüf-Link",
        ),
        (
            "This action is answered on the review page; open the review link.",
            "Das wird auf der Prüfseite beantwortet; öffnen Sie den Prüf-Link.",
        ),
        ("This token does not open this case.", "Diese Schaltfläche gilt nicht mehr; nutzen Sie den Prüf-Link."),
        ("action must be one of {}", "Möglich ist hier nur: {}"),
        (
            "this answer needs {}; open the review link",
            "Diese Antwort braucht einen Nachweis ({}); öffnen Sie den Prüf-Link",
        ),
        ("this answer needs {}", "Diese Antwort braucht einen Nachweis: {}"),
        (
            "you have already answered this, and not in this way",
            "Sie haben das schon beantwortet, und zwar anders",
        ),
        (
            "you have already answered this, and everybody has one voice",
            "Sie haben das schon beantwortet, und jeder hat eine Stimme",
        ),
        (
            "whom you stand in for has already been heard, and everybody has one voice",
            "Wen Sie vertreten, hat schon geantwortet, und jeder hat eine Stimme",
        ),
        # what commands are told
        (
            "this code is wrong, was used, or is older than ten minutes; have a new one made",
            "Dieser Code ist falsch, benutzt, oder älter als zehn Minuten; lassen Sie sich einen neuen geben",
        ),
        (
            "this code was made on the same messenger; enter it on the other one",
            "Dieser Code ist vom selben Messenger; geben Sie ihn auf dem anderen ein",
        ),
        (
            "too many wrong codes; wait ten minutes and have a new one made",
            "Zu viele falsche Codes; warten Sie zehn Minuten und lassen Sie sich einen neuen geben",
        ),
        (
            "one of these is linked to somebody else already; an operator can undo that",
            "Eine der beiden Seiten ist schon mit jemand anderem verknüpft; der Betreiber kann das aufheben",
        ),
        ("name a person who is on this messenger", "Nennen Sie eine Person, die auf diesem Messenger ist"),
        (
            "until must lie in the future, at most 90 days away",
            "Das Ende muss in der Zukunft liegen, höchstens 90 Tage entfernt",
        ),
        (
            "name somebody else: you cannot stand in for yourself",
            "Nennen Sie jemand anderen: sich selbst können Sie nicht vertreten",
        ),
        (
            "only a person can do this; anonymous admins and channels cannot",
            "Das kann nur eine einzelne Person; wer als Gruppe oder Kanal schreibt, kann es nicht",
        ),
        ("this is for members of this workspace", "Das ist nur für Mitglieder dieses Workspaces"),
    ),
    "or": " oder ",
    "refused": "Das wurde nicht aufgezeichnet: {}",
}  # fmt: skip
