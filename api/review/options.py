"""The options of a selection as cards, and items that are only shown. Pure.

An item is an object of the agent's own making; what is known by name gets a place of its own, all else is shown as
facts, so that nothing of it is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from api.review.pieces import Fact, Section, href, parted, shown
from api.review.strings import Texts, number_words
from core import messages
from core.outcome import item_id

MAX_BADGE = 60
_NAMES = ("label", "title", "name")
_BADGES = ("badges", "tags", "badge")
_DETAILS = ("details", "facts")
_IMAGES = ("image", "image_url", "thumbnail")
# The host goes into the page's policy: nothing may stand in it that means something there.
_LOADABLE = re.compile(r"https://[a-z0-9.-]+(:\d{1,5})?(?=[/?#]|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Image:
    """An image from another host. What stands there is not part of the digest, only where it stands."""

    url: str
    alt: str

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Option:
    """One card. `image` is set only where the source allows images."""

    value: str
    label: str
    description: str | None = None
    price: str | None = None
    badges: tuple[str, ...] = ()
    image: Image | None = None
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = ()


def option_of(item: object, texts: Texts, *, images: bool) -> Option:
    if not isinstance(item, Mapping):
        return Option(item_id(item), shown(messages.item_label(item)))
    rest = dict(item)
    rest.pop(next((key for key in _NAMES if item.get(key)), "id"), None)
    label = shown(messages.item_label(item))
    description = _description(rest)
    badges = _badges(rest)
    price = _price(rest, texts)
    image = _image(rest, label) if images else None
    more_facts, more_sections = parted(_details(rest), texts)
    facts, sections = parted(rest, texts)
    return Option(
        value=item_id(item),
        label=label,
        description=description,
        price=price,
        badges=badges,
        image=image,
        facts=(*more_facts, *facts),
        sections=(*more_sections, *sections),
    )


# Each of these takes out of the item what it has found a place for.


def _description(rest: dict[str, Any]) -> str | None:
    found = rest.get("description")
    return shown(str(rest.pop("description"))) if isinstance(found, str) and found else None


def _badges(rest: dict[str, Any]) -> tuple[str, ...]:
    for key in _BADGES:
        found = rest.get(key)
        words = found if isinstance(found, list) else [found]
        if words and all(isinstance(word, str) and 0 < len(word) <= MAX_BADGE for word in words):
            del rest[key]
            return tuple(map(shown, words))
    return ()


def _price(rest: dict[str, Any], texts: Texts) -> str | None:
    found, currency = rest.get("price"), rest.get("currency")
    if isinstance(found, bool) or not isinstance(found, (int, float, str)) or found == "":
        return None
    del rest["price"]
    words = shown(found) if isinstance(found, str) else number_words(found, texts)
    if not isinstance(currency, str) or not currency:
        return words
    del rest["currency"]
    if isinstance(found, float) and round(found, 1) == found:  # 129.5 of a currency is 129.50
        words += "0"
    return f"{words} {shown(currency)}"


def _image(rest: dict[str, Any], label: str) -> Image | None:
    for key in _IMAGES:
        found = rest.get(key)
        url, alt = (
            (found.get("url"), found.get("alt")) if isinstance(found, Mapping) else (found, rest.get(f"{key}_alt"))
        )
        if isinstance(url, str) and href(url) and _LOADABLE.match(url):
            for name in (key, f"{key}_alt"):
                rest.pop(name, None)
            return Image(url, shown(alt) if isinstance(alt, str) and alt else label)
    return None


def _details(rest: dict[str, Any]) -> Mapping[str, Any]:
    for key in _DETAILS:
        found = rest.get(key)
        if isinstance(found, Mapping) and found:
            del rest[key]
            return found
    return {}
