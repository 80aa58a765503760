"""What the server has said, read as a type."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from assent.errors import UnexpectedAnswer

M = TypeVar("M", bound=BaseModel)


def told(model: type[M], text: str | bytes) -> M:
    """What the server has said, as a type. Raises UnexpectedAnswer."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()[:3])
        raise UnexpectedAnswer(f"this is not a {model.__name__} as Assent writes it; look at {where}") from None
