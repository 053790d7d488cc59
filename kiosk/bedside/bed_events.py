"""What may happen at the bed and what follows from it: the events and effects of ``bed.py``.

Pure values. Times are monotonic seconds, given by the shell.
"""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.bedside import call_events, media_effects, request_events
from kiosk.bedside.journal import Kept
from kiosk.signaling import messages as wire

Device = wire.DeviceName


@dataclass(frozen=True)
class Restored:
    """The bed starts; its journal kept this. Comes first."""

    kept: Kept


@dataclass(frozen=True)
class CallPressed:
    """A button that asks went down. ``request_id`` is used if this press opens a request."""

    at: float
    request_id: str
    origin: wire.Origin = wire.Origin.CALL_BUTTON


@dataclass(frozen=True)
class CancelPressed:
    """The cancel button went down: in a call it hangs up, otherwise it waits for the hold."""


@dataclass(frozen=True)
class CancelHeld:
    """The cancel button was held for the facility's time (or pressed, where none is set)."""


@dataclass(frozen=True)
class AttendPressed:
    """Staff pressed the presence button at the bed."""


@dataclass(frozen=True)
class LinkUp:
    """Logged in at the desk, whose seats ring for ``ring_s`` seconds; answer with :meth:`Bed.snapshot`."""

    ring_s: float


@dataclass(frozen=True)
class LinkDown:
    """The desk cannot be reached."""


@dataclass(frozen=True)
class Refused:
    """The desk refuses our login."""


@dataclass(frozen=True)
class KickedOut:
    """Another device logged in with our user id."""


@dataclass(frozen=True)
class Received:
    """A message of the desk."""

    message: wire.Message


@dataclass(frozen=True)
class DeviceChanged:
    """A device failed (``fault`` says why, in words, and ``kind`` what that is) or works again (empty)."""

    device: Device
    fault: str = ""
    kind: wire.FaultKind | None = None


@dataclass(frozen=True)
class Measured:
    """How the connection is here."""

    quality: wire.Quality


@dataclass(frozen=True)
class PicturesShed:
    """The path to the seat carries no pictures, only sound (*shed*), or carries them again."""

    call_id: str
    shed: bool


OfMedia = (
    call_events.Offered
    | call_events.MediaUp
    | call_events.MediaDown
    | call_events.MediaStalled
    | call_events.Spoken
    | call_events.TimedOut
)
"""What the media connection and the call's timer report, as events of the call."""

Event = (
    Restored
    | CallPressed
    | CancelPressed
    | CancelHeld
    | AttendPressed
    | LinkUp
    | LinkDown
    | Refused
    | KickedOut
    | Received
    | DeviceChanged
    | Measured
    | PicturesShed
    | OfMedia
)


@dataclass(frozen=True)
class Send:
    """Put *message* on the wire; *acknowledged*: with an id, so that silence is noticed."""

    message: wire.Message
    acknowledged: bool = False


@dataclass(frozen=True)
class Keep:
    """Put *kept* on the disk. Whatever is sent after this is sent when it is there, and not before."""

    kept: Kept


@dataclass(frozen=True)
class SeatMeasured:
    """How the connection of the talk is at the seat, by its own word."""

    quality: wire.Quality


@dataclass(frozen=True)
class SwitchRelay:
    """Call through the certified nurse call, or stop."""

    closed: bool


Effect = (
    Keep
    | Send
    | SeatMeasured
    | SwitchRelay
    | request_events.Show
    | request_events.Reassure
    | call_events.Emit
    | media_effects.ForMedia
    | request_events.Ignored
    | call_events.Ignored
)
