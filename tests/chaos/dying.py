"""`assent serve` that kills itself at a named checkpoint: `python -m tests.chaos.dying NAME NTH serve …`.

DAYS_AHEAD in its environment: the database's clock is so many days ahead for it.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from bot import serve
from bot.cli import main
from core import checkpoints
from core.schedule import DAY


def die_at(name: str, nth: int) -> None:
    """SIGKILL this process when it comes to checkpoint `name` for the `nth` time."""
    assert name in checkpoints.EVERY, name
    left = nth

    def reached(here: str) -> None:
        nonlocal left
        if here == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.reached = reached


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    ahead = int(os.environ.get("DAYS_AHEAD", "0")) * DAY
    serve.running = partial(serve.running, clock_offset=lambda: ahead)
    del sys.argv[1:3]
    main()
