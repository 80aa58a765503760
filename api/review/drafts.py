"""An answer that is not given yet: what is kept of a form on the server, and what of it goes back to the page. Pure.

Kept as it was typed, by the names of the form's controls: a half-written answer need not be valid. A sensitive value
goes in and never out again; an empty control of a field that holds one stands for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.review.answer import FIELD, words_field
from api.review.blocks import BLOCK
from api.review.content import asks_form
from api.review.posted import Posted
from core.forms import Field, fields_of, problem_of, steps_of
from core.model import Case

CLEAR = "clear."  # before the key of a sensitive field: drop what is kept of it
STEP = "step"
_TYPED = ("number", "range", "boolean", "multiselect")  # whose values are no texts
MAX_FETCHES = 5  # how often a case may ask others for its values: a link's holder must not make us a hammer


@dataclass(frozen=True, slots=True)
class Saved:
    """What was typed before: `values` by the controls' names, with the sensitive ones; the step where it stopped."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    step: int = 1
    fetches: int = 0

    @staticmethod
    def of(found: Mapping[str, Any]) -> Saved:
        return Saved(found.get("values", {}), int(found.get("step", 1)), int(found.get("fetches", 0)))

    def as_json(self) -> dict[str, Any]:
        return {"values": dict(self.values), "step": self.step, "fetches": self.fetches}


def typed(case: Case, posted: Posted, before: Saved) -> Saved:
    """What is to be kept after this post: all that it brings, and the sensitive values that it leaves as they are."""
    waiting = {FIELD + found["key"] for found in unfetched(case, before)}  # empty, they are still to be filled
    return Saved(
        values={
            name: list(values)
            for name, values in with_secrets(case, posted, before).values.items()
            if _keeps(case, name) and not (name in waiting and values == [""])
        },
        step=step_typed(case, posted) or 1,
        fetches=before.fetches,
    )


def step_typed(case: Case, posted: Posted) -> int | None:
    """The step of the form that the page showed; None when it did not say, or there is none such."""
    found = posted.one(STEP)
    steps = len(steps_of(case.content["context"])) if asks_form(case) else 0
    number = int(found) if re.fullmatch(r"\d{1,4}", found, re.ASCII) else 0
    return number if 0 < number <= steps else None


def with_secrets(case: Case, posted: Posted, before: Saved) -> Posted:
    """The post with the sensitive values that are kept in place of those that it leaves empty."""
    values = dict(posted.values)
    for name in (FIELD + found["key"] for found in _secret_fields(case)):
        if any(posted.all(name)):
            continue
        if posted.one(CLEAR + name.removeprefix(FIELD)):
            values[name] = []  # dropped, which is not the same as never held
        elif name in before.values:
            values[name] = before.values[name]
    return Posted(values)


def shown_again(case: Case, saved: Saved) -> Posted:
    """What the page may start with."""
    secret = {FIELD + found["key"] for found in _secret_fields(case)}
    return Posted({name: texts for name, texts in saved.values.items() if name not in secret and _keeps(case, name)})


def kept_secrets(case: Case, saved: Saved) -> frozenset[str]:
    """The keys of the sensitive fields that hold a value."""
    return frozenset(found["key"] for found in _secret_fields(case) if any(saved.values.get(FIELD + found["key"], ())))


def of_answer(case: Case, data: Mapping[str, Any]) -> Saved:
    """An answer that was given, as what is kept of a form: for giving another one without its secrets."""
    secret = {found["key"] for found in _secret_fields(case)}
    return Saved({FIELD + key: as_posted(value) for key, value in data.items() if key in secret})


def as_posted(value: object) -> list[str]:
    """A value as its control posts it."""
    if isinstance(value, list):
        return [text for one in value for text in as_posted(one)]
    return [json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)]


def has_secrets(case: Case) -> bool:
    return bool(_secret_fields(case))


def _secret_fields(case: Case) -> list[Field]:
    return [found for found in fields_of(case.content["context"]) if found.get("sensitive")] if asks_form(case) else []


def _keeps(case: Case, name: str) -> bool:
    if name.startswith(FIELD):
        return asks_form(case) and any(name == FIELD + found["key"] for found in fields_of(case.content["context"]))
    return name in ("selected", words_field(case)) or name.startswith(BLOCK)


# --- values that others hold (`default_ref`) ------------------------------------------------------------------------


def unfetched(case: Case, saved: Saved) -> list[Field]:
    """The fields that are still to be filled from their `default_ref`: nothing was typed or fetched for them."""
    if not asks_form(case) or saved.fetches >= MAX_FETCHES:
        return []
    fields = fields_of(case.content["context"])
    return [found for found in fields if found.get("default_ref") and FIELD + found["key"] not in saved.values]


def fetched_value(form_field: Field, body: bytes) -> list[str] | None:
    """What was fetched, as the field's control would post it: a JSON value, `{"value": …}`, or plain text. None for
    what the field cannot hold.
    """
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    bare = not isinstance(value, dict)
    value = value if bare else value.get("value")
    if isinstance(value, (int, float)) and form_field["type"] not in _TYPED:
        value = text if bare else json.dumps(value)  # a text that looks like JSON
    if value in (None, "", []) or "\x00" in str(value) or problem_of(form_field, value) is not None:
        return None
    return as_posted(value)


def filled(saved: Saved, found: Mapping[str, Sequence[str]]) -> Saved:
    """With the fetched values, but where something was typed meanwhile."""
    values = {name: list(texts) for name, texts in found.items()} | dict(saved.values)
    return Saved(values, saved.step, saved.fetches + 1)
