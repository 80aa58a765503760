"""Telegram's HTML mode: text with tags in, plain text and entities out, measured in UTF-16 code units.

Source: https://core.telegram.org/bots/api#html-style (tags, the four named character references) and the
words in which the Bot API refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.wire import Json

KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
    "tg-time": "date_time",
}
SINCE_9_5 = frozenset({"tg-time"})
TIME_FORMAT = re.compile(r"r|w?[dD]?[tT]?")
UNIX_TIME = re.compile(r"[0-9]{1,10}", re.ASCII)
ALONE = ("code", "pre", "text_link", "text_mention", "date_time")  # none of them stands in another
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
REFERENCE = re.compile(r"&(?:#(\d{1,8})|#[xX]([0-9a-fA-F]{1,8})|([a-zA-Z]+));?")
ATTRIBUTE = re.compile(r"""\s*([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
TAG_NAME = re.compile(r"[^\s>]*")
FOUND_IN_TEXT = re.compile(
    r"(?P<url>https?://[^\s<>\"]*[^\s<>\".,;:!?)])"
    r"|(?P<bot_command>(?<!\S)/\w{1,32}(?:@\w+)?)"
    r"|(?P<mention>(?<![\w@./])@[a-zA-Z][a-zA-Z0-9_]{4,31}(?!\w))"
)
PERSON = re.compile(r"tg://user\?id=(\d{1,20})", re.ASCII)
MAX_ENTITIES = 100


@dataclass
class OpenTag:
    name: str
    start: int
    attributes: dict[str, str]


def utf16_length(text: str) -> int:
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def parse(text: str, parse_mode: str, unknown: frozenset[str] = frozenset()) -> tuple[str, list[Json]]:
    """The message's text and entities; refused as Telegram does when the markup is wrong. `unknown`: tags that a server
    is too old to know.
    """
    if parse_mode and parse_mode.casefold() != "html":
        raise bad_request("unsupported parse_mode: the sandbox knows HTML only")
    plain, entities = HtmlText(text, unknown).parse() if parse_mode else (text, [])
    plain, entities = _trimmed(plain, entities)
    taken = [entity for entity in entities if entity["type"] in ALONE]
    entities = [one for one in entities if one["type"] != "date_time" or not any(_around(one, two) for two in taken)]
    found = [entity for entity in found_in(plain) if not any(_overlap(entity, other) for other in taken)]
    return plain, sorted(entities + found, key=lambda e: (e["offset"], -e["length"]))[:MAX_ENTITIES]


def found_in(text: str) -> list[Json]:
    """Links, bot commands and usernames that Telegram finds in any text by itself."""
    return [
        {
            "type": match.lastgroup,
            "offset": utf16_length(text[: match.start()]),
            "length": utf16_length(match.group()),
        }
        for match in FOUND_IN_TEXT.finditer(text)
    ]


class HtmlText:
    def __init__(self, source: str, unknown: frozenset[str] = frozenset()) -> None:
        self._source = source
        self._unknown = unknown
        self._at = 0
        self._text = ""
        self._open: list[OpenTag] = []
        self._entities: list[Json] = []

    def parse(self) -> tuple[str, list[Json]]:
        while self._at < len(self._source):
            character = self._source[self._at]
            if character == "&":
                self._reference()
            elif character != "<":
                self._text += character
                self._at += 1
            elif self._source.startswith("</", self._at):
                self._end_tag()
            else:
                self._start_tag()
        if self._open:
            raise self._wrong(f'Can\'t find end tag corresponding to start tag "{self._open[-1].name}"')
        return self._text, self._entities

    def _reference(self) -> None:
        match = REFERENCE.match(self._source, self._at)
        decoded = _decoded(match) if match else None
        self._text += decoded or "&"
        self._at = match.end() if match and decoded else self._at + 1

    def _start_tag(self) -> None:
        begin = self._at
        name_match = TAG_NAME.match(self._source, begin + 1)
        name = name_match.group().lower() if name_match else ""
        end = self._source.find(">", begin)
        if name not in KINDS or name in self._unknown:
            raise self._wrong(f'Unsupported start tag "{name}" at byte offset {self._bytes(begin)}')
        if end < 0:
            raise self._wrong(f"Unclosed start tag at byte offset {self._bytes(begin)}")
        attributes, end = self._attributes(begin + 1 + len(name))
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self._wrong(f'Tag "span" must have class "tg-spoiler" at byte offset {self._bytes(begin)}')
        if name == "tg-time":
            self._check_time(attributes)
        self._open.append(OpenTag(name, utf16_length(self._text), attributes))
        self._at = end

    def _check_time(self, attributes: dict[str, str]) -> None:
        if not UNIX_TIME.fullmatch(attributes.get("unix", "")):
            raise self._wrong(f"Invalid Unix time specified at byte offset {self._bytes(self._at)}")
        if not TIME_FORMAT.fullmatch(attributes.get("format", "")):
            raise self._wrong(f"Invalid date-time format specified at byte offset {self._bytes(self._at)}")

    def _attributes(self, at: int) -> tuple[dict[str, str], int]:
        """A tag's attributes, and the position after its closing bracket."""
        found: dict[str, str] = {}
        while match := ATTRIBUTE.match(self._source, at):
            value = match[2] or match[3] or match[4] or ""
            found[match[1].lower()] = REFERENCE.sub(lambda m: _decoded(m) or m.group(), value)
            at = match.end()
        rest = re.compile(r"\s*>").match(self._source, at)
        if rest is None:
            raise self._wrong(f"Unexpected end of name token at byte offset {self._bytes(at)}")
        return found, rest.end()

    def _end_tag(self) -> None:
        begin, end = self._at, self._source.find(">", self._at)
        if end < 0:
            raise self._wrong(f"Unclosed end tag at byte offset {self._bytes(begin)}")
        name = self._source[begin + 2 : end].strip().lower()
        if not self._open:
            raise self._wrong(f"Unexpected end tag at byte offset {self._bytes(begin)}")
        tag = self._open.pop()
        if name not in ("", tag.name):
            found = f'expected "</{tag.name}>", found "</{name}>"'
            raise self._wrong(f"Unmatched end tag at byte offset {self._bytes(begin)}, {found}")
        self._close(tag)
        self._at = end + 1

    def _close(self, tag: OpenTag) -> None:
        length = utf16_length(self._text) - tag.start
        if not length:
            return
        entity: Json = {"type": KINDS[tag.name], "offset": tag.start, "length": length}
        if tag.name == "a":
            url = tag.attributes.get("href") or self._text[-length:]
            if not usable_link(url):
                return
            if person := PERSON.fullmatch(url):
                entity |= {"type": "text_mention", "user": {"id": int(person[1])}}
            else:
                entity["url"] = url
        if tag.name == "code" and self._open and self._open[-1].name == "pre":
            self._open[-1].attributes.setdefault("language", tag.attributes.get("class", "").removeprefix("language-"))
            return
        if tag.name == "pre" and tag.attributes.get("language"):
            entity["language"] = tag.attributes["language"]
        if tag.name == "blockquote" and "expandable" in tag.attributes:
            entity["type"] = "expandable_blockquote"
        if tag.name == "tg-emoji":
            entity["custom_emoji_id"] = tag.attributes.get("emoji-id", "")
        if tag.name == "tg-time":
            entity["unix_time"] = int(tag.attributes["unix"])
            entity["date_time_format"] = tag.attributes.get("format", "")
        self._entities.append(entity)

    def _bytes(self, at: int) -> int:
        return len(self._source[:at].encode("utf-8", "surrogatepass"))

    def _wrong(self, words: str) -> Exception:
        return bad_request(f"can't parse entities: {words}")


def usable_link(url: str) -> bool:
    """Telegram keeps links to public hosts only; the others silently become plain text."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme == "tg":
        return True
    return parts.scheme in ("http", "https") and "." in (parts.hostname or "")


def _decoded(match: re.Match[str]) -> str | None:
    number = int(match[1]) if match[1] else int(match[2], 16) if match[2] else None
    if number is not None:
        return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else None
    return NAMED.get(match[3] or "")


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Telegram cuts white space at both ends; entities move along and never end in it."""
    cut = utf16_length(text) - utf16_length(text.lstrip())
    text = text.strip()
    whole = utf16_length(text)
    kept = []
    for entity in entities:
        start, end = max(0, entity["offset"] - cut), min(whole, entity["offset"] + entity["length"] - cut)
        if end > start:
            kept.append(entity | {"offset": start, "length": end - start})
    return text, kept


def _overlap(one: Json, other: Json) -> bool:
    return bool(one["offset"] < other["offset"] + other["length"] and other["offset"] < one["offset"] + one["length"])


def _around(one: Json, other: Json) -> bool:
    """Whether the other entity stands around this one, and so keeps it from being one."""
    return one is not other and _overlap(one, other) and bool(other["length"] >= one["length"])
