"""A real Prometheus for tests, and promtool: this machine's, or Debian's package (19 MB, fetched once a checkout)."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.programs import find, running

PACKAGE = "prometheus"
STEP = 0.5
Sample = tuple[dict[str, str], float]


def promtool(*arguments: str | Path, given: str = "") -> tuple[int, str]:
    """Its exit status, and what it said. Raises NoProgram."""
    program = find("promtool", PACKAGE)
    done = subprocess.run(
        [program.path, *arguments],
        env=program.environment,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that scrapes a process twice a second."""

    port: int
    began: float = field(default_factory=time.time)

    async def ask(self, path: str, **parameters: str) -> Any:
        """What its HTTP API answers. Raises AssertionError with its words."""
        answer = await asyncio.to_thread(self._asked, f"/api/v1/{path}?{urlencode(parameters)}")
        assert "success" == answer["status"], answer
        return answer["data"]

    def _asked(self, address: str) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", address)
            return json.loads(connection.getresponse().read())

    async def query(self, expression: str) -> list[Sample]:
        """The series of an expression, at this moment."""
        data = await self.ask("query", query=expression)
        assert "vector" == data["resultType"]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    async def query_range(self, expression: str) -> list[Sample]:
        """Every sample since it began, as a graph would ask for them."""
        moments = {"start": f"{self.began:.3f}", "end": f"{time.time() + STEP:.3f}", "step": str(STEP)}
        data = await self.ask("query_range", query=expression, **moments)
        return [(one["metric"], float(value)) for one in data["result"] for _, value in one["values"]]


@contextmanager
def prometheus(target: str, token: str, rules: Sequence[Path], folder: Path) -> Iterator[Prometheus]:
    """Scrapes `target` (host and port), with this token, and evaluates these rules. Raises NoProgram."""
    (folder / "token").write_text(token)
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(one) for one in rules],
        "scrape_configs": [
            {
                "job_name": "assent",
                "authorization": {"credentials_file": str(folder / "token")},
                "static_configs": [{"targets": [target]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def arguments(port: int) -> list[str]:
        return [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]

    def answers(port: int) -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200

    with running(find("prometheus", PACKAGE), arguments, answers) as port:
        yield Prometheus(port)
