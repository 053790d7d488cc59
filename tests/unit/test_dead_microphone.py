"""When a microphone is dead, and when a patient merely says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kiosk.hardware.sound import BLOCK_SAMPLES
from kiosk.media.dead_microphone import BLIND_S, DEAD_S, GATED_S, Heard, Hearing, Looked, begin, is_living, step


def looked(hearing: Hearing, *, since: float, until: float) -> Hearing:
    for at in np.arange(since + 1, until + 0.5, 1.0):
        hearing = step(hearing, Looked(float(at)))
    return hearing


@pytest.mark.parametrize(
    ("block", "living"),
    [
        (np.zeros(BLOCK_SAMPLES, np.int16), False),
        (np.full(BLOCK_SAMPLES, -7, np.int16), False),
        (np.array([0] * (BLOCK_SAMPLES - 1) + [1], np.int16), True),
        (np.empty(0, np.int16), False),
    ],
)
def test_whatever_moves_is_alive(block: NDArray[np.int16], living: bool) -> None:
    assert is_living(block) is living


def test_a_microphone_that_hears_nothing_is_dead_after_the_limit_and_not_before() -> None:
    hearing = looked(begin(100.0), since=100, until=100 + DEAD_S - 1)
    assert not hearing.dead
    assert step(hearing, Looked(100 + DEAD_S)).dead


def test_the_first_sound_ends_it() -> None:
    dead = looked(begin(0.0), since=0, until=DEAD_S)
    assert not step(dead, Heard(DEAD_S + 1)).dead


def test_it_stays_dead_until_then() -> None:
    dead = looked(begin(0.0), since=0, until=DEAD_S)
    assert step(dead, Looked(DEAD_S + 100)).dead


def test_a_patient_who_says_nothing_is_heard_by_the_microphones_own_noise() -> None:
    hearing = begin(0.0)
    for at in range(100):
        hearing = step(hearing, Heard(float(at)))
        assert not hearing.dead


def test_a_speakerphone_that_gates_is_given_longer() -> None:
    hearing = begin(0.0, limit_s=GATED_S)
    assert not looked(hearing, since=0, until=GATED_S - 1).dead
    assert looked(hearing, since=0, until=GATED_S).dead


def test_time_in_which_nobody_looked_does_not_count() -> None:
    hearing = step(begin(0.0), Looked(BLIND_S + 100))
    assert not hearing.dead
    assert looked(hearing, since=BLIND_S + 100, until=BLIND_S + 100 + DEAD_S).dead
