"""How the protection of the sent voice follows what the seat reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kiosk.media.sent_voice import (
    LEAST_BIT_RATE,
    LEAST_EXPECTED,
    MOST_BIT_RATE,
    MOST_EXPECTED,
    Protection,
    reported,
    strongest,
)

TEN_PER_CENT = 26
REPORTS = st.lists(st.integers(0, 255), max_size=50)


def after(*fractions: int) -> Protection:
    protection = Protection()
    for fraction in fractions:
        protection = reported(protection, fraction_lost=fraction)
    return protection


def test_a_new_call_is_protected_before_the_first_report() -> None:
    assert Protection().expected == LEAST_EXPECTED
    assert Protection().bit_rate == LEAST_BIT_RATE


def test_loss_counts_at_once_and_is_forgotten_slowly() -> None:
    assert after(TEN_PER_CENT).expected == 10
    assert after(TEN_PER_CENT, 0).expected == 8
    assert after(TEN_PER_CENT, *[0] * 20).expected == LEAST_EXPECTED


def test_more_loss_gets_more_bits_up_to_a_bound() -> None:
    assert LEAST_BIT_RATE < after(TEN_PER_CENT).bit_rate < MOST_BIT_RATE
    assert after(128).bit_rate == MOST_BIT_RATE
    assert after(255).expected == MOST_EXPECTED


@given(REPORTS)
def test_whatever_is_reported_stays_within_the_bounds(fractions: list[int]) -> None:
    protection = after(*fractions)
    assert LEAST_EXPECTED <= protection.expected <= MOST_EXPECTED
    assert LEAST_BIT_RATE <= protection.bit_rate <= MOST_BIT_RATE


@given(REPORTS, st.integers(0, 254))
def test_a_worse_report_never_lowers_the_protection(fractions: list[int], fraction: int) -> None:
    before = after(*fractions)
    better, worse = (reported(before, fraction_lost=lost) for lost in (fraction, fraction + 1))
    assert worse.loss >= better.loss


def test_of_several_paths_the_one_that_loses_most_decides() -> None:
    good, bad = Protection(), Protection(20.0)
    assert strongest([good, bad, good]) == bad


def test_nobody_needs_no_more_than_the_usual_protection() -> None:
    assert strongest([]) == Protection()
