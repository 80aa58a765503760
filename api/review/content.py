"""What a case shows, as values for the page: message, facts, blocks, options. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from api.review.blocks import PROBLEM, Edits, difference_of, editor_of
from api.review.options import Option, option_of
from api.review.pieces import Fact, Section, href, json_section, parted, pretty, shown, words_of
from api.review.strings import Texts, span_words
from core import messages
from core.approvals import guarded
from core.forms import fields_of
from core.model import Case
from core.tasks import INTENT, options_of, with_option


@dataclass(frozen=True, slots=True)
class Content:
    """`image_hosts` are the origins from which the page loads images."""

    message: str | None
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    options: tuple[Option, ...]

    @property
    def image_hosts(self) -> list[str]:
        return sorted({option.image.origin for option in self.options if option.image})


def content_of(
    case: Case, texts: Texts, edits: Edits | None = None, problems: Mapping[str, str] | None = None
) -> Content:
    """`edits` None: nothing can be edited (now). `problems` as `InvalidData` names them."""
    context = messages.plain_context(case)
    apart = _shown_apart(case)
    facts, sections = parted({key: value for key, value in context.items() if key not in apart}, texts)
    if guarded(case) is not None:
        facts = guarded_facts(case, texts)
    sections += [
        _edited(n, block, _block(case, block, texts), texts, edits, problems or {})
        for n, block in enumerate(case.content["blocks"])
    ]
    message = case.content.get("message")
    choices = [_choice(case, option) for option in options_of(case)]
    return Content(
        message=shown(message) if message else None,
        facts=(*_task_facts(case, texts), *facts),
        sections=tuple(sorted(sections, key=lambda section: not section.intent)),
        options=tuple(
            option_of(item, texts, images=case.terms.get("images") is True) for item in [*items_of(case), *choices]
        ),
    )


def _task_facts(case: Case, texts: Texts) -> list[Fact]:
    """What a review task says of itself; labels and levels of risk in the page's language."""
    words = texts["task"]
    return [
        Fact(words.get(label, label), words.get(value, shown(value)), href(value))
        for label, value in messages.task_facts(case)
    ]


def guarded_facts(case: Case, texts: Texts) -> list[Fact]:
    """What a guarded operation says of itself, beside its arguments and why a person is asked."""
    words, context = texts["guarded"], case.content["context"]
    return [
        Fact(words["operation"], shown(str(context["operation"])), code=True),
        Fact(words["good_for"], span_words(int(context["approval_valid_ms"]), texts)),
    ]


def _choice(case: Case, option: Mapping[str, Any]) -> dict[str, Any]:
    """An option of a review task as an item: what it says, and what each block that it changes would be."""
    labels = {block["id"]: str(block.get("label") or block["id"]) for block in case.content["blocks"]}
    changed = with_option(case.content["blocks"], option)
    found = {"id": option["id"], "label": option["label"], "description": option.get("description")}
    return found | {labels[block_id]: content for block_id, content in changed.items()}


def items_of(case: Case) -> list[Any]:
    items = case.content["context"].get("items")
    return items if isinstance(items, list) else []


def asks_form(case: Case) -> bool:
    return "submit" in case.actions and bool(fields_of(case.content["context"]))


def _shown_apart(case: Case) -> set[str]:
    """What of the context is shown as options or as a form; anything else by these names is content like any other."""
    apart = {"items", "multiple"} if items_of(case) else set()
    return apart | ({"form"} if asks_form(case) else set())


def _block(case: Case, block: Mapping[str, Any], texts: Texts) -> Section:
    label = shown(str(block.get("label") or words_of(str(block["id"]))))
    content, intent = block["content"], block["id"] == INTENT or guarded(case) is not None
    if block["type"] == "json":
        if isinstance(content, str):
            return Section(label, shown(content), code=True, intent=intent)
        return json_section(label, content, texts, intent=intent)
    text = content if isinstance(content, str) else pretty(content)
    html = _markdown(text, texts) if block["type"] == "markdown" else None
    return Section(label, shown(text), code=block["type"] == "plaintext", html=html)


def _markdown(text: str, texts: Texts) -> Markup | None:
    from api.review.markdown import render  # a server that nobody shows Markdown does without its parsers

    return render(text, texts)


def _edited(
    n: int, block: Mapping[str, Any], found: Section, texts: Texts, edits: Edits | None, problems: Mapping[str, str]
) -> Section:
    """The section of a block with what it takes to edit it, and what was changed."""
    if edits is None or not block.get("editable"):
        return found
    error = edits.problems.get(PROBLEM + block["id"]) or problems.get(PROBLEM + block["id"])
    difference = None
    if block["id"] in edits.changed:
        difference = difference_of(found.label, block["content"], edits.changed[block["id"]], texts)
    return replace(found, editor=editor_of(n, block, edits, error), difference=difference)
