"""A policy's file, already parsed, becomes its rules, or an error that says where and what. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import time
from typing import Any, cast

from core.errors import InvalidInput
from core.guard.conditions import COMPARATORS, DAYS, MIDNIGHT, Asked, Compared, Condition, During, Named, Window
from core.guard.globs import Glob, glob
from core.guard.rules import GRANTS_MS, VERDICTS, Rule, Terms, Verdict, capacity
from core.jsonpatch import pointer
from core.model import Policy
from core.moments import zone_called
from core.nodes import Node
from core.patterns import FullMatch, full_match
from core.recipients import address, duty, reviewer
from core.schedule import MINUTE, parse_duration, parse_timeout

MAX_RULES = 500  # of one file
MAX_PEOPLE = 50
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_OPERATION = re.compile(r"[a-z0-9_.*-]{1,200}", re.ASCII)
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_EXACT = 1 << 53  # whole numbers from here on are no longer exact in JSON

_TERMS = ("reviewers", "notify", "timeout", "grants", "approval_valid")
_KEYS = ("name", "verdict", "reason", "when", *_TERMS)
_WHEN = ("operation", "tenant", "requester", "source", "payload", "time")
_WORDS = {
    "allow": "{} is allowed by the rule {}",
    "require": "{} needs a human, says the rule {}",
    "deny": "{} is denied by the rule {}",
}


def read_policy(value: Any) -> tuple[Rule, ...]:
    """The rules of the policy that a parsed file describes. Raises WrongFile."""
    root = Node(value)
    root.mapping("policy", "description", "rules")
    policy = root.at("policy").name(_NAME, "small letters, digits and hyphens")
    root.at("description").maybe_text()
    nodes = root.at("rules").entries()
    if not 0 < len(nodes) <= MAX_RULES:
        root.at("rules").fail(f"needs 1 to {MAX_RULES} rules")
    found: dict[str, Rule] = {}
    for node in nodes:
        rule = _rule(node, policy)
        if rule.name in found:
            node.at("name").fail("is the name of an earlier rule")
        found[rule.name] = rule
    return tuple(found.values())


def _rule(node: Node, policy: str) -> Rule:
    node.mapping(*_KEYS)
    name = node.at("name").name(_NAME, "small letters, digits and hyphens")
    verdict = cast(Verdict, node.at("verdict").choice(*VERDICTS))
    for key in _TERMS:
        if verdict != "require" and node.has(key):
            node.at(key).fail(f"belongs to a rule that requires; this one says {verdict}")
    when = node.at("when")
    when.mapping(*_WHEN)
    operations = when.at("operation").one_or_more()
    globs = tuple(_operation(one) for one in operations)
    reason = node.at("reason").maybe_text()
    return Rule(
        policy=policy,
        name=name,
        verdict=verdict,
        reason=reason or _WORDS[verdict].format(" or ".join(one.text for one in globs), f"{policy}/{name}"),
        conditions=(Named("operation", globs), *_further(when)),
        terms=_terms(node),
    )


def _operation(node: Node) -> Glob:
    text = node.name(_OPERATION, "small letters, digits, _, -, dots and stars, like repo.commit or **.delete")
    if "." not in text and "**" not in text:
        node.fail("fits no operation: they are called <resource>.<verb>; write **.<verb> for a verb of any resource")
    return node.parsed(glob)


def _further(when: Node) -> Iterator[Condition]:
    if when.has("tenant"):
        tenants = when.at("tenant").one_or_more()
        for node in tenants:
            node.name(_TENANT, "a tenant's UUID in small letters")
        yield Named("tenant", tuple(one.parsed(glob) for one in tenants))
    whom: tuple[Asked, ...] = ("requester", "source")
    for what in whom:
        if when.has(what):
            yield Named(what, tuple(one.parsed(glob) for one in when.at(what).one_or_more()))
    if when.has("payload"):
        for field in when.at("payload").one_or_more():
            yield from _comparisons(field)
    if when.has("time"):
        yield During(tuple(map(_window, when.at("time").one_or_more())))


def _comparisons(node: Node) -> Iterator[Compared]:
    node.mapping("at", *COMPARATORS)
    at = node.at("at").text()
    path = node.at("at").parsed(_pointer)
    asked = [comparator for comparator in COMPARATORS if node.has(comparator)]
    if not asked:
        node.fail(f"needs a comparison: one of {', '.join(COMPARATORS)}")
    for comparator in asked:
        wanted = node.at(comparator)
        pattern = None
        match comparator:
            case "exists":
                if not isinstance(wanted.value, bool):
                    wanted.fail("must be true or false")
            case "in" | "not_in":
                if not wanted.entries():
                    wanted.fail("needs at least one entry")
                for one in wanted.entries():
                    _scalar(one)
            case "matches":
                pattern = wanted.parsed(_pattern)
            case "eq" | "ne":
                _scalar(wanted)
            case _:
                _ordered(wanted)
        yield Compared(at, path, comparator, wanted.value, pattern)


def _pointer(text: str, *, field: str) -> tuple[str, ...]:
    if not text.startswith("/"):
        raise InvalidInput(f"{field} must be a JSON Pointer, like /amount", field=field)
    return pointer(text)


def _pattern(text: str, *, field: str) -> FullMatch:
    return full_match(text, field=field, over_lines=True)  # nothing slips past a rule by one line more


def _scalar(node: Node) -> None:
    value = node.value
    if value is None:
        node.fail("must be a text, a number, true or false; whether a field is there is asked with exists")
    if not isinstance(value, (str, int, float)):
        node.fail("must be a text, a number, true or false")
    if not math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and abs(value) >= _EXACT:
        node.fail("is a number that JSON cannot carry exactly")


def _ordered(node: Node) -> None:
    _scalar(node)
    if isinstance(node.value, bool):
        node.fail("must be a number or a text: true and false have no order")
    if isinstance(node.value, str):
        try:
            float(node.value)
        except ValueError:
            return
        node.fail("is a text that looks like a number; write it without quotes, and with a dot if it has an exponent")


def _window(node: Node) -> Window:
    node.mapping("days", "from", "to", "zone")
    days = node.at("days").names(DAYS) if node.has("days") else DAYS
    if not days:
        node.at("days").fail("needs at least one day")
    zoned = zone_called(node.at("zone").text())
    if zoned is None:
        node.at("zone").fail("is not a time zone of this machine; write one like Europe/Berlin or UTC")
    begins = ends = None
    if node.has("from") or node.has("to"):
        begins, ends = _clock(node.at("from")), _clock(node.at("to"), end=True)
        if begins == ends:
            node.at("to").fail("is when the window begins; leave from and to out for whole days")
    elif not node.has("days"):
        node.fail("needs days, or from and to")
    return Window(frozenset(map(DAYS.index, days)), zoned, begins, ends)


def _clock(node: Node, *, end: bool = False) -> time:
    text = node.text()
    if end and text == "24:00":
        return MIDNIGHT
    parts = _CLOCK.fullmatch(text)
    if parts is None:
        node.fail('must be a time of day in quotes, like "08:30"')
    return time(int(parts[1]), int(parts[2]))


def _terms(node: Node) -> Terms:
    notify, timeout, valid = node.at("notify"), node.at("timeout"), node.at("approval_valid")
    chats = None
    if node.has("notify"):
        chats = tuple(one.parsed(address) for one in notify.one_or_more())
    return Terms(
        reviewers=_reviewers(node.at("reviewers")) if node.has("reviewers") else None,
        notify=chats,
        timeout_ms=timeout.parsed(parse_timeout) if node.has("timeout") else None,
        grants_ms=_grants(node.at("grants")) if node.has("grants") else None,
        approval_valid_ms=valid.parsed(parse_timeout) if node.has("approval_valid") else None,
    )


def _grants(node: Node) -> int:
    if node.text() == "none":
        return 0
    found = node.parsed(parse_duration)
    if not MINUTE <= found <= GRANTS_MS:
        node.fail("must be between 1m and 8h, or none")
    return found


def _duties(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.parsed(duty) for one in node.one_or_more()))


def _reviewers(node: Node) -> Policy:
    node.mapping("any_of", "quorum", "reject_quorum", "exclude_requester", "separate_duties")
    people = node.at("any_of").one_or_more()
    if len(people) > MAX_PEOPLE:
        node.at("any_of").fail(f"may name {MAX_PEOPLE}")
    any_of = tuple(dict.fromkeys(one.parsed(reviewer) for one in people))
    found = Policy(
        any_of=any_of,
        exclude_requester=node.at("exclude_requester").flag(True),
        quorum=node.at("quorum").count() if node.has("quorum") else 1,
        reject_quorum=node.at("reject_quorum").count() if node.has("reject_quorum") else 1,
        separate_duties=_duties(node.at("separate_duties")) if node.has("separate_duties") else (),
    )
    for key, count in (("quorum", found.quorum), ("reject_quorum", found.reject_quorum)):
        if count > MAX_PEOPLE or count > capacity(found):
            node.at(key).fail(f"is more than the reviewers that the rule names ({len(any_of)})")
    return found
