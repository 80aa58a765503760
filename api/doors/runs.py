"""Door 4: runs and durable gates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import runs
from api.doors.entry import AGENT, EVERYBODY, REVIEWER, About, Door, Entry, Gives, Link, Param
from api.errors import RUNS
from api.schemas.run_answers import (
    GateAnswer,
    GatesAnswer,
    InboxAnswer,
    IntentAnswer,
    InteractionsAnswer,
    OpenedGate,
    Replied,
    RunAnswer,
    RunEvent,
    StartedRun,
    StepsAnswer,
)
from api.schemas.runs import Finish, GateReply, HitlEvent, NewIntent, OpenGate, StartRun
from core.errors import (
    AlreadyDecided,
    CaseCancelled,
    CaseExpired,
    Conflict,
    DedupeMismatch,
    InvalidInput,
    NotFound,
)
from core.gate_keys import human_topic
from core.runs import NotWaiting, TopicMismatch

_RUN = "/api/runs/{workflow_id}"
_GATE = _RUN + "/gates/{gate_key}"
_TIMEOUT = Param(
    "timeoutS", "How many seconds to wait for news, when there is none.", Annotated[int, Field(ge=0, le=30)]
)
_TO_RUN = tuple(
    Link(f"runs_{name}", {"workflow_id": "/workflowID"})
    for name in ("get_run", "list_steps", "list_gates", "list_interactions", "finish_run")
)
_REPLYING = (AlreadyDecided, CaseCancelled, CaseExpired, DedupeMismatch, InvalidInput, NotFound, TopicMismatch)
_REPLIED = {200: Gives("What was accepted: now, or the first time that this reply came.", Replied)}
_REPLY = {
    "payload": {"choice": "yes", "rationale": "Looks right."},
    "dedupeKey": "plan-approval:ana",
    "origin": "external",
}

RUNS_DOOR = Door(
    "runs",
    ("/api/runs", "/api/intents", "/api/events", "/api/hitl/inbox"),
    RUNS,
    (
        Entry(
            "POST",
            "/api/intents",
            AGENT,
            runs.post_intent,
            About(
                "State what shall be done",
                {201: Gives("The intent, of which one run can be made.", IntentAnswer)},
                detail="With a `key`, the same request again is the same intent.",
                takes=NewIntent,
                errors=(Conflict, NotFound),
                example={"goal": "Give search one replica more"},
            ),
        ),
        Entry(
            "POST",
            "/api/runs",
            AGENT,
            runs.start_run,
            About(
                "Start the run of an intent",
                {201: Gives("The run: the same one for the same request.", StartedRun, links=_TO_RUN)},
                takes=StartRun,
                example={"intentId": "itt_example", "queuePartitionKey": "search"},
                errors=(Conflict, NotFound),
            ),
        ),
        Entry(
            "GET",
            _RUN,
            EVERYBODY,
            runs.get_run,
            About(
                "Read where a run stands",
                {200: Gives("The run.", RunAnswer)},
                detail="With `timeoutS` the answer comes once the run waits for somebody or has ended.",
                query=(_TIMEOUT,),
            ),
        ),
        Entry(
            "POST",
            f"{_RUN}/finish",
            AGENT,
            runs.finish_run,
            About(
                "End a run, or call it off",
                {200: Gives("The run as it ended.", RunAnswer)},
                detail="A run that its agent carries out ends as it says; any run can be called off (`cancelled`). "
                "Gates that still wait are withdrawn. The same again is answered the same.",
                takes=Finish,
                errors=(Conflict, NotWaiting),
                example={"status": "completed", "outcome": "deployed"},
            ),
        ),
        Entry(
            "GET",
            f"{_RUN}/steps",
            EVERYBODY,
            runs.list_steps,
            About("List a run's steps and artifacts", {200: Gives("In the order in which they came.", StepsAnswer)}),
        ),
        Entry(
            "GET",
            f"{_RUN}/gates",
            EVERYBODY,
            runs.list_gates,
            About("List a run's gates", {200: Gives("In the order in which they were opened.", GatesAnswer)}),
        ),
        Entry(
            "GET",
            f"{_RUN}/interactions",
            EVERYBODY,
            runs.list_interactions,
            About("List a run's rows of the ledger", {200: Gives("Oldest first.", InteractionsAnswer)}),
        ),
        Entry(
            "GET",
            f"{_RUN}/stream",
            EVERYBODY,
            runs.stream,
            About(
                "Follow a run",
                {200: Gives("Server-sent events; the last is `run.ended`.", RunEvent, media="text/event-stream")},
                headers=(Param("Last-Event-ID", "The last event that the reader has: only later ones come."),),
            ),
        ),
        Entry(
            "GET",
            _GATE,
            EVERYBODY,
            runs.get_gate,
            About(
                "Read a gate",
                {200: Gives("The gate: its prompt, and its result once it has one.", GateAnswer)},
                detail="With `timeoutS` a gate that is not there yet is waited for; one that is there, for its result.",
                query=(_TIMEOUT,),
            ),
        ),
        Entry(
            "POST",
            _GATE,
            AGENT,
            runs.open_gate,
            About(
                "Open a gate on a run that its agent carries out",
                {200: Gives("The gate: the same one for the same request.", OpenedGate)},
                detail="Another question behind the same gate is a conflict: a gate asks one, once.",
                takes=OpenGate,
                errors=(Conflict, NotWaiting),
                example={"prompt": "Deploy checkout 2.14.0?", "timeout": "1h"},
            ),
        ),
        Entry(
            "POST",
            f"{_GATE}/reply",
            REVIEWER,
            runs.reply,
            About(
                "Reply to a gate",
                _REPLIED,
                detail="Accepted exactly once per `dedupeKey`, however often and however late it comes.",
                takes=GateReply,
                errors=_REPLYING,
                example=_REPLY,
            ),
        ),
        Entry(
            "POST",
            "/api/events/hitl",
            REVIEWER,
            runs.post_event,
            About(
                "Reply to a gate, with its address in the body",
                _REPLIED,
                takes=HitlEvent,
                errors=_REPLYING,
                example={
                    "workflowId": "wf_example",
                    "gateKey": "plan-approval",
                    "topic": human_topic("plan-approval"),
                    **_REPLY,
                },
            ),
        ),
        Entry(
            "GET",
            "/api/hitl/inbox",
            REVIEWER,
            runs.inbox,
            About(
                "List what waits for people",
                {200: Gives("The most urgent first.", InboxAnswer)},
                detail="`slaState` is NORMAL until three quarters of a gate's time have passed, WARNING until nine "
                "tenths, then CRITICAL.",
                query=(Param("limit", "How many at the most; 50 unless said.", Annotated[int, Field(ge=1, le=200)]),),
            ),
        ),
    ),
    about="Workflows that wait for people, through crashes and for days.",
    keyless=True,
)
