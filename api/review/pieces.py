"""The pieces of which the page is made: facts, texts, trees. Pure.

Every text here is plain, untrusted, and already free of invisible characters; only `Section.html` is markup, and safe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from api.review.blocks import Difference, Editor
from api.review.strings import Texts, number_words
from core import wording

MAX_FACT = 200  # a longer text is a section of its own
MAX_NODES = 1_500  # beyond this a tree is shown as the JSON text that it is
OPEN_NODES = 12  # a smaller branch is unfolded from the start


@dataclass(frozen=True, slots=True)
class Fact:
    """A short value under its label. `href` is set when the value is itself a plain web address."""

    label: str
    value: str
    href: str | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A branch or leaf of a JSON tree. A leaf has a `text`; `kind` is text, number or word (true, false, null)."""

    label: str
    text: str | None = None
    kind: str = "text"
    children: tuple[Node, ...] = ()
    summary: str = ""
    unfolded: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """A longer piece of the content: `text` plain, in a fixed-width face when `code`; `html` made from it; or a tree.

    `intent` marks the block that says what will be carried out. A block that may be edited has an `editor`, and a
    `difference` once it was.
    """

    label: str
    text: str = ""
    code: bool = False
    html: Markup | None = None
    tree: Node | None = None
    intent: bool = False
    editor: Editor | None = None
    difference: Difference | None = None


def parted(values: Mapping[str, Any], texts: Texts) -> tuple[list[Fact], list[Section]]:
    """The short values as facts, the others as sections, each in their order."""
    facts: list[Fact] = []
    sections: list[Section] = []
    for key, value in values.items():
        label = words_of(key)
        if isinstance(value, (Mapping, list)) and value:
            sections.append(json_section(label, value, texts))
        elif isinstance(value, str) and (len(value) > MAX_FACT or "\n" in value):
            sections.append(Section(label, shown(value)))
        else:
            facts.append(Fact(label, scalar(value, texts), href(value)))
    return facts, sections


def shown(text: str) -> str:
    """Text as people see it: line ends of one kind, and no character that is invisible."""
    return wording.visible(text.replace("\r\n", "\n"))


def words_of(key: str) -> str:
    """A key as a label: `target_host` is `Target host`."""
    words = shown(key.replace("_", " ").strip())
    return words[:1].upper() + words[1:]


def scalar(value: object, texts: Texts) -> str:
    if isinstance(value, bool):
        return str(texts["yes"] if value else texts["no"])
    if value is None or value in ("", [], {}):
        return str(texts["nothing"])
    return number_words(value, texts, grouped=False) if isinstance(value, float) else shown(str(value))


def href(value: object) -> str | None:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        return value if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else None
    except ValueError:
        return None


def json_section(label: str, value: Any, texts: Texts, *, intent: bool = False) -> Section:
    if not isinstance(value, (Mapping, list)) or _size(value) > MAX_NODES:
        return Section(label, shown(pretty(value)), code=True, intent=intent)
    return Section(label, tree=_node(label, value, texts), intent=intent)


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _size(value: Any) -> int:
    """How many nodes a JSON value has."""
    waiting, count = [value], 0
    while waiting:
        one = waiting.pop()
        count += 1
        waiting += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
    return count


def _node(label: str, value: Any, texts: Texts) -> Node:
    if isinstance(value, (Mapping, list)) and value:
        named: Sequence[tuple[str, Any]] = (
            [(shown(key), child) for key, child in value.items()]
            if isinstance(value, Mapping)
            else [(str(n), child) for n, child in enumerate(value, 1)]
        )
        return Node(
            label,
            children=tuple(_node(name, child, texts) for name, child in named),
            summary=str(texts["one_entry"] if len(value) == 1 else texts["entries"].format(len(value))),
            unfolded=_size(value) <= OPEN_NODES,
        )
    if isinstance(value, str):
        return Node(label, shown(value) or str(texts["nothing"]), kind="text" if value else "word")
    kind = "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else "word"
    return Node(label, json.dumps(value), kind=kind)
