"""Blocks that can be edited on the page, and what was changed in them: as posted, and as shown. Pure.

A text area cannot carry every text (it has one kind of line end), so what comes back as it went out is unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from api.review.posted import Posted
from api.review.strings import Texts, problem_words
from core import diff, strictjson, wording
from core.digest import canonical, digest
from core.errors import InvalidInput
from core.model import Case

BLOCK = "block."  # before the names of the text areas; after it comes the block's place in the case
PROBLEM = "block."  # before the ids of blocks, in the gate's problems and ours
CHANGES = "-changes"  # after the id of a text area: the id of what was changed in it
SEEN = "seen"  # under this name the page says which changes it has shown
_PLACE = re.compile(r"malformed JSON: .* at line (\d+) column (\d+)", re.DOTALL)
Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line; `marked` when it is what was changed in the line."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: Literal["same", "removed", "added"]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class DiffHunk:
    """Changed lines with those around them, from line `start` of the new text."""

    start: int
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A JSON value that changed, under its path in words. A text of None: there was, or is, nothing."""

    kind: Literal["added", "removed", "replaced"]
    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed in one block: hunks of a text, or values of JSON."""

    label: str
    hunks: tuple[DiffHunk, ...] = ()
    changes: tuple[ValueChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hunks or self.changes)


@dataclass(frozen=True, slots=True)
class Editor:
    """The text area of one block. `id` and `name` are those of the HTML; `unfolded` when there is something in it to
    look at.
    """

    name: str
    id: str
    value: str
    rows: int
    unfolded: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class Edits:
    """What came of the text areas: contents that differ from the case's, by block id; what is wrong, by `block.<id>`;
    and every text as it was typed.
    """

    changed: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Stands for exactly these changes; "" for none."""
        return digest(self.changed) if self.changed else ""


def editable(case: Case) -> list[tuple[int, Block]]:
    """The blocks that the reviewer may change, each with its place in the case."""
    return [(n, block) for n, block in enumerate(case.content["blocks"]) if block.get("editable")]


def label_of(block: Block) -> str:
    return wording.visible(str(block.get("label") or block["id"]))


def edits_of(case: Case, posted: Posted, texts: Texts) -> Edits:
    """What was changed. Content that is not JSON where it must be is a problem in the page's language."""
    changed: dict[str, Any] = {}
    problems: dict[str, str] = {}
    typed: dict[str, str] = {}
    for n, block in editable(case):
        given = posted.all(f"{BLOCK}{n}")
        if not given or given[0] == text_of(block["content"]):
            continue
        typed[block["id"]] = given[0]
        try:
            content = _content(block, given[0])
            if canonical(content) != canonical(block["content"]):
                changed[block["id"]] = content
        except InvalidInput as error:
            problems[PROBLEM + block["id"]] = _json_problem(block, error, texts)
    return Edits(changed, problems, typed)


def text_of(content: Any) -> str:
    """A block's content as a text area gives it back."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")


def _content(block: Block, text: str) -> Any:
    """What the text means in this block. Raises InvalidInput when it is not JSON and should be."""
    original = block["content"]
    if block["type"] != "json":
        return _with_line_ends(text, original)
    value = strictjson.loads(text.encode())
    return text if isinstance(original, str) else value  # a text that holds JSON stays a text


def _with_line_ends(text: str, original: str) -> str:
    """A text that had the line ends of Windows throughout keeps them."""
    if "\r\n" in original and original.count("\n") == original.count("\r") == original.count("\r\n"):
        return text.replace("\n", "\r\n")
    return text


def _json_problem(block: Block, error: InvalidInput, texts: Texts) -> str:
    label = label_of(block)
    if place := _PLACE.fullmatch(error.message):
        return str(texts["bad_json_at"]).format(label=label, line=place[1], column=place[2])
    return str(texts["bad_json"]).format(label=label, problem=problem_words(error.message, texts))


def editor_of(n: int, block: Block, edits: Edits, error: str | None) -> Editor:
    value = edits.typed.get(block["id"], text_of(block["content"]))
    return Editor(
        name=f"{BLOCK}{n}",
        id=f"block-{n}",
        value=value,
        rows=min(24, max(4, value.count("\n") + 2)),
        unfolded=block["id"] in edits.typed,
        error=error,
    )


def difference_of(label: str, before: Any, after: Any, texts: Texts) -> Difference:
    """What changed from one content to another; texts are compared line by line, all else value by value."""
    if isinstance(before, str) and isinstance(after, str):
        return Difference(label, hunks=tuple(map(_hunk, diff.text_hunks(text_of(before), text_of(after)))))
    return Difference(label, changes=tuple(_value(change, texts) for change in diff.json_changes(before, after)))


def changes_between(previous: Case, case: Case, texts: Texts) -> tuple[Difference, ...]:
    """What is different from the round before: message and context where both ask the same kind of thing, and every
    block that either has.
    """
    found: list[Difference] = []
    was, now = previous.content, case.content
    if previous.type == case.type:
        found.append(difference_of("", was.get("message") or "", now.get("message") or "", texts))
        found.append(difference_of("", was["context"], now["context"], texts))
    earlier = {block["id"]: block for block in was["blocks"]}
    later = {block["id"]: block for block in now["blocks"]}
    for block_id in earlier | later:
        one, other = earlier.get(block_id), later.get(block_id)
        label = label_of(other or one or {"id": block_id})
        if one is not None and other is not None:
            found.append(difference_of(label, one["content"], other["content"], texts))
        elif one is not None:
            found.append(_came_or_went(label, "removed", one["content"], texts))
        elif other is not None:
            found.append(_came_or_went(label, "added", other["content"], texts))
    return tuple(one for one in found if one)


def _came_or_went(label: str, kind: Literal["added", "removed"], content: Any, texts: Texts) -> Difference:
    if isinstance(content, str):
        before, after = ("", content) if kind == "added" else (content, "")
        return difference_of(label, before, after, texts)
    change = diff.Change(kind, (), "", before=content, after=content)
    return Difference(label, changes=(_value(change, texts),))


def _hunk(hunk: diff.Hunk) -> DiffHunk:
    lines: list[DiffLine] = []
    waiting: list[diff.Line] = []  # removed lines that may have their successors right behind them
    added: list[diff.Line] = []
    for line in [*hunk.lines, None]:
        if line is not None and line.kind == "removed" and not added:
            waiting.append(line)
        elif line is not None and line.kind == "added":
            added.append(line)
        else:
            lines += _replaced(waiting, added)
            waiting, added = [line] if line is not None and line.kind == "removed" else [], []
            if line is not None and line.kind == "same":
                lines.append(DiffLine("same", (Piece(wording.visible(line.text)),)))
    return DiffHunk(hunk.after_start, tuple(lines))


def _replaced(removed: list[diff.Line], added: list[diff.Line]) -> list[DiffLine]:
    """Removed and added lines; where as many came as went, the words that differ are marked in both."""
    if len(removed) != len(added):
        return [_whole(line) for line in (*removed, *added)]
    gone, came = [], []
    for one, other in zip(removed, added, strict=True):
        gone.append(_marked("removed", diff.words_between(other.text, one.text), one))
        came.append(_marked("added", diff.words_between(one.text, other.text), other))
    return gone + came


def _whole(line: diff.Line) -> DiffLine:
    return DiffLine(line.kind, (Piece(wording.visible(line.text)),))


def _marked(kind: Literal["removed", "added"], pieces: tuple[tuple[str, bool], ...], line: diff.Line) -> DiffLine:
    if not pieces:
        return _whole(line)
    return DiffLine(kind, tuple(Piece(wording.visible(text), marked) for text, marked in pieces))


def _value(change: diff.Change, texts: Texts) -> ValueChange:
    path = " › ".join(str(step + 1) if isinstance(step, int) else wording.visible(step) for step in change.path)
    return ValueChange(
        kind=change.kind,
        path=path or texts["whole_value"],
        before=None if change.kind == "added" else _words(change.before),
        after=None if change.kind == "removed" else _words(change.after),
    )


def _words(value: Any) -> str:
    plain = isinstance(value, str) and value
    return wording.visible(value if plain else json.dumps(value, ensure_ascii=False, indent=2))
