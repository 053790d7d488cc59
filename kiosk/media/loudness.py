"""How loud the loudspeaker is by day and by night, and that it is never silent and never deafens. Pure.

Theory of operation
===================

Rule 1. The volume is a percentage in even steps of loudness. 0 is not silence but the quietest that is still heard
(``FLOOR_DB``): a ring or a prompt that a setting has made silent would be a patient who is not reached.

Rule 2. Between the night's begin and end the night volume holds.

Rule 3. No sample leaves above ``CEILING``. A block that would is turned down as a whole, at once; afterwards the
gain comes back slowly, so that nothing pumps. What overshoots while the gain moves is cut.

Rule 4. A gain moves over a whole block, never in a step: a step clicks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FLOOR_DB = -30.0
"""At 0 %, against 100 %: a loud loudspeaker's 75 dB(A) at the pillow become 45, a quiet voice."""
CEILING = 0.7
"""Of full scale: -3 dB. What is louder distorts in a small loudspeaker, and the echo of a distorted sound stays."""
RELEASE = 0.1
"""Of the way back to full gain for each block of 20 ms: 0.2 s."""
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Volume:
    """Per cent by day and by night; the night in minutes after midnight, local time (both the same: no night)."""

    day: int = 100
    night: int = 100
    night_begin: int = 0
    night_end: int = 0

    def gain(self, minute: int) -> float:
        """The factor for a sound at *minute* of the day."""
        length = (self.night_end - self.night_begin) % MINUTES_A_DAY
        by_night = (minute - self.night_begin) % MINUTES_A_DAY < length
        per_cent = self.night if by_night else self.day
        return float(10 ** (FLOOR_DB * (1 - per_cent / 100) / 20))


def volume(*, day: int, night: int, hours: str) -> Volume:
    """From the settings; *hours* is ``"21:00-07:00"`` or ``"none"``."""
    if hours == "none":
        return Volume(day=day, night=night)
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in hours.split("-"))
    return Volume(day=day, night=night, night_begin=begin, night_end=end)


@dataclass(frozen=True)
class Limiter:
    """``gain``: that of the last sample. ``held``: what the ceiling leaves of the volume's gain."""

    gain: float = 1.0
    held: float = 1.0


def shaped(
    before: Limiter, block: NDArray[np.int16] | NDArray[np.int32], *, gain: float
) -> tuple[Limiter, NDArray[np.int16]]:
    """*block* at *gain* and never above the ceiling; a wider one (a sum) may be louder than a block can be."""
    peak = max(int(block.max(initial=0)), -int(block.min(initial=0))) / 32768 * gain
    most = CEILING / peak if peak > CEILING else 1.0
    held = min(most, before.held + RELEASE * (1 - before.held))
    target = gain * held
    # Down at once, for this block is loud; up over the block.
    begin = min(before.gain, target) if most < 1 else before.gain
    moved = block * np.linspace(begin, target, len(block)) if begin != target else block * target
    limit = CEILING * 32768
    made = np.clip(np.rint(moved, out=moved), -limit, limit, out=moved).astype(np.int16)
    return replace(before, gain=target, held=held), made
