"""Flows from their files. What is wrong is named by file, line and key."""

from __future__ import annotations

from pathlib import Path

from bot.settings import WrongSetting
from bot.yaml_files import read_yaml
from core.flow_reading import read_flow
from core.flows import Flow

SHIPPED = Path(__file__).resolve().parents[1] / "manifests" / "flows"


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
    return read_yaml(file, read_flow)
