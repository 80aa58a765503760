"""The review page's colours and words: enough contrast, nothing missing in any language, nothing left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.review.strings import EN, LANGUAGES

REVIEW = Path(__file__).parents[2] / "api" / "review"


def _palette(css: str, *, dark: bool) -> dict[str, str]:
    light_part, dark_part = css.split("@media (prefers-color-scheme: dark)", 1)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light_part))
    return colours | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark_part)) if dark else {})


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "backs", "least"),
    [
        ("text", ("page", "surface", "sunken", "neutral-soft", "good-soft", "danger-soft", "accent-soft"), 7),
        ("muted", ("page", "surface", "sunken", "accent-soft"), 4.5),
        ("accent", ("page", "surface", "accent-soft"), 4.5),
        ("on-accent", ("accent", "accent-strong"), 4.5),
        ("danger", ("page", "surface", "danger-soft"), 4.5),
        ("warn", ("surface",), 4.5),
        ("control-line", ("page", "surface"), 3),
        ("danger-line", ("page", "danger-soft"), 3),
        ("focus", ("page", "surface", "danger-soft", "accent-soft"), 3),
    ],
)
def test_the_colours_have_enough_contrast(dark: bool, front: str, backs: tuple[str, ...], least: float) -> None:
    colours = _palette((REVIEW / "static" / "review.css").read_text(), dark=dark)
    for back in backs:
        one, other = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
        assert least <= (one + 0.05) / (other + 0.05), f"{front} on {back}"


def test_every_language_says_everything() -> None:
    for texts in LANGUAGES.values():
        assert _shape(EN) == _shape(texts)


def _shape(value: Any) -> Any:
    """Keys and placeholders, without the words."""
    if isinstance(value, str):
        return sorted(re.findall(r"\{\w*\}", value))
    return {key: _shape(one) for key, one in value.items()} if hasattr(value, "items") else type(value)


def test_every_text_is_used() -> None:
    code = [path for path in REVIEW.rglob("*") if path.suffix in (".py", ".html", ".js") and path.name != "german.py"]
    sources = "".join(path.read_text() for path in code)
    sources = sources.replace((REVIEW / "strings.py").read_text().split("LANGUAGES", 1)[0], "")
    for key in [*EN, *EN["script"]]:
        assert re.search(
            rf"""(\bt|texts)(\.{key}\b|\[['"]{key}['"]\])|["']{key.removesuffix("_hint")}["']""", sources
        ), key
