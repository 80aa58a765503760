"""What should have been erased: why it was not, and what helps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bot.doctor.findings import Finding, ok, warning
from core.overdue import Overdue
from core.retention import WAITS_FOR
from core.wording import moment, visible

_CLOCK = "Let a process with the clock role run, and look into its log."
# What helps, by what a case waits for; `{}` is its source.
_FIXES = {
    "answer": _CLOCK,
    "delivery": "`assent deliveries list --state waiting` says where it goes. Mend or resume that endpoint.",
    "pull": "Let an executor acknowledge the decision events of {} (docs/executors.md). When nobody is to fetch them "
    "any more, PATCH /sources/{} to the mode WEBHOOK_ONLY, which needs a webhook: they are erased unfetched.",
    "dispatch": _CLOCK,
    "signal": _CLOCK,
    "run": "If nobody carries that run out any more, call it off: POST /api/runs/<workflowID>/finish with "
    '`{"status": "cancelled"}`.',
    "verify": "Run `assent verify`.",
}
_NOT_DONE = (
    "Let a process with the clock role run with this RETENTION_DAYS. If one does, its log says why "
    "(`retention.altered`, `retention.put_off`), and `assent verify` names rows that somebody has changed."
)


def overdue(found: Iterable[Overdue], names: Mapping[str, str], days: int | None) -> Iterator[Finding]:
    """`names`: of sources, by their ids. Nothing is said where nothing is erased."""
    if days is None:
        return
    ago, late = "a day" if days == 1 else f"{days} days", list(found)
    for one in late:
        what = "A case" if one.total == 1 else f"{one.total} cases"
        source = one.source_id or ""
        whose = f" of the source “{visible(names.get(source, source))}”" if source else ""
        kept = "still shows its content" if one.total == 1 else "still show their content"
        oldest = f"{'it' if one.total == 1 else 'the oldest'} was closed on {moment(one.oldest)}"
        why = "and nothing is waited for" if one.waits is None else f"because {WAITS_FOR[one.waits]}"
        yield warning(
            "retention.overdue",
            f"{what}{whose} {kept} ({oldest}, and is to be erased after {ago}), {why}.",
            _NOT_DONE if one.waits is None else _FIXES[one.waits].replace("{}", source),
        )
    if not late:
        yield ok("retention.overdue", f"Content is to be erased {ago} after its case was closed, and none is overdue.")
