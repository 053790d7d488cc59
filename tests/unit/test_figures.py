"""A benchmark's figures: what was measured, and whether it keeps its budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.bench.figures import HEADLINE, Budget, Figure, percentile

BUDGET = Budget(must=200, aim=50)
FINITE = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("per_cent", "value"), [(0, 15), (5, 15), (20, 15), (21, 20), (30, 20), (40, 20), (50, 35), (95, 50), (100, 50)]
)
def test_a_percentile_is_that_of_the_nearest_rank(per_cent: float, value: float) -> None:
    assert percentile([35, 20, 15, 50, 40], per_cent) == value


def test_the_95th_percentile_of_100_forgives_five() -> None:
    assert percentile(range(1, 101), 95) == 95


def test_one_sample_is_every_percentile() -> None:
    assert [percentile([7.0], per_cent) for per_cent in (0, 50, 95, 100)] == [7.0] * 4


@given(samples=st.lists(FINITE, min_size=1), per_cent=st.floats(0, 100))
def test_at_least_so_many_per_cent_are_not_above_a_percentile(samples: list[float], per_cent: float) -> None:
    value = percentile(samples, per_cent)
    assert value in samples
    not_above = sum(sample <= value for sample in samples)
    assert not_above >= math.floor(per_cent / 100 * len(samples))
    assert sum(sample < value for sample in samples) <= per_cent / 100 * len(samples)


def test_a_figure_on_its_budget_keeps_it() -> None:
    assert not Figure("accept → picture", [200.0] * 20, BUDGET).missed


def test_one_slow_call_in_twenty_is_forgiven_and_two_are_not() -> None:
    assert not Figure("accept → picture", [10.0] * 19 + [999.0], BUDGET).missed
    assert Figure("accept → picture", [10.0] * 18 + [999.0] * 2, BUDGET).missed


@pytest.mark.parametrize("budget", [BUDGET, None])
def test_what_was_never_measured_is_missed(budget: Budget | None) -> None:
    figure = Figure("accept → picture", [], budget)
    assert figure.missed
    assert figure.row().split() == ["accept", "→", "picture", "never", "measured"]


def test_a_figure_without_a_budget_cannot_miss_it() -> None:
    assert not Figure("offer", [1e9]).missed


def test_a_row_tells_median_95th_percentile_maximum_and_budget() -> None:
    row = Figure("accept → picture", [30.0, 10.0, 20.0], BUDGET).row()
    assert row.split() == ["accept", "→", "picture", "20.0", "30.0", "30.0", "200", "50"]


def test_a_row_shows_the_baseline_beside_it() -> None:
    row = Figure("accept → picture", [10.0], baseline=[400.0, 500.0]).row()
    assert row.split() == ["accept", "→", "picture", "10.0", "10.0", "10.0", "400.0", "500.0"]


def test_a_missed_row_says_so() -> None:
    assert Figure("accept → picture", [201.0], BUDGET).row().endswith("MISSED")
    assert "MISSED" not in Figure("accept → picture", [200.0], BUDGET).row()


@pytest.mark.parametrize("budget", [BUDGET, None])
def test_cells_stand_under_their_headings(budget: Budget | None) -> None:
    row = Figure("accept → picture", [10.0], budget, baseline=[400.0]).row()
    assert len(row) == len(HEADLINE)
    assert row.index("10.0") + 4 == HEADLINE.index("p50") + 3
