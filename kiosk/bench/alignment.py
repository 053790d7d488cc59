"""Where in what was heard each stretch of what was said is: how late it came, and whether it came at all. Pure.

Both are recorded with the time of each block, at the mouth and at the ear. A stretch is looked for by its
normalised cross-correlation with what was heard within ``WITHIN_S`` of it, so that a delay that changes in a call
is followed. Speech that was made up by a decoder, or left out, is like nothing that was said: it has no delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATE = 48_000
BLOCK = 960
"""Samples of which one time is kept: 20 ms."""
EVERY = 3
"""Every third sample is enough to find a voice: 16 kHz."""
STRETCH_S, HOP_S = 0.5, 0.25
WITHIN_S = 1.2
LIKE = 0.5
"""Less alike is not the same speech. A coded voice is 0.8 and more like itself, another stretch of it below 0.4."""
SPEAKING_DBFS = -45.0
"""The level of a block in which somebody speaks (as in :mod:`kiosk.media.speech`)."""
SPOKEN = 0.5
"""The part of a stretch in which somebody must speak for it to be looked for."""
SILENT_DBFS = -70.0


@dataclass(frozen=True)
class Recording:
    """Sound of 16 bit full scale in blocks of ``BLOCK``, and the time (s) of each block's first sample."""

    sound: Samples
    at: NDArray[np.float64]

    def time_of(self, sample: int) -> float:
        """When *sample* was at the mouth, or at the ear."""
        block = min(sample // BLOCK, len(self.at) - 1)
        return float(self.at[block] + (sample - block * BLOCK) / RATE)

    def sample_at(self, time: float) -> int:
        """The sample of *time*; the first or one past the last for a time outside of it."""
        block = int(np.searchsorted(self.at, time, side="right")) - 1
        if block < 0:
            return 0
        return min(len(self.sound), block * BLOCK + min(BLOCK, round((time - float(self.at[block])) * RATE)))


@dataclass(frozen=True)
class Match:
    """A stretch, ``STRETCH_S`` around a moment, that was said at ``at`` and was heard ``delay_s`` later.

    It is around ``sample`` of what was said, and ``shift`` samples further on in what was heard.
    """

    at: float
    delay_s: float
    sample: int
    shift: int


@dataclass(frozen=True)
class Pair:
    """What was said and what was heard of it, sample by sample, however late."""

    said: Samples
    heard: Samples

    @property
    def missing(self) -> float:
        """The part of the blocks with speech in whose place nothing at all was heard."""
        spoken = levels(self.said) > SPEAKING_DBFS
        silent = levels(self.heard) < SILENT_DBFS
        return float(np.mean(silent[spoken])) if spoken.any() else 0.0


def recording(blocks: Sequence[tuple[float, NDArray[np.int16]]]) -> Recording:
    """Of *blocks*, each with the time of its first sample. A time before its forerunner's is its forerunner's."""
    times = np.maximum.accumulate(np.array([at for at, _ in blocks], np.float64))
    return Recording(np.concatenate([np.empty(0), *(block for _, block in blocks)]).astype(np.float64), times)


def matches(said: Recording, heard: Recording, *, begin: float, end: float) -> list[Match]:
    """Every stretch with speech that was said between *begin* and *end*, and was heard."""
    found = []
    size = round(STRETCH_S * RATE)
    for first in range(said.sample_at(begin), said.sample_at(end) - size, round(HOP_S * RATE)):
        stretch = said.sound[first : first + size]
        if float(np.mean(levels(stretch) > SPEAKING_DBFS)) < SPOKEN:
            continue
        lag = _lag(stretch, heard, said.time_of(first))
        if lag is not None:
            middle, at = first + size // 2, said.time_of(first + size // 2)
            found.append(Match(at, heard.time_of(lag + size // 2) - at, middle, lag - first))
    return found


def lined_up(said: Recording, heard: Recording, *, begin: float, end: float) -> Pair:
    """What was said between *begin* and *end*, and what was heard in the place of each of its blocks.

    A block is looked for by the delay of the stretch around it, or of the nearest that was found; where none was,
    nothing was heard.
    """
    known = matches(said, heard, begin=begin, end=end)
    first = said.sample_at(begin)
    blocks = (said.sample_at(end) - first) // BLOCK
    got = np.zeros(blocks * BLOCK)
    for number in range(blocks if known else 0):
        sample = first + number * BLOCK
        nearest = min(known, key=lambda match: abs(match.sample - sample))
        there = max(0, sample + nearest.shift)
        block = heard.sound[there : there + BLOCK]
        got[number * BLOCK : number * BLOCK + len(block)] = block
    return Pair(said.sound[first : first + blocks * BLOCK], got)


def levels(sound: Samples) -> NDArray[np.float64]:
    """The level of each whole block of *sound*, in dB of full scale."""
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK)
    power: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(blocks / 32768), axis=1) + 1e-12)
    return power


def _lag(said: Samples, heard: Recording, time: float) -> int | None:
    first = heard.sample_at(time)
    looked_at = _thinned(heard.sound[first : first + len(said) + round(WITHIN_S * RATE)])
    wanted = _thinned(said)
    if len(looked_at) < len(wanted):
        return None
    size = len(looked_at) + len(wanted)
    products = np.fft.irfft(np.fft.rfft(looked_at, size) * np.conj(np.fft.rfft(wanted, size)), size)
    products = products[: len(looked_at) - len(wanted) + 1]
    sums = np.concatenate([[0.0], np.cumsum(np.square(looked_at))])
    power = sums[len(wanted) :] - sums[: len(sums) - len(wanted)]
    likeness = products / np.sqrt(np.maximum(power, 1.0) * max(float(np.sum(np.square(wanted))), 1.0))
    best = int(np.argmax(likeness))
    return first + best * EVERY if likeness[best] >= LIKE else None


def _thinned(sound: Samples) -> Samples:
    thinned: Samples = sound[: len(sound) // EVERY * EVERY].reshape(-1, EVERY).mean(axis=1)
    return thinned
