"""Pictures of every state of the review page, and one page that shows them side by side, for looking at."""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path

VARIABLE = "ASSENT_SCREENSHOTS"
_DEFAULT = Path(__file__).parents[2] / ".screenshots"
_STYLE = """
body { margin: 1.5rem; font: 15px/1.5 system-ui, sans-serif; background: #777; color: #fff; }
section { display: flex; gap: 1rem; align-items: flex-start; overflow-x: auto; padding-bottom: 1.5rem; }
figure { margin: 0; flex: none; }
figure a { display: block; max-height: 900px; overflow-y: auto; }
img { display: block; zoom: .6; }
"""


def folder() -> Path:
    """`ASSENT_SCREENSHOTS`, else `.screenshots` in the project's tree; made when it is asked for."""
    found = Path(os.environ.get(VARIABLE) or _DEFAULT)
    found.mkdir(parents=True, exist_ok=True)
    return found


def picture(state: str, language: str, scheme: str, width: int) -> Path:
    """Where this picture goes: `a-form--de--dark--360.png`."""
    name = re.sub(r"\W+", "-", state.lower()).strip("-")
    return folder() / f"{name}--{language}--{scheme}--{width}.png"


def contact_sheet(since: float) -> Path | None:
    """Write `index.html` for the pictures that were made since then (seconds since 1970); None when there are none."""
    place = Path(os.environ.get(VARIABLE) or _DEFAULT)
    if not place.is_dir():
        return None
    found: dict[str, list[Path]] = {}
    for path in sorted(place.glob("*--*--*--*.png")):
        if path.stat().st_mtime >= since:
            found.setdefault(path.stem.partition("--")[0], []).append(path)
    if not found:
        return None
    rows = "".join(
        f"<h2>{escape(state.replace('-', ' '))}</h2><section>{''.join(map(_figure, paths))}</section>"
        for state, paths in found.items()
    )
    sheet = place / "index.html"
    sheet.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>The review page</title><style>{_STYLE}</style>{rows}",
        encoding="utf-8",
    )
    return sheet


def _figure(path: Path) -> str:
    words = escape(path.stem.partition("--")[2].replace("--", " · "))
    name = escape(path.name, quote=True)
    image = f'<img src="{name}" alt="{words}" loading="lazy">'
    return f'<figure><a href="{name}">{image}</a><figcaption>{words}</figcaption></figure>'
