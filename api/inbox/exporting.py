"""The audit export: closed cases with their rows of the ledger. CSV for spreadsheets, or whole as JSON Lines. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from core.ledger import Row
from core.model import Case
from core.records import Exported, ledger_row
from core.schedule import iso

COLUMNS = (
    "case_id", "source_id", "source", "type", "prompt", "requested_by", "opened_at", "closed_at", "status",
    "answered_at", "action", "reason", "platform", "user_id", "name", "on_behalf_of", "via", "origin", "content_digest",
    "interaction_id", "payload_hash", "row_hash", "position",
)  # fmt: skip
# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"); with the full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_head() -> str:
    return _csv_line(COLUMNS)


def csv_lines(one: Exported, sources: Mapping[str, str]) -> str:
    """A line for each row of the ledger about this case."""
    return "".join(_csv_line([_cell(value) for value in _values(one.case, row, sources)]) for row in one.rows)


def json_lines(one: Exported, sources: Mapping[str, str]) -> str:
    """The same, with all that the hash of a row is over: what it says can be held against `row_hash`."""
    return "".join(
        json.dumps({"case": _case(one.case, sources), "ledger": ledger_row(row)}, ensure_ascii=False) + "\n"
        for row in one.rows
    )


def _case(case: Case, sources: Mapping[str, str]) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "source_id": case.source_id,
        "source": sources.get(case.source_id or ""),
        "type": case.type,
        "prompt": case.prompt,
        "requested_by": case.terms.get("requested_by"),
        "opened_at": iso(case.created_at),
        "closed_at": iso(case.closed_at) if case.closed_at is not None else None,
        "status": str(case.status),
        "content_digest": case.content_digest,
    }


def _values(case: Case, row: Row, sources: Mapping[str, str]) -> Iterator[Any]:
    who, said = json.loads(row["replier"]), json.loads(row["payload"])
    data, giver = said.get("data") or {}, who.get("on_behalf_of") or {}
    reason = next((data[key] for key in ("reason", "feedback", "note") if isinstance(data.get(key), str)), None)
    yield from list(_case(case, sources).values())[:-1]
    yield iso(row["created_at"])
    yield from (said.get("action"), reason, who.get("platform"), who.get("platform_user_id"), who.get("display_name"))
    yield giver.get("display_name") or giver.get("platform_user_id")
    yield from (row["via"], row["origin"], row["content_digest"], row["interaction_id"], row["payload_hash"])
    yield from (row["row_hash"], row["position"])


def _cell(value: Any) -> str:
    """A value as text that no spreadsheet calculates with."""
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _csv_line(values: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)  # RFC 4180
    return out.getvalue()
