"""`assent policy …`: whether policies are right, what a task would meet, and what past tasks would have met."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, prepare, run, tools
from bot.policies import load_policies
from core.errors import InvalidInput
from core.guard.rules import Operation, PolicySet, Ruling
from core.past_tasks import PastTask, PastTasks
from core.policy import who_may
from core.schedule import duration_words, iso, parse_duration, parse_instant
from core.strictjson import load_object
from core.views import Views
from core.wording import moment, visible

policy_app = typer.Typer(no_args_is_help=True, help="What is allowed, what needs a human, and what is denied.")

NO_TENANT = "00000000-0000-0000-0000-000000000000"
MAX_ROWS = 1000  # of what a simulation shows; it counts all
_COLORS = {"allow": "green", "require": "yellow", "deny": "red"}

PoliciesOption = Annotated[str | None, typer.Option("--policies", help="A folder of policies; default: POLICIES_DIR")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON Lines")]


@policy_app.command()
def check(
    folder: Annotated[str | None, typer.Argument(help="A folder of policies; default: POLICIES_DIR")] = None,
) -> None:
    """Read policies as a start would, and say what is wrong by file, line and key. Needs no database."""
    found = _load(folder)
    counts = Counter(rule.verdict for rule in found.rules)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("deny", "require", "allow"))
    print(f"Right: {len(found.rules)} rules ({words}) in {', '.join(found.policies)}\nDigest: {found.digest}")


@policy_app.command("test")
def try_operation(
    operation: Annotated[str, typer.Option(help="<resource>.<verb>, like repo.commit")],
    payload: Annotated[str, typer.Option(help="The arguments: a JSON object, or @file, or @- for the input")] = "{}",
    tenant: Annotated[str, typer.Option(help="A tenant's UUID; default: one that no rule names")] = NO_TENANT,
    requested_by: Annotated[str | None, typer.Option(help="For whom the operation is asked")] = None,
    source: Annotated[str | None, typer.Option(help="The source whose executors would act")] = None,
    at: Annotated[str | None, typer.Option(help="When, like 2026-02-21T10:00:00Z; default: now")] = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a task would meet, and rule by rule why. Needs no database and changes nothing."""
    asked = Operation(tenant, operation, _payload(payload), requested_by, source)
    now = time.time_ns() // 1_000_000 if at is None else _instant(at)
    found = _load(policies)
    ruling = found.rule(asked, now)
    if as_json:
        print(json.dumps(_ruling_json(ruling, now), ensure_ascii=False))
        return
    color = _COLORS[ruling.verdict]
    console = Console()
    console.print(f"[bold {color}]{ruling.verdict}[/]  {escape(visible(ruling.reason))}", highlight=False)
    for name, words in _terms(ruling):
        console.print(f"  {name}: {escape(words)}", highlight=False)
    table = Table("rule", "says", "", "why")
    for one in ruling.explanation:
        mark = f"[{_COLORS[one.rule.verdict]}]matches[/]" if one.matched else "does not match"
        table.add_row(one.rule.label, one.rule.verdict, mark, escape(visible(one.why)))
    console.print(table)


def _load(folder: str | None) -> PolicySet:
    settings = prepare(None)
    return load_policies(folder or settings.policies_dir).current


def _payload(text: str) -> dict[str, Any]:
    try:
        if not text.startswith("@"):
            return load_object(text.encode())
        return load_object(sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes())
    except (InvalidInput, OSError) as error:
        words = error.message if isinstance(error, InvalidInput) else f"{text[1:]}: {error.strerror}"
        raise typer.BadParameter(words, param_hint="--payload") from None


def _instant(text: str) -> int:
    try:
        return parse_instant(text, field="--at")
    except InvalidInput as error:
        raise typer.BadParameter(error.message) from None


def _terms(ruling: Ruling) -> list[tuple[str, str]]:
    """How a human would be asked, in words."""
    if ruling.verdict != "require":
        return []
    who = "as the source says"
    if (found := ruling.reviewers) is not None:
        who = f"{found.quorum} of {who_may(found)}; {found.reject_quorum} can reject"
        who += "; not whoever asks" if found.exclude_requester else ""
    timeout = "as usual" if ruling.timeout_ms is None else duration_words(ruling.timeout_ms)
    notify = "as the source says" if ruling.notify is None else ", ".join(map(str, ruling.notify))
    grants = f"for at most {duration_words(ruling.grants)}" if ruling.grants else "not at all"
    return [
        ("reviewers", who),
        ("cards go to", notify),
        ("timeout", timeout),
        ("may be remembered", grants),
        ("an approval waits for dispatch", f"at most {duration_words(ruling.approval_valid_ms)}"),
    ]


def _ruling_json(ruling: Ruling, now: int) -> dict[str, Any]:
    terms = {
        "reviewers": None if ruling.reviewers is None else ruling.reviewers.as_json(),
        "notify": None if ruling.notify is None else list(map(str, ruling.notify)),
        "timeout_ms": ruling.timeout_ms,
        "grants_ms": ruling.grants,
        "approval_valid_ms": ruling.approval_valid_ms,
    }
    return {
        **ruling.as_json(),
        **(terms if ruling.verdict == "require" else {}),
        "at": iso(now),
        "explanation": [
            {"policy": one.rule.policy, "rule": one.rule.name, "says": one.rule.verdict, "matched": one.matched}
            | {"why": one.why}
            for one in ruling.explanation
        ],
    }


@dataclass(frozen=True, slots=True)
class _Change:
    """A past task whose verdict would be another now."""

    task: PastTask
    now: Ruling


@policy_app.command()
def simulate(
    since: Annotated[str, typer.Option(help="How far back: 24h, 7d, 4w, …")] = "7d",
    policies: PoliciesOption = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's tasks")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold past tasks against the policies, each at the time it was asked for, and show whose verdict changes."""
    try:
        back = parse_duration(since, field="--since")
    except InvalidInput as error:
        raise typer.BadParameter(error.message) from None
    settings = prepare(database)
    found = load_policies(policies or settings.policies_dir).current
    counts: Counter[tuple[str, str]] = Counter()
    table = Table(Column("task", no_wrap=True), "asked", "operation", "was", "would be", "because")

    def show(change: _Change) -> None:
        task, ruling = change.task, change.now
        if as_json:
            print(json.dumps(_change_json(change), ensure_ascii=False))
        elif table.row_count < MAX_ROWS:
            was, would = (f"[{_COLORS[one]}]{one}[/]" for one in (task.verdict, ruling.verdict))
            asked = moment(task.created_at)
            table.add_row(task.task_id, asked, task.operation.operation, was, would, escape(visible(_because(ruling))))

    async def work(progress: Progress) -> None:
        async with tools(settings) as opened:
            past = PastTasks(opened.database)
            tenants = [tenant] if tenant else await Views(opened.database, opened.ring).tenants()
            start = await past.now() - back
            bar = progress.add_task("Simulating", total=await past.count(tenants, start))
            async for page in past.pages(tenants, start):
                for task in page:
                    ruling = found.rule(task.operation, task.created_at)
                    counts[task.verdict, ruling.verdict] += 1
                    if ruling.verdict != task.verdict:
                        show(_Change(task, ruling))
                progress.update(bar, advance=len(page))

    with Progress(console=Console(stderr=True), transient=True) as progress:
        run(work(progress))
    changed = {pair: count for pair, count in counts.items() if pair[0] != pair[1]}
    if as_json:
        summary = [{"was": was, "now": now, "count": count} for (was, now), count in sorted(counts.items())]
        total = {"tasks": counts.total(), "changed": sum(changed.values()), "verdicts": summary}
        print(json.dumps(total | {"policy_digest": found.digest}))
        return
    if changed:
        Console().print(table)
        hidden = sum(changed.values()) - table.row_count
        print(f"… and {hidden} more; --json prints all" if hidden else "", end="\n" if hidden else "")
    print(f"{counts.total()} tasks in {since}: {sum(changed.values())} would get another verdict.")
    for (was, now), count in sorted(changed.items()):
        print(f"  {was} → {now}: {count}")


def _because(ruling: Ruling) -> str:
    return f"{', '.join(ruling.rules)}: {ruling.reason}" if ruling.rules else ruling.reason


def _change_json(change: _Change) -> dict[str, Any]:
    task, ruling = change.task, change.now
    return {
        "task_id": task.task_id,
        "tenant_id": task.operation.tenant_id,
        "operation": task.operation.operation,
        "created_at": iso(task.created_at),
        "was": task.verdict,
        "now": ruling.verdict,
        "rules": list(ruling.rules),
        "reason": ruling.reason,
    }
