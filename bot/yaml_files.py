"""YAML that people write for Assent, read with line numbers: what is wrong is named by file, line and key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from bot.settings import WrongSetting
from core.nodes import Path as Place
from core.nodes import WrongFile

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000  # a few lines of references to references can stand for millions

_Lines = dict[Place, int]
T = TypeVar("T")


def read_yaml(file: Path, meaning: Callable[[Any], T], content: bytes | None = None) -> T:
    """What `meaning` makes of the file's plain value ({} when it is empty); it raises WrongFile. `content`: the file's,
    where it has been read already. Raises WrongSetting that says `file, line n: key: what is wrong`.
    """
    lines: _Lines = {}
    try:
        if content is None:
            content = file.read_bytes()
        if len(content) > MAX_BYTES:
            raise WrongFile(f"is longer than {MAX_BYTES >> 10} KB", ())
        node = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
        return meaning({} if node is None else _value(node, (), lines))
    except WrongFile as error:
        line = next((lines[error.path[:n]] for n in range(len(error.path), -1, -1) if error.path[:n] in lines), 1)
        raise WrongSetting(f"{file}, line {line}: {error.message}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise WrongSetting(f"{file}{where}: not YAML: {error.problem or error.context}") from None
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise WrongSetting(f"{file}: cannot be read: {error}") from None


def _value(node: yaml.Node, path: Place, lines: _Lines) -> Any:
    """The plain value of a node; notes the line of every key."""
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > MAX_DEPTH:
        raise WrongFile("is nested too deeply", path)
    if len(lines) > MAX_VALUES:
        raise WrongFile(f"has more than {MAX_VALUES:,} values", path)
    if isinstance(node, yaml.SequenceNode):
        return [_value(one, (*path, n), lines) for n, one in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    return _scalar(node, path)


def _mapping(node: yaml.MappingNode, path: Place, lines: _Lines) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise WrongFile("a key must be a word", path)
        name = str(key.value)  # the word as it is written: YAML itself would read `on` as true
        lines[(*path, name)] = key.start_mark.line + 1
        if name in found:
            raise WrongFile(f"{name} stands twice", (*path, name))
        found[name] = _value(value, (*path, name), lines)
    return found


_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
# What YAML 1.1 reads in a way that few people mean: `no` for false, 12:30 for 750, 010 for 8, 1_0 for 10.
_DOUBTFUL = re.compile(r"(?i:y|n|yes|no|on|off)|[-+]?0[0-9_]+|[-+.0-9_]*[:_][-+.:0-9_]*")


def _scalar(node: yaml.Node, path: Place) -> Any:
    if node.tag not in _SCALARS:
        raise WrongFile(f"{node.value!r} is no text, number, true or false; put it in quotes", path)
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except ValueError:  # more digits than Python reads
        raise WrongFile("is a number that JSON cannot carry exactly", path) from None
    if not isinstance(value, str) and _DOUBTFUL.fullmatch(node.value):
        raise WrongFile(f"{node.value!r} would be read as {value!r}; write that, or put it in quotes", path)
    return value
