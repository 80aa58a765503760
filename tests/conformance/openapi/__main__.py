"""`python -m tests.conformance.openapi --url URL --key KEY`: is that server as its OpenAPI document says?

Prints Schemathesis' own report, with a curl command for every failure. Exit status 0: nothing was found. The server's
rate limits should be off (RATE_LIMITS=off), or most answers are 429. Not for a server that is in use: it is asked all
that its document allows.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests.conformance.openapi.run import PHASES, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.openapi",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="the server under test")
    parser.add_argument("--key", default=os.environ.get("ASSENT_KEY"), help="an admin's key there; or ASSENT_KEY")
    parser.add_argument("--operator-key", default=os.environ.get("ASSENT_OPERATOR_KEY"), help="an operator's key")
    parser.add_argument("--examples", type=int, default=100, help="random requests per route and kind (100)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of an earlier run, to repeat it")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("more", nargs="*", help="after --: given to `schemathesis run` as it is")
    given = parser.parse_args()
    if not given.key:
        parser.error("--key is missing: an admin's key of that server")
    with tempfile.TemporaryDirectory(prefix="assent-openapi-") as folder:
        ended = run(
            given.url.rstrip("/"),
            given.key,
            Path(folder),
            operator_key=given.operator_key,
            examples=given.examples,
            seed=given.seed,
            phases=given.phases.split(","),
            more=given.more,
        )
    print(ended.stdout)
    print(ended.stderr, file=sys.stderr)
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
