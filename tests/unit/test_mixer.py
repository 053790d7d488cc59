"""The voices of several seats in one block: all of them, never distorted, and one alone as it came."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kiosk.media.loudness import CEILING, Limiter
from kiosk.media.mixer import mixed

SAMPLES = 960
FULL = 32767
MOST = CEILING * 32768

Block = NDArray[np.int16]


def tone(hz: float, amplitude: float, *, first: int = 0) -> Block:
    at = np.arange(first, first + SAMPLES) / 48_000
    return np.rint(amplitude * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def silence() -> Block:
    return np.zeros(SAMPLES, np.int16)


def test_nobody_is_silence_of_a_blocks_length() -> None:
    limiter, made = mixed(Limiter(), [], samples=SAMPLES)
    assert limiter == Limiter()
    assert made.tolist() == silence().tolist()


def test_a_voice_that_is_alone_is_given_as_it_came_however_loud() -> None:
    loud = tone(440, FULL)
    _, made = mixed(Limiter(), [loud], samples=SAMPLES)
    assert made is loud


def test_a_silent_member_is_nobody() -> None:
    voice = tone(440, 9000)
    _, made = mixed(Limiter(), [silence(), voice, silence()], samples=SAMPLES)
    assert made is voice


def test_quiet_voices_are_added_sample_by_sample() -> None:
    one, two = tone(440, 4000), tone(700, 3000)
    limiter, made = mixed(Limiter(), [one, two], samples=SAMPLES)
    assert limiter == Limiter()
    assert made.tolist() == (one + two).tolist()


def test_voices_that_are_each_at_full_scale_neither_wrap_nor_clip() -> None:
    """The sum keeps its shape: turned down as a whole, it is nowhere flat."""
    voices = [tone(440, FULL)] * 4
    limiter, made = mixed(Limiter(), voices, samples=SAMPLES)
    assert limiter.gain < 0.2
    assert np.abs(made.astype(int)).max() <= MOST
    expected = np.sin(2 * np.pi * 440 * np.arange(SAMPLES) / 48_000) * MOST
    assert np.abs(made - expected).max() < 0.01 * MOST


def test_after_two_the_one_who_goes_on_comes_back_slowly_and_then_as_it_is() -> None:
    limiter, _ = mixed(Limiter(), [tone(440, FULL), tone(440, FULL)], samples=SAMPLES)
    quiet, gains = tone(440, 3000), []
    for _ in range(100):
        limiter, made = mixed(limiter, [quiet], samples=SAMPLES)
        if made is quiet:
            break
        gains.append(limiter.gain)
    else:
        pytest.fail("the limiter never rests")
    assert gains == sorted(gains)
    assert gains[0] < 0.5
    steps = [after - before for before, after in itertools.pairwise(gains)]
    assert max(steps) < 0.11, "no step that is heard"


def test_silence_lets_the_limiter_rest() -> None:
    limiter, _ = mixed(Limiter(), [tone(440, FULL)] * 2, samples=SAMPLES)
    limiter, made = mixed(limiter, [silence(), silence()], samples=SAMPLES)
    assert limiter == Limiter()
    assert not made.any()


@given(
    st.lists(st.lists(st.integers(-32768, 32767), min_size=8, max_size=8), max_size=5),
    st.floats(0.05, 1.0),
)
def test_whatever_comes_the_mix_is_a_block_below_the_ceiling_or_one_voice(
    voices: list[list[int]], held: float
) -> None:
    blocks = [np.array(voice, np.int16) for voice in voices]
    limiter, made = mixed(Limiter(gain=held, held=held), blocks, samples=8)
    assert made.dtype == np.int16
    assert len(made) == 8
    assert any(made is block for block in blocks) or np.abs(made.astype(int)).max(initial=0) <= MOST
    assert 0 < limiter.held <= 1
