"""A part that fails is started again, but not for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bedside.supervision import MAX_RESTARTS, WITHIN_S, Restarts, Verdict, ended


def verdicts(*times: float) -> list[Verdict]:
    restarts, told = Restarts(), []
    for at in times:
        restarts, verdict = ended(restarts, now=at)
        told.append(verdict)
    return told


def test_a_part_is_started_again_three_times_and_then_the_process_is() -> None:
    assert verdicts(1.0, 2.0, 3.0, 4.0) == [*[Verdict.RESTART] * MAX_RESTARTS, Verdict.GIVE_UP]


def test_what_lies_long_back_does_not_count() -> None:
    assert verdicts(0.0, 1.0, 2.0, 60.0) == [Verdict.RESTART] * 4
    assert verdicts(0.0, 1.0, 2.0, 59.9)[-1] is Verdict.GIVE_UP


@given(st.lists(st.floats(0.0, 30.0), max_size=50))
def test_there_are_never_more_restarts_in_a_minute_than_allowed(gaps: list[float]) -> None:
    restarts, at, restarted = Restarts(), 0.0, list[float]()
    for gap in gaps:
        at += gap
        restarts, verdict = ended(restarts, now=at)
        if verdict is Verdict.RESTART:
            restarted.append(at)
        assert len(restarts.at) <= MAX_RESTARTS, "what is remembered is bounded"
    for first in restarted:
        assert len([one for one in restarted if first <= one and one - first < WITHIN_S]) <= MAX_RESTARTS


@pytest.mark.parametrize("count", range(MAX_RESTARTS))
def test_a_seldom_fault_never_ends_the_process(count: int) -> None:
    assert Verdict.GIVE_UP not in verdicts(*[WITHIN_S / (count + 1) * number for number in range(100)])
