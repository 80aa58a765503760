"""Strict models, and their errors in plain words. A body is parsed once (core.strictjson) and validated once (here)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from core.errors import InvalidInput

MAX_FIELDS = 100
MAX_CUSTOM = 200
# Of answers: a moment as `core.schedule.iso` writes it, and JSON that is as somebody else made it.
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Anything = dict[str, Any]
_NULL = object()  # fits no type: each field says of it what it says of every wrong value


class Wire(BaseModel):
    """An object that came in. Unknown fields are errors, nothing is converted, null equals absent."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_flood(cls, value: Any) -> Any:
        # Pydantic words every unknown field before anybody sees the first one: tens of thousands take their time.
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("flood", "has too many fields")
        return value


class NoFields(Wire):
    """An empty object: there is nothing to say."""


class Exact(Wire):
    """An object that a public schema describes: there null is a value, and not the same as leaving a field out."""

    @model_validator(mode="before")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {name: _NULL if one is None else one for name, one in value.items()}
        return value


def is_custom(value: str) -> bool:
    """Whether the value is one of those that everybody may make up: `x-` and any text."""
    return value.startswith("x-") and len(value) <= MAX_CUSTOM


def one_of(*values: str) -> WithJsonSchema:
    """For the document: text that is one of these, where the code knows it as text."""
    return WithJsonSchema({"type": "string", "enum": [str(value) for value in values]})


def whole(value: Any) -> Any:
    """JSON Schema has one kind of numbers: 300.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


M = TypeVar("M", bound=Wire)

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "string_too_short": "needs at least {min_length} character(s)",
    "string_too_long": "may have {max_length} characters",
    "string_pattern_mismatch": "may have visible ASCII characters only, and no spaces",
    "literal_error": "must be one of {expected}",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "needs at least {min_length} entry",
    "too_long": "may have {max_length} entries",
}


def parse(model: type[M], value: Mapping[str, Any], *, within: str | None = None) -> M:
    """The value as `model`. Raises InvalidInput that names the first wrong field (`within`: the field it stands in)."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = field_name(first["loc"], within)
        words = _WORDS.get(first["type"])
        problem = words.format(**first.get("ctx", {})) if words else first["msg"]
        if not field:
            raise InvalidInput(f"{'a field without a name' if first['loc'] else 'the body'} {problem}") from None
        raise InvalidInput(f"{field} {problem}", field=field) from None


def field_name(loc: Sequence[int | str], within: str | None) -> str:
    """`blocks[2].content` and the like."""
    name = within or ""
    for part in loc:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += f".{part}" if name else part
    return name
