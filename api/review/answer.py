"""A posted form and the answer it means. Pure: bytes in, action and data out; what the data may be, the gate says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from api.review.content import asks_form, items_of
from api.review.posted import Posted
from core.approvals import REMEMBERED, guarded
from core.chat_terms import deny_reasons
from core.errors import InvalidData
from core.forms import MAX_TEXT, fields_of
from core.model import Case
from core.problems import Problem
from core.strictjson import MAX_INTEGER
from core.tasks import deny_reasons_of, options_of

FIELD = "f."  # before the names of the form's own fields
GRANT = "grant"  # the name of the buttons that approve, and let the same through for so many minutes
_MINUTES = re.compile(r"\d{1,4}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,16}|\d{0,16}\.\d{1,20}|\d{1,16}\.)([eE][+-]?\d{1,3})?", re.ASCII)
_WORDS = {"approval": "feedback", "escalation": "reason", "selection": "note", "confirmation": "note"}


def words_field(case: Case) -> str | None:
    """Under which name the page asks for words of the reviewer's own; None when the form asks for all there is."""
    return None if asks_form(case) else _WORDS.get(case.type, "note")


def words_required(case: Case) -> bool:
    """Without a form, the words are the answer."""
    return case.type == "input" and not asks_form(case)


def data_of(case: Case, action: str, posted: Posted) -> dict[str, Any]:
    """The `data` of the reply (HITL Protocol v0.8, section 10). Raises InvalidData for what only a page asks."""
    if action == "submit" and asks_form(case):
        return _form_data(case, posted)
    data: dict[str, Any] = {}
    if action == "select" and items_of(case):
        data["selected"] = list(posted.all("selected"))
    if action == "approve" and options_of(case) and posted.one("selected"):
        data["option"] = posted.one("selected")
    if reason := denial(case, posted):
        data["reason"] = reason
    elif minutes := _remembered(case, posted):
        data[REMEMBERED] = minutes
    if name := words_field(case):
        words = posted.one(name).strip()
        if len(words) > MAX_TEXT:
            raise InvalidData(problems={name: Problem("words_too_long", params={"limit": MAX_TEXT})})
        if words:
            data[name] = words
        elif words_required(case):
            raise InvalidData(problems={name: Problem("no_words")})
    return data


def action_of(case: Case, posted: Posted) -> str:
    """Which button was pressed; a reason to deny is one that denies, time to remember it one that approves. "" for
    none.
    """
    if denial(case, posted):
        return "reject"
    return "approve" if _remembered(case, posted) else posted.one("action")


def _remembered(case: Case, posted: Posted) -> int:
    """For how many minutes the button lets the same operation through; 0 when it is another button, or case."""
    pressed = posted.one(GRANT)
    return int(pressed) if guarded(case) and _MINUTES.fullmatch(pressed) else 0


def denial(case: Case, posted: Posted) -> str | None:
    """The reason on the button that denied."""
    pressed = posted.one("deny")
    return next((label for name, label in reasons_of(case) if pressed and name == pressed), None)


def reasons_of(case: Case) -> list[tuple[str, str]]:
    """The reasons that are offered for a denial, with the names of their buttons: the task's own, else the source's."""
    own = [(str(one["id"]), str(one["label"])) for one in deny_reasons_of(case)]
    return own or [(label, label) for label in deny_reasons(case) if "reject" in case.actions]


def _form_data(case: Case, posted: Posted) -> dict[str, Any]:
    fields = {form_field["key"]: form_field for form_field in fields_of(case.content["context"])}
    names = [name.removeprefix(FIELD) for name in posted.values if name.startswith(FIELD)]
    data: dict[str, Any] = {name: posted.one(FIELD + name) for name in names if name not in fields}
    for key, form_field in fields.items():
        value = _typed(form_field, posted.all(FIELD + key))
        if value is not None:
            data[key] = value
    return data


def _typed(form_field: Mapping[str, Any], given: Sequence[str]) -> Any:
    """What was given, as the field's type asks for it; what does not fit stays text, for the gate to name."""
    text = given[0] if given else ""
    match form_field["type"]:
        case "boolean":
            if form_field.get("required") and not given:
                return None  # asked as yes or no, and neither was chosen
            return text == "true" if text in ("", "true", "false") else text
        case "multiselect":
            return list(given)
        case "number" | "range":
            return _number(text.strip())
        case "textarea":
            return text
        case _:
            return text if form_field.get("sensitive") else text.strip()


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text)
    if not math.isfinite(value):
        return text
    whole = "." not in text and "e" not in text.lower()
    return int(text) if whole and abs(int(text)) <= MAX_INTEGER else value if not whole else text
