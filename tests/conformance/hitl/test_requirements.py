"""The table of requirements and the tests are the same, and a report can be had of them."""

from __future__ import annotations

import ast
import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path

from tests.conformance.hitl.own import DIFFERENT
from tests.conformance.hitl.report import exit_status, lines
from tests.conformance.hitl.requirements import BINDING, REQUIREMENTS
from tests.support.launcher import ROOT
from tests.support.process import make_key, serving

HERE = Path(__file__).parent
ABOUT_THE_SUITE = {"test_requirements.py", "test_bodies.py"}


def _tests() -> list[str]:
    files = [file for file in sorted(HERE.glob("test_*.py")) if file.name not in ABOUT_THE_SUITE]
    trees = [ast.parse(file.read_text()) for file in files]
    return [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef) and _is_test(node)]


def _is_test(node: ast.FunctionDef) -> bool:
    return node.name.startswith("test_")


async def test_a_server_that_runs_already_gets_its_report(sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    async with serving(sqlite_url) as server:
        command = ["-m", "tests.conformance.hitl", "--url", server.url, "--key", key, "--patience", "0"]
        process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
    assert 0 == process.returncode, (out.decode(), err.decode())
    for requirement in REQUIREMENTS:
        assert requirement.id in out.decode()
    assert key not in out.decode() + err.decode()


def test_every_requirement_has_a_test_of_its_own_or_a_reason_for_none() -> None:
    for requirement in REQUIREMENTS:
        assert (requirement.test is None) != (requirement.unseen is None), requirement.id
    assert {} == {name: n for name, n in Counter(one.id for one in REQUIREMENTS).items() if n > 1}


def test_every_test_is_of_a_requirement_and_every_named_test_is_there() -> None:
    tests, named = _tests(), [one.test for one in REQUIREMENTS if one.test]
    assert set(named) == set(tests)
    assert len(tests) == len(set(tests)), "no two tests of one name"
    # One sentence is said twice: in 7.5 as a status, in 13.1 as a rule.
    assert ["test_an_answer_after_the_expiry_is_refused_with_410"] == [n for n, k in Counter(named).items() if k > 1]


def test_what_is_different_on_purpose_breaks_nothing_that_binds() -> None:
    levels = {one.test: one.level for one in REQUIREMENTS}
    assert set(DIFFERENT) <= set(levels)
    assert not {name for name in DIFFERENT if levels[name] in BINDING}


def test_a_report_has_a_line_for_every_requirement_and_fails_for_what_binds() -> None:
    must, should = ("test_a_malformed_request_does_not_answer_202", "test_a_message_comes_with_it")
    passed = {one.test: "passed" for one in REQUIREMENTS if one.test}
    assert len(REQUIREMENTS) == len(lines(passed))
    assert {"passed", "not visible"} == {line.result for line in lines(passed)}
    assert 0 == exit_status(lines(passed))
    assert 1 == exit_status(lines(passed | {must: "failed"}))
    assert 0 == exit_status(lines(passed | {should: "failed"}))
    assert 1 == exit_status(lines(passed | {should: "failed"}), strict=True)
    assert 1 == exit_status(lines({name: result for name, result in passed.items() if name != must}))
