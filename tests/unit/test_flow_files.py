"""Files of flows: what is wrong is named by file, line and key, and stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.flows import SHIPPED, load_flow, load_flows
from bot.settings import WrongSetting

GOOD = """\
flow: tiny
data: thing
steps:
  - name: go
    type: approval
    prompt: Go?
    leads_to: {approve: finish, reject: stop}
result:
  done: "{data.name}"
"""


def _file(folder: Path, text: str, name: str = "tiny.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_the_shipped_flow_is_there() -> None:
    assert ["cv-simple"] == list(load_flows(None))
    assert SHIPPED / "cv-simple.yaml" in SHIPPED.iterdir()


def test_the_example_in_the_documentation_is_a_flow(tmp_path: Path) -> None:
    text = (SHIPPED.parents[1] / "docs" / "flows.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert "release" == load_flow(_file(tmp_path, example)).name


def test_a_small_flow_is_read(tmp_path: Path) -> None:
    _file(tmp_path, GOOD)
    assert ["tiny"] == list(load_flows(str(tmp_path)))


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("type: approval", "type: vote", "line 5: steps[0].type: must be one of"),
        ("    prompt: Go?\n", "", "line 4: steps[0].prompt: is missing"),
        ("reject: stop", "reject: nowhere", "line 7: steps[0].leads_to.reject: must be one of"),
        ("    prompt: Go?\n", "    prompt: Go?\n    promt: Go?\n", "line 7: steps[0].promt: is not a known key"),
        ("    prompt: Go?\n", "    prompt: Go?\n    prompt: No?\n", "line 7: steps[0].prompt: prompt stands twice"),
        ("Go?", "2026-01-01", "line 6: steps[0].prompt: '2026-01-01' is no text"),
        ("Go?", "7", "line 6: steps[0].prompt: must be text; put numbers and dates in quotes"),
        ("Go?", "010", "line 6: steps[0].prompt: '010' would be read as 8; write that, or put it in quotes"),
        ("Go?", "no", "line 6: steps[0].prompt: 'no' would be read as False; write that, or put it in quotes"),
        ("{data.name}", "{dat.name}", "line 9: result.done: {dat.name} is not a placeholder"),
        ("flow: tiny\n", "", "line 1: flow: is missing"),
        (GOOD, "", "line 1: flow: is missing"),
        (GOOD, "- a\n- b\n", "line 1: must be an object"),
        ("steps:", "steps: [", "line 4: not YAML"),
        ("flow: tiny", "flow: !!python/object:os.system x", "line 1: flow: 'x' is no text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_line_and_key(tmp_path: Path, was: str, now: str, expected: str) -> None:
    assert was in GOOD
    file = _file(tmp_path, GOOD.replace(was, now))
    with pytest.raises(WrongSetting) as wrong:
        load_flow(file)
    assert wrong.value.message.startswith(f"{file}, {expected}"), wrong.value.message


def test_a_file_that_refers_to_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="nested too deeply"):
        load_flow(_file(tmp_path, GOOD + "inputs: &a\n  kind: *a\n"))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongSetting, match=r"tiny\.yaml"):
        load_flows(str(tmp_path))


def test_two_files_cannot_describe_the_same_flow(tmp_path: Path) -> None:
    _file(tmp_path, GOOD, "a.yaml")
    _file(tmp_path, GOOD, "b.yaml")
    with pytest.raises(WrongSetting, match=r"b\.yaml: flow: another file describes the flow tiny"):
        load_flows(str(tmp_path))


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(WrongSetting, match="FLOWS_DIR: there is no folder"):
        load_flows("nowhere/at/all")


def test_the_server_does_not_start_with_a_wrong_flow(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(tmp_path, GOOD.replace("type: approval", "type: vote"))
    monkeypatch.setenv("FLOWS_DIR", str(tmp_path))
    monkeypatch.setenv("ASSENT_SECRET_KEY", "a secret for this test only")
    answer = CliRunner().invoke(app, ["serve", "--database", sqlite_url, "--port", "0"])
    assert answer.exit_code != 0
    assert isinstance(answer.exception, WrongSetting)
    assert f"{tmp_path / 'tiny.yaml'}, line 5: steps[0].type" in answer.exception.message
