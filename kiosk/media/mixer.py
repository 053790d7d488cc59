"""The voices of several seats made one block for the speaker. Pure.

Theory of operation
===================

Rule 1. Voices are added sample by sample, in numbers wide enough for all of them: nothing wraps, nothing is cut.

Rule 2. A voice that is alone is given as it came: one seat sounds as it does in a call of two. A member that is
silent or stalled gives zeros, and zeros are nobody.

Rule 3. A sum above the limiter's ceiling is turned down as a whole, at once, and comes back slowly
(:mod:`kiosk.media.loudness`). So all stay as loud against each other as they are, and two who speak at once do not
distort.

Rule 4. While the limiter comes back a voice that is alone goes through it, too: else the end of one voice would
make a step in the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kiosk.media.loudness import Limiter, shaped

AT_REST = 0.99
"""Of the full gain, a tenth of a decibel: from here on the limiter is left out, and nobody hears it go."""


def mixed(
    before: Limiter, voices: Sequence[NDArray[np.int16]], *, samples: int
) -> tuple[Limiter, NDArray[np.int16]]:
    """The sum of *voices*, each of *samples*; silence when nobody sounds."""
    sounding = [voice for voice in voices if voice.any()]
    if not sounding:
        return Limiter(), np.zeros(samples, np.int16)
    if len(sounding) == 1 and before.held >= AT_REST:
        return Limiter(), sounding[0]
    total = np.zeros(samples, np.int32)
    for voice in sounding:
        total += voice
    return shaped(before, total, gain=1.0)
