"""Every state that the review page can be in, as data: its name, and how to get there, in any of its languages."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page, Route, expect

from api.review.strings import LANGUAGES, Texts
from core.model import Opened, Policy
from core.sealing import KeyRing
from core.seals import Sealer
from tests.support.reader import Reader
from tests.support.review_page import SECRET, Desk, path_of

NOTES = """# Release 4.2

Out on **Monday**, for everybody.

- Exports are twice as fast
- The old import is gone

| Region | Readers |
|---|---|
| North | 4,200 |
| South | 1,850 |
"""
NOTES_BLOCK = {"id": "notes", "label": "Release notes", "type": "markdown", "content": NOTES, "editable": True}
LIMITS_BLOCK = NOTES_BLOCK | {
    "id": "limits", "label": "Limits", "type": "json", "content": {"cpu": 2, "memory": "1Gi"},
}  # fmt: skip
INTENT_BLOCK = {
    "id": "execution_intent", "label": "Run", "type": "json", "editable": False,
    "content": {"kind": "deploy", "target": "north", "steps": ["build", "move", "watch"]},
}  # fmt: skip
TREE = {
    "service": "export",
    "risk": "medium",
    "cost": 12.5,
    "changes": [{"file": "export.py", "lines": 120, "tested": True}, {"file": "old_import.py", "lines": 0}],
    "hosts": {f"host {n}": {"up": True, "load": n / 4} for n in range(12)},
    "more": "https://one.example/runs/4711",
}
SIZES = [{"value": "small", "label": "Small"}, {"value": "large", "label": "Large"}]
ALL_FIELDS: list[dict[str, Any]] = [
    {"key": "name", "label": "Name", "type": "text", "required": True, "placeholder": "As it should be shown",
     "hint": "Letters and digits."},
    {"key": "why", "label": "What is it for?", "type": "textarea"},
    {"key": "readers", "label": "Readers", "type": "number", "required": True, "validation": {"min": 1, "max": 5000}},
    {"key": "start", "label": "Start", "type": "date", "validation": {"min": "2026-02-21"}},
    {"key": "mail", "label": "E-mail", "type": "email", "required": True},
    {"key": "site", "label": "Website", "type": "url"},
    {"key": "backup", "label": "With backups?", "type": "boolean", "required": True},
    {"key": "news", "label": "Tell me when it runs", "type": "boolean"},
    {"key": "kind", "label": "Size", "type": "select", "required": True, "options": SIZES},
    {"key": "zones", "label": "Zones", "type": "multiselect", "required": True,
     "options": [{"value": "a", "label": "Zone A"}, {"value": "b", "label": "Zone B"}]},
    {"key": "nodes", "label": "Nodes", "type": "range", "validation": {"min": 1, "max": 9}},
    {"key": "colour", "label": "Colour", "type": "x-colour"},
    {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "required": True},
    {"key": "extra", "label": "Why so large?", "type": "textarea", "required": True,
     "conditional": {"field": "kind", "operator": "eq", "value": "large"}},
]  # fmt: skip
STEPS: list[dict[str, Any]] = [
    {"title": "About you", "description": "Only what is needed.", "fields": [
        {"key": "name", "label": "Name", "type": "text", "required": True},
        {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "required": True}]},
    {"title": "Work", "fields": [
        {"key": "kind", "label": "Size", "type": "select", "required": True, "options": SIZES},
        {"key": "days", "label": "Days", "type": "multiselect", "options": [
            {"value": "mo", "label": "Monday"}, {"value": "tu", "label": "Tuesday"}]}]},
    {"title": "Check", "description": "Is it all right?", "fields": []},
]  # fmt: skip
PLACES = [
    {"id": "a", "title": "By the sea", "image": "https://images.example/a.png", "price": 120, "currency": "EUR",
     "description": "Quiet, with a long beach.", "badges": ["12 rooms", "Breakfast"],
     "details": {"distance": "4 km", "rating": 4.5}},
    {"id": "b", "title": "In town", "price": 90, "currency": "EUR", "description": "Everything on foot."},
    {"id": "c", "title": "In the hills", "image": "https://images.example/c.png", "tags": ["New"]},
]  # fmt: skip
LONG: dict[str, Any] = {
    "one": "W" * 400,
    "link": "https://" + "a" * 150 + ".example/",
    "tree": {"k" * 120: {"deep": {"er": ["x" * 300]}}},
    "table": "| " + " | ".join(["wide"] * 30) + " |",
}
WIDE_TABLE = "|" + "wide|" * 30 + "\n|" + "-|" * 30 + "\n|" + "cell|" * 30 + f"\n\n```\n{'y' * 300}\n```"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass
class Stage:
    """A reader in front of the page, and the desk behind it; `t` are the page's texts in the reader's language."""

    site: Desk
    reader: Reader
    lang: str

    @property
    def page(self) -> Page:
        return self.reader.page

    @property
    def t(self) -> Texts:
        return LANGUAGES[self.lang]

    async def show(
        self, case_type: str = "approval", prompt: str = "Publish the release notes?", **more: Any
    ) -> Opened:
        """Open a case, and the page for it."""
        opened = await self.site.ask(case_type, prompt, **more)
        await self.reader.open(opened, self.lang)
        return opened

    async def press(self, name: str) -> None:
        """A button by the name of its text, or of the action that it stands for."""
        await self.reader.press(self.t["actions"].get(name) or self.t.get(name) or self.t["script"][name])

    async def told(self, name: str) -> None:
        await self.reader.told(self.t.get(name) or self.t["script"][name])

    async def address(self, path: str) -> None:
        await self.page.goto(self.site.services.public_url + path)


State = Callable[[Stage], Awaitable[object]]
STATES: dict[str, State] = {}
PLAIN: set[str] = set()
"""The states of a page without scripts."""


def state(name: str, *, plain: bool = False) -> Callable[[State], State]:
    def keep(reach: State) -> State:
        STATES[name] = reach
        if plain:
            PLAIN.add(name)
        return reach

    return keep


# --- each type, open ------------------------------------------------------------------------------------------------


@state("approval")
async def _approval(on: Stage) -> None:
    more = {"message": "The text has been read twice.\nNothing else changes.", "requested_by": "release-bot"}
    await on.show(context=TREE, blocks=[NOTES_BLOCK, LIMITS_BLOCK, INTENT_BLOCK], **more)


@state("selection of one")
async def _cards(on: Stage) -> None:
    async def image(route: Route) -> None:
        headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
        await route.fulfill(body=PIXEL, content_type="image/png", headers=headers)

    await on.reader.context.route("https://images.example/**", image)
    source = await on.site.services.sources.create(
        on.site.principal, name="stays", description=None, mode="PULL_ONLY", notify=(), policy=None, images=True
    )
    context = {"items": PLACES, "multiple": False}
    await on.show("selection", "Where shall we stay?", context=context, source_id=source.source_id)
    await on.page.get_by_role("radio").first.check()


@state("selection of several")
async def _many(on: Stage) -> None:
    await on.show("selection", "Which of them shall be sent?", context={"items": [*PLACES, "just a name"]})
    await on.page.get_by_role("checkbox").nth(1).check()


@state("input")
async def _input(on: Stage) -> None:
    await on.show("input", "How shall it be set up?", context={"form": {"fields": ALL_FIELDS}})
    await on.page.get_by_label("Size").select_option("large")


@state("confirmation")
async def _confirmation(on: Stage) -> None:
    await on.show("confirmation", "Send the newsletter to 4,200 readers?")


@state("escalation")
async def _escalation(on: Stage) -> None:
    context = {"error": "timed out after 30 s", "attempts": 3}
    await on.show("escalation", "The export failed three times. What now?", context=context)


@state("custom type")
async def _custom(on: Stage) -> None:
    await on.show("x-naming", "What shall the ship be called?", actions=("name", "leave"))


@state("long words")
async def _long(on: Stage) -> None:
    block = {"id": "text", "label": "T" * 100, "type": "markdown", "content": WIDE_TABLE, "editable": True}
    await on.show(prompt="Publish " + "W" * 200, context=LONG, blocks=[block], requested_by="w" * 80)


@state("long words to choose from")
async def _long_choice(on: Stage) -> None:
    item = LONG | {"title": "W" * 120, "badges": ["B" * 59]}
    await on.show("selection", "Which?", context={"items": [*PLACES, item]})


@state("long words in a form")
async def _long_form(on: Stage) -> None:
    word = "W" * 150
    one = {"type": "text", "label": word, "hint": word, "placeholder": word, "sensitive": True, "required": True}
    options = [{"value": "a", "label": word}, {"value": "b", "label": word}]
    fields = [
        one | {"key": "one"},
        {"key": "two", "label": word, "type": "select", "options": options, "required": True},
        {"key": "three", "label": word, "type": "multiselect", "options": options, "required": True},
    ]
    await on.show("input", "Which?", context={"form": {"steps": [{"title": word, "fields": fields}, STEPS[-1]]}})
    await on.press("next")


# --- while it is being answered -------------------------------------------------------------------------------------


@state("what is wrong")
async def _wrong(on: Stage) -> None:
    await on.show("input", "How shall it be set up?", context={"form": {"fields": ALL_FIELDS}})
    await on.press("submit")
    await expect(on.page.get_by_role("alert").filter(has_text=on.t["problem"])).to_be_focused()


@state("nothing chosen")
async def _unchosen(on: Stage) -> None:
    await on.show("selection", "Which of them shall be sent?", context={"items": PLACES})
    await on.press("select")
    wrong = on.page.get_by_role("alert").filter(has_text=on.t["problem"])
    await expect(wrong).to_be_focused()
    await expect(wrong.get_by_role("link")).to_have_text(on.t["script"]["choose"])


@state("first step")
async def _first_step(on: Stage) -> None:
    await on.show("input", "Your details, please", context={"form": {"steps": STEPS}})


@state("step with a problem")
async def _step_problem(on: Stage) -> None:
    await _first_step(on)
    await on.press("next")
    await on.told("step_problem")


async def _go_to_second(on: Stage) -> None:
    await _first_step(on)
    await on.page.get_by_label("Name").fill("north")
    await on.page.get_by_label("Pin").fill("4711")
    async with on.page.expect_response("**/save"):
        await on.press("next")
    async with on.page.expect_response("**/save"):
        await on.page.get_by_label("Size").select_option("small")


@state("middle step, taken up again")
async def _resumed(on: Stage) -> None:
    await _go_to_second(on)
    await on.page.reload()
    await on.told("resumed")
    await expect(on.page.get_by_label("Size")).to_have_value("small")


@state("step with a value that is kept")
async def _kept(on: Stage) -> None:
    await _resumed(on)
    await on.press("back")
    await on.told("kept_before")


@state("last step")
async def _last_step(on: Stage) -> None:
    await _go_to_second(on)
    await on.page.get_by_label("Tuesday").check()
    await on.press("next")
    await expect(on.page.get_by_role("heading", name="Check", exact=True)).to_be_focused()


@state("steps without scripts", plain=True)
async def _plain_steps(on: Stage) -> None:
    await _first_step(on)


@state("input without scripts", plain=True)
async def _plain_input(on: Stage) -> None:
    ref = {"key": "city", "label": "City", "type": "text", "default_ref": "https://one.example/city"}
    secret = {"key": "secret", "label": "Secret", "type": "textarea", "sensitive": True}
    await on.show("input", "How shall it be set up?", context={"form": {"fields": [*ALL_FIELDS, ref, secret]}})
    await on.page.get_by_label("Secret").fill("never shown again")
    await on.press("keep_typed")
    await on.told("kept_now")


async def _edit(on: Stage, label: str, text: str) -> None:
    await on.page.locator("summary", has_text=f"{on.t['edit']}: {label}").click()
    await on.page.get_by_label(label, exact=True).fill(text)


@state("changes shown")
async def _changes(on: Stage) -> None:
    await on.show(blocks=[NOTES_BLOCK, LIMITS_BLOCK])
    await _edit(on, "Release notes", NOTES.replace("Monday", "Tuesday").replace("4,200", "4,300"))
    await _edit(on, "Limits", '{"cpu": 4, "disk": "10Gi"}')
    await on.press("approve")
    await on.told("check_changes")


@state("wrong JSON")
async def _wrong_json(on: Stage) -> None:
    await on.show(blocks=[LIMITS_BLOCK])
    await _edit(on, "Limits", '{"cpu":\n}')
    await on.press("approve")
    await expect(on.page.get_by_role("alert").filter(has_text="JSON").first).to_be_visible()


@state("words asked for")
async def _words(on: Stage) -> None:
    await on.show()
    await on.press("edit")
    await expect(on.page.locator("#feedback-error")).to_be_visible()


@state("about to be closed")
async def _closing(on: Stage) -> None:
    await on.show("confirmation", "Send the newsletter to 4,200 readers?")
    await on.reader.page.locator("summary", has_text=on.t["close"]).click()
    await on.page.get_by_label(on.t["close_reason"]).fill("Overtaken by events.")


@state("could not be sent")
async def _not_sent(on: Stage) -> None:
    opened = await on.show()

    async def cut(route: Route) -> None:
        await route.abort()

    await on.page.route(f"**{path_of(opened, on.lang)}", cut)
    await on.press("approve")
    await on.told("not_sent")


@state("answered elsewhere meanwhile")
async def _elsewhere(on: Stage) -> None:
    await on.reader.stop_clock()
    opened = await on.show()
    await on.page.get_by_label(on.t["words"]["feedback"]).fill("Half a thought")
    await on.site.tap(opened, "reject", reason="Last year's numbers.")
    await on.page.clock.fast_forward(5_000)
    await on.told("completed")


@state("less than five minutes left")
async def _soon(on: Stage) -> None:
    await on.show("confirmation", "Send the newsletter to 4,200 readers?", timeout="4m", timeout_ms=240_000)


# --- several people, several rounds ---------------------------------------------------------------------------------


@state("may not decide")
async def _refused(on: Stage) -> None:
    await on.show(policy=Policy(any_of=("slack:U1", "channel")), context=TREE)


@state("votes so far")
async def _votes(on: Stage) -> None:
    opened = await on.site.ask(policy=Policy(quorum=3, reject_quorum=2))
    await on.site.tap(opened, "approve")
    await on.reader.open(opened, on.lang)


@state("has voted")
async def _voted(on: Stage) -> None:
    await on.show(policy=Policy(quorum=2))
    await on.press("approve")
    await on.told("voted_hint")


@state("next round")
async def _round(on: Stage) -> None:
    first = await on.site.ask(blocks=[NOTES_BLOCK, LIMITS_BLOCK], message="First try.")
    await on.site.tap(first, "reject", reason="Tuesday, please.")
    notes = NOTES_BLOCK | {"content": NOTES.replace("Monday", "Tuesday")}
    limits = LIMITS_BLOCK | {"content": {"cpu": 4, "memory": "1Gi"}}
    await on.show(blocks=[notes, limits], message="Second try.", previous_case_id=first.case.case_id)


# --- how it ends ----------------------------------------------------------------------------------------------------


@state("just answered")
async def _answered(on: Stage) -> None:
    await on.show()
    await on.page.get_by_label(on.t["words"]["feedback"]).fill("Good work.")
    await on.press("approve")
    await on.told("may_change")


@state("another answer")
async def _revising(on: Stage) -> None:
    await _answered(on)
    await on.press("change")
    await on.told("changing_hint")


@state("rejected, with a sealed receipt")
async def _sealed(on: Stage) -> None:
    opened = await on.site.ask(context=TREE, grace_ms=0)
    await on.site.tap(opened, "reject", reason="Last year's numbers.")
    await Sealer(on.site.database, on.site.services.hub, KeyRing([SECRET])).seal()
    await on.reader.open(opened, on.lang)
    await expect(on.page.locator(".checks li")).to_have_count(2)


@state("receipt that does not match")
async def _forged(on: Stage) -> None:
    opened = await on.site.ask(grace_ms=0)
    await on.site.tap(opened, "approve")
    on.site.alter("UPDATE human_interactions SET row_hash = 'abc'")
    await on.reader.open(opened, on.lang)
    await on.told("differs")
    await expect(on.page.locator(".outcome.neutral")).to_be_visible()


@state("approved with changes")
async def _approved_changes(on: Stage) -> None:
    await _changes(on)
    await on.press("approve")
    await on.told("edited")


@state("form sent")
async def _form_sent(on: Stage) -> None:
    await _go_to_second(on)
    await on.page.get_by_label("Tuesday").check()
    await on.press("next")
    await on.press("submit")
    await on.told("thanks")


@state("chosen")
async def _chosen(on: Stage) -> None:
    await _many(on)
    await on.press("select")
    await on.told("thanks")


@state("expired")
async def _expired(on: Stage) -> None:
    await on.show(timeout="1s", timeout_ms=1, context=TREE)
    await on.told("expired")


@state("withdrawn")
async def _withdrawn(on: Stage) -> None:
    opened = await on.site.ask()
    await on.site.services.gate.cancel(on.site.principal, opened.case.case_id, "No longer needed.")
    await on.reader.open(opened, on.lang)
    await on.told("withdrawn_hint")


@state("closed without an answer")
async def _closed(on: Stage) -> None:
    await _closing(on)
    await on.press("close_now")
    await on.told("closed_hint")


@state("too late")
async def _late(on: Stage) -> None:
    async def cut(route: Route) -> None:
        await route.abort()

    await on.page.route("**/state", cut)  # the page has not heard of it yet
    opened = await on.show()
    await on.site.tap(opened, "approve")
    await on.press("reject")
    await on.told("conflict")


# --- pages without a case -------------------------------------------------------------------------------------------


@state("wrong link")
async def _wrong_link(on: Stage) -> None:
    await on.address(f"/{on.lang}/hitl/review/review_nothing?token=wrong")
    await on.told("wrong_link")


@state("busy")
async def _busy(on: Stage) -> None:
    opened = await on.site.ask()
    await on.site.database.close()
    await on.reader.open(opened, on.lang)
    await on.told("busy")


@state("could not be recorded", plain=True)
async def _unavailable(on: Stage) -> None:
    await on.show()
    await on.site.database.close()
    await on.press("approve")
    await on.told("unavailable")


@state("too long", plain=True)
async def _too_long(on: Stage) -> None:
    await on.show()
    await on.page.locator("input[name=revision]").evaluate("one => { one.value = '0'.repeat(1_100_000); }")
    await on.press("approve")
    await on.told("too_large")
