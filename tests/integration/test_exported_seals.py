"""Exported seals: a ledger whose end was cut off with all that hung on it agrees with itself, and not with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.exported_seals import Seal, newest_seals, read_seals
from core.oracles import EXPORTED, Oracles
from core.sealing import KeyRing
from tests.support.gates import SECRET, World, as_superuser, world
from tests.support.process import SECRET as SERVED
from tests.support.process import run_assent

LEDGER = {"human_interactions": "position", "decision_events": "position", "seals": "last_position"}
# Everything that a case hangs on: whoever cuts it out leaves no case that nobody decided.
OF_CASES = ("decisions", "case_events", "case_tokens", "cards", "cases")


async def decided(here: World, times: int = 1) -> None:
    for _ in range(times):
        await here.answer(await here.open(), "approve")
    await here.seal()


async def cut_back_to(here: World, seal: Seal) -> None:
    """As if nothing had ever happened after this seal: rows, cases, seals and the chain's head."""
    gone = f"SELECT case_id FROM human_interactions WHERE position > {seal.last_position}"
    cases = [f"'{row['case_id']}'" for row in await here.rows("cases", f"case_id IN ({gone})")]
    await as_superuser(
        here.url,
        *(f"DELETE FROM {table} WHERE {column} > {seal.last_position}" for table, column in LEDGER.items()),
        *(f"DELETE FROM {table} WHERE case_id IN ({', '.join(cases)})" for table in OF_CASES),
        f"UPDATE chains SET position = {seal.last_position}, seal_no = {seal.seal_no}, "
        f"chain_hash = '{seal.chain_hash}' WHERE tenant_id = '{seal.tenant_id}'",
    )


async def test_a_tail_that_was_cut_with_all_that_hangs_on_it_shows_against_exported_seals_alone(here: World) -> None:
    await decided(here, 3)
    (early,) = await newest_seals(here.database)
    await decided(here, 3)
    (late,) = await newest_seals(here.database)
    oracles = Oracles(here.database, here.ring)
    assert [] == await oracles.findings([early, late])
    await cut_back_to(here, early)
    assert [] == await oracles.findings(), "nothing in the database shows it"
    assert [] == await oracles.findings([early])
    (finding,) = await oracles.findings([early, late])
    assert (EXPORTED, late.name) == (finding.oracle, finding.key)
    assert "cut off" in finding.detail


async def test_history_that_went_on_after_the_cut_shows_too(here: World) -> None:
    await decided(here)
    (early,) = await newest_seals(here.database)
    await decided(here, 2)
    (late,) = await newest_seals(here.database)
    await cut_back_to(here, early)
    await decided(here, 2)
    (finding,) = await Oracles(here.database, here.ring).findings([late])
    assert (late.name, "the ledger has another seal in its place") == (finding.key, finding.detail)


async def test_an_exported_seal_that_was_altered_or_that_nobody_here_signed_is_no_witness(on_sqlite: World) -> None:
    here = on_sqlite
    await decided(here)
    (seal,) = await newest_seals(here.database)
    oracles = Oracles(here.database, here.ring)
    for changed in (replace(seal, last_position=1), replace(seal, signature="00"), replace(seal, seal_no=9)):
        assert ["the signature of this seal is wrong"] == [one.detail for one in await oracles.findings([changed])]
    stranger = replace(seal, key_id="0" * 16)
    assert "not known" in (await oracles.findings([stranger]))[0].detail
    rotated = Oracles(here.database, KeyRing(["the secret of the next year", SECRET]))
    assert [] == await rotated.findings([seal])


async def test_each_tenant_has_its_newest_seal(here: World) -> None:
    await decided(here)
    _, other = await here.keys.create("agent", "6b1f7a52-90c7-4d0f-8a52-6f5f0c0f7a99")
    assert 1 == len(await newest_seals(here.database))
    here.agent, here.source_id = other, await here.new_source(other)
    await decided(here)
    await decided(here)
    found = await newest_seals(here.database)
    assert 2 == len({seal.tenant_id for seal in found}) == len(found)
    assert {1, 2} == {seal.seal_no for seal in found}


def test_a_file_of_seals_is_read_strictly() -> None:
    good = Seal("t1", 1, 4, "ab", 5, "k", "cd")
    assert [good, good] == read_seals([good.line().encode(), b"", good.line().encode(), b"\n"])
    for line, words in (
        (b"no JSON", "line 2: malformed JSON"),
        (b"{}", "line 2: tenant_id must be text"),
        (good.line().replace("4", '"4"').encode(), "line 2: last_position must be a whole number"),
        (good.line().replace("4", "true").encode(), "line 2: last_position must be a whole number"),
        (json.dumps({**json.loads(good.line()), "x": 1}).encode(), "line 2: x is not something that a seal has"),
    ):
        with pytest.raises(InvalidInput, match=words):
            read_seals([good.line().encode(), line])


@pytest.fixture
async def served(sqlite_url: str) -> AsyncIterator[World]:
    async with world(sqlite_url, secrets=(SERVED,)) as here:
        yield here


async def test_the_command_line_adds_seals_to_a_file_and_holds_a_ledger_against_it(
    served: World, tmp_path: Path
) -> None:
    file, database = str(tmp_path / "seals.jsonl"), ("--database", served.url)
    await decided(served, 2)
    (early,) = await newest_seals(served.database)
    assert 0 == (await run_assent("seals", "export", file, *database))[0]
    await decided(served)
    status, _, words = await run_assent("seals", "export", file, *database)
    assert (0, "1 new, 2 in all") == (status, words.strip()[-len("1 new, 2 in all") :])
    assert 0 == (await run_assent("verify", "--seals", file, *database))[0]
    await cut_back_to(served, early)
    assert 0 == (await run_assent("verify", *database))[0]
    status, out, _ = await run_assent("verify", "--json", "--seals", file, *database)
    assert (1, EXPORTED) == (status, json.loads(out)["oracle"])
    Path(file).write_text("no seals\n", encoding="utf-8")
    status, _, words = await run_assent("verify", "--seals", file, *database)
    assert status == 1
    assert "line 1: malformed JSON" in " ".join(words.split())
