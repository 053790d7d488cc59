"""Presses at the pin, tap by tap: what bounced, what the machine stretched, what a kill took with it."""

from __future__ import annotations

import pytest

from kiosk.bench.taps import Life

BOUNCE_S = 0.04


@pytest.fixture
def life() -> Life:
    """A bed that has just started."""
    return Life(BOUNCE_S)


def tapped(life: Life, tap: int, *, at: float, seen: int = 1, kept: int = 1) -> None:
    """A tap of 5 ms with one bounce, seen by its bed and kept so often."""
    life.finger(tap, at=at - 0.001)
    for after, made in ((0.0, True), (0.001, False), (0.002, True), (0.007, False)):
        life.edge(tap, made, at=at + after)
    for _ in range(seen):
        life.saw(at)
    if kept:
        life.came_on_disk(kept)


def stretched(life: Life, tap: int, *, at: float, seen: tuple[float, ...]) -> None:
    """A tap whose finger the machine held up for 50 ms in the middle of its chatter."""
    life.finger(tap, at=at - 0.001)
    for after, made in ((0.0, True), (0.001, False), (0.051, True), (0.056, False)):
        life.edge(tap, made, at=at + after)
    for after in seen:
        life.saw(at + after)
    life.came_on_disk(len(seen))


def test_taps_seen_and_kept_once_each_add_up(life: Life) -> None:
    tapped(life, 1, at=10.0)
    tapped(life, 2, at=10.2)
    life.ends(killed=False)
    assert life.wrong == []
    assert (life.at_the_pin, life.on_disk) == (2, 2)


def test_bounce_that_is_seen_as_a_second_press_is_found(life: Life) -> None:
    tapped(life, 1, at=10.0, seen=2, kept=2)
    life.ends(killed=False)
    assert life.wrong == ["tap 1: one contact was seen as 2 presses", "1 presses at the pin, 2 on the disk"]


def test_a_tap_that_is_not_seen_is_found(life: Life) -> None:
    tapped(life, 1, at=10.0, seen=0, kept=0)
    life.ends(killed=False)
    assert life.wrong == ["tap 1: not seen", "1 presses at the pin, 0 on the disk"]


def test_two_taps_of_which_one_was_seen_twice_and_one_never_do_not_make_up_for_each_other(life: Life) -> None:
    tapped(life, 1, at=10.0, seen=2, kept=2)
    tapped(life, 2, at=10.2, seen=0, kept=0)
    life.ends(killed=False)
    assert life.wrong == ["tap 1: one contact was seen as 2 presses", "tap 2: not seen"]


def test_a_press_that_is_seen_and_never_comes_on_the_disk_is_found(life: Life) -> None:
    tapped(life, 1, at=10.0, kept=0)
    life.ends(killed=False)
    assert life.wrong == ["1 presses at the pin, 0 on the disk"]


def test_a_press_nobody_made_is_found(life: Life) -> None:
    life.edge(1, False, at=9.0)  # a bed that starts with the button at rest
    tapped(life, 1, at=10.0)
    life.saw(10.5)
    life.ends(killed=False)
    assert life.wrong == ["a press at 10.500 s without a tap"]


def test_a_press_seen_while_the_button_is_still_down_is_of_that_tap(life: Life) -> None:
    life.finger(1, at=10.0)
    life.saw(11.0)
    life.came_on_disk(1)
    life.ends(killed=False)
    assert life.wrong == []


def test_a_tap_stretched_beyond_the_bounce_time_is_two_presses(life: Life) -> None:
    stretched(life, 1, at=10.0, seen=(0.0, 0.051))
    life.ends(killed=False)
    assert life.wrong == []
    assert life.at_the_pin == 2


@pytest.mark.parametrize("seen", [(0.0,), (0.051,)])
def test_a_stretched_tap_that_was_seen_once_is_found(life: Life, seen: tuple[float, ...]) -> None:
    stretched(life, 1, at=10.0, seen=seen)
    life.ends(killed=False)
    assert life.wrong == ["tap 1: not seen", "2 presses at the pin, 1 on the disk"]


def test_a_kill_may_take_the_tap_under_way_with_it(life: Life) -> None:
    tapped(life, 1, at=10.0)
    tapped(life, 2, at=10.2, kept=0)
    life.ends(killed=True)
    assert life.wrong == []
    assert (life.at_the_pin, life.on_disk) == (1, 1)


def test_a_press_seen_by_the_level_just_before_the_finger_s_own_word_is_of_that_tap(life: Life) -> None:
    tapped(life, 1, at=10.0)
    tapped(life, 2, at=10.2, seen=0)
    life.saw(10.19)
    life.ends(killed=False)
    assert life.wrong == []


def test_the_journal_of_a_killed_bed_may_have_the_tap_it_did_not_come_to_speak_of(life: Life) -> None:
    life.finger(1, at=10.0)
    life.ends(killed=True, found=1)
    assert life.wrong == []
    assert (life.at_the_pin, life.on_disk) == (1, 1)


def test_a_kill_takes_no_tap_that_was_said_to_be_on_the_disk(life: Life) -> None:
    tapped(life, 1, at=10.0)
    life.ends(killed=True, found=-1)
    assert life.wrong == ["1 presses were on the disk and are not"]


def test_a_kill_takes_no_tap_before_the_last(life: Life) -> None:
    tapped(life, 1, at=10.0, kept=0)
    tapped(life, 2, at=10.2, kept=0)
    life.ends(killed=True)
    assert life.wrong == ["1 presses at the pin, 0 on the disk"]


def test_a_journal_with_more_presses_than_were_made_is_found(life: Life) -> None:
    tapped(life, 1, at=10.0)
    life.ends(killed=True, found=1)
    assert life.wrong == ["1 presses at the pin, 2 on the disk"]


def test_a_bed_killed_before_its_first_tap_has_nothing_wrong(life: Life) -> None:
    life.ends(killed=True)
    assert life.wrong == []
    assert life.at_the_pin == 0
