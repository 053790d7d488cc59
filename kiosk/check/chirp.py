"""A short chirp, and how it is found again in what a microphone heard.

Pure. Sound is mono, signed 16 bit.

Theory of operation
===================

A sine that sweeps over the range of speech is unlike anything else in a ward. What was recorded is correlated
with it: where the chirp came, all of its half second adds up in one peak, so that it is found far below the noise
and its moment is known to a millisecond. The peak's height against the middle of the correlation (``clear_db``)
tells the chirp from noise, whose highest value of some hundred thousand stands 17 dB above the middle; its height
against the chirp's own energy tells how much quieter than played it was heard.

A room answers with echoes; the strongest of them is the peak, and is counted: it is what the microphone hears.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LENGTH_S = 0.5
FROM_HZ, TO_HZ = 400.0, 4000.0
FADE_S = 0.03
"""Softly in and out: it shall not click, nor frighten."""
PEAK = 0.35
"""Of full scale: 3 dB less than the ring."""
CLEAR_DB = 22.0
"""Above the middle of the correlation. Noise of half an hour would reach 19."""
FAINTEST_DB = -60.0
"""Against what was played; what is fainter is cross-talk of a cable, no loudspeaker."""

Sound = NDArray[np.int16]


@dataclass(frozen=True)
class Heard:
    """The chirp in a recording: its first sample, and how much louder than played (negative: quieter) it came."""

    at: int
    gain_db: float
    clear_db: float

    @property
    def found(self) -> bool:
        """Whether it is really there."""
        return self.clear_db >= CLEAR_DB and self.gain_db >= FAINTEST_DB


def chirp(rate: int) -> Sound:
    """The chirp at *rate* samples a second."""
    at = np.arange(round(LENGTH_S * rate)) / rate
    growth = np.log(TO_HZ / FROM_HZ) / LENGTH_S
    wave = np.sin(2 * np.pi * FROM_HZ * np.expm1(growth * at) / growth)
    envelope = np.minimum(1.0, np.minimum(at, LENGTH_S - at) / FADE_S)
    return np.asarray(wave * envelope * PEAK * 32767).astype(np.int16)


def find(recording: Sound, rate: int) -> Heard | None:
    """The likeliest place of the chirp in *recording*; None when that is shorter than a chirp, or all silence."""
    pattern = chirp(rate).astype(np.float64)
    if len(recording) < len(pattern):
        return None
    sound = recording - np.mean(recording, dtype=np.float64)
    size = 1 << (len(sound) + len(pattern) - 1).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(pattern, size))
    likeness = np.abs(np.fft.irfft(spectrum, size)[: len(sound) - len(pattern) + 1])
    at = int(np.argmax(likeness))
    peak, middle = float(likeness[at]), float(np.median(likeness))
    gain = peak / float(np.dot(pattern, pattern))
    if gain <= 0:
        return None
    return Heard(at, gain_db=_db(gain), clear_db=_db(peak / max(middle, peak * 1e-6)))


def _db(ratio: float) -> float:
    return 20 * float(np.log10(ratio))
