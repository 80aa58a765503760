"""Groups of reviewers on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.base import Moment, Wire
from core.groups import MAX_MEMBERS, Group
from core.schedule import iso


class GroupMembers(Wire):
    """Everybody who is to be in the group; whoever is not listed is not in it."""

    members: Annotated[list[str], Field(max_length=MAX_MEMBERS, description="`slack:U…` or `telegram:<user id>`.")]


class GroupAnswer(TypedDict):
    name: str
    members: list[str]
    created_at: Moment
    updated_at: Moment


class GroupsAnswer(TypedDict):
    items: list[GroupAnswer]


def group_answer(group: Group) -> GroupAnswer:
    return {
        "name": group.name,
        "members": list(group.members),
        "created_at": iso(group.created_at),
        "updated_at": iso(group.updated_at),
    }
