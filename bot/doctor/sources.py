"""Whoever sends cards (sources, rules of policies): whether its chats and reviewers can be reached. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.doctor.findings import Finding, broken, ok, refused, warning
from core.checkup import DeadCards, SourceSeen
from core.guard.rules import Rule
from core.model import Address, Policy, Source
from core.persons import is_user_group
from core.policy import default_policy, who_may
from core.rows import address_of
from core.wording import visible

Groups = Mapping[tuple[str, str], Sequence[str]]
_TOKENS = {"slack": "SLACK_BOT_TOKEN", "telegram": "TELEGRAM_BOT_TOKEN"}
_CHANGE = "Change it with PATCH /sources/{}: `{}`."


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who has people asked. `chats`: where cards go by default; `policy` None: as the source has it."""

    who: str
    chats: tuple[Address, ...]
    policy: Policy | None
    source_id: str = ""
    tenant_id: str = ""


def of_source(source: Source) -> Asker:
    """With the chats of its escalation chain."""
    levels = [address_of(text) for level in source.escalation_chain for text in level.get("notify") or ()]
    chats = tuple(dict.fromkeys((*source.notify, *levels)))
    who = f"The source “{visible(source.name)}”"
    return Asker(who, chats, source.policy or default_policy("approval"), source.source_id, source.tenant_id)


def of_rule(rule: Rule) -> Asker:
    return Asker(f"The rule {rule.label}", rule.terms.notify or (), rule.terms.reviewers)


def chats(askers: Iterable[Asker], connected: Collection[str]) -> dict[Address, str]:
    """The chats to look at, each with who sends cards there; only of messengers that are connected."""
    found: dict[Address, str] = {}
    for asker in askers:
        for chat in asker.chats:
            if chat.platform in connected:
                found.setdefault(chat, asker.who)
    return found


def user_groups(askers: Iterable[Asker]) -> dict[str, str]:
    """The Slack user groups that reviewers are named by (`S…`, `T…/S…`), each with who does."""
    found: dict[str, str] = {}
    for asker in askers:
        for entry in asker.policy.any_of if asker.policy else ():
            if is_user_group(entry):
                found.setdefault(entry.removeprefix("slack:"), asker.who)
    return found


def unreachable(chat: Address, who: str, words: str) -> Finding:
    """A chat where no card can stand, in the messenger's words."""
    otherwise = "Write the address of another chat, or mend this one"
    return refused(f"{chat.platform}.chats", words, otherwise, about=f"{who} sends cards to {chat}: ")


def asker(one: Asker, connected: Collection[str], groups: Groups) -> Iterator[Finding]:
    """Whether its cards can be posted at all, and whether enough people can answer them."""
    for platform in sorted({chat.platform for chat in one.chats} - set(connected)):
        chat = next(chat for chat in one.chats if chat.platform == platform)
        yield broken(
            "sources.chats",
            f"{one.who} sends cards to {chat}, and {platform.capitalize()} is not connected.",
            f"Set {_TOKENS.get(platform, platform)}, or take that chat away.",
        )
    if one.policy is None:
        return
    able = _able(one, connected, groups)
    if not able:
        yield broken(
            "sources.reviewers",
            f"{one.who} lets only {who_may(one.policy)} answer, and nobody can be reached.",
            _reviewers_fix(one, connected),
        )
    elif able < one.policy.quorum:
        yield broken(
            "sources.reviewers",
            f"{one.who} asks {one.policy.quorum} people to agree, and {able:g} can.",
            _reviewers_fix(one, connected),
        )
    elif "channel" in one.policy.any_of and not one.chats and connected and one.source_id:
        yield warning(
            "sources.no_chat",
            f"{one.who} leaves the answer to the members of a channel, and names no channel: unless a case names one, "
            "nobody sees a card, and only whoever is given the review link can answer.",
            _CHANGE.format(one.source_id, '{"notify": ["slack:#approvals"]}'),
        )


def _able(one: Asker, connected: Collection[str], groups: Groups) -> float:
    """How many could answer, at the most."""
    count = 0.0
    for entry in one.policy.any_of if one.policy else ():
        platform, _, name = entry.partition(":")
        if entry == "channel":
            # A case may name chats of its own, and a rule's cards go where the source's do.
            here = not one.chats or any(chat.platform in connected for chat in one.chats)
            count += float("inf") if connected and here else 0
        elif entry == "link":
            count += 1
        elif platform == "group":
            members = groups.get((one.tenant_id, name), ()) if one.tenant_id else ("?",)
            count += sum(member == "?" or member.partition(":")[0] in connected for member in members)
        elif platform in connected:
            count += float("inf") if is_user_group(entry) else 1
    return count


def _reviewers_fix(one: Asker, connected: Collection[str]) -> str:
    named = {entry.partition(":")[0] for entry in one.policy.any_of} if one.policy else set()
    tokens = [_TOKENS[platform] for platform in sorted(named & set(_TOKENS)) if platform not in connected]
    join = f"Set {' and '.join(tokens)}, or name" if tokens else "Name"
    return f"{join} reviewers who are reached, or lower the quorum."


def endpoint(seen: SourceSeen) -> Iterator[Finding]:
    """How the webhook of a source stands."""
    source = seen.source
    who = f"The webhook of the source “{visible(source.name)}”"
    resume = f"POST /sources/{source.source_id}/webhook/resume"
    if seen.endpoint == "disabled":
        yield broken(
            "webhooks.circuit",
            f"{who} is switched off: {seen.reason or 'its receiver answered that it is gone for good'}.",
            f"Check its address, then `{resume}`.",
        )
    elif seen.endpoint == "paused":
        yield warning(
            "webhooks.circuit",
            f"{who} is paused ({seen.reason or 'by an admin'}): decisions wait.",
            f"When it may go on: `{resume}`",
        )
    elif seen.failures:
        times = "once" if seen.failures == 1 else f"{seen.failures} times in a row"
        yield warning(
            "webhooks.circuit",
            f"{who} has failed {times}; decisions for it wait.",
            f"`assent deliveries list --endpoint {source.source_id}` says what came back. Mend the receiver; what "
            "waits is tried again by itself.",
        )
    if seen.failed:
        yield warning(
            "webhooks.failed",
            f"{who}: {seen.failed} decision{'s' if seen.failed > 1 else ''} could not be delivered and will not be "
            "tried again.",
            f"Once the receiver works: POST /sources/{source.source_id}/deliveries/replay with "
            '`{"state": "failed"}`.',
        )


def not_answering(source: Source, words: str) -> Finding:
    """The address of a webhook that cannot be connected to."""
    # Not the whole address: its path may be what the receiver knows us by.
    host = urlsplit(source.webhook.url).netloc.rpartition("@")[2] if source.webhook else ""
    return broken(
        "webhooks.reachable",
        f"The webhook of the source “{visible(source.name)}” does not answer at {host}: {words}.",
        "Start the receiver, open the way to it, or change the address with "
        f"PATCH /sources/{source.source_id}. An address inside your network needs WEBHOOK_ALLOWED_NETWORKS.",
    )


def dead(cards: Iterable[DeadCards]) -> Iterator[Finding]:
    for one in cards:
        what = "A card of an open case is" if one.count == 1 else f"{one.count} cards of open cases are"
        yield warning(
            "cards.given_up",
            f"{what} not shown in {one.address}: {one.reason.partition('; ')[0].removesuffix('.')}.",
            f"{_helps(one.reason)}Then restart `assent serve`: it tries them again.",
        )


def _helps(reason: str) -> str:
    helps = reason.partition("; ")[2].removesuffix(".")
    return f"{helps[:1].upper()}{helps[1:]}. " if helps else "Mend that. "


def all_well(seen: Sequence[SourceSeen], rules: int, found: Sequence[Finding]) -> Iterator[Finding]:
    """What is said of sources when there is nothing to say."""
    if any(one.area == "sources" for one in found):
        return
    if not seen:
        yield ok("sources.reviewers", "There is no source yet.")
        return
    what = "1 source" if len(seen) == 1 else f"{len(seen)} sources"
    also = f" and {rules} rule{'s' if rules > 1 else ''} of policies" if rules else ""
    yield ok("sources.reviewers", f"Cards of {what}{also} reach people who can answer.")
