"""Speech made a little shorter or longer at the same pitch, so that nobody hears it. Pure; mono, 16 bit, 48 kHz.

Theory of operation (WSOLA, as NetEQ's "accelerate" and "preemptive expand")
===========================================================================

Voiced speech repeats itself every pitch period. Where a piece is most like the piece one *lag* later, one period is
left out, or played twice, and the seam is cross-faded. The lag is looked for between 2.5 and 15 ms (400 to 67 Hz)
at a quarter of the rate, then to the sample. A seam is made only where both sides are alike (their normalised
correlation is high) or too quiet to be noticed; elsewhere the sound is left as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiosk.media.opus_packet import RTP_CLOCK as SAMPLE_RATE

SHORTEN_SAMPLES = SAMPLE_RATE * 40 // 1000
"""Room for the longest lag and the seam, and some to choose from."""
MIN_LAG = SAMPLE_RATE * 5 // 2000
MAX_LAG = SAMPLE_RATE * 15 // 1000
OVERLAP = SAMPLE_RATE * 10 // 1000
"""The seam."""
SHORT_OVERLAP = SAMPLE_RATE * 5 // 1000
"""The seam where there are but 20 ms to work on."""
COARSE = 4
"""Samples of the first search's grid."""
ALIKE = 0.9
"""For a seam that is not noticed."""
ROUGHLY_ALIKE = 0.5
"""For one that is better than sound left out."""
NEARLY = 0.05
"""In a hurry, the longest lag that is so nearly as good as the best takes out more."""
QUIET_RMS, ROUGH_QUIET_RMS = 60.0, 250.0
"""-55 and -42 dBFS: a seam in less is not noticed, or hardly."""

Block = NDArray[np.int16]
_Wide = NDArray[np.float32]


def shorter(sound: Block, *, most: int = MAX_LAG, hurry: bool = False) -> Block:
    """*sound* without one pitch period, of *most* samples, or as it is when that would be heard.

    The longer it is, the better; ``SHORTEN_SAMPLES`` are enough. *hurry* takes out more, and takes a rougher seam
    for it.
    """
    found = _best_lag(sound, OVERLAP, most=min(most, MAX_LAG), hurry=hurry)
    if found is None:
        return sound
    start, lag = found
    seam = _cross_fade(sound[start : start + OVERLAP], sound[start + lag : start + lag + OVERLAP])
    return np.concatenate([sound[:start], seam, sound[start + lag + OVERLAP :]])


def longer(sound: Block) -> Block:
    """*sound* (20 ms or more) with one pitch period twice, or as it is when that would be heard."""
    found = _best_lag(sound, SHORT_OVERLAP, most=MAX_LAG, hurry=False)
    if found is None:
        return sound
    start, lag = found
    seam = _cross_fade(sound[start + lag : start + lag + SHORT_OVERLAP], sound[start : start + SHORT_OVERLAP])
    return np.concatenate([sound[: start + lag], seam, sound[start + SHORT_OVERLAP :]])


def joined(before: Block, after: Block) -> Block:
    """*after*, whose beginning is cross-faded with *before*, which would have gone on there."""
    length = min(len(before), len(after))
    return np.concatenate([_cross_fade(before[:length], after[:length]), after[length:]])


def faded(sound: Block, *, begins: float, ends: float) -> Block:
    """*sound* with a gain that goes evenly from *begins* to *ends* (0 to 1)."""
    gain = np.linspace(begins, ends, len(sound), endpoint=False, dtype=np.float32)
    return (sound * gain).astype(np.int16)


def _cross_fade(out: Block, into: Block) -> Block:
    weight = (np.arange(len(out), dtype=np.float32) + 0.5) / max(1, len(out))
    return np.rint(out * (1 - weight) + into * weight).astype(np.int16)


def _best_lag(sound: Block, overlap: int, *, most: int, hurry: bool) -> tuple[int, int] | None:
    """Where to seam, and the lag, of *most* samples; ``None``: nowhere."""
    max_lag = min(most, len(sound) - overlap)
    if max_lag < MIN_LAG:
        return None
    wide = sound.astype(np.float32)
    # Where it is quieter, a seam matters less.
    energies = {
        start: float(np.square(wide[start : start + overlap + max_lag]).mean())
        for start in range(0, len(sound) - overlap - max_lag + 1, overlap // 2)
    }
    for start in sorted(energies, key=lambda start: energies[start]):
        if energies[start] < (ROUGH_QUIET_RMS if hurry else QUIET_RMS) ** 2:
            return start, max_lag
        lag = _alike_after(wide[start : start + overlap + max_lag], overlap, hurry=hurry)
        if lag is not None:
            return start, lag
    return None


def _alike_after(reach: _Wide, overlap: int, *, hurry: bool) -> int | None:
    """After how many samples the beginning of *reach* comes again."""
    piece, wanted = reach[:overlap], ROUGHLY_ALIKE if hurry else ALIKE
    first, longest = MIN_LAG // COARSE, len(reach) - overlap
    coarse = _likeness(piece[::COARSE], reach[::COARSE])[first:]
    good = np.flatnonzero(coarse >= max(wanted, float(coarse.max()) - NEARLY))
    near = first + (int(good[-1]) if hurry and len(good) else int(np.argmax(coarse)))
    low = max(MIN_LAG, (near - 1) * COARSE)
    fine = _likeness(piece, reach[low : min(longest, (near + 1) * COARSE) + overlap])
    best = int(np.argmax(fine))
    return low + best if fine[best] >= wanted else None


def _likeness(piece: _Wide, reach: _Wide) -> _Wide:
    """The normalised correlation of *piece* with each place in *reach*, -1 to 1."""
    products = np.correlate(reach, piece, mode="valid")
    squares = np.concatenate([np.zeros(1), np.cumsum(np.square(reach, dtype=np.float64))])
    energy = squares[len(piece) :] - squares[: -len(piece)]
    own = float(np.square(piece, dtype=np.float64).sum())
    likeness: _Wide = (products / np.sqrt(np.maximum(energy * own, 1.0))).astype(np.float32)
    return likeness
