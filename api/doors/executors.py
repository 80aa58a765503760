"""Door 2: executors."""

from __future__ import annotations

from api import executors, review_tasks
from api.doors.entry import ADMIN, AGENT, EVERYBODY, EXECUTOR, REVIEWER, Door, Entry
from api.errors import EXECUTORS

_SOURCE = "/sources/{source_id}"
_TASK = "/review-tasks/{case_id}"

EXECUTORS_DOOR = Door(
    "executors",
    ("/sources", "/review-tasks"),
    EXECUTORS,
    (
        Entry("GET", f"{_SOURCE}/decision-events", EXECUTOR, executors.pull),
        Entry("POST", f"{_SOURCE}/decision-events/ack", EXECUTOR, executors.ack),
        Entry("POST", f"{_SOURCE}/decision-events/{{event_id}}/claim", EXECUTOR, executors.claim),
        Entry("POST", f"{_SOURCE}/webhook/rotate-secret", ADMIN, executors.rotate_secret),
        Entry("POST", f"{_SOURCE}/webhook/test", ADMIN, executors.try_webhook),
        Entry("POST", f"{_SOURCE}/webhook/pause", ADMIN, executors.pause_webhook),
        Entry("POST", f"{_SOURCE}/webhook/resume", ADMIN, executors.resume_webhook),
        Entry("GET", f"{_SOURCE}/deliveries", EXECUTOR, executors.list_deliveries),
        Entry("POST", f"{_SOURCE}/deliveries/replay", ADMIN, executors.replay_deliveries),
        Entry("GET", _SOURCE, EXECUTOR, executors.get_source),
        Entry("PATCH", _SOURCE, ADMIN, executors.change_source),
        Entry("GET", "/sources", EXECUTOR, executors.list_sources),
        Entry("POST", "/sources", ADMIN, executors.create_source),
        Entry("POST", "/review-tasks", AGENT, review_tasks.open_task),
        Entry("GET", "/review-tasks", EVERYBODY, review_tasks.list_tasks),
        Entry("GET", _TASK, EVERYBODY, review_tasks.get_task),
        Entry("PATCH", f"{_TASK}/blocks", REVIEWER, review_tasks.edit_blocks),
        Entry("POST", f"{_TASK}/decision", REVIEWER, review_tasks.decide),
    ),
    api_key_header=True,
)
