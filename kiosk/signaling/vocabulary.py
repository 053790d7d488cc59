"""The terms of the wire that several messages share: states, reasons, and what is said of beds and requests.

Pure. Callers take them from :mod:`kiosk.signaling.messages`.
"""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kiosk.usersig import USER_ID_PATTERN

UserId = Annotated[str, Meta(pattern=USER_ID_PATTERN, description="1 to 32 of A-Z a-z 0-9 _ -")]
Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$(?!\n)", description="an id made by one of the ends")]
Label = Annotated[str, Meta(max_length=64)]
Words = Annotated[str, Meta(max_length=200)]
Sdp = Annotated[str, Meta(min_length=1, max_length=48 * 1024)]
Millis = Annotated[int, Meta(ge=0, le=10**12)]
Part = Annotated[float, Meta(ge=0, le=1)]
Fence = Annotated[int, Meta(ge=0, le=2**53 - 1, description="rises with every allocation, also across desks")]
Connection = Annotated[
    int,
    Meta(
        ge=0,
        le=10**6,
        description="which of the call's media connections: 0 came with the invitation, each rebuilt one counts on",
    ),
]


MAX_MEMBERS = 4
"""Seats in one talk, those that are still being rung included: a bed of this hardware class serves four."""


class CallType(enum.IntEnum):
    """TUICalling's call types."""

    AUDIO = 1
    VIDEO = 2


class Priority(enum.IntEnum):
    """How urgent a request is; higher goes first."""

    NORMAL = 0
    URGENT = 1
    EMERGENCY = 2


class Origin(enum.StrEnum):
    """Who or what asked."""

    CALL_BUTTON = "call_button"
    BATHROOM = "bathroom"
    """The bathroom's cord or button: urgent, closed by attendance only."""
    STAFF = "staff"
    """Staff at the bed need help: an emergency, closed by attendance only."""
    SEAT = "seat"
    """Nobody at the bed has asked: a seat calls. Ends with its call, unless somebody presses meanwhile."""


class QualityLevel(enum.IntEnum):
    """TUICalling's network quality; higher is worse. Its kit warns from ``BAD`` on."""

    UNKNOWN = 0
    EXCELLENT = 1
    GOOD = 2
    POOR = 3
    BAD = 4
    VERY_BAD = 5
    DISCONNECTED = 6


class Phase(enum.StrEnum):
    """Where a request stands, as the kiosk sees it."""

    WAITING = "waiting"
    """Nobody has spoken with the patient: a seat must ring."""
    TALKING = "talking"
    """A call is connected."""
    ANSWERED = "answered"
    """A seat has spoken with the patient; somebody still has to attend at the bed."""


class SeatState(enum.StrEnum):
    """The states of a seat (design §2)."""

    OFFLINE = "offline"
    NOT_READY = "not_ready"
    REST = "rest"
    FREE = "free"
    RINGING = "ringing"
    BUSY = "busy"
    WRAP_UP = "wrap_up"


class EndReason(enum.StrEnum):
    """Why a ringing or a call ended."""

    REJECTED = "rejected"
    LINE_BUSY = "line_busy"
    NO_RESPONSE = "no_response"
    CANCELLED = "cancelled"
    HANGUP = "hangup"
    FAILED = "failed"
    SEAT_LOST = "seat_lost"
    BED_LOST = "bed_lost"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    PREEMPTED = "preempted"
    """The seat was needed for an emergency; the request waits on."""


class CloseReason(enum.StrEnum):
    """Why a request was closed. A hang-up, a crash, a time-out or a network loss is never among them."""

    CANCELLED = "cancelled"
    ATTENDED = "attended"
    CLOSED_BY_SEAT = "closed_by_seat"


class ErrorCode(enum.StrEnum):
    """Every code a :class:`Fault` may carry."""

    BAD_MESSAGE = "bad_message"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    OUT_OF_ORDER = "out_of_order"
    BAD_USER_ID = "bad_user_id"
    SIG_MALFORMED = "sig_malformed"
    SIG_FOREIGN = "sig_foreign"
    SIG_EXPIRED = "sig_expired"
    SIG_NOT_YET_VALID = "sig_not_yet_valid"
    UNKNOWN_SEAT = "unknown_seat"
    STALE_CALL = "stale_call"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_BED = "unknown_bed"
    SEAT_NOT_FREE = "seat_not_free"
    SEAT_IN_TALK = "seat_in_talk"
    TALK_FULL = "talk_full"
    NOT_ALLOWED = "not_allowed"
    TOO_MANY = "too_many"
    VERSION = "version"


class IceServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A STUN or TURN server, in the form in which a browser's ``RTCPeerConnection`` takes it."""

    urls: Annotated[str, Meta(max_length=300, description="one URL, such as turn:10.1.2.3:3478?transport=tcp")]
    username: Annotated[str, Meta(max_length=128)] = ""
    credential: Annotated[str, Meta(max_length=128)] = ""

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls!r}, …)"


class BedInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The place a kiosk serves. No patient names, ever."""

    group: Token
    ward: Label = ""
    room: Label = ""
    bed: Label = ""
    language: Literal["zh", "en"] = "zh"


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A talk that is on: its call, and the seat in it."""

    call_id: Token
    seat: UserId
    fence: Fence


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its kiosk tells it; sent whole each time, so that the last one is the truth."""

    request_id: Token
    age: Millis
    presses: Annotated[int, Meta(ge=0, le=10**6)] = 1
    """0: nobody has pressed, a seat calls."""
    priority: Priority = Priority.NORMAL
    origin: Origin = Origin.CALL_BUTTON
    """Of several, the most urgent."""
    call_type: CallType = CallType.VIDEO
    seat: UserId | None = None
    """A named seat, or None for any free seat of the bed's group."""
    phase: Phase = Phase.WAITING
    call_id: Token | None = None
    """The connected call, when ``phase`` is ``talking``."""
    call_seat: UserId | None = None
    fence: Fence = 0
    others: Annotated[tuple[Talk, ...], Meta(max_length=MAX_MEMBERS - 1)] = ()
    """The other talks, when several seats are in it; ``call_id`` is only the one that began first."""
    spoken: bool = False
    """Speech has really flowed both ways in some call of this request."""
    waited: Millis | None = None
    """How long nobody has answered: since the press that opened it or asked again; None = as long as ``age``."""


class ClosedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request closed while the desk could not be told."""

    request_id: Token
    reason: CloseReason


class FaultKind(enum.StrEnum):
    """What is wrong with a device, as far as somebody at a seat must know."""

    OFF = "off"
    """Switched off in the settings."""
    MISSING = "missing"
    """Not found, or it cannot be used."""
    FAILED = "failed"
    """It worked, and does no more."""
    SILENT = "silent"
    """A microphone that hears nothing at all."""
    STUCK = "stuck"
    """A button that does not come back."""
    NOT_KEPT = "not_kept"
    """The disk takes nothing."""


DeviceName = Literal["camera", "microphone", "speaker", "button", "bathroom", "staff", "journal"]


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the bed's devices in a technician's words, English; empty means in order."""

    camera: Words = ""
    microphone: Words = ""
    speaker: Words = ""
    button: Words = ""
    bathroom: Words = ""
    staff: Words = ""
    journal: Words = ""
    """The bed's disk: while it fails, a power cut at the bed would lose the request."""
    kinds: dict[DeviceName, FaultKind] = {}
    """What each fault is, for words in a reader's language. One without a kind is shown as it is told above."""
