"""What people are called whom policies name: by the word of their messengers, kept with their identities.

One rule for cards, refusals and pages. Nobody is asked when something is shown; `core.introductions` does so beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.ledger import Tx
from core.ledger import people_queries as q
from core.policy import PERSONAL
from core.rows import to_json
from core.wording import visible

LONGEST = 64  # of a name that somebody gave themselves

Names = Mapping[str, str]  # of people, by the entries that list them: untrusted, and free of invisible characters


async def names_of(tx: Tx, entries: Iterable[str]) -> dict[str, str]:
    """The names of the people among these entries (`slack:U…`, `telegram:…`), as far as they are known: as they may be
    shown, and no longer than LONGEST.
    """
    named, found = list(entries), {}
    for platform in sorted(PERSONAL):
        ids = [entry.partition(":")[2] for entry in named if entry.startswith(f"{platform}:")]
        for row in await tx.all(q.NAMES_AT, platform=platform, user_ids=to_json(ids)) if ids else ():
            if name := _shown(row["display_name"]):
                found[f"{platform}:{row['user_id']}"] = name
    return found


async def described(tx: Tx, entries: Iterable[str]) -> dict[str, str]:
    """As `names_of`, with the messenger: `Ada (Slack)`."""
    names = await names_of(tx, entries)
    return {entry: f"{name} ({entry.partition(':')[0].capitalize()})" for entry, name in names.items()}


def _shown(name: str) -> str:
    text = " ".join(visible(name).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
