"""Sources and who may ask: keys, shapes of errors."""

from __future__ import annotations

from tests.conformance.executors.target import Target, error


def test_a_source_is_made_read_and_listed(target: Target) -> None:
    made = target.http.post("/sources", json={"name": "Deploys", "delivery": {"mode": "PULL_ONLY"}})
    assert 201 == made.status_code
    found = made.json()
    assert {"id", "name", "created_at", "delivery"} <= set(found)
    assert "PULL_ONLY" == found["delivery"]["mode"]
    assert found["id"] == target.http.get(f"/sources/{found['id']}").json()["id"]
    assert found["id"] in [one["id"] for one in target.http.get("/sources").json()["items"]]


def test_a_key_comes_in_either_header(target: Target) -> None:
    assert target.http.get("/sources").json() == target.bearer.get("/sources").json()


def test_nothing_is_answered_without_a_key(target: Target, source: str) -> None:
    for address in ("/sources", f"/sources/{source}", f"/sources/{source}/decision-events", "/review-tasks"):
        assert (401, "UNAUTHORIZED") == error(target.nobody.get(address)), address
    for address in ("/sources", "/review-tasks"):
        assert (401, "UNAUTHORIZED") == error(target.nobody.post(address, json={})), address


def test_a_wrong_key_is_no_key(target: Target) -> None:
    assert (401, "UNAUTHORIZED") == error(target.nobody.get("/sources", headers={"X-API-Key": "ak_" + "x" * 43}))


def test_what_is_not_there_is_not_found(target: Target, source: str) -> None:
    for address in ("/sources/src_none", "/review-tasks/none", "/sources/src_none/decision-events"):
        assert (404, "NOT_FOUND") == error(target.http.get(address)), address


def test_a_wrong_body_is_a_validation_error(target: Target) -> None:
    assert (400, "VALIDATION_ERROR") == error(target.http.post("/sources", json={}))
    assert (400, "VALIDATION_ERROR") == error(target.http.post("/sources", content=b"{"))
