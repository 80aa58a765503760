"""How busy the machine is: what a test measures in seconds takes that much longer beside others."""

from __future__ import annotations

import os


def crowd() -> float:
    """How many times longer all takes than on a machine that has nothing else to do; never less than 1. The average is
    a minute late, so the workers of this run count from the beginning.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1.0, max(os.getloadavg()[0], workers) / (os.cpu_count() or 1))
