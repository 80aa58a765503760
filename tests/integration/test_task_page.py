"""The page behind an approval link: it shows a guarded task and decides nothing; reviewers sign in and go on."""

from __future__ import annotations

import re

import httpx

from core.guard.rules import PolicySet, Ruling
from core.guarded_views import TaskView
from core.model import Policy
from core.schedule import HOUR, MINUTE
from tests.support.review_page import PUBLIC_URL, Desk, browser, desk, words_of
from tests.support.tasks import answered, link_of, path_of, post, said, token_of

OTHER_TENANT = "2b0f6f0e-7a53-4f0e-8d4f-93a1a3a6e0c1"
VISITORS = ("Slackbot-LinkExpanding 1.0", "TelegramBot (like TwitterBot)", "WhatsApp/2.23.20.0")


class Requires(PolicySet):
    """A policy that requires people for everything, in this way."""

    def __init__(self, *, grants: int = 8 * HOUR, reviewers: Policy | None = None) -> None:
        super().__init__()
        self._ruling = Ruling("require", "tests", "always", "<b>because</b>", grants=grants, reviewers=reviewers)

    def rule(self, operation: object, now: int) -> Ruling:
        return self._ruling


async def test_it_shows_all_that_is_asked_and_has_nothing_to_decide_with(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        found.services.policies.current = Requires()
        task = await post(found, payload={"branch": "main", "<i>": ["\u202eevil", 3]}, requested_by="release-bot")
        page = await web.get(link_of(task))
        german = await web.get(link_of(task, "de"))
    words = words_of(page.text)
    for shown in ("repo.commit", "branch", "main", "release-bot", "because", "tests/always", "Waits for a person",
                  "23 hours left", "[U+202E]evil", task.case.content_digest, "1 day"):  # fmt: skip
        assert shown in words, shown
    assert "&lt;b&gt;because" in page.text
    assert "<b>because" not in page.text
    assert "<i>" not in page.text
    assert "sha256" not in words.replace(task.case.content_digest, "")
    assert not re.search(r'name="(action|grant|deny|close)"', page.text)
    assert "Approve" not in re.sub(r"<script.*?</script>", "", page.text, flags=re.DOTALL).replace("Approval", "")
    for shown in ('<html lang="de">', "Überwachter Vorgang", "Wartet auf eine Freigabe", "Zum Entscheiden anmelden"):
        assert shown in german.text, shown


async def test_looking_changes_nothing(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task = await post(found)
        before = found.rows()
        for visitor in VISITORS:
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = await web.request(method, link_of(task), headers={"User-Agent": visitor})
                assert (405 if method == "OPTIONS" else 200) == answer.status_code
        other = await web.post(path_of(task, "de"), data={"token": token_of(task), "look": "language"})
        assert (200, True) == (other.status_code, '<html lang="de">' in other.text)
        assert before == found.rows()


async def test_links_that_do_not_work_cannot_be_told_apart(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task, other, case = await post(found), await post(found, "robot.actuate"), await found.ask()
        review_token = await found.services.views.review_token(task.task_id) or ""
        raw, _ = await found.services.keys.create("reviewer", found.principal.tenant_id)
        token = token_of(task)
        links = [
            ("review_AAAAAAAAAAAAAAAAAAAAAA", token), (task.task_id, ""), (task.task_id, token[:-1]),
            (task.task_id, token + "é\U0001f600"), (task.task_id, token_of(other)), (task.task_id, review_token),
            (case.case.case_id, case.review_token), (case.case.case_id, token), (task.task_id, raw),
            ("x" * 5_000, token), ("%00", token), ("%ff%fe", token),
        ]  # fmt: skip
        seen = [await web.get(f"/en/tasks/{name}", params={"token": given}) for name, given in links]
        seen += [await web.post(f"/en/tasks/{name}", data={"token": given, "credential": raw}) for name, given in links]
    assert {403} == {answer.status_code for answer in seen}
    assert 1 == len({_plain(answer) for answer in seen})
    assert "This link does not work" in seen[0].text


def _plain(answer: httpx.Response) -> str:
    """The answer without what is drawn anew for each: the nonce and the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    nonce = re.search(r"'nonce-([\w-]+)'", answer.headers["content-security-policy"])
    assert nonce is not None
    return (answer.text + repr(headers)).replace(nonce[1], "")


async def test_the_link_itself_approves_nothing_through_any_door(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task = await post(found)
        token, digest = token_of(task), task.case.content_digest
        review = f"/en/hitl/review/{task.task_id}"
        answers = [
            await web.get(f"{review}?token={token}"),
            await web.post(review, data={"token": token, "action": "approve", "content_digest": digest}),
            await web.post(path_of(task), data={"token": token, "action": "approve", "credential": token}),
            await web.post(path_of(task), data={"token": token, "grant": "15"}),
            await web.post(
                f"/api/hitl/cases/{task.task_id}/respond", json={"token": token, "result": {"action": "approve"}}
            ),
        ]
        assert {403} == {answer.status_code for answer in answers}
        assert "hitl_required" == (await answered(found, task)).status


async def test_reviewers_sign_in_and_nobody_else_does(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task = await post(found)
        tenant = found.principal.tenant_id
        review_token = await found.services.views.review_token(task.task_id) or ""
        good = [review_token, f" {review_token} "]
        good += [(await found.services.keys.create(scope, tenant))[0] for scope in ("reviewer", "admin")]
        wrong = ["", "nonsense", "é" * 30, token_of(task), review_token[:-1]]
        wrong += [(await found.services.keys.create(scope, tenant))[0] for scope in ("agent", "executor")]
        wrong.append((await found.services.keys.create("reviewer", OTHER_TENANT))[0])
        wrong.append((await found.services.keys.create("reviewer", tenant, sources=[]))[0])
        before = found.rows()
        for credential in good:
            answer = await web.post(path_of(task, "de"), data={"token": token_of(task), "credential": credential})
            assert (303, "no-store") == (answer.status_code, answer.headers["cache-control"]), credential
            assert f"/de/hitl/review/{task.task_id}?token={review_token}" == answer.headers["location"]
            assert credential.strip() not in answer.text
        refused = [
            await web.post(path_of(task), data={"token": token_of(task), "credential": credential})
            for credential in wrong
        ]
        assert {403} == {answer.status_code for answer in refused}
        assert 1 == len({_plain(answer) for answer in refused})
        assert "This does not let you in" in refused[0].text
        for answer, credential in zip(refused, wrong, strict=True):
            assert credential in ("", token_of(task)) or credential not in answer.text
        assert _but_keys(before) == _but_keys(found.rows())


def _but_keys(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """Without the keys, which know when they were last used."""
    return {name: found for name, found in rows.items() if name != "api_keys"}


async def test_the_key_that_posted_a_task_does_not_sign_in_to_it(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        raw, found.principal = await found.services.keys.create("admin", found.principal.tenant_id)
        task = await post(found)
        answer = await web.post(path_of(task), data={"token": token_of(task), "credential": raw})
        assert (403, True) == (answer.status_code, "This does not let you in" in answer.text)


async def test_only_its_own_form_posts_to_it(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task = await post(found)
        raw, _ = await found.services.keys.create("reviewer", found.principal.tenant_id)
        form = {"token": token_of(task), "credential": raw}
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            assert 403 == (await web.post(path_of(task), data=form, headers=headers)).status_code
        assert 415 == (await web.post(path_of(task), json=form)).status_code
        assert 413 == (await web.post(path_of(task), data=form | {"more": "x" * 5_000})).status_code
        assert 400 == (await web.post(path_of(task), data={"token": "\0"})).status_code
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=found.app), base_url=PUBLIC_URL) as bare:
            away = {"Origin": "https://evil.example"}
            assert 403 == (await bare.post(path_of(task), data=form, headers=away)).status_code


async def test_a_decided_task_shows_how_and_its_receipt(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        yes, no, late = await post(found), await post(found, "robot.actuate"), await post(found, "repo.push")
        await said(found, yes, "approve", reason="Checked.", approver="Ana")
        await said(found, no, "reject", reason="Not on a Friday.")
        approved, rejected = await web.get(link_of(yes)), await web.get(link_of(no, "de"))
        found.clock.offset = 25 * HOUR
        expired = await web.get(link_of(late))
    for words in ("Approved", "Ana", "Checked.", "Receipt", "it matches what is shown here", "about to be passed on"):
        assert words in words_of(approved.text), words
    for words in ("Abgelehnt", "Not on a Friday.", "Beleg"):
        assert words in words_of(rejected.text), words
    assert "Expired without an answer" in words_of(expired.text)
    for page in (approved, rejected, expired):
        assert 'name="credential"' not in page.text


# --- the review page of a task


async def _review_link(found: Desk, task: TaskView) -> tuple[str, str]:
    """Path and token."""
    return f"/en/hitl/review/{task.task_id}", await found.services.views.review_token(task.task_id) or ""


async def test_an_approval_may_be_remembered_as_long_as_policy_says(sqlite_url: str) -> None:
    expected: list[tuple[PolicySet, list[str]]] = [
        (Requires(), ["15", "60", "480"]),
        (Requires(grants=HOUR), ["15", "60"]),
        (Requires(grants=10 * MINUTE), []),
        (Requires(grants=0), []),
        (Requires(reviewers=Policy(quorum=2)), []),
    ]
    async with desk(sqlite_url) as found, browser(found) as web:
        for policy, offered in expected:
            found.services.policies.current = policy
            path, token = await _review_link(found, await post(found))
            page = await web.get(f"{path}?token={token}")
            assert offered == re.findall(r'name="grant" value="(\d+)"', page.text)


async def test_a_button_approves_and_lets_the_same_through_for_a_while(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        task = await post(found)
        path, token = await _review_link(found, task)
        form = {"token": token, "content_digest": task.case.content_digest, "revision": "0", "feedback": "Go on."}
        for wrong in ("481", "9999"):
            assert 400 == (await web.post(path, data=form | {"grant": wrong})).status_code
        for wrong in ("0", "-5", "1e2", "x" * 5_000):
            assert "Press one of the buttons" in (await web.post(path, data=form | {"grant": wrong})).text
        done = await web.post(path, data=form | {"grant": "60"})
        assert (200, True) == (done.status_code, "Allowed without asking for 1 hour" in words_of(done.text))
        (grant,) = await found.services.grants.list(found.principal.tenant_id)
        assert ("repo.commit", HOUR, task.task_id) == (
            grant.operation, grant.expires_at - grant.created_at, grant.case_id,
        )  # fmt: skip
        assert grant.grant_id == (await post(found)).grant_id
        await found.services.grants.revoke(found.principal, grant.grant_id)
        assert "it matches what is shown here" in (await web.get(f"{path}?token={token}")).text
    assert "Go on." in done.text


async def test_where_several_must_agree_nobody_remembers_it_alone(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        found.services.policies.current = Requires(reviewers=Policy(quorum=2))
        task = await post(found)
        path, token = await _review_link(found, task)
        form = {"token": token, "content_digest": task.case.content_digest, "revision": "0"}
        assert 400 == (await web.post(path, data=form | {"grant": "15"})).status_code
        assert 200 == (await web.post(path, data=form | {"action": "approve"})).status_code
        assert "hitl_required" == (await answered(found, task)).status


async def test_a_button_that_remembers_means_nothing_to_other_cases(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        form = {"token": opened.review_token, "content_digest": opened.case.content_digest, "revision": "0"}
        answer = await web.post(f"/en/hitl/review/{opened.case.case_id}", data=form | {"grant": "60"})
        assert (400, True) == (answer.status_code, "Press one of the buttons" in answer.text)
        assert "pending" == (await found.case(opened)).status
