"""The examples of docs/sdk.md are programs, as short as promised, and name nothing that is not there."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import assent

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sdk.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_python_and_imports_what_is_there(example: str) -> None:
    for node in ast.walk(ast.parse(example)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "assent":
            there = assent.__all__ if node.module == "assent" else vars(import_module(str(node.module)))
            assert {name.name for name in node.names} <= set(there)


def test_asking_takes_six_lines_and_acting_ten() -> None:
    asking, _, acting, *_ = EXAMPLES
    assert 6 >= len([line for line in asking.splitlines() if line])
    assert 10 >= len([line for line in acting.splitlines() if line])


def test_the_starlette_example_makes_an_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the executor's store is a file beside it
    (example,) = [each for each in EXAMPLES if "Starlette(" in each]
    names: dict[str, object] = {}
    exec(compile(example, "docs/sdk.md", "exec"), names)  # noqa: S102 - our own page
    assert {"app", "executor", "webhook"} <= set(names)
    assert isinstance(names["executor"], assent.AsyncExecutor)
    names["executor"]._store.close()  # type: ignore[attr-defined]


def test_everything_that_is_exported_is_there() -> None:
    assert all(hasattr(assent, name) for name in assent.__all__)
