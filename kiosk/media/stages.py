"""The stages that each picture and each block of sound passes at the bed, for ``--latency-trace``. Pure.

A picture is taken when the camera gives it; it is sent when its last packet has left, with the pauses that spread
it out. Sound is heard by the microphone from a block's first sample on, which is 20 ms before the block is whole.
It is received when its packet comes, and played when the speaker takes it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable


class Stage(enum.Enum):
    """The value is its name in the table."""

    PICTURE_ENCODED = "picture taken → encoded"
    PICTURE_SENT = "picture taken → sent"
    SOUND_PROCESSED = "sound at the microphone → processed"
    SOUND_ENCODED = "sound processed → encoded"
    SOUND_SENT = "sound encoded → sent"
    SOUND_PLAYED = "sound received → played"


Took = Callable[[Stage, float], None]
"""Told how many seconds a stage took, on whichever thread it ended; must be quick and must never raise."""


def nobody(stage: Stage, seconds: float) -> None:
    """Nobody measures."""
