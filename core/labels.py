"""A case's own words on its buttons: what may stand there, so that no button says what it does not do. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from core.errors import InvalidInput
from core.states import verdict
from core.wording import visible
from core.words import LANGUAGES

MAX_LABEL = 30


def checked_labels(labels: Mapping[str, str], actions: Sequence[str], field: str = "labels") -> dict[str, str]:
    """The labels as a case keeps them, by action. Raises InvalidInput that names the wrong one."""
    found: dict[str, str] = {}
    for action, text in labels.items():
        if action not in actions:
            raise InvalidInput(f"{field} may name {', '.join(actions)}", field=field)
        found[action] = _checked(text, action, actions, f"{field}.{action}")
    plain = [_plain(label) for label in found.values()]
    if len(set(plain)) < len(plain):
        raise InvalidInput(f"{field} has two buttons that say the same", field=field)
    return {action: found[action] for action in actions if action in found}


def _checked(text: str, action: str, actions: Sequence[str], field: str) -> str:
    label = text.strip()
    if not 1 <= len(label) <= MAX_LABEL or not _plain(label):
        raise InvalidInput(f"{field} needs 1 to {MAX_LABEL} characters, letters or digits among them", field=field)
    if visible(label) != label or "\n" in label or "\t" in label:
        raise InvalidInput(f"{field} may have no line breaks, control or invisible characters", field=field)
    if _plain(label) in set(_taken(action, actions)):
        raise InvalidInput(f"{field} says what another button does; take other words", field=field)
    return label


def _taken(action: str, actions: Sequence[str]) -> Iterator[str]:
    """What a button with this action must not say, in any language: the words of what means something else to
    executors, those of the case's other buttons, and those of the link to the page.
    """
    for words in LANGUAGES.values():
        yield _plain(words["review"])
        for other in words["actions"]:
            if other != action and (other in actions or verdict(other) is not verdict(action)):
                yield _plain(words["actions"][other])
                yield _plain(words["done"][other])


def _plain(text: str) -> str:
    """The letters and digits of a text, whatever their case, width and marks around them: `REJECT!` is `reject`."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())
