"""Whether an open microphone hears anything at all: told from a patient who says nothing. Pure.

Theory of operation
===================

Time is an argument (monotonic seconds). The sound is judged as it comes from the device, before any processing:
noise suppression makes true silence.

Rule 1. A real microphone in a real room is never still: its own noise and its converter's last bits move. A block
in which every sample is the same (all zero, or stuck at one value) comes from a muted, unplugged or broken one.
How loud a block is does not matter.

Rule 2. Only time counts in which the microphone was open. After ``limit_s`` without a living block it is dead, be
it that dead blocks come or none at all.

Rule 3. The first living block ends it.

Rule 4. Speakerphones that process sound themselves may gate a quiet room to exact zeros. For them
(``audio.echo = "none"``) the limit is ``GATED_S``: longer than people are silent in a call.

=======  ==========  ==================================
state    Heard       Looked
=======  ==========  ==================================
living   living      living, or dead after the limit
dead     living      dead
=======  ==========  ==================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DEAD_S = 8.0
GATED_S = 60.0
LOOK_EVERY_S = 1.0
"""How often the shell looks."""
BLIND_S = 4.0
"""Longer between two looks: nobody looked (a stopped process, a sleep), and that time does not count."""


@dataclass(frozen=True)
class Heard:
    """A living block has come."""

    at: float


@dataclass(frozen=True)
class Looked:
    """No living block has come since the last event."""

    at: float


@dataclass(frozen=True)
class Hearing:
    """``since``: from when on silence counts."""

    since: float
    looked_at: float
    limit_s: float = DEAD_S
    dead: bool = False


def begin(at: float, *, limit_s: float = DEAD_S) -> Hearing:
    """A microphone that has just been opened."""
    return Hearing(since=at, looked_at=at, limit_s=limit_s)


def step(before: Hearing, event: Heard | Looked) -> Hearing:
    """Apply *event*."""
    if isinstance(event, Heard):
        return replace(before, since=event.at, looked_at=event.at, dead=False)
    blind_s = event.at - before.looked_at
    since = before.since + blind_s if blind_s > BLIND_S else before.since
    dead = before.dead or event.at - since >= before.limit_s
    return replace(before, since=since, looked_at=event.at, dead=dead)


def is_living(block: NDArray[np.int16]) -> bool:
    """Whether anything moves in *block*."""
    return bool(len(block)) and bool(np.any(block != block[0]))
