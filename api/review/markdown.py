"""Markdown of agents, made safe: parsed without HTML and without images, then cleaned again by a whitelist.

A link never hides where it leads: its host stands behind its words. What Markdown itself would hide (link definitions,
too deep nesting) is why a page offers the source text as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from api.review.strings import Texts
from core.wording import visible

MAX_MARKDOWN = 64 * 1024
MAX_LEVEL = 16  # below the depth at which the parser drops text without a word
_SCHEMES = {"http", "https", "mailto"}
_TAGS = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=_TAGS,
        attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
        allowed_classes={"span": {"host"}},
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
        set_tag_attribute_values={
            "a": {"target": "_blank"},  # what was typed into the form stays
            "pre": {"tabindex": "0"},  # both may be wider than the page: the keyboard can scroll them, too
            "table": {"tabindex": "0"},
        },
    )


def render(text: str, texts: Texts) -> Markup | None:
    """Safe HTML, its highest heading an h3; None for what is shown as the text that it is: too long or too deep."""
    if len(text) > MAX_MARKDOWN:
        return None
    tokens = _parser().parse(text)
    if any(token.level > MAX_LEVEL for token in tokens):
        return None
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1]) - highest + 3)}"
    for token in tokens:
        token.content = visible(token.content)
        if token.children:
            token.children = _inline(token.children, texts)
    html = _parser().renderer.render(tokens, _parser().options, {})
    return Markup(_cleaner().clean(html))  # noqa: S704 - whitelisted just now


def _inline(tokens: Sequence[Token], texts: Texts) -> list[Token]:
    found: list[Token] = []
    targets: list[str | None] = []
    for token in tokens:
        # After parsing, because an entity (`&#8238;`) is as good as the character itself.
        token.content = visible(token.content)
        if token.type == "image":
            found.append(_text(f"[{texts['image']}: {token.content or visible(str(token.attrs.get('src', '')))}]"))
        elif token.type == "link_open":
            targets.append(_target(str(token.attrs.get("href", ""))))
            if targets[-1] is not None:
                found.append(token)
        elif token.type == "link_close":
            if (target := targets.pop()) is not None:
                found += [token, Token("host_open", "span", 1, attrs={"class": "host"})]
                found += [_text(f" ({target})"), Token("host_close", "span", -1)]
        else:
            found.append(token)
    return found


def _target(href: str) -> str | None:
    """Where a link leads, in ASCII, so that no look-alike letter deceives; None when it is not to be a link."""
    try:
        parts = urlsplit(href)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme == "mailto":
        return visible(parts.path) if parts.path.isascii() else None
    if parts.scheme not in _SCHEMES or not host:
        return None
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return None


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
