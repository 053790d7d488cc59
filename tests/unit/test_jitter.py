"""How long sound waits: as long as nearly every packet makes, and one outage is no habit."""

from __future__ import annotations

import pytest

from kiosk.media.jitter import LATENESS_OF, LEAST_OF, MARGIN_S, Jitter


def arrive(jitter: Jitter, first: int, latenesses: list[float], *, path_s: float = 5.0) -> None:
    for number, late in enumerate(latenesses, first):
        jitter.arrived(at=number * 0.02 + path_s + late, transit_s=path_s + late)


def test_even_packets_make_nothing_wait() -> None:
    jitter = Jitter()
    assert not jitter
    arrive(jitter, 0, [0.0] * 100)
    assert jitter
    assert jitter.wait_s == pytest.approx(MARGIN_S)


def test_the_wait_is_what_nearly_all_packets_need() -> None:
    jitter = Jitter()
    arrive(jitter, 0, [0.03 if number % 10 == 0 else 0.0 for number in range(200)])
    assert jitter.wait_s == pytest.approx(0.03 + MARGIN_S)


def test_the_packets_of_one_burst_count_once() -> None:
    jitter = Jitter()
    arrive(jitter, 0, [0.0] * 200)
    for number in range(200, 215):
        jitter.arrived(at=4.3 + 5.0 + number * 1e-4, transit_s=5.0 + (215 - number) * 0.02)
    arrive(jitter, 216, [0.0] * 10)
    assert jitter.wait_s == pytest.approx(MARGIN_S)


def test_what_is_long_past_is_forgotten() -> None:
    jitter = Jitter()
    arrive(jitter, 0, [0.0, 0.05] * 20)
    arrive(jitter, 40, [0.0] * LATENESS_OF)
    assert jitter.wait_s == pytest.approx(MARGIN_S)


def test_a_longer_way_is_the_measure_as_soon_as_the_shorter_one_is_forgotten() -> None:
    jitter = Jitter()
    arrive(jitter, 0, [0.0] * 50)
    arrive(jitter, 50, [0.1] * (LEAST_OF - 1))
    assert jitter.lateness_s(5.1) == pytest.approx(0.1)
    arrive(jitter, 300, [0.1])
    assert jitter.lateness_s(5.1) == pytest.approx(0.0)
    assert jitter.least_transit_s == pytest.approx(5.1)
