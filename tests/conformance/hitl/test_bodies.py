"""Bodies generated from the public schemas are accepted or refused exactly as the schemas say, and what the server says
itself is as they say, whatever happened before.

Where our contract is stricter than a schema, `STRICTER` has the rule and its reason. Nothing else is excused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import re2
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.forms import FIELD_TYPES
from tests.conformance.hitl.bodies import changed, schema, valid
from tests.conformance.hitl.target import ANSWERS, Case, Target
from tests.support import schemas

Examples = settings(
    settings.get_profile("suite"),
    max_examples=settings.default.max_examples if settings.default else 100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
FORM: dict[str, Any] = schema("hitl-object")["properties"]["context"]["properties"]["form"]
CHOICES = ("select", "multiselect")

Rule = Callable[[Any], bool]


def _walk(value: Any) -> Iterator[Any]:
    yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(one)


def _fields(form: Any) -> list[dict[str, Any]]:
    return [field for step in form.get("steps", [form]) for field in step["fields"]]


def _asks_of_a_later_field(form: Any) -> bool:
    seen: set[str] = set()
    for field in _fields(form):
        if "conditional" in field and field["conditional"]["field"] not in seen:
            return True
        seen.add(field["key"])
    return False


def _fits_re2(pattern: str) -> bool:
    try:
        re2.compile(pattern)
    except re2.error:
        return False
    return True


STRICTER: dict[str, dict[str, Rule]] = {
    "submit-request": {
        "the ledger names who answered, so nobody is called nothing": lambda body: (
            body["submitted_by"]["platform_user_id"] == ""
        ),
        "platform and id together name one person: a colon in the platform would make two people one": lambda body: (
            ":" in body["submitted_by"]["platform"]
        ),
        "an action is a word": lambda body: body["action"] == "",
    },
    "verification-policy": {},
    "form": {
        "every field has a key of its own: it names the answer": lambda form: (
            len({field["key"] for field in _fields(form)}) < len(_fields(form))
        ),
        "a form asks for something, else it has no answer": lambda form: not _fields(form),
        "types are the ten of the specification or begin with x-": lambda form: any(
            field["type"] not in FIELD_TYPES and not field["type"].startswith("x-") for field in _fields(form)
        ),
        "choices have options (10.3.1)": lambda form: any(
            field["type"] in CHOICES and not field.get("options") for field in _fields(form)
        ),
        "sensitive values are not sent along as default (10.3.1)": lambda form: any(
            field.get("sensitive") and "default" in field for field in _fields(form)
        ),
        "a default_ref is fetched by the server: https only": lambda form: any(
            not field.get("default_ref", "https://").startswith("https://") for field in _fields(form)
        ),
        "a condition asks for an earlier field (10.3.3)": _asks_of_a_later_field,
        "the operator in takes a list (10.3.3)": lambda form: any(
            field["conditional"]["operator"] == "in" and not isinstance(field["conditional"]["value"], list)
            for field in _fields(form)
            if "conditional" in field
        ),
        "patterns run in linear time (RE2)": lambda form: any(
            not _fits_re2(field.get("validation", {}).get("pattern", "")) for field in _fields(form)
        ),
    },
}


def _stricter(name: str, body: Any) -> list[str]:
    """Why our server refuses what the schema allows."""
    return [reason for reason, applies in STRICTER[name].items() if applies(body)]


def _check(name: str, problems: list[str], body: Any, answer: httpx.Response) -> None:
    """Accepted or refused as the schema says."""
    if problems:
        event("the schema refuses it")
        assert 400 == answer.status_code, f"accepted, although {problems}: {body}"
    elif reasons := _stricter(name, body):
        event(f"stricter: {reasons[0]}")
        assert 400 == answer.status_code, f"accepted, although {reasons}: {body}"
    else:
        event("the schema allows it")
        assert 400 != answer.status_code, f"refused, although the schema allows it: {answer.text} {body}"


@st.composite
def _bodies(draw: st.DrawFn, about: Any, usual: dict[str, Any] | None = None) -> Any:
    return _changed(draw, draw(valid(about)) | (usual or {}))


@Examples
@given(data=st.data())
def test_inline_answers_are_taken_as_their_schema_says(target: Target, data: st.DataObject) -> None:
    case = target.open_inline()
    usual = {} if data.draw(st.integers(0, 5)) == 0 else {"action": data.draw(st.sampled_from(["confirm", "cancel"]))}
    body = data.draw(_bodies(schema("submit-request"), usual))
    problems = schemas.problems("submit-request", body)
    answer = target.anyone.post(
        case["submit_url"], json=body, headers={"Authorization": f"Bearer {case['submit_token']}"}
    )
    _check("submit-request", problems, body, answer)
    taken = not problems and body["action"] in case["inline_actions"] and answer.status_code != 400
    if answer.status_code == 403 and taken:
        assert "verification_failed" == answer.json()["error"]
    assert answer.status_code in ({200} if taken else {400, 403}), answer.text
    state = target.state(case)
    assert [] == schemas.problems("poll-response", state)
    assert ("completed" if answer.status_code == 200 else "pending") == state["status"]


@Examples
@given(body=_bodies(schema("verification-policy")))
def test_verification_policies_are_taken_as_their_schema_says(target: Target, body: Any) -> None:
    problems = schemas.problems("verification-policy", body)
    answer = target.ask(verification_policy=body)
    _check("verification-policy", problems, body, answer)
    if answer.status_code == 202:
        case = answer.json()["hitl"]
        assert [] == schemas.problems("hitl-object", case)
        assert _asked(body) == _asked(case["verification_policy"])


def _asked(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy without its challenge, which the service draws where none is named."""
    return policy | {"binding": {name: value for name, value in policy["binding"].items() if name != "challenge"}}


@st.composite
def _forms(draw: st.DrawFn) -> Any:
    """Forms whose conditions mostly ask for an earlier field, which no schema can say."""
    form = draw(valid(FORM))
    seen: list[str] = []
    for field in _fields(form):
        if "conditional" in field and seen:
            field["conditional"]["field"] = draw(st.sampled_from([*seen, *seen, "nowhere"]))
        elif "conditional" in field and draw(st.integers(0, 3)):
            del field["conditional"]
        if field.get("sensitive") and draw(st.integers(0, 3)):
            field.pop("default", None)
        seen.append(field["key"])
    return _changed(draw, form)


def _changed(draw: st.DrawFn, body: Any) -> Any:
    """The body as it is, or with a thing or two changed."""
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        body = draw(changed(body))
    return body


@Examples
@given(form=_forms())
def test_forms_are_taken_as_their_schema_says(target: Target, form: Any) -> None:
    problems = [one for one in schemas.problems("hitl-object", _with(form)) if "$.context" in one]
    answer = target.ask("input", context={"form": form})
    if not problems and not isinstance(form, dict):
        problems = ["a form is an object"]
    _check("form", problems, form, answer)
    if answer.status_code == 202:
        case = answer.json()["hitl"]
        assert [] == schemas.problems("hitl-object", case)
        assert form == case["context"]["form"]
        assert 200 == target.visit(case).status_code


def _with(form: Any) -> dict[str, Any]:
    url = "https://example.com"
    return {
        "spec_version": "0.8", "case_id": "a", "review_url": url, "poll_url": url, "type": "input", "prompt": "?",
        "created_at": "2030-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z", "context": {"form": form},
    }  # fmt: skip


STEPS = ("open it", "begin", "tap", "answer", "change the answer", "give up", "withdraw", "wait", "poll")
HISTORIES = st.tuples(st.sampled_from([*ANSWERS, "x-other"]), st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))


@Examples
@given(history=HISTORIES)
def test_whatever_happens_to_a_case_every_poll_is_as_its_schema_says(
    target: Target, history: tuple[str, list[str]]
) -> None:
    kind, steps = history
    case = target.open(kind, timeout="1h")
    assert [] == schemas.problems("hitl-object", case)
    state = target.state(case)
    for step in steps:
        _take(target, case, step)
        state = target.state(case)
        assert [] == schemas.problems("poll-response", state), (steps, state)
    with target.stream(case, f"{case['case_id']}-0") as stream:
        first = stream.next()
        assert first is not None
        assert [] == schemas.problems("poll-response", first["data"])
        if state["status"] == "completed":
            assert [] == schemas.problems("poll-response", stream.rest()[-1]["data"])


def _take(target: Target, case: Case, step: str) -> None:
    """One thing that somebody does; that it may be refused is not the point here."""
    action, data = ANSWERS.get(case["type"], ("submit", {}))
    token = case["review_url"].partition("token=")[2]
    match step:
        case "open it" | "begin":
            name = "opened" if step == "open it" else "progress"
            target.anyone.post(case["poll_url"].replace("/status", f"/{name}"), json={"token": token})
        case "tap" if "submit_url" in case:
            target.tap(case, case["inline_actions"][-1])
        case "answer":
            target.submit(case, action, data)
        case "change the answer":
            target.submit(case, action, {**data, "note": "On second thoughts."})
        case "give up":
            target.gives_up(case)
        case "withdraw":
            target.withdraw(case)
        case "wait":
            target.later(30 * 60)
        case _:
            target.poll(case)


# --- that the generated bodies are worth something


@pytest.mark.parametrize("name", ["submit-request", "verification-policy", "form-field"])
def test_the_generated_bodies_are_valid_and_the_changed_ones_mostly_not(name: str) -> None:
    verdicts: Counter[bool] = Counter()

    @settings(settings.get_profile("suite"), max_examples=60, database=None)
    @given(st.data())
    def look(data: st.DataObject) -> None:
        body = data.draw(valid(schema(name)))
        assert [] == schemas.problems(name, body)
        verdicts[schemas.problems(name, data.draw(changed(body))) == []] += 1

    look()
    assert verdicts[False] > 20, "refused by the schema"
