"""Who may decide: what cannot be established does not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotAReviewer, Refused, SelfApproval
from core.model import Identity, Policy
from core.persons import Person
from core.policy import ANONYMOUS_ADMIN, check_entry, default_policy, names, refusal, who_may

ONE = Identity(platform="slack", user_id="U1", team="T1", verified=True)
LINK = Identity(platform="link", user_id="holder")


def judged(
    policy: Policy, identity: Identity, *, in_channel: bool = False, requested_by: str | None = None
) -> type[Refused] | None:
    found = refusal(policy, identity, in_channel=in_channel, requested_by=requested_by)
    return None if found is None else type(found)


def test_a_member_of_the_channel_may_decide_by_default() -> None:
    assert judged(Policy(), ONE, in_channel=True) is None


def test_somebody_outside_the_channel_may_not() -> None:
    assert NotAReviewer is judged(Policy(), ONE)


def test_a_guest_from_another_workspace_may_not_though_in_the_channel() -> None:
    guest = Identity(platform="slack", user_id="U1", verified=True, foreign=True)
    assert NotAReviewer is judged(Policy(), guest, in_channel=True)
    assert NotAReviewer is judged(Policy(any_of=("slack:U1",)), guest, in_channel=True)


def test_whoever_holds_the_link_may_decide_only_where_the_policy_lists_link() -> None:
    assert judged(Policy(), LINK) is None
    assert NotAReviewer is judged(Policy(any_of=("channel", "slack:U1")), LINK)


def test_a_named_reviewer_must_be_vouched_for_by_the_platform() -> None:
    claimed = Identity(platform="slack", user_id="U1", verified=False)
    assert judged(Policy(any_of=("slack:U1",)), ONE) is None
    assert NotAReviewer is judged(Policy(any_of=("slack:U1",)), claimed)


def test_a_name_on_one_platform_is_nobody_on_another() -> None:
    assert NotAReviewer is judged(Policy(any_of=("telegram:U1",)), ONE)


@pytest.mark.parametrize("requested_by", ["slack:U1", "slack:T1:U1"])
def test_the_requester_is_refused_under_either_name_even_when_listed(requested_by: str) -> None:
    policy = Policy(any_of=("slack:U1", "channel"), exclude_requester=True)
    assert SelfApproval is judged(policy, ONE, in_channel=True, requested_by=requested_by)


def test_the_requester_may_answer_where_the_policy_does_not_exclude_them() -> None:
    assert judged(Policy(), ONE, in_channel=True, requested_by="slack:U1") is None


def test_anonymous_admins_are_nobody() -> None:
    anonymous = Identity(platform="telegram", user_id=ANONYMOUS_ADMIN, verified=True)
    named = Policy(any_of=("channel", f"telegram:{ANONYMOUS_ADMIN}"))
    assert NotAReviewer is judged(named, anonymous, in_channel=True)


@given(
    st.builds(Identity, platform=st.text(), user_id=st.text(), verified=st.booleans(), foreign=st.booleans()),
    st.booleans(),
)
def test_a_policy_that_lists_nobody_lets_nobody_decide(identity: Identity, in_channel: bool) -> None:
    assert NotAReviewer is judged(Policy(any_of=()), identity, in_channel=in_channel)


@given(st.builds(Identity, platform=st.text(), user_id=st.text(), team=st.none() | st.text(), foreign=st.booleans()))
def test_a_claimed_identity_outside_channel_and_link_never_decides(identity: Identity) -> None:
    policy = Policy(any_of=("channel", "link", identity.address, identity.key))
    expected = None if identity.platform == "link" else NotAReviewer
    assert expected is judged(policy, identity)


@pytest.mark.parametrize("entry", ["channel", "link", "slack:U123", "telegram:77", "telegram:-1001/5"])
def test_what_a_policy_may_list(entry: str) -> None:
    assert entry == check_entry(entry, field="reviewers.any_of[0]")


@pytest.mark.parametrize("entry", ["", "slack", "slack:", "email:a@b", "everybody", "Channel", ":U1"])
def test_what_a_policy_may_not_list(entry: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_entry(entry, field="reviewers.any_of[0]")
    assert "reviewers.any_of[0]" == caught.value.details["field"]


def test_agreeing_with_oneself_is_excluded_where_it_would_be_worthless() -> None:
    assert [True, True, False, False, False] == [
        default_policy(kind).exclude_requester
        for kind in ("approval", "escalation", "confirmation", "selection", "input")
    ]


def test_a_refusal_says_who_may() -> None:
    found = refusal(Policy(any_of=("link", "slack:U7")), ONE, in_channel=True, requested_by=None)
    assert found is not None
    assert "whoever holds the review link or slack:U7" == who_may(Policy(any_of=("link", "slack:U7")))
    assert who_may(Policy(any_of=("link", "slack:U7"))) in found.message


@pytest.mark.parametrize("theirs", ["", "T0ONE/", "T0TWO/"])
@pytest.mark.parametrize("named", ["", "T0ONE/", "T0TWO/"])
@pytest.mark.parametrize("kind", ["U0ADA", "S0LEADS"])
def test_nobody_is_taken_for_somebody_of_another_workspace(named: str, theirs: str, kind: str) -> None:
    """Neither a person nor a user group, and without a workspace it is the default one's."""
    identity = Identity("slack", f"{theirs}U0ADA", team=theirs.rstrip("/") or "T0HOME", verified=True)
    person = Person(identity, groups=frozenset({f"slack:{theirs}S0LEADS"}))
    assert (named == theirs) is names(Policy((f"slack:{named}{kind}",)), person)
