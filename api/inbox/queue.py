"""The queue as values: what waits for somebody, in the order and of the kinds that they want to see. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from api.inbox.strings import Words
from api.review.content import asks_form, items_of
from api.review.ending import Moment, moment_of
from api.review.pieces import shown
from api.review.strings import Texts, left_words
from core.digest import canonical
from core.inbox import RISKS, Waiting, risk_of
from core.model import Case
from core.policy import needed
from core.schedule import HOUR
from core.tasks import options_of

SORTS = ("deadline", "risk", "newest")
BULK_TYPES = frozenset({"approval", "confirmation"})  # what a yes or no answers
MAX_PROMPT = 240
MAX_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What somebody wants to see of what waits for them; "" for everything."""

    search: str = ""
    source: str = ""
    type: str = ""
    risk: str = ""
    sort: str = "deadline"

    @property
    def active(self) -> bool:
        return self.narrow or self.sort != "deadline"

    @property
    def narrow(self) -> bool:
        return bool(self.search or self.source or self.type or self.risk)

    @property
    def query(self) -> str:
        """For an address: `?risk=high`, or nothing."""
        named = {"q": self.search, "source": self.source, "type": self.type, "risk": self.risk}
        given = {name: value for name, value in named.items() if value}
        if self.sort != "deadline":
            given["sort"] = self.sort
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the queue. `alike`: the same for cases that ask the same; "" for what is answered by itself."""

    case_id: str
    prompt: str
    kind: str
    asked_by: str
    source: str
    risk: str
    left: str
    soon: bool
    deadline: Moment
    tally: str
    behalf: str
    alike: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters offer: values with their words, of what waits at all."""

    sources: Sequence[tuple[str, str]]
    types: Sequence[tuple[str, str]]
    risks: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Queue:
    """`total`: of what waits for this person, whatever the filters say; `groups`: how many of each kind are alike."""

    items: Sequence[Item]
    groups: Mapping[str, int]
    choices: Choices
    total: int
    more: bool


def filters_of(query: Mapping[str, str]) -> Filters:
    """What an address asks for; what it cannot mean is left out."""
    given = {name: query.get(name, "").replace("\x00", "")[:MAX_SEARCH] for name in ("q", "source", "type", "risk")}
    return Filters(
        search=given["q"].strip(),
        source=given["source"],
        type=given["type"],
        risk=given["risk"] if given["risk"] in RISKS else "",
        sort=query.get("sort", "") if query.get("sort") in SORTS else "deadline",
    )


def queue_of(
    waiting: Sequence[Waiting],
    filters: Filters,
    names: Mapping[str, str],
    texts: Texts,
    words: Words,
    *,
    now: int,
    total: int,
    more: bool = False,
) -> Queue:
    """`waiting` by deadline; `names` of sources; `more`: than were looked at."""
    found = [one for one in waiting if _fits(one.case, filters)]
    if filters.sort == "risk":
        found.sort(key=lambda one: (_rank(one.case), one.case.expires_at))
    elif filters.sort == "newest":
        found.sort(key=lambda one: -one.case.created_at)
    items = [_item(one, names, texts, words, now) for one in found]
    groups = Counter(item.alike for item in items if item.alike)
    return Queue(
        items=items,
        groups={alike: count for alike, count in groups.items() if count > 1},
        choices=_choices(waiting, names, words),
        total=total,
        more=more,
    )


def alike(case: Case) -> str:
    """The same for cases that ask the same of different things; "" for a case that asks for more than a yes or no."""
    if why_alone(case) is not None:
        return ""
    context = case.content["context"]
    asked = {
        "tenant": case.tenant_id,
        "source": case.source_id,
        "type": case.type,
        "actions": list(case.actions),
        "labels": dict(case.content.get("labels") or {}),
        "operation": str(context.get("operation", "")),
        "task": (case.task or {}).get("action"),
        "context": sorted(context),
        "blocks": [[str(block["id"]), str(block["type"])] for block in case.content["blocks"]],
    }
    return hashlib.sha256(canonical(asked)).hexdigest()[:16]


def why_alone(case: Case) -> str | None:
    """Why a case cannot be answered along with others: form, proof; None when it can."""
    if case.type not in BULK_TYPES or asks_form(case) or items_of(case) or options_of(case):
        return "form"
    return "proof" if case.terms.get("verification_policy") is not None else None


def kind_of(case: Case, words: Words) -> str:
    return shown(str(words["types"].get(case.type, case.type.removeprefix("x-"))))


def source_of(case: Case, names: Mapping[str, str]) -> str:
    return shown(names.get(case.source_id, case.source_id)) if case.source_id else ""


def short(text: str, limit: int = MAX_PROMPT) -> str:
    """A text in one line, cut where it is long."""
    line = " ".join(shown(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _item(one: Waiting, names: Mapping[str, str], texts: Texts, words: Words, now: int) -> Item:
    case, left = one.case, max(0, one.case.expires_at - now)
    requested_by = case.terms.get("requested_by")
    behalf = one.on_behalf_of
    return Item(
        case_id=case.case_id,
        prompt=short(case.prompt),
        kind=kind_of(case, words),
        asked_by=shown(str(requested_by)) if requested_by else "",
        source=source_of(case, names),
        risk=risk_of(case) or "",
        left=left_words(left, texts),
        soon=left < HOUR,
        deadline=moment_of(case.expires_at, texts),
        tally=_tally(case, words),
        behalf=shown(behalf.display_name or behalf.user_id) if behalf else "",
        alike=alike(case),
    )


def _tally(case: Case, words: Words) -> str:
    """How an open quorum stands; nothing where one answer decides."""
    if not case.policy.counts or not case.actions:
        return ""
    first = case.actions[0]
    done = sum(1 for vote in case.votes if vote["action"] == first)
    return str(words["tally"]).format(done=done, needed=needed(case.policy, first))


def _fits(case: Case, filters: Filters) -> bool:
    return (
        filters.source in ("", case.source_id)
        and filters.type in ("", case.type)
        and filters.risk in ("", risk_of(case) or "none")
    )


def _rank(case: Case) -> int:
    risk = risk_of(case)
    return RISKS.index(risk) if risk else len(RISKS)


def _choices(waiting: Sequence[Waiting], names: Mapping[str, str], words: Words) -> Choices:
    sources = {one.case.source_id: source_of(one.case, names) for one in waiting if one.case.source_id}
    types = {one.case.type: kind_of(one.case, words) for one in waiting}
    risks = {risk_of(one.case) for one in waiting}
    return Choices(
        sources=sorted(sources.items(), key=lambda one: one[1].casefold()),
        types=sorted(types.items(), key=lambda one: one[1].casefold()),
        risks=[(risk, words["risks"][risk]) for risk in RISKS if risk in risks],
    )
