"""The part of the admin door that is about groups of reviewers."""

from __future__ import annotations

from api import groups
from api.doors.entry import ADMIN, About, Entry, Gives
from api.schemas.groups import GroupAnswer, GroupMembers, GroupsAnswer

_GROUP = "/admin/groups/{group_name}"

GROUP_ENTRIES = (
    Entry(
        "GET",
        "/admin/groups",
        ADMIN,
        groups.list_groups,
        About("List the groups of reviewers", {200: Gives("By name.", GroupsAnswer)}),
    ),
    Entry("GET", _GROUP, ADMIN, groups.get_group, About("Read a group", {200: Gives("The group.", GroupAnswer)})),
    Entry(
        "PUT",
        _GROUP,
        ADMIN,
        groups.put_group,
        About(
            "Say who is in a group",
            {200: Gives("The group as it is now.", GroupAnswer)},
            detail="Policies name it as `group:<name>`. Whoever is taken out decides nothing more, also of what waits "
            "already; whoever comes in decides what is opened from now on.",
            takes=GroupMembers,
            example={"members": ["slack:U024BE7LH", "telegram:4711"]},
        ),
    ),
    Entry(
        "DELETE",
        _GROUP,
        ADMIN,
        groups.drop_group,
        About("Drop a group", {200: Gives("The group as it was; nobody is in it any more.", GroupAnswer)}),
    ),
)
