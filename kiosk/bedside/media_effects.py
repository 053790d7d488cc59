"""What a call wants of ring, media connection and timer: the effects of ``call.py`` that no one but media performs.

Pure values. Each names its call: a bed may be in several talks at once, and what one of them wants is no word about
the others.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kiosk.signaling.messages import CallType


class Timer(enum.Enum):
    """The waits that have an end."""

    RING = "ring"
    ANSWER = "answer"
    CONNECT = "connect"
    REBUILD = "rebuild"


@dataclass(frozen=True)
class StartRing:
    """Sound the ring until :class:`StopRing` or :class:`CloseMedia`; nothing is captured."""

    call_id: str


@dataclass(frozen=True)
class StopRing:
    """The ring is over, and a call follows."""

    call_id: str


@dataclass(frozen=True)
class OpenMedia:
    """Open capture behind the call's own gate and make the offer; answered by ``Offered`` or ``MediaDown``.

    Devices that another call has open already are shared with it.
    """

    call_id: str
    call_type: CallType


@dataclass(frozen=True)
class RebuildMedia:
    """Give the connection up, make a new one and its offer; answered as :class:`OpenMedia` is."""

    call_id: str
    connection: int
    call_type: CallType


@dataclass(frozen=True)
class WatchMedia:
    """Report ``MediaStalled`` when nothing comes; *sends*: the seat sends without a pause."""

    call_id: str
    sends: bool


@dataclass(frozen=True)
class ApplyAnswer:
    """Give the answer to the media connection."""

    call_id: str
    sdp: str


@dataclass(frozen=True)
class AddCandidate:
    """Give the candidate to the media connection."""

    call_id: str
    candidate: str
    sdp_mid: str | None
    sdp_mline_index: int | None


@dataclass(frozen=True)
class OpenGate:
    """Camera (for video) and microphone may leave to this seat from now on."""

    call_id: str
    call_type: CallType


@dataclass(frozen=True)
class StopVideo:
    """Go on as an audio call."""

    call_id: str


@dataclass(frozen=True)
class CloseMedia:
    """End the call's ring and connection; capture ends with the last call that has it open."""

    call_id: str


@dataclass(frozen=True)
class StartTimer:
    """Deliver ``TimedOut`` after *seconds*; replaces the call's earlier timer."""

    call_id: str
    timer: Timer
    seconds: float


@dataclass(frozen=True)
class StopTimer:
    """No timer of the call runs any more."""

    call_id: str


ForConnection = RebuildMedia | WatchMedia | ApplyAnswer | AddCandidate | OpenGate | StopVideo
"""Effects on a connection that is there."""

ForMedia = ForConnection | StartRing | StopRing | OpenMedia | CloseMedia | StartTimer | StopTimer
"""Effects on the ring, the media connection and its timer."""
