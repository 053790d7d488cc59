"""How loud the loudspeaker is, by day and by night, and its two ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kiosk.hardware.levels import rms_dbfs
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE
from kiosk.media.loudness import CEILING, FLOOR_DB, Limiter, Volume, shaped, volume

LEVELS = st.floats(0, 1)
GAINS = st.floats(10 ** (FLOOR_DB / 20), 1)


def tone(level: float, begin: int = 0) -> NDArray[np.int16]:
    at = (np.arange(BLOCK_SAMPLES) + begin) / SAMPLE_RATE
    return (np.sin(2 * np.pi * 500 * at) * level * 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("hours", "minute", "by_night"),
    [
        ("21:00-07:00", 20 * 60 + 59, False),
        ("21:00-07:00", 21 * 60, True),
        ("21:00-07:00", 0, True),
        ("21:00-07:00", 7 * 60, False),
        ("13:00-14:30", 14 * 60, True),
        ("13:00-14:30", 14 * 60 + 30, False),
        ("08:00-08:00", 8 * 60, False),
        ("none", 0, False),
    ],
)
def test_the_night_volume_holds_at_night(hours: str, minute: int, by_night: bool) -> None:
    told = volume(day=100, night=50, hours=hours)
    assert told.gain(minute) == pytest.approx(10 ** (FLOOR_DB / 2 / 20) if by_night else 1.0)


def test_no_setting_makes_a_ring_silent() -> None:
    _, made = shaped(Limiter(gain=Volume(day=0).gain(0)), tone(0.5), gain=Volume(day=0).gain(0))
    assert rms_dbfs(made) > -45


def test_a_sound_below_the_ceiling_goes_through_as_it_is() -> None:
    _, made = shaped(Limiter(), tone(0.5), gain=1.0)
    assert np.array_equal(made, tone(0.5))


def test_a_loud_sound_is_turned_down_whole_and_comes_back_slowly() -> None:
    limiter, made = shaped(Limiter(), tone(1.0), gain=1.0)
    assert np.allclose(made, tone(1.0) * limiter.gain, atol=1)
    gains = []
    for _ in range(50):
        limiter, _ = shaped(limiter, tone(0.3), gain=1.0)
        gains.append(limiter.gain)
    assert gains == sorted(gains)
    assert gains[0] < 0.75
    assert gains[-1] > 0.99


def test_a_new_volume_is_reached_without_a_step() -> None:
    sound = np.full(BLOCK_SAMPLES, 10_000, np.int16)
    _, made = shaped(Limiter(), sound, gain=0.1)
    assert made[0] == 10_000
    assert made[-1] == 1_000
    assert np.abs(np.diff(made.astype(int))).max() <= 10


@given(st.lists(st.tuples(LEVELS, GAINS), max_size=20))
def test_nothing_is_ever_louder_than_the_ceiling(sounds: list[tuple[float, float]]) -> None:
    limiter = Limiter()
    for level, gain in sounds:
        limiter, made = shaped(limiter, tone(level), gain=gain)
        assert np.abs(made.astype(int)).max() <= CEILING * 32768
