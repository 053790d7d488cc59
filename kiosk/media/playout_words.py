"""The words of the playout (:mod:`kiosk.media.playout`): what goes in, what comes out, and its figures. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Pace(enum.Enum):
    """How to play."""

    NORMAL = "normal"
    FASTER = "faster"
    FASTEST = "fastest"
    SLOWER = "slower"


@dataclass(frozen=True)
class Tempo:
    """How the next pull should be played, and how many samples may be taken out by it."""

    pace: Pace
    most: int = 0


STEADY = Tempo(Pace.NORMAL)


@dataclass(frozen=True)
class Arrived:
    """An RTP packet of Opus, and when it came."""

    ssrc: int
    sequence: int
    timestamp: int
    at: float
    payload: bytes


@dataclass(frozen=True)
class Decode:
    """Decode *payload*. ``fresh``: reset the decoder before. ``skipped``: sound before it was left out."""

    payload: bytes
    samples: int
    arrived_at: float
    fresh: bool = False
    skipped: bool = False


@dataclass(frozen=True)
class Mend:
    """Decode the copy in *payload* of the *samples* before it."""

    payload: bytes
    samples: int


@dataclass(frozen=True)
class Conceal:
    """Make *samples* out of what was before; ``after``: samples concealed in a row until then, for the fade."""

    samples: int
    after: int


@dataclass(frozen=True)
class Comfort:
    """*samples* of the far end's background noise: it has gone quiet by itself."""

    samples: int


@dataclass(frozen=True)
class Silence:
    """*samples* of nothing."""

    samples: int


Step = Decode | Mend | Conceal | Comfort | Silence


@dataclass(frozen=True)
class Report:
    """What was played so far. Packets are counted, sound is in samples at 48 kHz, delays are in seconds."""

    depth_s: float = 0.0
    """Sound that waits undecoded."""
    target_s: float = 0.0
    delay_s: float = 0.0
    """Of the last decoded packet: from its arrival until it is heard."""
    received: int = 0
    lost: int = 0
    """Never came, as the sequence numbers tell."""
    late: int = 0
    """Came after their time; concealed or mended meanwhile."""
    doubled: int = 0
    unusable: int = 0
    skipped: int = 0
    """Left out to come back under the bound."""
    restarts: int = 0
    decoded: int = 0
    mended: int = 0
    concealed: int = 0
    silent: int = 0
    """Nothing could be played after concealment had faded."""
    accelerated: int = 0
    slowed: int = 0
