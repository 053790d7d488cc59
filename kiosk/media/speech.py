"""Whether people have really spoken with each other: the proof that lets a seat close a request.

Pure. VDE 0834 allows a remote cancel only after real speech. We judge by level: so much time above a threshold in
each direction. That tells a live voice path with somebody at each end from a silent one; it recognises no
words, and a loud ward counts as a voice. The threshold is that of speech at arm's length, well above a quiet room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

SPEECH_DBFS = -45.0
SPEECH_S = 1.0
"""Time above the threshold that each direction needs."""

Direction = Literal["from_bed", "from_seat"]


@dataclass(frozen=True)
class Speech:
    """Seconds of sound above the threshold, so far."""

    from_bed: float = 0.0
    from_seat: float = 0.0

    @property
    def both_ways(self) -> bool:
        """Each side has been heard."""
        return self.from_bed >= SPEECH_S and self.from_seat >= SPEECH_S


def heard(speech: Speech, direction: Direction, *, dbfs: float, seconds: float) -> Speech:
    """Add a block of *seconds* at *dbfs* (dB full scale) that went in *direction*."""
    if dbfs < SPEECH_DBFS:
        return speech
    if direction == "from_bed":
        return replace(speech, from_bed=speech.from_bed + seconds)
    return replace(speech, from_seat=speech.from_seat + seconds)
