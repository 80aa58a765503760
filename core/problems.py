"""What can be wrong with an answer: a stable code and its particulars, so that a page says it in its own language.

The English words here are the ones that the API answers with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WORDS: Mapping[str, str] = {
    "required": "{label} is required",
    "not_a_number": "{label} must be a number",
    "too_small": "{label} must be at least {limit}",
    "too_large": "{label} must be at most {limit}",
    "not_yes_or_no": "{label} must be yes or no",
    "not_one_choice": "{label} must be one of the choices",
    "not_choices": "{label} must be taken from the choices",
    "not_text": "{label} must be text",
    "too_long": "{label} may have {limit} characters",
    "too_short": "{label} needs at least {limit} characters",
    "not_a_date": "{label} must be a date like 2026-02-21",
    "too_early": "{label} must be {limit} or later",
    "too_late": "{label} must be {limit} or earlier",
    "not_an_email": "{label} must be an e-mail address",
    "not_a_url": "{label} must be a web address",
    "not_matching": "{label} does not have the expected form",
    "unknown_field": "the form has no such field",
    "no_words": "write your answer",
    "words_too_long": "this may have {limit} characters",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """`label` is what people call the field; `params` fill the words, numbers as numbers."""

    code: str
    label: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return WORDS[self.code].format(label=self.label, **self.params)
