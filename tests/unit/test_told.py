"""Where a text tells a time, and where it only seems to."""

from __future__ import annotations

from core.told import Moment, parted

TENTH = Moment(1_791_626_400_000, "10 Oct 2026, 10:00 UTC")
FIRST = Moment(1_790_848_800_000, "1 Oct 2026, 10:00 UTC")


def test_a_text_is_parted_where_its_times_stand() -> None:
    assert ["Until ", TENTH, " Ada answers."] == list(parted(f"Until {TENTH.text} Ada answers.", [TENTH]))
    assert [TENTH] == list(parted(TENTH.text, [TENTH]))
    assert ["Nothing"] == list(parted("Nothing", []))
    assert [] == list(parted("", [TENTH]))


def test_the_order_of_the_times_says_nothing() -> None:
    text = f"{FIRST.text} and {TENTH.text}"
    assert [FIRST, " and ", TENTH] == list(parted(text, [TENTH, FIRST])) == list(parted(text, [FIRST, TENTH]))


def test_a_time_that_was_cut_is_text() -> None:
    assert ["Until 10 Oct 2026, 10:0…"] == list(parted("Until 10 Oct 2026, 10:0…", [TENTH]))


def test_the_end_of_another_time_is_none() -> None:
    assert [f"Until 2{FIRST.text}"] == list(parted(f"Until 2{FIRST.text}", [FIRST]))
    assert [f"{FIRST.text}4"] == list(parted(f"{FIRST.text}4", [FIRST]))


def test_each_time_is_shown_once_however_often_somebody_writes_its_words() -> None:
    text = f"Approved, {TENTH.text}. Reason: " + f"{TENTH.text} " * 50
    found = list(parted(text, [TENTH]))
    assert ["Approved, ", TENTH, text[len("Approved, ") + len(TENTH.text) :]] == found
    assert text == "".join(one.text if isinstance(one, Moment) else one for one in found)
    assert 2 == sum(isinstance(one, Moment) for one in parted(text, [TENTH, TENTH]))


def test_the_words_of_a_time_are_no_pattern() -> None:
    zoned = Moment(TENTH.at, "10 Oct 2026, 12:00 (Europe/Berlin)")
    assert ["Until ", zoned] == list(parted(f"Until {zoned.text}", [zoned]))
    assert ["10 Oct 2026, 12:00 Europe/Berlin"] == list(parted("10 Oct 2026, 12:00 Europe/Berlin", [zoned]))
