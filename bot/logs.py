"""Structured logs on standard error: JSON Lines for machines, text on a terminal, and never a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

_SECRET_NAMES = re.compile(r"token|secret|authorization|password|api_?key", re.IGNORECASE)
_SECRET_VALUES = re.compile(
    r"ak_[\w-]{20,}|xox[abep]-[\w-]+|xapp-[\w-]+|\d{6,}:[\w-]{20,}|(?<=token=)[\w-]+|(?<=Bearer )\S+"
)
LONGEST = 2_000
"""Characters of one value, a traceback apart: whoever is let in may send a mebibyte, and a log is no copy of it."""
TRACEBACK = 10_000


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A last guard: what is named or looks like a secret is not written, whoever logs it, nor what is without end."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name) and isinstance(value, str):
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = _cut(_SECRET_VALUES.sub("…", value), TRACEBACK if name == "exception" else LONGEST)
    return event


def _cut(text: str, most: int) -> str:
    """Its beginning and its end: that of a traceback says what went wrong."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


class _StandardError:
    """Whatever standard error is at the moment of writing: whoever embeds the process may have replaced it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(log_format: str, *, quiet: bool = False, silent: bool = False) -> None:
    """Set logs up for this process; `quiet` leaves out what is merely informative, `silent` everything (for a command
    that says what is wrong itself).
    """
    level = logging.CRITICAL if silent else logging.WARNING if quiet else logging.INFO
    stream = _StandardError()
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    # Plain tracebacks: the pretty ones show local variables, and with them keys and tokens.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = console if text else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # With a console the exception is drawn by its renderer; else it becomes a field, so that it is scrubbed too.
    tail: list[Any] = [scrub, renderer] if text else [structlog.processors.format_exc_info, scrub, renderer]
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )
    # Third-party libraries: warnings and worse, through the same scrubbing.
    handler = logging.StreamHandler(cast(TextIO, stream))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_without_record, *tail])
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _without_record(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)
