"""The chirp is found where it is, and nowhere else; microphone and speaker are judged apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.check.chirp import CLEAR_DB, FAINTEST_DB, LENGTH_S, PEAK, Heard, Sound, chirp, find
from kiosk.check.findings import Finding, Part, Verdict
from kiosk.check.sound import LATE_MS, WEAK_DB, Loop, judge_microphone, judge_speaker

RATE = 48_000
CHIRP = chirp(RATE)
FOUND = Heard(at=0, gain_db=-6.0, clear_db=CLEAR_DB + 20)
HEARS = Loop(blocks=100, living=True, noise_dbfs=-65.0, given=True, chirp=FOUND, delay_ms=80.0)


def noise(seconds: float, *, dbfs: float, seed: int = 1) -> Sound:
    level = 32768 * 10 ** (dbfs / 20)
    sound = np.random.default_rng(seed).normal(0.0, level, round(seconds * RATE))
    return np.clip(sound, -32768, 32767).astype(np.int16)


def room(at: int, *, gain_db: float, noise_dbfs: float, seed: int = 1) -> Sound:
    """Two seconds of a room with the chirp in it."""
    sound = noise(2.0, dbfs=noise_dbfs, seed=seed).astype(np.float64)
    sound[at : at + len(CHIRP)] += CHIRP * 10 ** (gain_db / 20)
    return np.clip(sound, -32768, 32767).astype(np.int16)


def test_the_chirp_is_short_soft_at_both_ends_and_never_deafens() -> None:
    assert len(CHIRP) == round(LENGTH_S * RATE)
    assert abs(int(CHIRP[0])) < 50
    assert abs(int(CHIRP[-1])) < 50
    assert np.abs(CHIRP).max() <= PEAK * 32768


@settings(deadline=None, max_examples=25)
@given(at=st.integers(0, RATE), gain_db=st.integers(-40, 6), seed=st.integers(0, 1000))
def test_it_is_found_to_the_sample_and_its_level_to_a_decibel(at: int, gain_db: int, seed: int) -> None:
    heard = find(room(at, gain_db=gain_db, noise_dbfs=-60.0, seed=seed), RATE)
    assert heard is not None
    assert heard.found
    assert abs(heard.at - at) <= 2
    assert heard.gain_db == pytest.approx(gain_db, abs=1.5)


def test_it_is_found_below_the_noise() -> None:
    heard = find(room(20_000, gain_db=-30.0, noise_dbfs=-40.0), RATE)
    assert heard is not None
    assert heard.found
    assert heard.gain_db < -28
    assert abs(heard.at - 20_000) <= 5


def test_it_is_found_with_its_polarity_turned_and_with_an_echo() -> None:
    sound = room(10_000, gain_db=-6.0, noise_dbfs=-60.0).astype(np.float64)
    sound[11_000 : 11_000 + len(CHIRP)] += CHIRP * 0.2
    heard = find((-sound).astype(np.int16), RATE)
    assert heard is not None
    assert heard.found
    assert abs(heard.at - 10_000) <= 5


@settings(deadline=None, max_examples=50)
@given(dbfs=st.integers(-80, -10), seed=st.integers(0, 10_000))
def test_noise_is_no_chirp(dbfs: int, seed: int) -> None:
    heard = find(noise(2.0, dbfs=dbfs, seed=seed), RATE)
    assert heard is None or not heard.found


@pytest.mark.parametrize("hz", [50, 440, 1000, 3000])
def test_a_hum_or_a_tone_is_no_chirp(hz: int) -> None:
    at = np.arange(2 * RATE) / RATE
    heard = find((np.sin(2 * np.pi * hz * at) * 10_000).astype(np.int16) + noise(2.0, dbfs=-60.0), RATE)
    assert heard is not None
    assert not heard.found


def test_silence_and_what_is_too_short_hold_no_chirp() -> None:
    assert find(np.zeros(2 * RATE, np.int16), RATE) is None
    assert find(np.full(2 * RATE, 7, np.int16), RATE) is None
    assert find(CHIRP[:-1], RATE) is None


def test_what_is_too_faint_to_come_from_a_loudspeaker_is_not_found() -> None:
    assert not Heard(at=0, gain_db=FAINTEST_DB - 1, clear_db=CLEAR_DB + 20).found


def told(finding: Finding) -> tuple[Verdict, str]:
    return finding.verdict, finding.code


@pytest.mark.parametrize(
    ("loop", "verdict", "code"),
    [
        (HEARS, Verdict.OK, "microphone_ok"),
        (Loop(blocks=100, living=True, noise_dbfs=-60.0), Verdict.OK, "microphone_ok"),
        (Loop(blocks=100), Verdict.FAULT, "microphone_dead"),
        (Loop(), Verdict.FAULT, "microphone_silent"),
        (Loop(blocks=100, living=True, microphone_fault="it was unplugged"), Verdict.FAULT, "device_fault"),
    ],
)
def test_the_microphone_is_judged_by_itself(loop: Loop, verdict: Verdict, code: str) -> None:
    finding = judge_microphone(loop)
    assert told(finding) == (verdict, code)
    assert finding.part is Part.MICROPHONE


def heard(**changes: float) -> Loop:
    gain_db, delay_ms = changes.get("gain_db", -6.0), changes.get("delay_ms", 80.0)
    return Loop(
        blocks=100,
        living=True,
        given=True,
        chirp=Heard(at=0, gain_db=gain_db, clear_db=changes.get("clear_db", CLEAR_DB)),
        delay_ms=delay_ms,
    )


@pytest.mark.parametrize(
    ("loop", "verdict", "code"),
    [
        (HEARS, Verdict.OK, "speaker_ok"),
        (heard(delay_ms=LATE_MS), Verdict.OK, "speaker_ok"),
        (heard(delay_ms=LATE_MS + 1), Verdict.WARNING, "speaker_late"),
        (heard(gain_db=WEAK_DB), Verdict.OK, "speaker_ok"),
        (heard(gain_db=WEAK_DB - 1), Verdict.WARNING, "speaker_weak"),
        (heard(clear_db=CLEAR_DB - 1), Verdict.FAULT, "speaker_unheard"),
        (Loop(blocks=100, living=True, given=True), Verdict.FAULT, "speaker_unheard"),
        (Loop(blocks=100, living=True, chirp=FOUND), Verdict.FAULT, "speaker_takes_nothing"),
        (Loop(blocks=100, living=True, given=True, speaker_fault="stalled"), Verdict.FAULT, "device_fault"),
        (Loop(blocks=100, given=True), Verdict.SKIPPED, "speaker_unjudged"),
        (Loop(blocks=9, living=True, given=True, microphone_fault="gone"), Verdict.SKIPPED, "speaker_unjudged"),
    ],
)
def test_the_speaker_is_judged_by_a_microphone_that_hears(loop: Loop, verdict: Verdict, code: str) -> None:
    finding = judge_speaker(loop)
    assert told(finding) == (verdict, code)
    assert finding.part is Part.SPEAKER


def test_the_figures_are_those_of_the_loop() -> None:
    assert judge_speaker(heard(gain_db=-12.4, delay_ms=93.6)).figures == {"loss_db": 12, "delay_ms": 94}
