"""The books of the fault bench: what is lost, doubled or miscounted is found."""

from __future__ import annotations

import pytest

from kiosk.bench.tally import Tally
from kiosk.signaling.messages import CallType, Priority, RequestView


def line(request_id: str, *, bed: str = "bed-1", presses: int = 1) -> RequestView:
    """A request as a board shows it."""
    return RequestView(
        request_id=request_id,
        bed_user=bed,
        ward="",
        room="",
        bed="",
        priority=Priority.NORMAL,
        presses=presses,
        call_type=CallType.VIDEO,
        age=0,
        state="waiting",
    )


@pytest.fixture
def tally() -> Tally:
    """One request, pressed once at 10 s."""
    tally = Tally()
    tally.press("bed-1", "r1", 1, at=10.0)
    return tally


def test_a_request_on_the_board_is_neither_lost_nor_double(tally: Tally) -> None:
    tally.see([line("r1")], at=10.2)
    assert tally.wrong == ""
    assert tally.is_there("r1")
    assert (tally.presses, tally.seen) == (1, 1)
    assert tally.delays_ms == [pytest.approx(200)]


def test_a_request_that_never_came_to_the_desk_is_lost(tally: Tally) -> None:
    tally.see([], at=10.2)
    assert tally.lost == ["r1"]
    assert tally.wrong == "1 lost (r1)"
    assert not tally.is_there("r1")


def test_a_request_that_comes_only_after_it_was_given_up_is_lost(tally: Tally) -> None:
    tally.give_up("r1")
    tally.see([line("r1")], at=900.0)
    assert tally.lost == ["r1"]


def test_a_request_that_left_the_board_unattended_is_not_there(tally: Tally) -> None:
    tally.see([line("r1")], at=10.2)
    tally.see([], at=10.3)
    assert not tally.is_there("r1")
    assert not tally.lost


def test_the_first_board_with_a_request_counts(tally: Tally) -> None:
    tally.see([line("r1")], at=10.2)
    tally.see([line("r1")], at=99.0)
    assert tally.delays_ms == [pytest.approx(200)]


def test_repeated_presses_merge_and_must_all_arrive(tally: Tally) -> None:
    tally.press("bed-1", "r1", 2, at=11.0)
    tally.see([line("r1")], at=11.2)
    assert not tally.is_there("r1")
    assert tally.wrong == "1 with a wrong number of presses (r1)"
    tally.see([line("r1", presses=2)], at=11.3)
    assert tally.is_there("r1")
    assert tally.wrong == ""
    assert tally.presses == 2


def test_a_press_counted_twice_at_the_desk_is_found(tally: Tally) -> None:
    tally.see([line("r1", presses=2)], at=10.2)
    assert tally.miscounted == ["r1"]


def test_a_request_nobody_asked_for_is_double(tally: Tally) -> None:
    tally.see([line("r1"), line("r9", bed="bed-9")], at=10.2)
    assert tally.wrong == "1 double (r9)"


def test_a_request_on_the_board_before_it_was_on_the_disk_is_not_double(tally: Tally) -> None:
    tally.see([line("r1"), line("r9", bed="bed-9")], at=10.2)
    tally.press("bed-9", "r9", 1, at=10.1)
    tally.see([line("r1"), line("r9", bed="bed-9")], at=10.3)
    assert tally.wrong == ""


def test_two_requests_of_one_bed_on_a_board_are_double(tally: Tally) -> None:
    tally.press("bed-1", "r2", 1, at=10.1)
    tally.see([line("r1"), line("r2")], at=10.2)
    assert tally.doubles == {"r2"}


def test_a_closed_request_that_comes_back_is_double(tally: Tally) -> None:
    tally.see([line("r1")], at=10.2)
    tally.close("r1")
    tally.see([line("r1")], at=10.3)
    assert tally.left_over == ["r1"]
    tally.see([], at=10.4)
    assert tally.wrong == ""
    tally.see([line("r1")], at=10.5)
    assert tally.doubles == {"r1"}


def test_what_is_still_open_at_the_end_is_not_left_over(tally: Tally) -> None:
    tally.see([line("r1")], at=10.2)
    assert not tally.left_over
