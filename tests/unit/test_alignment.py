"""What was said is found in what was heard, however late it is, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.bench.alignment import (
    BLOCK,
    RATE,
    STRETCH_S,
    Recording,
    Samples,
    levels,
    lined_up,
    matches,
    recording,
)

SECONDS = 4


def voice(seconds: float = SECONDS, *, seed: int = 1) -> Samples:
    """Noise with a voice's syllables: like itself, and like no other part of itself."""
    made = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE))
    return np.convolve(made, np.ones(12) / 12, mode="same")


def recorded(sound: Samples, *, at: float = 0.0) -> Recording:
    return Recording(sound, at + np.arange(len(sound) // BLOCK) * BLOCK / RATE)


def late(sound: Samples, seconds: float) -> Samples:
    return np.concatenate([np.zeros(round(seconds * RATE)), sound])


def test_a_voice_that_comes_late_is_found_with_its_delay() -> None:
    found = matches(recorded(voice(), at=100.0), recorded(late(voice(), 0.15), at=100.0), begin=100.5, end=103.5)
    assert len(found) == 10
    assert [match.delay_s for match in found] == pytest.approx([0.15] * 10, abs=0.001)
    assert found[0].at == pytest.approx(100.5 + STRETCH_S / 2)


def test_the_clocks_of_both_ends_count_not_the_places_in_their_recordings() -> None:
    found = matches(recorded(voice(), at=50.0), recorded(voice(), at=50.3), begin=50.0, end=53.0)
    assert {round(match.delay_s, 3) for match in found} == {0.3}
    assert {match.shift for match in found} == {0}


def test_a_delay_that_changes_in_a_call_is_followed() -> None:
    said = voice()
    half = len(said) // 2
    heard = np.concatenate([late(said[:half], 0.06), np.zeros(round(0.2 * RATE)), said[half:]])
    found = matches(recorded(said), recorded(heard), begin=0.0, end=4.0)
    assert found[0].delay_s == pytest.approx(0.06, abs=0.001)
    assert found[-1].delay_s == pytest.approx(0.26, abs=0.001)


def test_a_coded_voice_is_found_too_and_another_is_not() -> None:
    said = voice()
    coarse = said + np.random.default_rng(2).normal(0, float(np.std(said)) / 2, len(said))
    assert len(matches(recorded(said), recorded(coarse), begin=0.0, end=4.0)) == 14
    assert matches(recorded(said), recorded(voice(seed=3)), begin=0.0, end=4.0) == []


def test_silence_is_not_looked_for() -> None:
    said = voice()
    said[RATE : 3 * RATE] = 0.0
    found = matches(recorded(said), recorded(late(said, 0.1)), begin=0.0, end=4.0)
    assert found
    assert not [match for match in found if 1.3 < match.at < 2.7]


def test_what_had_not_been_heard_when_the_recording_ended_is_not_found() -> None:
    heard = recorded(late(voice(), 0.1)[: 2 * RATE])
    found = matches(recorded(voice()), heard, begin=0.0, end=4.0)
    assert max(match.at for match in found) < 2.0


def test_said_and_heard_are_lined_up_across_a_change_of_the_delay() -> None:
    said = voice()
    half = len(said) // 2
    heard = np.concatenate([late(said[:half], 0.06), np.zeros(round(0.2 * RATE)), said[half:]])
    pair = lined_up(recorded(said), recorded(heard), begin=0.0, end=4.0)
    assert len(pair.said) == len(pair.heard) == SECONDS * RATE
    same = np.isclose(pair.said, pair.heard).reshape(-1, BLOCK).all(axis=1)
    assert same.mean() > 0.8
    assert pair.missing < 0.1


def test_in_the_place_of_what_was_never_heard_is_silence() -> None:
    pair = lined_up(recorded(voice()), recorded(voice(seed=3)), begin=0.0, end=4.0)
    assert not pair.heard.any()
    assert pair.missing == 1.0


def test_a_hole_is_missing_and_a_recording_that_ends_early_too() -> None:
    said = voice()
    heard = late(said, 0.1)
    heard[2 * RATE : 2 * RATE + 10 * BLOCK] = 0.0
    holed = lined_up(recorded(said), recorded(heard), begin=0.0, end=4.0)
    assert holed.missing == pytest.approx(10 / 200, abs=0.006)
    short = lined_up(recorded(said), recorded(heard[: 3 * RATE + 100]), begin=0.0, end=4.0)
    assert short.missing == pytest.approx((10 + 55) / 200, abs=0.02)


def test_of_silence_nothing_is_missing() -> None:
    nothing = recorded(np.zeros(RATE))
    assert lined_up(nothing, nothing, begin=0.0, end=1.0).missing == 0.0


def test_times_are_those_of_the_blocks_and_what_lies_outside_is_the_nearest_end() -> None:
    made = Recording(np.zeros(3 * BLOCK), np.array([10.0, 10.02, 10.5]))
    assert made.time_of(0) == 10.0
    assert made.time_of(BLOCK + BLOCK // 2) == pytest.approx(10.03)
    assert made.time_of(3 * BLOCK) == pytest.approx(10.52)
    assert made.sample_at(9.0) == 0
    assert made.sample_at(10.03) == BLOCK + BLOCK // 2
    assert made.sample_at(10.3) == 2 * BLOCK, "in a gap: where the next block begins"
    assert made.sample_at(99.0) == 3 * BLOCK


def test_a_recording_is_made_of_blocks_and_its_times_never_go_back() -> None:
    block = np.full(BLOCK, 7, np.int16)
    made = recording([(5.0, block), (4.99, block), (5.04, block)])
    assert list(made.at) == [5.0, 5.0, 5.04]
    assert made.sound.shape == (3 * BLOCK,)
    assert set(made.sound) == {7.0}


def test_a_level_is_that_of_each_whole_block() -> None:
    loud, soft = np.full(BLOCK, 32768.0), np.full(BLOCK, 327.68)
    assert levels(np.concatenate([loud, soft, loud[:5]])) == pytest.approx([0.0, -40.0], abs=0.01)
