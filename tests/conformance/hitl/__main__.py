"""`python -m tests.conformance.hitl --url URL --key KEY`: does that server keep the HITL Protocol?

Prints requirement, level and result. Exit status 0: everything that binds (MUST, MUST NOT, REQUIRED) is kept, or
belongs to a part that is not offered; `--strict` asks the same of what is recommended or stated.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console

from tests.conformance.hitl.report import Results, exit_status, lines, show

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.hitl",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="the server under test")
    parser.add_argument("--key", default=os.environ.get("HITL_KEY"), help="an agent's key there; or HITL_KEY")
    parser.add_argument("--target", help="package.module:Class that knows the server's ways")
    parser.add_argument("--patience", type=float, default=20, help="longest wait for time to pass, in seconds (20)")
    parser.add_argument("--strict", action="store_true", help="what is recommended or stated counts as well")
    parser.add_argument("--verbose", action="store_true", help="print the tests' own output, too")
    given = parser.parse_args()
    if not given.key:
        parser.error("--key is missing: an agent's key of that server")
    os.environ["HITL_KEY"] = given.key  # not on a command line, where every process of the machine can read it
    arguments = [str(HERE), "-p", "no:cacheprovider", "-q", f"--hitl-url={given.url}"]
    arguments += [f"--hitl-patience={given.patience}"] + ([f"--hitl-target={given.target}"] if given.target else [])
    arguments += [f"--ignore={HERE / name}" for name in ("test_requirements.py", "test_bodies.py")]
    results, output = Results(), io.StringIO()
    with redirect_stdout(sys.stdout if given.verbose else output):
        ended = pytest.main(arguments, plugins=[results])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(output.getvalue(), file=sys.stderr)
        return int(ended)
    found = lines(results.results, results.reasons)
    show(found, Console())
    return exit_status(found, strict=given.strict)


if __name__ == "__main__":
    sys.exit(main())
