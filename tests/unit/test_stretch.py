"""Speech made shorter and longer: the pitch stays, and there are no seams where they would be heard."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.hardware.levels import dominant_tone, rms_dbfs
from kiosk.hardware.microphone import SAMPLE_FILE
from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block
from kiosk.media.stretch import MAX_LAG, MIN_LAG, SHORTEN_SAMPLES, faded, joined, longer, shorter


def tone(hz: float, samples: int = SHORTEN_SAMPLES, amplitude: float = 8000.0) -> Block:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE)).astype(np.int16)


def noise(samples: int = SHORTEN_SAMPLES) -> Block:
    return np.random.default_rng(1).normal(0, 3000, samples).astype(np.int16)


@pytest.fixture(scope="module")
def spoken() -> Block:
    """The product's sample, spoken by espeak-ng."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(SAMPLE_FILE)) as container:
        parts = [
            made.to_ndarray().reshape(-1)
            for frame in container.decode(audio=0)
            for made in resampler.resample(frame)
        ]
    return np.concatenate(parts).astype(np.int16)[: 4 * SAMPLE_RATE]


def steepest(sound: Block) -> int:
    return int(np.abs(np.diff(sound.astype(np.int32))).max())


@pytest.mark.parametrize("hz", [80, 120, 200, 333, 440, 1000])
def test_a_tone_is_made_shorter_without_a_step(hz: float) -> None:
    before = tone(hz)
    after = shorter(before)
    assert MIN_LAG <= len(before) - len(after) <= MAX_LAG
    assert steepest(after) <= 1.1 * steepest(before)


@pytest.mark.parametrize("hz", [120, 200, 440, 1000])
def test_a_tone_is_made_longer_without_a_step(hz: float) -> None:
    before = tone(hz, BLOCK_SAMPLES)
    after = longer(before)
    assert MIN_LAG <= len(after) - len(before) <= MAX_LAG
    assert steepest(after) <= 1.1 * steepest(before)


def test_a_long_tone_keeps_its_pitch() -> None:
    before = tone(440, SAMPLE_RATE)
    made = [shorter(before[begin : begin + SHORTEN_SAMPLES]) for begin in range(0, SAMPLE_RATE, SHORTEN_SAMPLES)]
    hz, clear = dominant_tone(np.concatenate(made), SAMPLE_RATE)
    assert hz == pytest.approx(440, abs=5)
    assert clear > 3


def test_no_more_is_taken_out_than_allowed() -> None:
    assert len(tone(440)) - len(shorter(tone(440), most=200)) <= 200
    assert len(shorter(tone(440), most=MIN_LAG - 1)) == SHORTEN_SAMPLES


def test_noise_is_left_as_it_is_unless_in_a_hurry_and_even_then_where_nothing_is_alike() -> None:
    assert np.array_equal(shorter(noise()), noise())
    assert np.array_equal(longer(noise(BLOCK_SAMPLES)), noise(BLOCK_SAMPLES))
    assert np.array_equal(shorter(noise(), hurry=True), noise())


def test_in_a_hurry_more_is_taken_out() -> None:
    assert len(shorter(tone(440), hurry=True)) <= len(shorter(tone(440)))
    assert SHORTEN_SAMPLES - len(shorter(tone(440), hurry=True)) > MAX_LAG * 0.8


def test_silence_gives_all_that_is_wanted() -> None:
    assert len(shorter(np.zeros(SHORTEN_SAMPLES, np.int16))) == SHORTEN_SAMPLES - MAX_LAG
    assert len(longer(np.zeros(BLOCK_SAMPLES, np.int16))) == BLOCK_SAMPLES + min(MAX_LAG, BLOCK_SAMPLES - 240)


def test_what_is_too_short_is_left_as_it_is() -> None:
    assert len(shorter(tone(440, 500))) == 500


@pytest.mark.parametrize("hurry", [False, True])
def test_speech_loses_time_and_neither_loudness_nor_smoothness(spoken: Block, hurry: bool) -> None:
    parts = [
        shorter(spoken[begin : begin + SHORTEN_SAMPLES], hurry=hurry)
        for begin in range(0, len(spoken), SHORTEN_SAMPLES)
    ]
    after = np.concatenate(parts)
    assert 0.08 < 1 - len(after) / len(spoken) < 0.4
    assert rms_dbfs(after) == pytest.approx(rms_dbfs(spoken), abs=1.0)
    assert steepest(after) <= 1.3 * steepest(spoken)


def test_speech_played_slower_gains_time(spoken: Block) -> None:
    parts = [longer(spoken[begin : begin + BLOCK_SAMPLES]) for begin in range(0, len(spoken), BLOCK_SAMPLES)]
    after = np.concatenate(parts)
    assert len(after) > 1.05 * len(spoken)
    assert steepest(after) <= 1.3 * steepest(spoken)


def test_what_is_joined_begins_as_one_and_goes_on_as_the_other() -> None:
    before, after = np.full(100, 1000, np.int16), np.full(300, -1000, np.int16)
    made = joined(before, after)
    assert len(made) == 300
    assert made[0] > 900
    assert set(made[100:]) == {-1000}
    assert np.array_equal(joined(before[:0], after), after)


def test_a_fade_goes_evenly() -> None:
    made = faded(np.full(100, 1000, np.int16), begins=1.0, ends=0.0)
    assert made[0] == 1000
    assert made[50] == 500
    assert made[99] == 10


@given(
    values=st.lists(st.integers(-32768, 32767), max_size=60),
    times=st.integers(1, 60),
    most=st.integers(0, 2000),
    hurry=st.booleans(),
)
def test_whatever_sounds_is_stretched_within_bounds(values: list[int], times: int, most: int, hurry: bool) -> None:
    sound = np.tile(np.array(values, np.int16), times)
    assert 0 <= len(sound) - len(shorter(sound, most=most, hurry=hurry)) <= min(most, MAX_LAG)
    assert 0 <= len(longer(sound)) - len(sound) <= MAX_LAG
