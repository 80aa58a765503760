"""Flows without I/O: which step comes next, what is taken in, what is shown; and another flow than the shipped one."""

from __future__ import annotations

from typing import Any

import pytest

from bot.flows import load_flows
from core.errors import InvalidData, InvalidInput, NotReady
from core.flow_content import case_body, named_answer, result_of, scope_of
from core.flow_reading import read_flow
from core.flow_text import MISSING, render, sentence, slug
from core.flows import Ask, Finished, Flow, Inputs, Past, Submitted, carries, check_finished, next_step, take_in
from core.nodes import WrongFile
from core.states import Status

CV = load_flows(None)["cv-simple"]
DATA = {"firstName": "Alex", "lastName": "Johnson"}
FULL = Inputs(DATA)

# A release: one question, a form that not every release needs, a decision by hand. No rejection, no escalation.
RELEASE: dict[str, Any] = {
    "flow": "release",
    "data": "release",
    "steps": [
        {"name": "kind", "type": "selection", "prompt": "What is {data.name}?", "options": [
            {"id": "patch", "label": "A patch"}, {"id": "major", "label": "A major version"}],
         "answers": {"select": {"kind": "{selected}"}}, "takes": {"kind": "kind"}, "skip_if_given": "kind"},
        {"name": "notes", "type": "input", "prompt": "Notes?", "takes": "release",
         "form": {"fields": [{"key": "notes", "label": "Notes", "type": "textarea"}]}},
        {"name": "go", "type": "x-go", "prompt": "Go?", "context": {"kind": "{kind}", "by": "{answers.by}"}},
    ],
    "inputs": {"kind": {"one_of": "kind"}},
    "result": {"release": "{data.name}/{kind}"},
}  # fmt: skip


def past(step: str, action: str | None = None, n: int = 1, status: Status | None = None, **data: Any) -> Past:
    default = Status.PENDING if action is None else Status.COMPLETED
    return Past(f"{step}{n}", step, n, status or default, action, data)


def outcome(flow: Flow, inputs: Inputs, history: list[Past], jump: str | None = None) -> str:
    """The gate key of what is asked, `finished`, or the beginning of why not."""
    try:
        found = next_step(flow, inputs, history, jump)
    except NotReady as error:
        return error.message
    return found.gate_key if isinstance(found, Ask) else "finished"


def rejected(times: int) -> list[Past]:
    """Rejected so often, with a retry after every rejection but the last."""
    history: list[Past] = []
    for n in range(1, times + 1):
        history.append(past("approval", "reject", n))
        if n < times:
            history.append(past("escalation", "retry", n))
    return history


@pytest.mark.parametrize(
    ("inputs", "history", "jump", "expected"),
    [
        (FULL, [], None, "context"),
        (FULL, [], "slug", "slug"),
        (FULL, [past("context", "confirm")], None, "data_review"),
        (FULL, [past("context", "cancel")], None, "data_review"),
        (Inputs(), [past("context", "confirm")], None, "data_input"),
        (FULL, [past("data_review", "cancel")], None, "data_input"),
        (FULL, [past("data_review", "confirm")], None, "slug"),
        (Inputs(DATA, values={"slug": "a"}), [past("data_review", "confirm")], None, "template"),
        (Inputs(DATA, values={"template_id": "001"}), [past("slug", "select")], None, "approval"),
        (FULL, [past("context", "confirm")], "approval", "approval"),
        (FULL, [past("approval", "approve")], None, "finished"),
        (FULL, [past("approval", "approve")], "slug", "slug"),
        (FULL, [past("approval", "edit")], None, "approval.2"),
        (FULL, [past("approval", "edit")], "slug", "slug"),
        (FULL, [past("approval", "edit"), past("approval", "edit", 2)], None, "approval.3"),
        (FULL, rejected(1), None, "escalation"),
        (FULL, [*rejected(1), past("escalation", "retry")], None, "approval.2"),
        (FULL, rejected(2), None, "escalation.2"),
        (FULL, [*rejected(1), past("escalation", "skip")], None, "finished"),
        (FULL, [*rejected(1), past("escalation", "abort")], None, "the flow ended when escalation was answered"),
        (FULL, rejected(1), "approval", "approval was answered with reject, so escalation comes next"),
        (FULL, [past("context")], None, "context has not been answered yet"),
        (FULL, [past("context")], "slug", "context has not been answered yet"),
        (FULL, [past("slug", status=Status.EXPIRED)], None, "slug was not answered in time; to ask again"),
        (FULL, [past("slug", status=Status.EXPIRED)], "slug", "slug.2"),
        (FULL, [past("slug", status=Status.CANCELLED)], None, "slug was closed without an answer"),
        (FULL, [past("slug", status=Status.CANCELLED)], "template", "template"),
        (FULL, [*rejected(1), past("escalation", status=Status.EXPIRED)], "approval", "escalation was not answered"),
        (FULL, [*rejected(1), past("escalation", status=Status.EXPIRED)], "escalation", "escalation.2"),
        (FULL, [past("gone", "confirm")], None, "the flow no longer has a step gone"),
    ],
)  # fmt: skip
def test_what_comes_next(inputs: Inputs, history: list[Past], jump: str | None, expected: str) -> None:
    found = outcome(CV, inputs, history, jump)
    assert found == expected or (" " in expected and found.startswith(expected)), found


@pytest.mark.parametrize("jump", ["escalation", "nowhere", "", "next"])
def test_there_is_no_jump_to_what_is_no_step_to_jump_to(jump: str) -> None:
    with pytest.raises(InvalidInput, match="context, data_review, data_input, slug, template, approval"):
        next_step(CV, FULL, [], jump)


@pytest.mark.parametrize(("times", "offered"), [(1, True), (2, True), (3, False), (4, False)])
def test_retry_is_withheld_after_three_rejections(times: int, offered: bool) -> None:
    found = next_step(CV, FULL, rejected(times))
    assert isinstance(found, Ask)
    assert (("retry", "skip", "abort") if offered else ("skip", "abort")) == found.actions


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ([past("slug", "select")], "template is still missing"),
        ([past("approval", "edit")], "approval is still missing"),
        (rejected(1), "escalation is still missing"),
        ([past("approval")], "has not been answered yet"),
        ([past("approval", status=Status.EXPIRED)], "was not answered in time"),
    ],
)
def test_what_is_not_approved_is_not_finished_and_what_is_missing_is_named(history: list[Past], words: str) -> None:
    with pytest.raises(NotReady, match=words):
        check_finished(CV, FULL, history, history[-1].case_id)


# --- what is taken in


def test_the_humans_corrections_win_until_the_agent_is_asked_to_change_them() -> None:
    asked = take_in(CV, Inputs(), None, Submitted(data={"firstName": "Alex", "title": "Engineer", "phone": "1"}))
    form = past("data_input", "submit", firstName="Alexandra", lastName="Johnson", title="Senior Engineer")
    corrected = take_in(CV, asked, form, Submitted(data=asked.data))
    assert {"firstName": "Alexandra", "lastName": "Johnson", "title": "Senior Engineer"} == corrected.effective
    later = take_in(CV, corrected, past("slug", "select"), Submitted(data={**asked.data, "title": "Boss"}))
    assert "Senior Engineer" == later.effective["title"]
    edit = past("approval", "edit", note="Principal, please")
    revised = take_in(CV, corrected, edit, Submitted(data={**asked.data, "title": "Principal"}))
    assert ("Principal", "Alexandra") == (revised.effective["title"], revised.effective["firstName"])


def test_what_the_reviewer_chose_stands_until_the_reviewer_asks_for_changes() -> None:
    chosen = take_in(CV, FULL, past("slug", "select", selected_slug="dev"), Submitted())
    assert ({"slug": "dev"}, ("slug",)) == (chosen.values, chosen.chosen)
    with pytest.raises(InvalidInput, match="the reviewer has chosen dev"):
        take_in(CV, chosen, past("template", "select"), Submitted(values={"slug": "mine"}))
    revised = take_in(CV, chosen, past("approval", "edit"), Submitted(values={"slug": "mine"}))
    assert ({"slug": "mine"}, ()) == (revised.values, revised.chosen)


def test_a_request_carries_something_new_or_it_does_not() -> None:
    inputs = Inputs(DATA, {"title": "x"}, {"slug": "a"}, (), {"timeout": "1h"})
    assert carries(inputs, Submitted())
    assert carries(inputs, Submitted(DATA, {"title": "x"}, {"slug": "a"}, {"timeout": "1h"}))
    for other in (
        Submitted({}),
        Submitted(override={"a": 1}),
        Submitted(values={"slug": "b"}),
        Submitted(terms={"notify": []}),
    ):
        assert not carries(inputs, other)


# --- what is shown


def test_options_are_made_from_the_data_and_none_stands_twice() -> None:
    ask = next_step(CV, FULL, [], "slug")
    assert isinstance(ask, Ask)
    inputs = Inputs({"firstName": "Dev", "title": "Dev", "lastName": "李"})
    body = case_body(CV, inputs, ask, scope_of(CV, inputs, [], "https://x.test"))
    assert ["dev", "design", "office"] == [option["id"] for option in body["context"]["items"]]
    assert "Development" != body["context"]["items"][0]["label"]  # the one from the data came first


def test_nobody_is_asked_to_agree_to_what_could_not_be_finished() -> None:
    with pytest.raises(InvalidInput, match="cv_data is missing"):
        next_step(CV, Inputs(), [], "approval")
    nameless = Inputs({"title": "Engineer"})
    ask = next_step(CV, nameless, [], "approval")
    assert isinstance(ask, Ask)
    with pytest.raises(InvalidInput, match=r"slug is missing, and cannot be made from cv_data"):
        case_body(CV, nameless, ask, scope_of(CV, nameless, [], "https://x.test"))


def test_the_agents_terms_are_the_cases_terms() -> None:
    ask = next_step(CV, FULL, [])
    assert isinstance(ask, Ask)
    body = case_body(CV, Inputs(DATA, terms={"timeout": "2h", "notify": ["slack:C1"]}), ask, {})
    assert ("2h", ["slack:C1"], "skip") == (body["timeout"], body["notify"], body["default_action"])


@pytest.mark.parametrize(
    ("action", "data", "expected"),
    [
        ("confirm", {}, {"who": "me"}),
        ("cancel", {}, {"who": "you"}),
        ("confirm", {"who": "you"}, {"who": "you"}),
        ("select", {"selected": ["a"]}, {"selected": ["a"], "pick": "a"}),
        ("select", {"pick": "a"}, {"pick": "a", "selected": ["a"]}),
        ("select", {"selected": ["a"], "pick": "b"}, {"selected": ["a"], "pick": "a"}),
        ("select", {"selected": "a"}, {"selected": "a"}),
        ("edit", {"feedback": "x"}, {"feedback": "x", "note": "x"}),
        ("edit", {"feedback": "x", "note": "y"}, {"feedback": "x", "note": "y"}),
        ("edit", {}, {}),
        ("other", {"a": 1}, {"a": 1}),
    ],
)
def test_an_answer_gets_the_names_that_the_flow_gives_it(
    action: str, data: dict[str, Any], expected: dict[str, Any]
) -> None:
    answers = {
        "confirm": {"who": "me"},
        "cancel": {"who": "you"},
        "select": {"pick": "{selected}"},
        "edit": {"note": "{feedback}"},
    }
    assert expected == named_answer(answers, action, data)
    with pytest.raises(InvalidData, match="who must be one of me, you"):
        named_answer(answers, "confirm", {"who": ["him"]})


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a}", 1), ("{d}", {"e": "Zoë van Dam"}), ("x{a}", "x1"), ("{d.e:slug}", "zoe-van-dam"), ("{none}", MISSING),
        ("x{none}", MISSING), ("x{d}", MISSING), ("{l:slug}", MISSING), ("{d.e.f}", MISSING), ("{empty}", MISSING),
        ({"k": "{none}", "l": ["{none}", "{a}"]}, {"l": [1]}), (True, True), ("plain", "plain"),
    ],
)  # fmt: skip
def test_placeholders(template: Any, expected: Any) -> None:
    assert expected == render(template, {"a": 1, "d": {"e": "Zoë van Dam"}, "l": "李", "empty": ""})


def test_a_sentence_leaves_out_what_is_missing_and_is_cut_where_it_is_too_long() -> None:
    assert "Is  right?" == sentence("Is {none} right?", {}, 20)
    assert ("x" * 19 + "…", 20) == (found := sentence("{a}", {"a": "x" * 30}, 20), len(found))


def test_a_slug_is_short_and_ends_well() -> None:
    assert ("", "a-b", "a" * 64) == (slug("…"), slug(" a & b! "), slug("a" * 64 + "-b"))


# --- another flow


def test_another_flow_needs_nothing_but_its_own_data() -> None:
    flow = read_flow(RELEASE)
    given = Inputs({"name": "1.4.1"})
    kind, notes, go = past("kind", "select", kind="patch"), past("notes", "submit", notes="n"), past("go", "submit")
    assert "kind" == outcome(flow, given, [])
    inputs = take_in(flow, given, kind, Submitted())
    assert "notes" == outcome(flow, inputs, [kind])
    inputs = take_in(flow, inputs, notes, Submitted())
    assert {"name": "1.4.1", "notes": "n"} == inputs.effective
    assert "go" == outcome(flow, inputs, [kind, notes])
    assert isinstance(next_step(flow, inputs, [kind, notes, go]), Finished)
    scope = scope_of(flow, inputs, [kind, notes, go], "")
    assert {"release": "1.4.1/patch"} == result_of(flow, scope, "-")


def _changed(*path: Any, to: Any) -> dict[str, Any]:
    """The release with one value changed; a value of None takes the key away."""
    found: Any = [RELEASE]

    def copy(value: Any, path: tuple[Any, ...]) -> Any:
        if not path:
            return to
        value = dict(value) if isinstance(value, dict) else list(value)
        if to is None and len(path) == 1:
            del value[path[0]]
        else:
            inner = value.get(path[0], {}) if isinstance(value, dict) else value[path[0]]
            value[path[0]] = copy(inner, path[1:])
        return value

    return dict(copy(found[0], path))


@pytest.mark.parametrize(
    ("path", "to", "where", "words"),
    [
        (("flow",), "No Spaces", "flow", "small letters"),
        (("flow",), None, "flow", "missing"),
        (("flw",), "x", "flw", "not a known key"),
        (("data",), "prefer_hitl", "data", "uses? already"),
        (("default_action",), "approve", "default_action", "skip, reject, abort"),
        (("timeout",), "soon", "timeout", "duration"),
        (("timeout",), 60, "timeout", "in quotes"),
        (("steps",), [], "steps", "at least one"),
        (("steps",), "go", "steps", "list"),
        (("steps", 0, "name"), "no dots.", "steps[0].name", "small letters"),
        (("steps", 1, "name"), "kind", "steps[1].name", "earlier step"),
        (("steps", 1, "name"), "finish", "steps[1].name", "word of its own"),
        (("steps", 0, "type"), "vote", "steps[0].type", "approval, selection"),
        (("steps", 0, "prompt"), None, "steps[0].prompt", "missing"),
        (("steps", 0, "prompt"), "Hello {world}", "steps[0].prompt", "{world} is not a placeholder"),
        (("steps", 0, "prompt"), "Hello {data name}", "steps[0].prompt", "not a placeholder"),
        (("steps", 0, "options"), None, "steps[0].options", "missing"),
        (("steps", 0, "options", 1), {"id": "x"}, "steps[0].options[1].label", "missing"),
        (("steps", 0, "options", 1, "id"), 7, "steps[0].options[1].id", "in quotes"),
        (("steps", 0, "options"), [{"id": "{data.x}", "label": "X"}], "steps[0].options", "no placeholder"),
        (("steps", 1, "options"), [{"id": "x", "label": "X"}], "steps[1].options", "belongs to a selection"),
        (("steps", 0, "leads_to"), {"choose": "next"}, "steps[0].leads_to.choose", "known are select"),
        (("steps", 0, "leads_to"), {"select": "nowhere"}, "steps[0].leads_to.select", "finish, stop, kind"),
        (("steps", 0, "answers"), {"select": {"x": "{a b}"}}, "steps[0].answers.select.x", "another entry"),
        (("steps", 0, "takes"), {"colour": "kind"}, "steps[0].takes.colour", "known are kind"),
        (("steps", 0, "takes"), "release", "steps[0].takes", "needs a form"),
        (("steps", 0, "skip_if_given"), "colour", "steps[0].skip_if_given", "release, kind"),
        (("steps", 0, "not_offered"), {"select": {"after": 1, "answer": "x"}}, "steps[0].not_offered", "always"),
        (("steps", 1, "form"), None, "steps[1].form", "missing"),
        (("steps", 1, "form", "fields", 0, "type"), "colour", "steps[1].form.fields[0].type", "unknown"),
        (("steps", 1, "form", "fields", 0, "sensitive"), True, "steps[1].form", "sensitive"),
        (("steps", 2, "skip_if_given"), "kind", "steps[2].skip_if_given", "asked always"),
        (("steps", 2, "aside"), "yes", "steps[2].aside", "true or false"),
        (("steps", 2, "blocks"), [{"id": "b", "type": "html", "content": "x"}], "steps[2].blocks[0].type", "markdown"),
        (("inputs", "kind", "one_of"), "notes", "inputs.kind.one_of", "selection"),
        (("inputs", "kind", "one_of"), "gone", "inputs.kind.one_of", "kind, notes, go"),
        (("inputs", "kind", "pattern"), "(", "inputs.kind.pattern", "not a pattern"),
        (("inputs", "release"), {}, "inputs.release", "the flow's data"),
        (("inputs", "note"), {}, "inputs.note", "already"),
        (("result",), {}, "result", "at least one"),
        (("result", "release"), "{nothing}", "result.release", "not a placeholder"),
    ],
)  # fmt: skip
def test_a_flow_that_is_not_right_is_told_where(path: tuple[Any, ...], to: Any, where: str, words: str) -> None:
    with pytest.raises(WrongFile, match=words) as wrong:
        read_flow(_changed(*path, to=to))
    assert wrong.value.message.startswith(f"{where}: ")
