"""What may happen to a call and what follows from it: the events and effects of ``call.py``.

Pure values. Times are monotonic seconds, given by the shell.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kiosk.bedside.media_effects import ForMedia, Timer
from kiosk.signaling.messages import CallType, EndReason

DEFAULT_RING_S = 30.0
"""TUICalling's ringing time-out, until the desk says otherwise at login."""


class State(enum.Enum):
    """Where the call stands."""

    IDLE = "idle"
    INVITED = "invited"
    """A seat calls; nothing is captured yet."""
    CALLING = "calling"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REBUILDING = "rebuilding"


class Kind(enum.StrEnum):
    """TUICalling's events, under TUICallEngine's names; the two of a lost path under TRTC's."""

    RECEIVED = "onCallReceived"
    RINGING = "onUserInviting"
    ACCEPTED = "onUserAccept"
    REJECTED = "onUserReject"
    LINE_BUSY = "onUserLineBusy"
    NO_RESPONSE = "onUserNoResponse"
    CANCELLED = "onCallNotConnected"
    BEGIN = "onCallBegin"
    INTERRUPTED = "onConnectionLost"
    RESTORED = "onConnectionRecovery"
    END = "onCallEnd"
    AUDIO = "onUserAudioAvailable"
    VIDEO = "onUserVideoAvailable"
    MEDIA_TYPE = "onCallMediaTypeChanged"
    KICKED_OUT = "onKickedOffline"
    ERROR = "onError"


# -- events


@dataclass(frozen=True)
class Call:
    """The desk allocated *seat*; *ring_s* is its ring time-out."""

    call_id: str
    seat: str
    fence: int
    call_type: CallType
    ring_s: float = DEFAULT_RING_S


@dataclass(frozen=True)
class Invited:
    """A seat calls; *answer_s*: the bed answers by itself when it has rung for so long, None: the patient does."""

    call_id: str
    seat: str
    fence: int
    call_type: CallType
    ring_s: float = DEFAULT_RING_S
    answer_s: float | None = None


@dataclass(frozen=True)
class Accept:
    """The patient answers the seat that calls."""


@dataclass(frozen=True)
class Unheard:
    """The ring cannot be heard here: the bed may not answer by itself."""


@dataclass(frozen=True)
class Offered:
    """Our media are open; this is the offer. *connection*, here and below: which of the call's connections."""

    call_id: str
    sdp: str
    connection: int = 0


@dataclass(frozen=True)
class Ringing:
    """The seat rings."""

    call_id: str


@dataclass(frozen=True)
class Answered:
    """The seat's SDP answer; the first one comes while the seat still rings."""

    call_id: str
    sdp: str
    connection: int = 0


@dataclass(frozen=True)
class CandidateFound:
    """A trickled candidate of the seat."""

    call_id: str
    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None
    connection: int = 0


@dataclass(frozen=True)
class Accepted:
    """The person at the seat took the call, perhaps as audio only."""

    call_id: str
    call_type: CallType
    at: float


@dataclass(frozen=True)
class Ended:
    """The desk says that the ringing or the call is over."""

    call_id: str
    reason: EndReason
    at: float


@dataclass(frozen=True)
class Cancel:
    """The bed takes the invitation back, or declines that of a seat."""


@dataclass(frozen=True)
class Hangup:
    """The bed ends the call."""

    at: float


@dataclass(frozen=True)
class MediaUp:
    """ICE and DTLS are done."""

    call_id: str
    at: float
    connection: int = 0


@dataclass(frozen=True)
class MediaDown:
    """The media connection cannot be made, or was closed by the seat."""

    call_id: str
    why: str
    at: float
    connection: int = 0


@dataclass(frozen=True)
class MediaStalled:
    """Nothing comes through the media connection any more, as the bed or the seat has noticed."""

    call_id: str
    why: str
    at: float
    connection: int = 0


@dataclass(frozen=True)
class Spoken:
    """Speech has flowed both ways in this call."""

    call_id: str


@dataclass(frozen=True)
class PeerMedia:
    """What the seat says it sends; *steady*: packets of sound go on also while it is muted."""

    call_id: str
    audio: bool
    video: bool
    steady: bool = False


@dataclass(frozen=True)
class SwitchToAudio:
    """The seat goes on without pictures."""

    call_id: str


@dataclass(frozen=True)
class LinkDown:
    """The desk cannot be reached."""


@dataclass(frozen=True)
class KickedOut:
    """Another device logged in with our user id."""

    at: float


@dataclass(frozen=True)
class TimedOut:
    """A timer ran out."""

    call_id: str
    timer: Timer
    at: float


Event = (
    Call
    | Invited
    | Accept
    | Unheard
    | Offered
    | Ringing
    | Answered
    | CandidateFound
    | Accepted
    | Ended
    | Cancel
    | Hangup
    | MediaUp
    | MediaDown
    | MediaStalled
    | Spoken
    | PeerMedia
    | SwitchToAudio
    | LinkDown
    | KickedOut
    | TimedOut
)


# -- effects


@dataclass(frozen=True)
class SendRebuild:
    """The offer of a new connection, to the seat, by the desk."""

    call_id: str
    connection: int
    sdp: str


@dataclass(frozen=True)
class SendInvite:
    """To the seat, by the desk."""

    call_id: str
    fence: int
    call_type: CallType
    sdp: str


@dataclass(frozen=True)
class SendRinging:
    """To the seat that calls: light and sound are on."""

    call_id: str


@dataclass(frozen=True)
class SendReject:
    """To the seat that calls: declined."""

    call_id: str


@dataclass(frozen=True)
class SendCancel:
    """Take the invitation back."""

    call_id: str


@dataclass(frozen=True)
class SendHangup:
    """Tell the seat that the bed hung up."""

    call_id: str
    spoken: bool = False


@dataclass(frozen=True)
class SendFailed:
    """Tell the desk that the media failed, so that the request goes on."""

    call_id: str
    why: str
    spoken: bool = False


@dataclass(frozen=True)
class Emit:
    """A TUICalling event for the request, the log and whoever listens. ``duration`` in seconds."""

    kind: Kind
    call_id: str
    seat: str
    duration: float = 0.0
    available: bool = False
    why: str = ""
    broken: bool = False
    """Of an end after the accept: by a fault, not by a person."""
    spoken: bool = False
    """For END: speech has flowed both ways."""


@dataclass(frozen=True)
class Ignored:
    """The event means nothing in this state; the state did not move."""

    event: Event
    state: State


ForDesk = SendRinging | SendReject | SendInvite | SendRebuild | SendCancel | SendHangup | SendFailed
"""Effects that are messages on the wire."""

Effect = ForDesk | ForMedia | Emit | Ignored
