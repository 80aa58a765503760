"""What a payload from Slack says, and who it is that tapped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.calls import Workspace
from adapters.slack.directory import profile_of
from adapters.slack.payloads import Tapped, identity_of, read_tap

HOME = Workspace(team="T0HOME", team_name="Home", enterprise="", bot_user="U0BOT", bot_name="assent")
ORGANISATION = replace(HOME, enterprise="E0ORG")


def a_payload(**fields: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {"id": "U1", "name": "reviewer.one", "username": "reviewer.one", "team_id": "T0HOME"},
        "team": {"id": "T0HOME", "domain": "home"},
        "enterprise": None,
        "trigger_id": "1.2.abc",
        "channel": {"id": "C1", "name": "approvals"},
        "container": {"type": "message", "message_ts": "10.5", "channel_id": "C1"},
        "response_url": "https://hooks.slack.com/actions/x",
        "actions": [
            {
                "action_id": "assent:approve",
                "value": "a:cardcardcardcardcard_1:approve",
                "action_ts": "11.0",
                "type": "button",
            }
        ],
    }
    return payload | fields


def tapped(**fields: Any) -> Tapped:
    found = read_tap(a_payload(**fields))
    assert found is not None
    return found


def test_a_tap_names_the_card_the_action_the_person_and_the_place() -> None:
    found = tapped()

    assert ("cardcardcardcardcard_1", "approve") == (found.card_id, found.action)
    assert ("U1", "reviewer.one", "C1", "10.5") == (found.who.user, found.who.name, found.place.channel, found.message)
    assert "1.2.abc" == found.delivery_id


def test_a_tap_without_a_trigger_is_told_apart_by_its_time_person_and_place() -> None:
    first = tapped(trigger_id="")
    other = tapped(trigger_id="", user={"id": "U2", "team_id": "T0HOME"})

    assert "11.0:U1:C1:10.5" == first.delivery_id
    assert first.delivery_id != other.delivery_id
    assert first.delivery_id == tapped(trigger_id="").delivery_id


@pytest.mark.parametrize(
    "actions",
    [
        [],
        None,
        [None],
        ["assent:approve"],
        [{"action_id": "assent.review"}],
        [{"action_id": "somebody.elses", "value": "a:cardcardcardcardcard_1:approve"}],
        [{"action_id": "assent:approve"}],
        [{"action_id": "assent:approve", "value": "approve"}],
        [{"action_id": "assent:approve", "value": "a:short:approve"}],
        [{"action_id": "assent:approve", "value": "a:cardcardcardcardcard_1:approve\n"}],
        [{"action_id": "assent:approve", "value": "a:cardcardcardcardcard_1:"}],
    ],
)
def test_other_buttons_are_no_taps(actions: Any) -> None:
    assert read_tap(a_payload(actions=actions)) is None


def test_a_tap_without_a_person_or_a_place_is_none() -> None:
    assert read_tap(a_payload(user={})) is None
    assert read_tap(a_payload(channel=None, container={})) is None


def test_a_member_of_the_workspace_is_at_home() -> None:
    identity = identity_of(tapped().who, HOME)

    assert "slack:T0HOME:U1" == identity.key
    assert identity.verified
    assert not identity.foreign


def test_somebody_of_another_workspace_is_foreign() -> None:
    identity = identity_of(tapped(user={"id": "U1", "team_id": "T0OTHER"}).who, HOME)

    assert "T0OTHER" == identity.team
    assert identity.foreign


def test_somebody_of_a_sister_workspace_is_not() -> None:
    fields = {"user": {"id": "U1", "team_id": "T0SISTER"}, "team": {"id": "T0SISTER"}, "enterprise": {"id": "E0ORG"}}
    identity = identity_of(tapped(**fields).who, ORGANISATION)

    assert "E0ORG/T0SISTER" == identity.team
    assert not identity.foreign


def test_an_organisation_may_stand_in_the_place_of_a_workspace() -> None:
    assert not identity_of(tapped(user={"id": "U1", "team_id": "E0ORG"}).who, ORGANISATION).foreign
    assert identity_of(tapped(user={"id": "U1", "team_id": "E0OTHER"}).who, ORGANISATION).foreign
    assert identity_of(tapped(user={"id": "U1", "team_id": "E0ORG"}).who, HOME).foreign


def test_the_organisation_of_the_place_is_not_that_of_a_guest() -> None:
    """A guest taps in a channel of ours: the payload's organisation is ours, the guest's is unknown."""
    guest = tapped(user={"id": "U1", "team_id": "T0OTHER"}, enterprise={"id": "E0ORG"})

    assert identity_of(guest.who, ORGANISATION).foreign


def test_somebody_is_the_same_whether_or_not_slack_names_the_organisation() -> None:
    """Presses name it, profiles do not always."""
    pressed = tapped(enterprise={"id": "E0ORG"}).who
    known = profile_of({"id": "U1", "name": "reviewer.one", "team_id": "T0HOME"}).who

    assert "slack:E0ORG:U1" == identity_of(pressed, ORGANISATION).key == identity_of(known, ORGANISATION).key


@pytest.mark.parametrize("team", ["T0HOME", "T0SISTER", "E0ORG"])
def test_somebody_of_an_organisation_is_the_same_in_all_its_workspaces(team: str) -> None:
    fields = {"user": {"id": "U1", "team_id": team}, "team": {"id": team}, "enterprise": {"id": "E0ORG"}}

    assert "slack:E0ORG:U1" == identity_of(tapped(**fields).who, ORGANISATION).key


def test_who_says_nothing_of_a_workspace_taps_where_the_payload_says() -> None:
    assert not identity_of(tapped(user={"id": "U1"}).who, HOME).foreign
    assert identity_of(tapped(user={"id": "U1"}, team=None).who, HOME).foreign


@given(
    payload=st.dictionaries(
        st.sampled_from(["actions", "user", "team", "enterprise", "container", "channel", "trigger_id", "message"]),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["id", "action_id", "value", "team_id"]), inner),
            ),
            max_leaves=8,
        ),
    )
)
def test_no_payload_raises(payload: dict[str, Any]) -> None:
    read_tap(payload)
    read_tap(a_payload(**payload))


def test_a_tap_says_where_it_was_made_and_whether_that_can_be_the_card() -> None:
    thread = {"type": "message", "message_ts": "10.5", "channel_id": "C1", "thread_ts": "9.1"}
    private = {"type": "message", "message_ts": "10.5", "channel_id": "C1", "is_ephemeral": True}
    home = {"container": {"type": "view", "view_id": "V1"}, "view": {"type": "home"}, "channel": None}

    assert ("message", True) == (tapped().place.surface, tapped().is_card)
    assert tapped(container=thread | {"thread_ts": "10.5"}).is_card, "it has replies"
    assert ("message", False) == (tapped(container=thread).place.surface, tapped(container=thread).is_card)
    assert ("list", False) == (tapped(container=private).place.surface, tapped(container=private).is_card)
    assert ("home", False, "") == (tapped(**home).place.surface, tapped(**home).is_card, tapped(**home).place.channel)
    assert read_tap(a_payload(**home | {"view": {"type": "modal"}})) is None


@pytest.mark.parametrize(
    ("value", "edition", "asks"), [("", 0, None), (":4", 4, None), ("?de", 0, "de"), (":4?en", 4, "en")]
)
def test_a_button_says_whether_a_reason_is_asked_for_and_in_which_language(
    value: str, edition: int, asks: str | None
) -> None:
    action = {"action_id": "assent:reject", "value": f"a:cardcardcardcardcard_1:reject{value}", "action_ts": "11.0"}
    found = tapped(actions=[action])

    assert ("reject", edition, asks, "1.2.abc") == (found.action, found.edition, found.asks, found.trigger)
