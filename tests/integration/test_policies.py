"""Policies in a server that runs: files that change take effect whole or not at all, and who may read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.policies import Reload, load_policies
from bot.settings import WrongSetting
from core import past_tasks
from core.guard.holder import Policies
from core.guard.rules import Operation, PolicySet
from core.guarded import GuardedTasks, WantedTask
from tests.support.gates import World, world
from tests.support.process import ServerProcess, make_key, run_assent, serving
from tests.support.server import Server, server_fixture, until

__all__ = ["server_fixture"]

TENANTS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


def rule(name: str, verdict: str, operation: str, more: str = "") -> str:
    return f"  - {{name: {name}, verdict: {verdict}, when: {{operation: {operation}{more}}}}}\n"


def file(folder: Path, *rules: str, policy: str = "ours") -> Path:
    path = folder / f"{policy}.yaml"
    path.write_text(f"policy: {policy}\nrules:\n{''.join(rules)}")
    return path


def verdict(policies: Policies, operation: str = "repo.merge") -> str:
    return policies.current.rule(Operation(TENANTS[0], operation, {}), 0).verdict


class Folder:
    """A folder of policies, and what a process makes of it, look by look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        file(path, rule("merges", "allow", "repo.merge"))
        self.policies = load_policies(str(path))
        self.reload = Reload(self.policies, str(path))

    def look(self, times: int = 2) -> list[str]:
        """What the log says during so many looks."""
        with capture_logs() as logs:
            for _ in range(times):
                self.reload.look()
        return [entry["event"] for entry in logs]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_change_takes_effect_once_its_files_stand_still(folder: Folder) -> None:
    folder.look()
    file(folder.path, rule("merges", "deny", "repo.merge"))
    assert [] == folder.look(1)
    assert "allow" == verdict(folder.policies)
    assert ["policies.loaded"] == folder.look(1)
    assert "deny" == verdict(folder.policies)
    assert [] == folder.look()


def test_a_file_that_is_still_being_written_is_not_taken(folder: Folder) -> None:
    file(folder.path, rule("merges", "deny", "repo.merge"), rule("pushes", "deny", "repo.push"))
    folder.look()
    whole = folder.policies.current
    # From look to look there is a little more of it, and every part would be a policy of its own.
    file(folder.path, rule("merges", "allow", "repo.merge"))
    folder.look(1)
    file(folder.path, rule("merges", "allow", "repo.merge"), rule("pulls", "allow", "repo.pull"))
    folder.look(1)
    assert whole is folder.policies.current


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: file(path, rule("merges", "alow", "repo.merge")), "ours.yaml, line 3: rules[0].verdict: must be"),
        (lambda path: file(path, rule("a", "deny", "x.y"), policy="a").write_text("policy: ["), "a.yaml, line 1: not"),
        (lambda path: file(path, rule("a", "deny", "x.y"), policy="ours2").write_text(
            file(path, rule("b", "deny", "x.z")).read_text()), "ours2.yaml: policy: ours.yaml is the policy ours"),
        (lambda path: (path / "ours.yaml").unlink(), "there is no policy (*.yaml) in"),
        (lambda path: (path / "b.yaml").mkdir(), "b.yaml: Is a directory"),
    ],
    ids=["a-word", "not-yaml", "a-name-twice", "no-file", "a-folder"],
)  # fmt: skip
def test_wrong_files_leave_in_force_what_was_and_say_so_once(
    folder: Folder, spoil: Callable[[Path], Any], problem: str
) -> None:
    folder.look()
    before = folder.policies.current
    spoil(folder.path)
    assert ["policies.wrong"] == folder.look(4)
    assert before is folder.policies.current
    assert problem in str(folder.policies.problem)


def test_one_wrong_file_keeps_the_right_ones_beside_it_from_taking_effect(folder: Folder) -> None:
    folder.look()
    file(folder.path, rule("merges", "deny", "repo.merge"))
    file(folder.path, rule("x", "deny", "nothing"), policy="wrong")
    folder.look()
    assert "allow" == verdict(folder.policies)
    (folder.path / "wrong.yaml").unlink()
    assert ["policies.loaded", "policies.right_again"] == folder.look()
    assert ("deny", None) == (verdict(folder.policies), folder.policies.problem)


def test_files_that_come_back_as_they_were_are_right_again(folder: Folder) -> None:
    was = (folder.path / "ours.yaml").read_text()
    (folder.path / "ours.yaml").write_text("policy: ours\n")
    folder.look()
    assert folder.policies.problem is not None
    (folder.path / "ours.yaml").write_text(was)
    assert ["policies.right_again"] == folder.look()
    assert folder.policies.problem is None


def test_a_folder_without_policies_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="POLICIES_DIR: there is no policy"):
        load_policies(str(tmp_path))
    with pytest.raises(WrongSetting, match=r"POLICIES_DIR: .*nowhere: No such file"):
        load_policies(str(tmp_path / "nowhere"))


class Ruled:
    """A server that runs with a folder of policies."""

    def __init__(
        self, process: ServerProcess, agent: httpx.AsyncClient, reviewer: httpx.AsyncClient, source_id: str
    ) -> None:
        self.process = process
        self.agent = agent
        self.reviewer = reviewer
        self.source_id = source_id
        self._posted = 0

    async def verdict(self, operation: str) -> str:
        self._posted += 1
        body = {"operation": operation, "payload": {}, "source_id": self.source_id}
        posted = await self.agent.post("/tasks", json=body, headers={"Idempotency-Key": f"k{self._posted}"})
        assert 202 == posted.status_code, posted.text
        return str(posted.json()["status"])

    async def policies(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.reviewer.get("/policies")).json()
        return found


@asynccontextmanager
async def ruled(database_url: str, folder: Path) -> AsyncIterator[Ruled]:
    async with serving(database_url, environment={"POLICIES_DIR": str(folder)}) as process:
        keys = [await make_key(database_url, scope) for scope in ("admin", "agent", "reviewer")]
        async with (
            _client(process, keys[0]) as admin,
            _client(process, keys[1]) as agent,
            _client(process, keys[2]) as reviewer,
        ):
            source = await admin.post("/sources", json={"name": "deploys"})
            tenant = await admin.get("/admin/tenant")
            for client in (agent, reviewer):
                client.headers["X-Tenant-ID"] = tenant.json()["tenant_id"]
            yield Ruled(process, agent, reviewer, source.json()["id"])


def _client(process: ServerProcess, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=process.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


async def test_a_running_server_takes_changed_files_and_survives_wrong_ones(sqlite_url: str, tmp_path: Path) -> None:
    path = file(tmp_path, rule("merges", "allow", "repo.merge"))
    async with ruled(sqlite_url, tmp_path) as server:
        assert await server.verdict("repo.merge") in ("approved", "dispatched")
        assert "hitl_required" == await server.verdict("repo.other")
        first = await server.policies()
        assert (None, ["ours"]) == (first["problem"], first["policies"])

        file(tmp_path, rule("merges", "deny", "repo.merge"))

        async def taken() -> bool:
            return bool(first["digest"] != (await server.policies())["digest"])

        await until(taken)
        second = await server.policies()
        assert "deny" == second["rules"][0]["verdict"]
        assert "rejected" == await server.verdict("repo.merge")

        path.write_text(path.read_text().replace("verdict: deny", "verdict: perhaps"))

        async def noticed() -> bool:
            return (await server.policies())["problem"] is not None

        await until(noticed)
        third = await server.policies()
        assert second["digest"] == third["digest"]
        assert f"{path}, line 3: rules[0].verdict: must be one of" in third["problem"]
        assert "rejected" == await server.verdict("repo.merge")
        ready = await server.agent.get("/readyz")
        assert 200 == ready.status_code
        assert ["policy files are wrong" in one for one in ready.json()["warnings"]] == [True]
        assert 1 == server.process.log.count("policies.wrong")


async def test_a_wrong_policy_stops_the_start_with_file_line_and_key(sqlite_url: str, tmp_path: Path) -> None:
    path = file(tmp_path, rule("a", "deny", "x.y"), rule("a", "deny", "x.z"))
    arguments = ("serve", "--port", "0", "--database", sqlite_url)
    status, _, error = await run_assent(*arguments, environment={"POLICIES_DIR": str(tmp_path)})
    assert 1 == status
    assert f"{path}, line 4: rules[1].name: is the name of an earlier rule" in error


async def test_a_tenant_reads_the_rules_that_can_concern_it(server: Server, tmp_path: Path) -> None:
    clients = [await server.client("reviewer", tenant) for tenant in TENANTS]
    apart = [rule(f"t{n}", "deny", "x.z", f", tenant: {tenant}") for n, tenant in enumerate(TENANTS)]
    file(tmp_path, rule("all", "deny", "x.y"), *apart)
    server.services.policies.current = load_policies(str(tmp_path)).current
    for n, client in enumerate(clients):
        answer = await client.http.get("/policies", headers={"X-Tenant-ID": TENANTS[n]})
        assert ["all", f"t{n}"] == [one["name"] for one in answer.json()["rules"]]


@pytest.mark.parametrize(("scope", "status"), [("agent", 403), ("executor", 403), ("reviewer", 200), ("admin", 200)])
async def test_policies_are_read_by_reviewers_and_admins(server: Server, scope: Any, status: int) -> None:
    client = await server.client(scope)
    assert client.principal is not None
    answer = await client.http.get("/policies", headers={"X-Tenant-ID": client.principal.tenant_id})
    assert status == answer.status_code


async def post(here: World, policies: Policies, operations: list[str]) -> list[str]:
    guarded = GuardedTasks(
        here.database, here.gate, here.views, here.keys, here.sources, here.ring, here.hub, policies, "http://localhost"
    )
    return [
        await guarded.open(
            here.agent, WantedTask(one, {"n": n}, "bot:1", here.source_id), None, lambda task: task.task_id
        )
        for n, one in enumerate(operations)
    ]


async def test_past_tasks_come_page_by_page_as_they_were_asked(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_tasks, "PAGE", 2)
    ids = await post(here, Policies(PolicySet()), ["a.b"] * 5)
    past, tenants = past_tasks.PastTasks(here.database), [here.agent.tenant_id]
    found = [task async for page in past.pages(tenants, 0) for task in page]
    assert sorted(ids) == sorted(task.task_id for task in found)
    assert [0, 1, 2, 3, 4] == sorted(task.operation.payload["n"] for task in found)
    first = found[0].operation
    assert ("a.b", "bot:1", here.source_id) == (first.operation, first.requested_by, first.source_id)
    assert 5 == await past.count(tenants, 0)
    assert 0 == await past.count(tenants, await past.now() + 60_000)
    assert [] == [page async for page in past.pages([TENANTS[0]], 0)]


async def test_a_simulation_shows_which_verdicts_would_be_others(sqlite_url: str, tmp_path: Path) -> None:
    file(tmp_path, rule("merges", "allow", "repo.merge"))
    async with world(sqlite_url) as here:
        await here.settle_in()
        ids = await post(here, load_policies(str(tmp_path)), ["repo.merge", "repo.push", "repo.push"])
    file(tmp_path, rule("merges", "deny", "repo.merge"))
    arguments = ("policy", "simulate", "--policies", str(tmp_path), "--database", sqlite_url)
    status, lines, error = await run_assent(*arguments, "--json")
    assert 0 == status, error
    change, summary = map(json.loads, lines.splitlines())
    assert (ids[0], "allow", "deny", ["ours/merges"]) == (
        change["task_id"],
        change["was"],
        change["now"],
        change["rules"],
    )
    assert (3, 1) == (summary["tasks"], summary["changed"])
    assert {"was": "require", "now": "require", "count": 2} in summary["verdicts"]
    status, text, _ = await run_assent(*arguments)
    assert "3 tasks in 7d: 1 would get another verdict." in text
    assert "allow → deny: 1" in text
