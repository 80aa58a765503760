"""Groups of reviewers: a tenant's admins say who is in them."""

from __future__ import annotations

from api.call import Call
from api.http import Answers, json_answer
from api.schemas.base import parse
from api.schemas.groups import GroupMembers, GroupsAnswer, group_answer


async def list_groups(call: Call) -> Answers:
    """`GET /admin/groups`"""
    found = await call.services.groups.all(call.caller.tenant_id)
    return json_answer(200, GroupsAnswer(items=list(map(group_answer, found))))


async def get_group(call: Call) -> Answers:
    """`GET /admin/groups/{group_name}`"""
    return json_answer(
        200, group_answer(await call.services.groups.get(call.caller.tenant_id, call.params["group_name"]))
    )


async def put_group(call: Call) -> Answers:
    """`PUT /admin/groups/{group_name}`"""
    wanted = parse(GroupMembers, await call.json())
    found = await call.services.groups.put(call.caller.tenant_id, call.params["group_name"], wanted.members)
    return json_answer(200, group_answer(found))


async def drop_group(call: Call) -> Answers:
    """`DELETE /admin/groups/{group_name}`: answers with the group as it was."""
    tenant_id, name = call.caller.tenant_id, call.params["group_name"]
    return json_answer(200, group_answer(await call.services.groups.drop(tenant_id, name)))
