"""Door 3: the policies in force."""

from __future__ import annotations

from api.call import Call
from api.http import Answers, json_answer
from api.schemas.policies import policies_answer


async def list_policies(call: Call) -> Answers:
    """`GET /policies`: what rules there are for the key's tenant; other tenants' are none of its business."""
    return json_answer(200, policies_answer(call.services.policies, call.caller.tenant_id))
