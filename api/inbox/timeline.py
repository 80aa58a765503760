"""What happened to a case, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.inbox.strings import Words
from api.review.ending import Moment, moment_of, person_words
from api.review.pieces import shown
from api.review.strings import Texts, moment_words
from core import wording
from core.model import Case
from core.records import Moment as Recorded
from core.records import Place, Timeline

_ENDINGS = frozenset({"completed", "expired", "cancelled", "in_progress"})
_OF_SYSTEM = {"sys:timeout": "timeout", "sys:cancel": "withdrawal", "sys:close": "closing", "sys:erase": "erasure"}
_PLATFORMS = {"slack": "Slack", "telegram": "Telegram"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `kind`: answer, refused, or other; `hash` of the ledger's row."""

    when: Moment
    kind: str
    what: str
    detail: str
    row: str
    hash: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A card, and what was said beside it."""

    where: str
    state: str
    notices: Sequence[str]


def lines_of(case: Case, timeline: Timeline, texts: Texts, words: Words) -> list[Line]:
    """In their order. What a row of the ledger says is not said again by the event that goes with it."""
    answered = {one.at for one in timeline.moments if one.kind == "answer"}
    told = [
        one for one in timeline.moments if not (one.kind == "event" and one.name in _ENDINGS and one.at in answered)
    ]
    return [_line(case, one, texts, words) for one in told]


def spots_of(timeline: Timeline, words: Words) -> list[Spot]:
    return [
        Spot(
            where=timeline.names.get(f"{place.platform}:{place.channel}") or _chat(place),
            state=words["card_states"][place.state if place.posted or place.state == "dead" else "coming"],
            notices=[
                f"{words['notices'].get(kind, kind)}: {words['notice_states'].get(state, state)}"
                for kind, state in place.notices
            ],
        )
        for place in timeline.places
    ]


def _chat(place: Place) -> str:
    return shown(f"{_PLATFORMS.get(place.platform, place.platform)} {place.channel}")


def _line(case: Case, one: Recorded, texts: Texts, words: Words) -> Line:
    said, data = words["moments"], one.data
    kind, detail, row, row_hash = str(one.kind), "", "", ""
    who = person_words(data.get("by") or {}, texts) if isinstance(data.get("by"), Mapping) else ""
    action = _action(case, data.get("action"), texts)
    match one.kind:
        case "asked":
            asked_by = data.get("by")
            what = said["asked"].format(who=shown(str(asked_by))) if asked_by else said["asked_nobody"]
        case "answer":
            what = said[_OF_SYSTEM.get(one.name, "answer")].format(who=who, action=action)
            detail = _detail(data, texts, words)
            row, row_hash = data["interaction_id"], data["row_hash"]
        case "delivery":
            what = said["delivery"].get(one.name, one.name)
            detail = words["delivered"].get(data["state"], data["state"])
        case "attempt":
            reached = data["status"] is not None
            outcome = said["reached" if reached else "not_reached"].format(status=data["status"])
            what = said["attempt"].format(number=data["number"], outcome=outcome)
        case _:
            kind = "refused" if one.name == "refused" else one.kind
            template = said.get(one.name, said["other"])
            what = template.format(who=who or texts["somebody"], action=action, kind=shown(one.name))
            detail = _joined(_through(data, texts, words), _more(data, texts, words))
    return Line(moment_of(one.at, texts), kind, what, detail, row, row_hash)


def _action(case: Case, action: Any, texts: Texts) -> str:
    if not isinstance(action, str):
        return ""
    return wording.button_label(case, action, texts["actions"])


def _detail(data: Mapping[str, Any], texts: Texts, words: Words) -> str:
    reason = data.get("reason")
    return _joined(_through(data, texts, words), shown(texts["quoted"].format(reason)) if reason else "")


def _more(data: Mapping[str, Any], texts: Texts, words: Words) -> str:
    """Until when it was put off, or which level it has climbed to."""
    until = data.get("expires_at") or data.get("remind_at")
    if isinstance(until, int):
        return str(words["until"]).format(moment_words(until, texts))
    if "level" in data and "levels" in data:
        return str(words["level"]).format(data["level"], data["levels"])
    return ""


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _through(data: Mapping[str, Any], texts: Texts, words: Words) -> str:
    """Through what it came, where that is said."""
    via = data.get("via")
    if not isinstance(via, str):
        return ""
    return str(words["through"]).format(texts["places"].get(via, texts["other_place"]))
