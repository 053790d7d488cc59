"""How well a voice came through, by instrument: STOI and PESQ of what was said and what was heard of it. Pure.

STOI (Taal et al. 2011) tells how much is understood, 0 to 1; PESQ (ITU-T P.862.2, wide band) how good it sounds, 1
to 4.64. Both are of sounds that are lined up (:mod:`kiosk.bench.alignment`): how late it came is another figure.
PESQ forgives a long hole; STOI does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

import numpy as np
from pesq import pesq
from pystoi import stoi
from scipy.signal import resample_poly

from kiosk.bench.alignment import RATE, SILENT_DBFS, SPEAKING_DBFS, SPOKEN, Pair, Samples, levels

SPAN_S = 3.0
"""A sentence, and what PESQ takes in tenths of a second."""
PESQ_RATE = 16_000
WORST_STOI, WORST_PESQ = 0.0, 1.0


@dataclass(frozen=True)
class Scores:
    """The mean over all spans in which somebody speaks."""

    stoi: float
    pesq: float


def scores(pair: Pair, *, span_s: float = SPAN_S) -> Scores:
    """Of *pair*, in spans of *span_s*. Raises :exc:`ValueError` when nobody speaks in it for so long."""
    size = round(span_s * RATE)
    marks = []
    for first in range(0, len(pair.said) - size + 1, size):
        said, heard = pair.said[first : first + size], pair.heard[first : first + size]
        if float(np.mean(levels(said) > SPEAKING_DBFS)) >= SPOKEN:
            marks.append((_understood(said, heard), _quality(said, heard)))
    if not marks:
        raise ValueError(f"nobody speaks for {span_s:g} s in what was said")
    return Scores(mean(mark[0] for mark in marks), mean(mark[1] for mark in marks))


def _understood(said: Samples, heard: Samples) -> float:
    return max(WORST_STOI, float(stoi(said, heard, RATE)))


def _quality(said: Samples, heard: Samples) -> float:
    if float(np.max(levels(heard))) < SILENT_DBFS:
        return WORST_PESQ  # of digital silence the instrument makes no number
    return float(pesq(PESQ_RATE, _at_pesq_rate(said), _at_pesq_rate(heard), "wb"))


def _at_pesq_rate(sound: Samples) -> Samples:
    thinned: Samples = resample_poly(sound, PESQ_RATE, RATE)
    return thinned
