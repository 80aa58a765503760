"""Whom a message beside a card calls: people and user groups of one messenger, as policy or chain names them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from core.model import Case
from core.persons import voters


def mentioned(case: Case, platform: str, entries: Iterable[str]) -> tuple[str, ...]:
    """The platform's own ids of those whom the entries name. A group of ours stands for its members when the case
    opened. Not called: whoever asked and may not decide, and who has voted.
    """
    named: list[str] = []
    for entry in entries:
        named += case.policy.groups.get(entry, ()) if entry.startswith("group:") else (entry,)
    quiet = {f"{vote['by'].get('platform')}:{vote['by'].get('platform_user_id')}" for vote in case.votes}
    quiet.update(voters(case.votes))
    if case.policy.exclude_requester:
        quiet.add(str(case.terms.get("requested_by")))
    own = f"{platform}:"
    return tuple(one.removeprefix(own) for one in dict.fromkeys(named) if one.startswith(own) and one not in quiet)
