"""How chats are written down."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.model import Address
from core.persons import is_user_group
from core.recipients import address, people, reviewer


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("slack:C0123456789", "C0123456789"),
        ("slack:U0123456789", "U0123456789"),
        ("slack:#oncall", "#oncall"),
        ("slack:T0123456789/C0123456789", "T0123456789/C0123456789"),
        ("slack:T0123456789/U0123456789", "T0123456789/U0123456789"),
        ("slack:T0123456789/#oncall", "T0123456789/#oncall"),
        ("slack:#ops_eu-1.old", "#ops_eu-1.old"),
        ("slack:#büro", "#büro"),
        ("slack:#障害", "#障害"),
        ("slack:#" + "x" * 80, "#" + "x" * 80),
        ("telegram:-1001/7", "-1001/7"),
    ],
)
def test_a_chat_is_an_id_or_the_name_of_a_slack_channel(text: str, channel: str) -> None:
    found = address(text, field="notify")

    assert Address(text.split(":")[0], channel) == found
    assert text == str(found)


@pytest.mark.parametrize(
    "name",
    ["", "On-Call", "on call", "on#call", "x" * 81, "a:b", "a/b", "a\n", "<!here>", "a\u200bb", "BÜRO", "a\u0000"],
)
def test_what_can_be_no_channels_name_is_told_the_alphabet(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^notify\[0\]: .*1 to 80 lowercase letters") as raised:
        address(f"slack:#{name}", field="notify[0]")

    assert "notify[0]" == raised.value.details["field"]


@pytest.mark.parametrize(
    "text",
    [
        "oncall", "#oncall", "slack:oncall", "slack:", "telegram:#oncall", "teams:C1", "", "slack:C1/C2", "slack:T1/",
        "slack:T1/T2/C3", "slack:t1/C2",
    ],
)  # fmt: skip
def test_anything_else_is_told_the_forms(text: str) -> None:
    with pytest.raises(InvalidInput, match="slack:#<channel name>"):
        address(text, field="notify")


@pytest.mark.parametrize("entry", ["slack:S0GROUP", "slack:T0PARTNER/S0GROUP", "slack:U0ONE", "slack:T0PARTNER/U0ONE"])
def test_people_and_user_groups_are_named_with_their_workspace_or_are_of_the_default_one(entry: str) -> None:
    assert entry == reviewer(entry, field="any_of") == people(entry, field="mention")
    assert is_user_group(entry) is ("S0GROUP" in entry)


@pytest.mark.parametrize("entry", ["slack:T0/", "slack:/S0GROUP", "slack:T0/T1/S2", "slack:t0/S0GROUP", "slack:E0/S0G"])
def test_nothing_else_is_a_user_group(entry: str) -> None:
    with pytest.raises(InvalidInput, match="any_of"):
        reviewer(entry, field="any_of")


def test_a_reviewer_is_no_channels_name() -> None:
    with pytest.raises(InvalidInput, match="any_of"):
        reviewer("slack:#oncall", field="any_of")
