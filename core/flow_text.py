"""Placeholders in a flow's texts: `{slug}`, `{data.firstName}`, `{data.firstName:slug}`. Pure.

A text that is one placeholder and nothing else becomes the value itself, whatever it is; within a longer text only
texts and numbers can stand. What has nothing behind it is MISSING, and so is the text around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.model import JsonObject

PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*(?:\.\w+)*)(:slug)?\}", re.ASCII)
MAX_SLUG = 64
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


class _Missing:
    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


def render(template: Any, scope: JsonObject) -> Any:
    """The JSON value with its placeholders filled in. Entries of lists and objects that are MISSING are left out."""
    if isinstance(template, str):
        return _text(template, scope)
    if isinstance(template, Mapping):
        filled = {key: render(value, scope) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not MISSING}
    if isinstance(template, (list, tuple)):
        return [value for one in template if (value := render(one, scope)) is not MISSING]
    return template


def sentence(template: str, scope: JsonObject, limit: int) -> str:
    """A text for people: what is missing is left out, and what is too long is cut."""
    filled = PLACEHOLDER.sub(lambda match: _short(_value(match, scope)) or "", template)
    return filled if len(filled) <= limit else filled[: limit - 1] + "…"


def _text(template: str, scope: JsonObject) -> Any:
    if whole := PLACEHOLDER.fullmatch(template):
        return _value(whole, scope)
    parts: list[str] = []
    end = 0
    for match in PLACEHOLDER.finditer(template):
        short = _short(_value(match, scope))
        if short is None:
            return MISSING
        parts += (template[end : match.start()], short)
        end = match.end()
    return "".join((*parts, template[end:]))


def _value(match: re.Match[str], scope: JsonObject) -> Any:
    value: Any = scope
    for name in match[1].split("."):
        if not isinstance(value, Mapping) or value.get(name) in (None, "", {}, []):
            return MISSING
        value = value[name]
    if match[2] is None:
        return value
    return slug(short) or MISSING if (short := _short(value)) is not None else MISSING


def _short(value: Any) -> str | None:
    is_short = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if is_short else None


def slug(text: str) -> str:
    """The text as part of an address: `Zoë van Dam` is `zoe-van-dam`; "" when nothing of it can stand there."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", plain).strip("-")[:MAX_SLUG].rstrip("-")


def placeholders(template: Any) -> Iterator[str]:
    """The names that a template asks for, with their dots. What looks like a placeholder and is none is named, too."""
    if isinstance(template, str):
        for match in re.finditer(r"\{([^{}]*)\}", template):
            known = PLACEHOLDER.fullmatch(match[0])
            yield known[1] if known else match[1]
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from placeholders(value)
    elif isinstance(template, (list, tuple)):
        for value in template:
            yield from placeholders(value)
