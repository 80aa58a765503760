"""Flows from their files: YAML with line numbers, so that what is wrong is named by file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bot.settings import WrongSetting
from core.flow_reading import Path as Place
from core.flow_reading import WrongFlow, read_flow
from core.flows import Flow

SHIPPED = Path(__file__).resolve().parents[1] / "manifests" / "flows"
MAX_DEPTH = 32

_Lines = dict[Place, int]


def load_flows(folder: str | None) -> dict[str, Flow]:
    """All flows of a folder (`*.yaml`), the shipped ones without one. Raises WrongSetting for a folder that is not
    there and for the first file that is not right.
    """
    place = Path(folder) if folder else SHIPPED
    if not place.is_dir():
        raise WrongSetting(f"FLOWS_DIR: there is no folder {place}")
    found: dict[str, Flow] = {}
    for file in sorted(place.glob("*.yaml")):
        flow = load_flow(file)
        if flow.name in found:
            raise WrongSetting(f"{file}: flow: another file describes the flow {flow.name} already")
        found[flow.name] = flow
    return found


def load_flow(file: Path) -> Flow:
    """Raises WrongSetting that says `file, line n: key: what is wrong`."""
    lines: _Lines = {}
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = {} if node is None else _value(node, (), lines)
        return read_flow(value)
    except WrongFlow as error:
        line = next((lines[error.path[:n]] for n in range(len(error.path), -1, -1) if error.path[:n] in lines), 1)
        raise WrongSetting(f"{file}, line {line}: {error.message}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise WrongSetting(f"{file}{where}: not YAML: {error.problem or error.context}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongSetting(f"{file}: cannot be read: {error}") from None


def _value(node: yaml.Node, path: Place, lines: _Lines) -> Any:
    """The plain value of a node; notes the line of every key."""
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > MAX_DEPTH:
        raise WrongFlow("is nested too deeply", path)
    if isinstance(node, yaml.SequenceNode):
        return [_value(one, (*path, n), lines) for n, one in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    return _scalar(node, path)


def _mapping(node: yaml.MappingNode, path: Place, lines: _Lines) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise WrongFlow("a key must be a word", path)
        name = str(key.value)  # the word as it is written: YAML itself would read `on` as true
        lines[(*path, name)] = key.start_mark.line + 1
        if name in found:
            raise WrongFlow(f"{name} stands twice", (*path, name))
        found[name] = _value(value, (*path, name), lines)
    return found


_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}


def _scalar(node: yaml.Node, path: Place) -> Any:
    if node.tag not in _SCALARS:
        raise WrongFlow(f"{node.value!r} is no text, number, true or false; put it in quotes", path)
    return yaml.SafeLoader("").construct_object(node)
