"""What an edit changed: line by line for text, value by value for JSON. Pure.

The same changes are shown on the review page and written into the decision event: as a unified diff for text, as an
RFC 6902 patch for JSON. What would take long to compare finely is compared coarsely, never wrongly: both run inside
the gate's transaction, on content that others have written.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from core.digest import canonical

CONTEXT = 3  # lines shown around a change
MAX_LINES = 4_000  # beyond this, or with so many repetitions, what differs is replaced as one piece
MAX_MATCHES = 20_000
NO_NEWLINE = "\\ No newline at end of file\n"

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")

Step = str | int
_Opcode = tuple[Literal["equal", "delete", "insert", "replace"], int, int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a hunk, without its line end. `ended` is False for a last line that has none."""

    kind: Literal["same", "removed", "added"]
    text: str
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring changes with some lines around them. Line numbers count from 1; 0 of a side that is empty."""

    before_start: int
    before_count: int
    after_start: int
    after_count: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that was added, removed or replaced. `path` leads to it (list places from 0: for what was removed in
    the old value, else in the new one); `pointer` is the same for a patch that is applied change after change.
    """

    kind: Literal["added", "removed", "replaced"]
    path: tuple[Step, ...]
    pointer: str
    before: Any = None
    after: Any = None


def text_diff(block_id: str, before: str, after: str) -> dict[str, Any]:
    """An entry of the decision event's `text_diffs`: a unified diff that `patch` applies, "" when nothing changed."""
    return {"block_id": block_id, "unified_diff": unified_diff(before, after)}


def json_patch(block_id: str, before: Any, after: Any) -> dict[str, Any]:
    """An entry of the decision event's `json_patches`: RFC 6902 operations, [] when nothing changed."""
    return {"block_id": block_id, "patch": [_operation(change) for change in json_changes(before, after)]}


def unified_diff(before: str, after: str) -> str:
    hunks = text_hunks(before, after)
    return "--- original\n+++ final\n" + "".join(map(_unified, hunks)) if hunks else ""


def text_hunks(before: str, after: str) -> tuple[Hunk, ...]:
    """What differs between two texts, hunk by hunk; () when nothing does. Only a line feed ends a line."""
    old, new = _lines(before), _lines(after)
    return tuple(_hunk(group, old, new) for group in _groups(_opcodes(old, new)))


def words_between(before: str, after: str) -> tuple[tuple[str, bool], ...]:
    """`after` in pieces, each with whether it is new as against `before`; () when they have next to nothing in common.
    Called the other way round it says what of `before` is gone.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    opcodes = _opcodes(old, new)
    same = sum(len("".join(new[j1:j2]).strip()) for tag, _, _, j1, j2 in opcodes if tag == "equal")
    if same * 3 < len(after):
        return ()
    return tuple(("".join(new[j1:j2]), tag != "equal") for tag, _, _, j1, j2 in opcodes if j2 > j1)


def json_changes(before: Any, after: Any) -> tuple[Change, ...]:
    """What differs between two JSON values, in the order of a patch; 1 and 1.0 are the same, 1 and true are not."""
    return tuple(_changes(_plain(before), _plain(after), (), ""))


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    """difflib's opcodes; what the two have in common at both ends is set aside first, as edits are mostly small."""
    head, most = 0, min(len(old), len(new))
    while head < most and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < most - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    old_end, new_end = len(old) - tail, len(new) - tail
    found: list[_Opcode] = [("equal", 0, head, 0, head)] if head else []
    found += [
        (tag, i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in _middle(old[head:old_end], new[head:new_end])
    ]
    return found + ([("equal", old_end, len(old), new_end, len(new))] if tail else [])


def _middle(old: Sequence[str], new: Sequence[str]) -> list[_Opcode]:
    if not old and not new:
        return []
    if not old or not new:
        return [("delete" if old else "insert", 0, len(old), 0, len(new))]
    counts = Counter(new)
    if len(old) + len(new) > MAX_LINES or sum(counts[line] for line in old) > MAX_MATCHES:
        return [("replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _groups(opcodes: Sequence[_Opcode]) -> Iterator[list[_Opcode]]:
    """The changes with CONTEXT lines around them; those that touch or overlap belong together."""
    group: list[_Opcode] = []
    for n, (tag, i1, i2, j1, j2) in enumerate(opcodes):
        if tag != "equal":
            group.append((tag, i1, i2, j1, j2))
            continue
        before = CONTEXT if n else 0  # how much of it belongs to the change before it, and to the one after it
        after = CONTEXT if n < len(opcodes) - 1 else 0
        if i2 - i1 <= before + after and before and after:
            group.append((tag, i1, i2, j1, j2))
            continue
        if before and group:
            group.append((tag, i1, min(i2, i1 + before), j1, min(j2, j1 + before)))
            yield group
            group = []
        if after:
            group = [(tag, max(i1, i2 - after), i2, max(j1, j2 - after), j2)]
    if any(tag != "equal" for tag, *_ in group):
        yield group


def _hunk(group: Sequence[_Opcode], old: Sequence[str], new: Sequence[str]) -> Hunk:
    lines: list[Line] = []
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            lines += [_line("same", line) for line in old[i1:i2]]
        else:
            lines += [_line("removed", line) for line in old[i1:i2]]
            lines += [_line("added", line) for line in new[j1:j2]]
    (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
    # An empty side is named by the line before it, as in every unified diff.
    return Hunk(i1 + (i2 > i1), i2 - i1, j1 + (j2 > j1), j2 - j1, tuple(lines))


def _line(kind: Literal["same", "removed", "added"], text: str) -> Line:
    return Line(kind, text.removesuffix("\n"), text.endswith("\n"))


def _unified(hunk: Hunk) -> str:
    signs = {"same": " ", "removed": "-", "added": "+"}
    head = f"@@ -{hunk.before_start},{hunk.before_count} +{hunk.after_start},{hunk.after_count} @@\n"
    return head + "".join(f"{signs[line.kind]}{line.text}\n{'' if line.ended else NO_NEWLINE}" for line in hunk.lines)


def _plain(value: Any) -> Any:
    """The value as its canonical form says it: what is equal there is equal here."""
    return json.loads(canonical(value))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _changes(before: Any, after: Any, path: tuple[Step, ...], pointer: str) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _object_changes(before, after, path, pointer)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(before, after, path, pointer)
    elif _text(before) != _text(after):
        yield Change("replaced", path, pointer, before, after)


def _object_changes(
    before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[Step, ...], pointer: str
) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        place, to = (*path, key), f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in after:
            yield Change("removed", place, to, before=before[key])
        elif key not in before:
            yield Change("added", place, to, after=after[key])
        else:
            yield from _changes(before[key], after[key], place, to)


def _list_changes(
    before: Sequence[Any], after: Sequence[Any], path: tuple[Step, ...], pointer: str
) -> Iterator[Change]:
    """From left to right, so that at any moment the list is `after` up to a place and `before` from there on."""
    for tag, i1, i2, j1, j2 in _opcodes([*map(_text, before)], [*map(_text, after)]):
        if tag == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for n in range(paired):
            yield from _changes(before[i1 + n], after[j1 + n], (*path, j1 + n), f"{pointer}/{j1 + n}")
        for i in range(i1 + paired, i2):
            yield Change("removed", (*path, i), f"{pointer}/{j1 + paired}", before=before[i])
        for j in range(j1 + paired, j2):
            yield Change("added", (*path, j), f"{pointer}/{j}", after=after[j])


def _operation(change: Change) -> dict[str, Any]:
    match change.kind:
        case "removed":
            return {"op": "remove", "path": change.pointer}
        case "added":
            return {"op": "add", "path": change.pointer, "value": change.after}
        case _:
            return {"op": "replace", "path": change.pointer, "value": change.after}
