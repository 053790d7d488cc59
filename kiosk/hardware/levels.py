"""How loud a block is, and which tone is in it. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR_DBFS = -96.0
FULL_SCALE = 32768


def rms_dbfs(block: NDArray[np.int16]) -> float:
    """The root mean square of *block* in dB below a full-scale square wave; at least ``FLOOR_DBFS``."""
    if not len(block):
        return FLOOR_DBFS
    samples = block.astype(np.float64)
    power = float(samples @ samples) / len(samples) / FULL_SCALE**2
    return max(FLOOR_DBFS, 10 * float(np.log10(power))) if power > 0 else FLOOR_DBFS


def dominant_tone(samples: NDArray[np.int16], rate: int) -> tuple[float, float]:
    """The strongest tone of *samples*: (Hz, dB of its line above everything else)."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    spectrum[: max(1, round(20 * len(samples) / rate))] = 0.0
    peak = int(np.argmax(spectrum))
    line = float(spectrum[max(0, peak - 3) : peak + 4].sum())
    rest = float(spectrum.sum()) - line
    hz = peak * rate / len(samples)
    return hz, 10 * float(np.log10(line / rest)) if rest > 0 and line > 0 else 0.0
