"""The sound of a seat that calls: two falling notes, a pause, again.

The notes lie where old ears still hear well (below 1.5 kHz with their overtones), and begin softly, so that nobody
is frightened out of sleep.
"""

from __future__ import annotations

import numpy as np

from kiosk.hardware.sound import BLOCK_SAMPLES, SAMPLE_RATE, Block

NOTES_HZ = (659.26, 523.25)
"""E5, C5."""
NOTE_S = 0.7
PERIOD_S = 2.8
ATTACK_S = 0.02
DECAY_S = 0.35
OVERTONES = (1.0, 0.4)
PEAK = 0.5
"""Of full scale."""


def ring_tone() -> tuple[Block, ...]:
    """One period as blocks of ``BLOCK_SAMPLES``, mono, signed 16 bit, 48 kHz; to be played again and again."""
    sound = np.zeros(round(PERIOD_S * SAMPLE_RATE))
    for number, hertz in enumerate(NOTES_HZ):
        begin = round(number * NOTE_S * SAMPLE_RATE)
        note = _note(hertz, (len(sound) - begin) / SAMPLE_RATE)
        sound[begin : begin + len(note)] += note
    scaled = (sound * (PEAK * 32767 / np.abs(sound).max())).astype(np.int16)
    return tuple(np.split(scaled, len(scaled) // BLOCK_SAMPLES))


def _note(hertz: float, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(1.0, at / ATTACK_S) * np.exp(-at / DECAY_S)
    waves = sum(part * np.sin(2 * np.pi * hertz * (1 + number) * at) for number, part in enumerate(OVERTONES))
    return np.asarray(envelope * waves)
